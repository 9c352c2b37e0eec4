"""Requests to one environment server: time limits, repeats where they are harmless, errors in plain words."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util import parse_url

from affine_trainer.envs.agents.server.dialects import DIALECTS, BadAnswerError
from affine_trainer.errors import AffineError

T = TypeVar("T")

BUSY = (429, 503)  # the server did not begin
LONGEST_PAUSE = 5.0  # seconds
CONNECT_TIMEOUT = 10.0  # seconds
SHOWN = 200  # characters of an answer in an error


class ServerError(RuntimeError):
    """A request that failed; `status` is the HTTP status where there was an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotBegunError(ServerError):
    """The server cannot have begun on the request: it may be sent again."""


class AnswerLostError(ServerError):
    """The server may or may not have done what was asked."""


class TooSlowError(AnswerLostError):
    """The server may still be busy with the request."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one server is asked to bear, and how long it is waited for (in seconds).

    At most `max_open` instances are open at once; who needs another waits up to `slot_timeout` for one.
    A request is answered within `timeout`. It is sent up to `retries` times more where that is harmless,
    after pauses of `backoff` and its doubles.
    """

    max_open: int = 256
    timeout: float = 300.0
    slot_timeout: float = 60.0
    retries: int = 5
    backoff: float = 0.25


class _Request(NamedTuple):
    """One request; `what` names it in errors."""

    what: str
    method: str
    url: str
    body: Mapping[str, Any] | None
    query: Mapping[str, str] | None
    timeout: float


class Server:
    """The server of one environment, for any number of threads.

    Every request has a connection of its own. A kept one may be dropped by the server just as an action is
    sent on it, and then nobody knows whether the action was played.
    """

    def __init__(self, name: str, base_url: str, limits: ServerLimits) -> None:
        self._name = name
        self._key = f"data.agentgym.base_urls.{name}"
        self._base = _checked_url(self._key, base_url)
        self._limits = limits
        self._tls = ssl.create_default_context() if self._base.startswith("https:") else None

    def get(self, path: str, query: Mapping[str, str], read: Callable[[Any], T]) -> T:
        """What `read` makes of the answer; see `post`."""
        request = self._request("GET", path, query=query)
        return self._asked(request, read, retries=self._limits.retries, repeatable=True)

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Any], T],
        *,
        repeatable: bool = False,
        retries: int | None = None,
        timeout: float | None = None,
    ) -> T:
        """What `read` makes of the answer; `retries` and `timeout` stand in for the limits' own.

        A request that the server cannot have begun on is sent again; one whose answer was lost only if it is
        `repeatable`. ServerError when that does not help, when the server reports an error, or when `read`
        raises BadAnswerError.
        """
        request = self._request("POST", path, body=body, timeout=timeout)
        retries = self._limits.retries if retries is None else retries
        return self._asked(request, read, retries=retries, repeatable=repeatable)

    def check(self) -> None:
        """AffineError unless a server answers, and one of this environment as far as it says its name."""
        request = self._request("GET", "", timeout=CONNECT_TIMEOUT)
        try:
            status, text = self._sent(request)
        except ServerError as error:
            reason = str(error).removeprefix(f"{request.what}: ")
            raise AffineError(
                f"{self._key}: no server answers at {self._base}: {reason}; start it or correct the address"
            ) from error
        if status >= 500:
            raise AffineError(
                f"{self._key}: {self._base} answers with status {status}; look into the server's log"
            )
        for other in DIALECTS.values():
            if other.name != self._name and other.greeting and other.greeting.lower() in text.lower():
                raise AffineError(
                    f"{self._key}: the server at {self._base} plays agentgym:{other.name}; correct the key"
                )

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> _Request:
        url = f"{self._base}/{path}"
        what = f"agentgym:{self._name}: {method} {url}"
        return _Request(what, method, url, body, query, timeout or self._limits.timeout)

    def _asked(self, request: _Request, read: Callable[[Any], T], *, retries: int, repeatable: bool) -> T:
        for attempt in range(retries):
            try:
                return self._answered(request, read)
            except NotBegunError:
                pass
            except AnswerLostError as error:
                if not repeatable or isinstance(error, TooSlowError):
                    raise
            time.sleep(min(LONGEST_PAUSE, self._limits.backoff * 2**attempt))
        return self._answered(request, read)

    def _answered(self, request: _Request, read: Callable[[Any], T]) -> T:
        """Send the request once; what `read` makes of the answer."""
        status, text = self._sent(request)
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        if status in BUSY:
            raise NotBegunError(f"{request.what}: the server is too busy (status {status})", status)
        if status >= 500:
            raise AnswerLostError(f"{request.what}: the server failed (status {status}: {shown})", status)
        if status != 200:
            raise ServerError(f"{request.what}: the server refused (status {status}: {shown})", status)
        try:
            reply = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ServerError(f"{request.what}: the answer is not JSON: {shown}", status) from error
        if isinstance(reply, dict) and reply.get("error") is not None:
            raise ServerError(f"{request.what}: the server reports an error: {reply['error']}", status)
        try:
            return read(reply)
        except BadAnswerError as error:
            raise ServerError(f"{request.what}: the answer {error}: {shown}", status) from error

    def _sent(self, request: _Request) -> tuple[int, str]:
        """Status and text of the answer."""
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=request.timeout)
        own = urllib3.PoolManager(
            headers={"Connection": "close"}, retries=False, timeout=timeout, ssl_context=self._tls
        )
        try:
            with own:
                answer = own.request(
                    request.method, request.url, json=request.body, fields=request.query, redirect=False
                )
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise NotBegunError(f"{request.what}: no connection ({_reason(error)})") from error
        except ReadTimeoutError as error:
            raise TooSlowError(f"{request.what}: no answer within {request.timeout:g} s") from error
        except HTTPError as error:
            raise AnswerLostError(f"{request.what}: the connection was lost ({_reason(error)})") from error
        return answer.status, answer.data.decode("utf-8", errors="replace")


def _reason(error: HTTPError) -> str:
    """The last part of the library's message, which is the system's own."""
    return str(error.args[-1]).rpartition(": ")[2]


def _checked_url(key: str, base_url: str) -> str:
    """Without its final slashes; AffineError for what is no address."""
    try:
        parsed = parse_url(base_url)
    except LocationParseError:
        parsed = None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host or parsed.query:
        raise AffineError(f"{key}: {base_url!r} is no address; write one like http://localhost:36001")
    return base_url.rstrip("/")
