"""What hostile programs are let loose on (a secret, a folder, sockets, a victim), and whether they got it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affine_trainer.sandbox import ProgramRun

PASSWORD = "correct-horse-battery-staple"


@dataclass(frozen=True)
class Trap:
    """Everything in it is open to any user of the machine, so that only a sandbox can close it."""

    folder: Path
    secret: Path
    stream: socket.socket
    port: socket.socket
    datagrams: socket.socket
    name: str
    victim: subprocess.Popen[bytes]

    def aim(self, text: str) -> str:
        """The program with the trap's addresses in it."""
        addresses = {
            "{folder}": self.folder,
            "{secret}": self.secret,
            "{port}": self.port.getsockname()[1],
            "{socket}": self.name,
            "{victim}": self.victim.pid,
        }
        for placeholder, address in addresses.items():
            text = text.replace(placeholder, str(address))
        return text

    def harm(self, run: ProgramRun) -> str | None:
        """What the program got away with, or None."""
        if "ESCAPED" in run.stdout or PASSWORD in run.stdout + run.stderr:
            return f"said so: {run.stdout[-200:]}"
        if sorted(os.listdir(self.folder)) != ["bait"] or (self.folder / "bait").read_text() != "bait":
            return f"left {sorted(os.listdir(self.folder))} in the folder"
        if self.folder.joinpath("bait").stat().st_mode & 0o777 != 0o666:
            return "changed the rights of a file"
        if select.select([self.stream, self.port, self.datagrams], [], [], 0)[0]:
            return "reached a socket"
        if self.victim.poll() is not None:
            return "killed the victim"
        return None


def _listener(
    family: socket.AddressFamily, kind: socket.SocketKind, address: str | tuple[str, int]
) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.bind(address)
    if kind == socket.SOCK_STREAM:
        listener.listen()
    return listener


@contextlib.contextmanager
def set_trap() -> Iterator[Trap]:
    """A fresh trap."""
    victim = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"], env={"PASSWORD": PASSWORD}
    )
    with contextlib.ExitStack() as stack:
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        base.chmod(0o755)
        folder, secret = base / "folder", base / "secret"
        folder.mkdir()
        folder.chmod(0o777)
        (folder / "bait").write_text("bait")
        (folder / "bait").chmod(0o666)
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        name = f"affine-trap-{victim.pid}"
        listeners = (
            _listener(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}"),
            _listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            _listener(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{name}-datagrams"),
        )
        for listener in listeners:
            stack.enter_context(listener)
        yield Trap(folder, secret, *listeners, name, victim)
