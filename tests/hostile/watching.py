"""What is watched while mcd reads one hostile input: commands, connections, files that change, memory, time."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mcd.errors import MCDError

__all__ = ["BAD", "OUTCOMES", "Canary", "Watch"]

OUTCOMES = ("read", "refused", "executed", "hang", "greedy", "traceback", "crash")
"""What may become of an input; all but the first two are faults."""
BAD = OUTCOMES[2:]

MEMORY = 512 << 20
"""By how much the process may grow over one input, beside 20 times the input's size."""
HARD_MEMORY = 3 << 30

_COMMANDS = frozenset(
    {
        "ctypes.dlopen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.posix_spawn",
        "os.putenv",
        "os.spawn",
        "os.system",
        "os.unsetenv",
        "pty.spawn",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.sendto",
        "subprocess.Popen",
        "webbrowser.open",
    }
)
_CHANGES = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.symlink",
        "os.truncate",
        "os.utime",
        "shutil.copyfile",
        "shutil.move",
        "shutil.rmtree",
    }
)
_STARTING = frozenset({"os.fork", "os.posix_spawn", "subprocess.Popen", "os.kill"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Canary:
    """What payloads aim at: a file that must not appear, one that must not change, a module that must not run."""

    module = "mcd_canary"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.mark, self.victim, self.folder = folder / "ran", folder / "victim", folder
        self.command = f"touch {self.mark}"
        (folder / f"{self.module}.py").write_text(
            f"import pathlib\n\n\ndef run(*_any):\n    pathlib.Path({str(self.mark)!r}).touch()\n\n\nrun()\n"
        )
        self.restore()

    def restore(self) -> None:
        """Make it as if nothing had happened."""
        self.mark.unlink(missing_ok=True)
        self.victim.write_bytes(b"precious" * 512)
        os.utime(self.victim, (1, 1))
        sys.modules.pop(self.module, None)

    def harmed(self) -> str:
        """Return what happened, or nothing. Writing through torch's C++ raises no event of Python's."""
        if self.mark.exists() or self.module in sys.modules:
            return "the payload ran"
        try:
            same = self.victim.stat().st_mtime == 1 and self.victim.read_bytes() == b"precious" * 512
        except OSError:
            same = False
        return "" if same else f"{self.victim.name} was changed"


class Watch:
    """Says what became of an input. One a process: an audit hook cannot be taken away.

    Parameters
    ----------
    canary
        What must stay as it is.
    seconds
        Of CPU time an input may take; waiting for other processes does not count.
    starts_processes
        Whether reading may start processes.
    """

    def __init__(self, canary: Canary, *, seconds: int = 20, starts_processes: bool = False) -> None:
        self.canary, self._cpu_seconds = canary, seconds
        self._seen: list[str] = []
        self._allowed: Path | None = None
        self._commands = _COMMANDS - _STARTING if starts_processes else _COMMANDS
        sys.path.append(str(canary.folder))
        sys.dont_write_bytecode = True
        sys.addaudithook(self._heard)

    def limit(self) -> None:
        """Let this process end by a signal rather than take all memory; call it when all is imported."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (_status("VmData") + HARD_MEMORY,) * 2)
        faulthandler.register(signal.SIGXCPU, chain=True)

    def outcome(self, read: Callable[[], object], size: int, allowed: Path) -> tuple[str, str]:
        """Return what became of one input, and the reason.

        Parameters
        ----------
        read
            Reads the input.
        size
            Of the input in bytes.
        allowed
            The only folder below which files may change.
        """
        self._seen.clear()
        before = _status("VmRSS")
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        with self._listening(allowed):
            outcome, said = _result(read)
        harm = self.canary.harmed() or "; ".join(self._seen[:3])
        if harm:
            self.canary.restore()
            return "executed", harm
        grown = _status("VmHWM") - before
        if grown > MEMORY + 20 * size:
            return "greedy", f"{grown >> 20} MiB for a file of {size} bytes"
        return outcome, said

    @contextlib.contextmanager
    def _listening(self, allowed: Path) -> Iterator[None]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + self._cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        self._allowed = allowed
        try:
            yield
        finally:
            self._allowed = None
            resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _heard(self, event: str, given: tuple[object, ...]) -> None:
        if self._allowed is None:
            return
        if event in self._commands:
            self._seen.append(f"{event} {str(given)[:80]}")
        elif event in _CHANGES or (event == "open" and isinstance(given[2], int) and given[2] & _WRITING):
            target = given[1] if event in ("os.link", "os.rename", "os.symlink") else given[0]
            if isinstance(target, str | bytes | os.PathLike) and not self._may_change(os.fsdecode(target)):
                self._seen.append(f"{event} {os.fsdecode(target)[:80]}")

    def _may_change(self, path: str) -> bool:
        return path == os.devnull or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(str(self._allowed)))


def _result(read: Callable[[], object]) -> tuple[str, str]:
    try:
        read()
    except MCDError as error:
        text = f"{error.message} {error.hint}"

        if "weights_only" in text or "Traceback" in text or not error.message:
            return "traceback", f"a message that no user should read: {text[:200]!r}"
        return "refused", error.message
    except BaseException as error:  # whatever it is, no user should see it
        return "traceback", f"{type(error).__name__}: {str(error)[:200]!r}"
    return "read", ""


def _status(name: str) -> int:
    """Return a line of this process's status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) << 10
    return 0
