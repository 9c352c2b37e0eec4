"""A chat endpoint over real sockets for the tests, with the faults that a test scripts."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple

import urllib3


class Reply(NamedTuple):
    """Status, JSON (or raw text) and headers of an answer."""

    status: int
    body: Any
    headers: Mapping[str, str] = MappingProxyType({})


Answer = Callable[[dict[str, Any]], Reply]
# The fault of a request: "dropped" before it is answered, "cut" in the middle of the answer, "slow" until the
# server closes, or another answer. None is none.
Fault = Callable[[int, dict[str, Any]], "str | Reply | None"]


def completion(text: str | None, stop: str = "stop", prompt_tokens: int = 7, tokens: int = 3) -> Reply:
    """A chat completion as servers give it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": stop}
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }
    return Reply(200, {"object": "chat.completion", "choices": [choice], "usage": usage})


def once_there_are(count: int, fault: Fault = lambda number, body: None) -> Fault:
    """Holds every request until there are so many; then comes `fault`."""
    here = threading.Event()

    def held(number: int, body: dict[str, Any]) -> str | Reply | None:
        if number >= count - 1:
            here.set()
        assert here.wait(120.0)
        return fault(number, body)

    return held


def forwarded(url: str) -> Answer:
    """The answers of the server at `url`."""
    pool = urllib3.PoolManager(maxsize=200, retries=False)

    def answer(body: dict[str, Any]) -> Reply:
        found = pool.request("POST", f"{url}/chat/completions", json=body, timeout=300.0)
        return Reply(found.status, found.data.decode())

    return answer


class _Listener(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    allow_reuse_address = True
    chat: ChatServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class ChatServer:
    """Answers `POST /v1/chat/completions` by `answer`, but for the faults. `bodies` holds what was asked, in
    order, `times` when (monotonic), `most` how many requests were open at once."""

    def __init__(self, answer: Answer, fault: Fault = lambda number, body: None, port: int = 0) -> None:
        self.answer, self.fault = answer, fault
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.open = self.most = 0
        self.lock = threading.Lock()
        self.released = threading.Event()
        self._listener = _Listener(("127.0.0.1", port), _Handler)
        self._listener.chat = self
        self.port: int = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._listener.shutdown()
        self._listener.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body leave together
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._send(Reply(200, {"object": "list", "data": []}))

    def do_POST(self) -> None:
        chat = self.server.chat
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with chat.lock:
            number = len(chat.bodies)
            chat.bodies.append(body)
            chat.headers.append(dict(self.headers))
            chat.times.append(time.monotonic())
            chat.open += 1
            chat.most = max(chat.most, chat.open)
        try:
            self._answer(chat, chat.fault(number, body), body)
        finally:
            with chat.lock:
                chat.open -= 1

    def _answer(self, chat: ChatServer, fault: str | Reply | None, body: dict[str, Any]) -> None:
        if fault == "dropped":
            self._hang_up()
        elif fault == "slow":
            chat.released.wait(60.0)
            self._hang_up()
        elif fault == "cut":
            self._send(chat.answer(body), cut=True)
        else:
            self._send(fault if isinstance(fault, Reply) else chat.answer(body))

    def _send(self, reply: Reply, cut: bool = False) -> None:
        content = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
