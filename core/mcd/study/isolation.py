"""A function run where it can do no harm: in one helper process, started on first use and used again.

Decoders are written in C and C++. A damaged file can end the process that decodes it, keep it busy for ever, or take
all memory. Here that costs the helper, which is replaced, and the one file.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mcd.api.image import Image
from mcd.errors import ImageError, MCDError
from mcd.host.importing import ImportedFiles

__all__ = ["Limits", "isolated", "serve"]


@dataclass(frozen=True)
class Limits:
    """What one call may take.

    Parameters
    ----------
    seconds
        Until it counts as hanging.
    memory
        Bytes beyond those of an idle helper; enforced on Linux.
    """

    seconds: float = 120.0
    memory: int = 4 << 30


ResultT = TypeVar("ResultT", bound=NDArray[np.generic] | Image)

_DEFAULT = Limits()
_TO_START = 120.0
"""Seconds in which a helper is ready, on a busy machine too."""
_CODE = "import sys; sys.path[:] = sys.argv[3:]; from mcd.study.isolation import serve; serve(*sys.argv[1:3])"
_KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 26)}
"""For glibc: keep freed memory for the next image. Getting it anew from the kernel costs more than the isolation."""


def isolated(function: Callable[..., ResultT], *arguments: object, limits: Limits = _DEFAULT) -> ResultT:
    """Return ``function(*arguments)``, computed in the helper of this process; the helper itself just calls it.

    Parameters
    ----------
    function
        Of a module: it is looked up by name in the helper. It returns an array of numbers, or an image without mask.
    arguments
        Sent pickled.
    limits
        What it may take.

    Raises
    ------
    ImageError
        When the helper dies, hangs or runs out of memory, and with the message of what ``function`` raises.
    """
    if _state.is_helper:
        return function(*arguments)
    with _state.lock:
        if _state.helper is None or _state.helper.is_gone():
            _state.helper = _Helper()
        try:
            return cast("ResultT", _state.helper.call((ImportedFiles(), function, arguments), limits))
        except _HelperLostError as error:
            _stop()
            raise ImageError(error.message) from None
        except MCDError:
            raise
        except BaseException:  # an interrupt: an answer is outstanding, which the next call must not get
            _stop()
            raise


class _HelperLostError(MCDError):
    """The helper did not answer: dead, or not in time."""


class _Helper:
    """A helper process as its owner sees it: requests go through a socket, arrays come back in an open file."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        self._seconds = 0.0
        self._arrays = _unnamed_file()
        handles = (theirs.fileno(), self._arrays.fileno())
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- this interpreter
                [sys.executable, "-c", _CODE, *map(str, handles), *sys.path],
                pass_fds=handles,
                env=os.environ | _KEEP_MEMORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # decoders print what they find in a file
            )
        try:
            self._answer(_TO_START)
        except _HelperLostError as error:
            self.stop()
            raise MCDError(
                f"the process that decodes files cannot be started: {error.message}",
                f"{sys.executable or 'Python'} must be able to import mcd",
            ) from None

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def call(self, work: tuple[object, ...], limits: Limits) -> NDArray[np.generic] | Image:
        request = pickle.dumps((*work, limits, _here()), protocol=pickle.HIGHEST_PROTOCOL)
        self._wait(limits.seconds)
        with contextlib.suppress(OSError):  # the helper is gone: that it does not answer says how
            _send(self._connection, request)
        answer = json.loads(self._answer(limits.seconds))
        if "error" in answer:
            raise ImageError(answer["error"], answer["hint"])
        found: NDArray[np.generic] = np.empty(answer["shape"], np.dtype(answer["dtype"]))
        rest, at = _as_bytes(found), 0
        while at < len(rest):
            got = os.preadv(self._arrays.fileno(), [rest[at:]], at)
            if not got:  # a decoder may have overwritten anything there
                raise _HelperLostError("the process that decodes it gave fewer bytes than it said")
            at += got
        return Image(pixels=found, **answer["image"]) if "image" in answer else found  # type: ignore[arg-type]  # as sent

    def _wait(self, seconds: float) -> None:
        """Bound how long the connection waits: by the kernel, without a question of its own before each message."""
        if seconds != self._seconds:
            whole, rest = divmod(max(1, round(seconds * 1e6)), 1_000_000)
            for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._connection.setsockopt(socket.SOL_SOCKET, way, struct.pack("@ll", whole, rest))
            self._seconds = seconds

    def _answer(self, seconds: float) -> bytes | bytearray:
        self._wait(seconds)
        try:
            answer = _received(self._connection)
        except BlockingIOError:
            raise _HelperLostError(f"decoding it was given up after {seconds:g} seconds") from None
        except OSError:
            answer = b""
        if not answer:
            raise _HelperLostError(f"the process that decodes it ended {self._end()}; the file may be damaged")
        return answer

    def _end(self) -> str:
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "its connection"
        return f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def leave(self) -> None:
        """Forget it in a forked process: it is the parent's."""
        self._process.returncode = 0  # or its end would be waited for
        self._close()

    def _close(self) -> None:
        self._connection.close()
        self._arrays.close()


class _State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.helper: _Helper | None = None
        self.is_helper = False


_state = _State()


def _stop() -> None:
    if _state.helper is not None:
        _state.helper.stop()
        _state.helper = None


def _forget() -> None:
    if _state.helper is not None:
        _state.helper.leave()
    _state.helper, _state.lock = None, threading.Lock()  # the parent may have held the lock when it forked


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _unnamed_file() -> io.FileIO:
    if hasattr(os, "memfd_create"):
        return io.FileIO(os.memfd_create("mcd"), "r+b")
    return tempfile.TemporaryFile(buffering=0)


_HEAD = struct.Struct("<Q")
_SHORT = 1 << 16


def _send(connection: socket.socket, message: bytes) -> None:
    """Send a message behind its length, in one piece where it is short: each piece wakes the other side."""
    head = _HEAD.pack(len(message))
    if len(message) <= _SHORT:
        connection.sendall(head + message)
    else:
        connection.sendall(head)
        connection.sendall(message)


def _received(connection: socket.socket) -> bytes | bytearray:
    """Return a message; empty where the other side is gone. One message is under way at a time."""
    start = connection.recv(_SHORT)
    while start and len(start) < _HEAD.size:
        more = connection.recv(_SHORT)
        start = start + more if more else b""
    if not start:
        return b""
    (count,) = _HEAD.unpack_from(start)
    if len(start) == _HEAD.size + count:
        return start[_HEAD.size :]
    message = bytearray(count)
    at = len(start) - _HEAD.size
    message[:at] = start[_HEAD.size :]
    rest = memoryview(message)[at:]
    while rest:
        got = connection.recv_into(rest)
        if not got:
            return b""
        rest = rest[got:]
    return message


def _as_bytes(array: NDArray[np.generic]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def serve(connection: str, arrays: str) -> None:
    """Answer requests until the other side is gone. The helper runs this, with two open files that it was given."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; its owner answers
    _no_traces()
    _state.is_helper = True
    with socket.socket(fileno=int(connection)) as owner, io.FileIO(int(arrays), "r+b") as file:
        _send(owner, b"ready")
        bounds = _Bounds()
        while request := _received(owner):
            answer = _computed(request, file.fileno(), bounds)
            bounds.end()
            _send(owner, json.dumps(answer).encode())


def _here() -> str:
    """Return the current folder; that of the root where it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 -- as text, once an image
    except OSError:
        return os.sep


def _no_traces() -> None:
    """Leave no image of this process on the disk when it dies, and let it be the first to go when memory runs out."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _computed(request: bytes | bytearray, file: int, bounds: _Bounds) -> dict[str, object]:
    limits = _DEFAULT
    try:
        _files, function, arguments, limits, here = pickle.loads(request)  # noqa: S301 -- of its owner
        if here != _here():  # a path among the arguments may be relative
            os.chdir(here)
        bounds.begin(limits)
        result = function(*arguments)
        answer: dict[str, object] = {}
        if isinstance(result, Image):
            said = {"maximum": float(result.maximum), "negative": bool(result.negative), "digest": str(result.digest)}
            answer["image"] = said
            result = result.pixels
        found = np.asarray(result, order="C")
        rest, at = _as_bytes(found), 0
        while at < len(rest):
            at += os.pwrite(file, rest[at:], at)
        return {**answer, "shape": found.shape, "dtype": found.dtype.str}
    except MCDError as error:
        return {"error": error.message, "hint": error.hint}
    except MemoryError:
        return {"error": f"decoding it takes more than {limits.memory / (1 << 30):g} GiB of memory", "hint": ""}
    except BaseException as error:  # whatever a decoder raises, one in Rust something that is no Exception
        return {"error": f"{type(error).__name__}: {error}", "hint": ""}


class _Bounds:
    """Bounds the memory of this process, and its life where the owner dies meanwhile."""

    def __init__(self) -> None:
        self._idle: tuple[int, int] = (0, 0)

    def begin(self, limits: Limits) -> None:
        """Set the bounds of a call."""
        if hasattr(signal, "alarm"):
            signal.alarm(int(limits.seconds) + 10)
        if self._idle[0] != len(sys.modules):  # what an idle helper takes stands in a file, which takes time to read
            self._idle = len(sys.modules), _taken()
        if self._idle[1]:
            _limit_memory(self._idle[1] + limits.memory)

    def end(self) -> None:
        """Let this process wait as long as it takes."""
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _taken() -> int:
    """Return how many bytes of data this process has; 0 where the system does not say."""
    with contextlib.suppress(ImportError, OSError):
        import resource

        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()  # libraries map more
    return 0


def _limit_memory(wanted: int) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
