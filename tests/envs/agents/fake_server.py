"""A server over real sockets for the tests: any of the five worlds, with faults that a test switches on."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from affine_trainer.envs.agents.server import ServerGames, ServerLimits
from tests.envs.agents.fake_worlds import WORLDS, Reply, World

# What goes wrong with a request: "refused" (503), "failed" (500), "error" and "dropped" do nothing, "crashed"
# (500), "lost", "slow", "garbage" and the JSON of `Mangled` come after the world has played it.
Fault = Literal["refused", "failed", "error", "dropped", "crashed", "lost", "slow", "garbage"]
Script = Callable[[str, Any, int], "Fault | dict[str, Any] | None"]

LIMITS = ServerLimits(timeout=20.0, slot_timeout=0.2, retries=3, backoff=0.01)


class _Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    fake: FakeServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class FakeServer:
    """One world behind an address. `script` names the fault of a request: its path, its body, and how many of
    that path there were before it. `played` holds the actions that the world has played, by instance."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self._options = name, options
        self.script: Script = lambda path, body, number: None
        self.released = threading.Event()  # slow answers wait for it
        self.asked: Counter[str] = Counter()
        self.num_connections = 0
        self.played: dict[Any, list[str]] = {}
        self.lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._games: list[ServerGames] = []
        self._listen(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        for games in self._games:
            games.close()
        self.kill()

    def games(self, limits: ServerLimits = LIMITS, **options: Any) -> ServerGames:
        self._games.append(ServerGames(self.name, self.url, limits=limits, **options))
        return self._games[-1]

    @property
    def num_open(self) -> int:
        return len(self.world.plays)

    @property
    def num_played(self) -> int:
        return sum(map(len, self.played.values()))

    def kill(self) -> None:
        """As if the process died: nothing listens, and every connection is cut."""
        self._listener.shutdown()
        self._listener.server_close()
        with self.lock:
            for connection in self._sockets:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it is closed already

    def restart(self, world: World | None = None) -> None:
        """On the same port, knowing no instance but those of `world`."""
        self._listen(self.port, world)

    def _listen(self, port: int, world: World | None = None) -> None:
        self.world = world or WORLDS[self.name](**self._options)
        self._listener = _Listener(("127.0.0.1", port), _Handler)
        self._listener.fake = self
        self.port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True).start()

    def serve(self, method: str, path: str, body: Any, query: dict[str, str]) -> Reply | bytes | None:
        """What is answered; None cuts the connection."""
        with self.lock:
            number = self.asked[path]
            self.asked[path] += 1
        fault = self.script(path, body, number)
        if fault in ("refused", "failed", "error", "dropped"):
            return {
                "refused": Reply(503, "busy"),
                "failed": Reply(500, "Internal Server Error"),
                "error": Reply(200, {"error": "no such thing"}),
                "dropped": None,
            }[fault]
        if fault == "slow":
            self.released.wait(20.0)
        with self.lock:
            reply = self.world.answer(method, path, body, query)
            if path == "step" and reply.status == 200:
                self.played.setdefault(body[self.world.id_key], []).append(body["action"])
        if fault == "crashed":
            return Reply(500, "Internal Server Error")
        if fault == "garbage":
            return b"<html>Bad gateway</html>"
        if isinstance(fault, dict):
            return Reply(200, {**reply.body, **fault})
        return None if fault == "lost" else reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def setup(self) -> None:
        super().setup()
        fake = self.server.fake
        with fake.lock:
            fake.num_connections += 1
            fake._sockets.append(self.connection)

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

    def _serve(self, method: str) -> None:
        parts = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(sent) if sent else None
        reply = self.server.fake.serve(method, parts.path.strip("/"), body, dict(parse_qsl(parts.query)))
        if reply is None:
            self.close_connection = True
            return
        status, text = (200, reply) if isinstance(reply, bytes) else (reply.status, _dumped(reply.body))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        if status == 500:
            self.close_connection = True  # without having said so


def _dumped(body: Any) -> bytes:
    return json.dumps(body).encode()
