"""Everything that can go wrong for a reason a person can act on.

::

    MCDError                        exit 1   something mcd cannot do
    ├── UsageError                  exit 2   what was asked for does not exist or does not fit
    │   ├── ConfigError                      a study file or an option is invalid
    │   ├── UnknownNameError                 no such component, layer, concept set …
    │   └── AmbiguousNameError               several plugins offer the name
    ├── PluginError                 exit 3   a plugin is at fault or not complete
    │   ├── PluginLoadError                  it does not import, or breaks a contract
    │   └── MissingDependencyError           it needs a package that is not installed
    └── DataError                   exit 4   images, checkpoints or stored runs that cannot be used
        ├── ImageError                       one image cannot be read or used
        ├── CheckpointError                  a weights file does not fit the network
        └── StoreError                       a run folder that cannot be read or written
            └── DamagedError                 a file of it is not what the run wrote

An interrupt (Ctrl-C) exits with 130. Every error says what failed in the user's words (``message``) and,
where there is one, the next thing to type (``hint``). Names in it come from files of other people: what
steers a terminal is made visible in every message, see `printable`.
"""

from __future__ import annotations

import difflib
import errno
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mcd.lazy import HEAVY

__all__ = [
    "AmbiguousNameError",
    "CheckpointError",
    "ConfigError",
    "DamagedError",
    "DataError",
    "ImageError",
    "MCDError",
    "MissingDependencyError",
    "PluginError",
    "PluginLoadError",
    "StoreError",
    "UnknownNameError",
    "UsageError",
    "amount",
    "lacks_memory",
    "lacks_space",
    "nearest",
    "out_of_space",
    "passes_through",
    "printable",
    "said_by",
    "together",
    "traceback_of",
    "with_article",
    "worker_killed",
    "worker_lost",
]


class MCDError(Exception):
    """Base of every error that mcd raises on purpose.

    Parameters
    ----------
    message
        What failed, in the user's words: one line. A line break in it is one in somebody's name, and shown as such.
    hint
        The next thing to type, if there is one. May span lines.
    lines
        What belongs to the message, one a line.

    Attributes
    ----------
    summary
        The first line.
    message
        All lines; those after the first are indented.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", lines: Iterable[str] = ()) -> None:
        self.summary = printable(message)
        self.lines = tuple(map(printable, lines))
        self.message = "\n  ".join((self.summary, *self.lines))
        self.hint = printable(hint, lines=True)
        super().__init__(self.summary, self.hint, self.lines)

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(MCDError):
    """What was asked for does not exist or does not fit together."""

    exit_code = 2


class ConfigError(UsageError):
    """A study file, an option or a setting is invalid."""


class UnknownNameError(UsageError):
    """No component, layer, concept set or neuron has this name."""


class AmbiguousNameError(UsageError):
    """Several plugins offer this name; ``plugin/name`` picks one."""


class PluginError(MCDError):
    """A plugin is at fault or not complete."""

    exit_code = 3


class PluginLoadError(PluginError):
    """A plugin does not import, or breaks a contract."""


class MissingDependencyError(PluginError):
    """A plugin needs a package that is not installed."""


class DataError(MCDError):
    """Images, checkpoints or stored runs that cannot be used."""

    exit_code = 4


class ImageError(DataError):
    """One image cannot be read, or cannot be used."""


class CheckpointError(DataError):
    """A weights file cannot be read or does not fit the network."""


class StoreError(DataError):
    """A run folder cannot be read or written."""


class DamagedError(StoreError):
    """A file of a run folder is not what the run wrote."""


def together(errors: Sequence[MCDError]) -> MCDError:
    """Return one error for several: with the exit code and hint of the first, and a line for each other."""
    first, *others = errors
    if not others:
        return first
    found = MCDError(first.summary, first.hint, [*first.lines, *(one.summary for one in others)])
    found.exit_code = first.exit_code
    found.__cause__ = first
    return found


def amount(count: int, noun: str) -> str:
    """Return a count with its noun, whose plural ends in s: ``1 neuron``, ``2,000 neurons``, ``0 classes``."""
    several = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else several}"


def with_article(word: str) -> str:
    """Return ``a`` or ``an`` and the word."""
    return f"{'an' if word[:1].lower() in tuple('aeiou') else 'a'} {word}"


def nearest(wrong: str, known: Iterable[str], *, limit: int = 12) -> str:
    """Return the hint for an unknown name: the closest one, then what there is.

    >>> nearest("tim", ["timm", "modules"])
    "did you mean 'timm'? There is: modules, timm"
    """
    names = sorted({printable(one) for one in known})
    if not names:
        return "there is none to choose from"
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    shown = ", ".join(names[:limit]) + (f" … ({len(names)} in all)" if len(names) > limit else "")
    return (f"did you mean '{close[0]}'? " if close else "") + f"There is: {shown}"


_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that steer a terminal, turn the direction of a line, break it, or cannot be written."""
_HARMLESS = frozenset("\u00ad\u200c\u200d")
"""Of those, what words in many scripts are spelled with."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with nothing in it that steers a terminal: escapes, controls, changes of direction, line breaks.

    They are written as JSON writes them; so are the bytes of a file name that is no UTF-8.

    Parameters
    ----------
    lines
        Whether line breaks stay: of texts that are made of several lines, not of names.

    Examples
    --------
    >>> printable("a\x1b[31mb\nc")
    'a\\u001b[31mb\\u000ac'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if _shown(one, lines=lines) else _escaped(one) for one in text)


def _shown(one: str, *, lines: bool) -> bool:
    if one == "\n":
        return lines
    return one == "\t" or one in _HARMLESS or unicodedata.category(one) not in _STEERING


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))


_OUT_OF_MEMORY = re.compile(r"out of memory|allocate memory|bad_alloc|_ALLOC_FAILED", re.IGNORECASE)


_WORKER_LOST = re.compile(r"DataLoader worker \(pid|unable to allocate shared memory")
"""torch's message about a worker process that was killed."""
_OUT_OF_SPACE = re.compile(
    r"no space left|not enough (?:free |disk )*space|dis[ck] (?:is )?full|quota exceeded"
    r"|PytorchStreamWriter failed writing|inline_container\S+ \. unexpected pos|requested and \d+ written",
    re.IGNORECASE,
)
"""In the words of the system, of SQLite, of torch, which tells a file that is not whole by its place in it, and of
numpy."""


def lacks_memory(error: BaseException) -> bool:
    """Say whether an exception, or what caused it, says that memory is lacking: nobody's code is at fault then."""
    torch = sys.modules.get("torch")
    kinds = (MemoryError, *([torch.OutOfMemoryError] if torch is not None else []))
    return any(
        isinstance(one, kinds)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        or (isinstance(one, RuntimeError) and _OUT_OF_MEMORY.search(str(one)))  # torch's on a CPU, of its libraries
        for one in _causes(error)
    )


def lacks_space(error: BaseException) -> bool:
    """Say whether an exception, or what caused it, says that a disk is full: nobody's code is at fault then."""
    return any(
        (isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT))
        or (isinstance(one, Exception) and _OUT_OF_SPACE.search(str(one)))
        for one in _causes(error)
    )


def out_of_space(what: str = "") -> StoreError:
    """Return the error for a full disk; ``what`` begins its message."""
    return StoreError(f"{what}no space is left on the disk", "free space or choose another --output")


def worker_lost(error: BaseException) -> DataError | None:
    """Return the error for a decoding process that was killed or has no shared memory; None for any other exception.

    torch raises it wherever the main process is at that moment, in a model too.
    """
    said = [str(one) for one in _causes(error) if _WORKER_LOST.search(str(one))]
    if not said:
        return None
    if "shared memory" in said[0]:
        return DataError(
            "shared memory has no room for the images that worker processes hand over",
            "give fewer: --workers 1; or a smaller --batch-size; in Docker more of it: docker run --shm-size=8g; the "
            "same command continues from here",
        )
    return worker_killed()


def worker_killed() -> DataError:
    """Return the error for a worker process that is gone."""
    return DataError(
        "a worker process was killed, perhaps for want of memory",
        "give fewer: --workers 1; the same command continues from here",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, what caused it, and so on: also what was being handled, as a writer that is closed then."""
    known: set[int] = set()
    seen: BaseException | None = error
    while seen is not None and id(seen) not in known:
        known.add(id(seen))
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def passes_through(error: BaseException) -> bool:
    """Say whether what code of others raised is none of its own: Ctrl-C, a closed pipe, a lack of memory or space.

    Whatever else it raises, ``sys.exit`` and the panics of Rust included, is its fault and becomes one sentence.
    """
    own = isinstance(error, KeyboardInterrupt | GeneratorExit | BrokenPipeError)
    return own or lacks_memory(error) or lacks_space(error)


_ADVICE = re.compile(
    r"weights_only|safe_globals|trust_remote_code|allow_pickle|safe_mode|use_safetensors|MAX_IMAGE_PIXELS|MAX_PIXELS"
    r"|verify\s*=\s*False|arbitrary code|if you trust|from a trusted source|dangerous|local_files_only"
    r"|following error message"
)
"""Advice of libraries to turn off a protection that mcd leaves on."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
_LONGEST = 300


def said_by(error: BaseException, *, whole: bool = False, named: bool = True) -> str:
    r"""Return the message of an exception of third-party code as one line, without advice to turn a protection off.

    Parameters
    ----------
    whole
        All of it; else its first line that says something, and no more than 300 characters.
    named
        Whether the kind of exception stands before it, which says something of code that the user wrote; else only
        where there is nothing else.

    Examples
    --------
    >>> said_by(ValueError("no such thing\nTry weights_only=False."))
    'ValueError: no such thing'
    """
    if isinstance(error, MCDError):
        return " ".join(error.message.split())
    if isinstance(error, SystemExit):
        return printable(f"it called sys.exit({'' if error.code is None else repr(error.code)})")
    kept = [
        [one for one in _SENTENCE.split(line) if one and not _ADVICE.search(one)] for line in str(error).splitlines()
    ]
    lines = [" ".join(" ".join(parts).split()) for parts in kept if parts]
    text = " ".join(lines if whole else lines[:1])
    text = printable(text if text and not named else f"{type(error).__name__}: {text}".removesuffix(": "))
    return text if whole or len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"


def place_of(error: BaseException) -> str:
    """Return which line of code that is not mcd's raised an error, as ``" (net.py, line 12)"``, or an empty text.

    Of the last function of the file in which that code was entered: deeper ones are mostly of libraries. Nothing is
    said where only libraries such as torch stand between.
    """
    frames = [
        one
        for one in traceback.extract_tb(error.__traceback__)
        if Path(one.filename).is_absolute()  # not <string>, not <frozen importlib>
        and Path(__file__).parent not in Path(one.filename).parents
        and "mcd_plugins" not in Path(one.filename).parts
    ]
    own = [one for one in frames if not _LIBRARY.search(one.filename)]
    own = own or [one for one in frames if not any(f"packages/{name}/" in one.filename for name in HEAVY)]
    entered = [one for one in own if one.filename == own[0].filename]
    return f" ({printable(Path(entered[-1].filename).name)}, line {entered[-1].lineno})" if entered else ""


_LIBRARY = re.compile(r"site-packages|dist-packages|lib/python3\.\d+/")


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception, without the advice that `said_by` leaves out."""
    lines = "".join(traceback.format_exception(error)).splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("    ") or not _ADVICE.search(line))
