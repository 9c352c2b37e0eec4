"""Requests to an OpenAI-compatible chat endpoint: paced, repeated where that helps, errors in plain words."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from affine_trainer.config import EndpointConfig
from affine_trainer.errors import AffineError

# Sent again: the server was busy, failed, or lost the answer. Asking a model twice does no harm.
PASSING = (408, 409, 425, 429)
# The same for every request: the key, the address or the model's name is wrong, or the account is empty.
LASTING = (401, 402, 403, 404, 405)
SHOWN = 200  # characters of an answer in an error
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, why it ended, and the tokens that the server counted (0 where it does not count)."""

    text: str
    stop: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class RequestFailedError(Exception):
    """One request that got no reply, for good; the message says why."""


class _PassingError(Exception):
    """An attempt that failed and may be repeated, after `wait` seconds where the server named them."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class ChatClient:
    """One endpoint, for any number of requests at a time on one event loop.

    At most `concurrency` requests are in flight, and `requests_per_minute` are begun. An attempt that failed
    in passing is repeated up to `retries` times, after a pause that doubles from `backoff` to `longest_pause`
    seconds and is drawn from its upper half; no request is sent before the time that a Retry-After names.
    """

    def __init__(self, address: str, key: str | None, limits: EndpointConfig) -> None:
        self.address = address
        self._key = key
        self._limits = limits
        self._room = asyncio.Semaphore(limits.concurrency)
        self._pace = _Pace(60.0 / limits.requests_per_minute if limits.requests_per_minute else 0.0)
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(limits.timeout, connect=limits.connect_timeout, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.concurrency),
            trust_env=urlsplit(address).hostname not in LOCAL,  # a proxy of the environment is not for these
        )

    async def check(self) -> None:
        """AffineError unless a server answers and takes the key; which models it lists does not matter."""
        try:
            answer = await self._http.get(f"{self.address}/models", timeout=self._limits.connect_timeout)
        except httpx.HTTPError as error:
            raise AffineError(
                f"endpoint.url: no server answers at {self.address} ({_reason(error)}); "
                "start it or correct the address"
            ) from error
        if answer.status_code in (401, 403):
            raise self._refused(answer)

    async def ask(self, body: Mapping[str, Any], jitter: int) -> Answer:
        """The reply to one chat request; `jitter` seeds the draw of its pauses.

        RequestFailedError when repeating did not help or would not; AffineError when no request can succeed.
        """
        draw = random.Random(jitter)
        for attempt in range(self._limits.retries):
            try:
                return await self._attempt(body)
            except _PassingError as error:
                pause = min(self._limits.longest_pause, self._limits.backoff * 2.0**attempt)
                await asyncio.sleep(max(error.wait, pause * draw.uniform(0.5, 1.0)))
        try:
            return await self._attempt(body)
        except _PassingError as error:
            raise RequestFailedError(f"{error} (asked {self._limits.retries + 1} times)") from error

    async def close(self) -> None:
        await self._http.aclose()

    async def _attempt(self, body: Mapping[str, Any]) -> Answer:
        async with self._room:
            await self._pace.turn()
            answer = await self._sent(body)
        if answer.status_code == 200:
            return self._read(answer)
        if answer.status_code in PASSING or answer.status_code >= 500:
            raise _PassingError(self._told(answer), self._wait(answer))
        if answer.status_code in LASTING or answer.is_redirect:
            raise self._refused(answer)
        raise RequestFailedError(self._told(answer))

    async def _sent(self, body: Mapping[str, Any]) -> httpx.Response:
        try:
            sending = self._http.post(f"{self.address}/chat/completions", json=body)
            return await asyncio.wait_for(sending, self._limits.timeout)
        except (asyncio.TimeoutError, httpx.TimeoutException) as error:
            raise _PassingError(f"no answer within {self._limits.timeout:g} s") from error
        except httpx.HTTPError as error:
            raise _PassingError(f"the connection was lost ({_reason(error)})") from error

    def _wait(self, answer: httpx.Response) -> float:
        """The seconds that the server asks to wait, for every request; RequestFailedError for too many."""
        seconds = retry_after(answer.headers, time.time())
        if seconds > self._limits.longest_wait:
            raise RequestFailedError(
                f"{self._told(answer)}; it asks to wait {seconds:.0f} s, more than "
                f"endpoint.longest_wait = {self._limits.longest_wait:g}"
            )
        self._pace.hold(seconds)
        return seconds

    def _read(self, answer: httpx.Response) -> Answer:
        try:
            found = json.loads(answer.content)
            choice = found["choices"][0]
            text = choice["message"].get("content")
            usage = found.get("usage") or {}
            counts = [usage.get(f"{kind}_tokens") for kind in ("prompt", "completion")]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise _PassingError(f"the answer is no chat completion: {self._shown(answer)}") from error
        if not isinstance(text, str | None):
            raise _PassingError(f"the answer's content is no text: {self._shown(answer)}")
        stop = "length" if choice.get("finish_reason") == "length" else "stop"
        # No content is what a model gives that only thought, or only called tools: an empty reply.
        return Answer(text or "", stop, *(n if isinstance(n, int) and n > 0 else 0 for n in counts))

    def _refused(self, answer: httpx.Response) -> AffineError:
        about = {
            401: f"set {self._limits.key_variable} to its key",
            402: "see to the account there; what was played is kept",
            403: f"check that the key in {self._limits.key_variable} may use the model",
        }
        todo = about.get(answer.status_code, "check endpoint.url and endpoint.model")
        return AffineError(f"endpoint {self.address}: {self._told(answer)}; {todo}")

    def _told(self, answer: httpx.Response) -> str:
        return f"the server answers with status {answer.status_code}: {self._shown(answer)}"

    def _shown(self, answer: httpx.Response) -> str:
        """The start of an answer's text, on one line; servers repeat a wrong key, so the key is taken out."""
        text = " ".join(answer.text.split())
        text = text.replace(self._key, "[the key]") if self._key else text
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


class _Pace:
    """When the next request may begin: `interval` seconds behind the last, and after any hold."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = self._held_until = 0.0

    async def turn(self) -> None:
        """Return when it is this request's turn."""
        while True:
            slot = max(time.monotonic(), self._next, self._held_until)
            self._next = slot + self._interval
            if slot > time.monotonic():
                await asyncio.sleep(slot - time.monotonic())
            if slot >= self._held_until:
                return

    def hold(self, seconds: float) -> None:
        """Let nothing begin for so long."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """The seconds that an answer asks to wait (`retry-after-ms`, or Retry-After as seconds or as a date).

    0 where it says nothing that can be read; `now` is in seconds since the epoch.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if value.replace(".", "", 1).isdecimal():
            return float(value) * unit
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
