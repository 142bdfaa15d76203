"""Where plugins come from: entry points of installed distributions, and files that the user names."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcd.components import Component
from mcd.errors import PluginLoadError, said_by
from mcd.hookspecs import PROJECT, hookimpl
from mcd.host.importing import module_name, run_file
from mcd.host.records import PluginRecord
from mcd.version import DISTRIBUTION, __version__

__all__ = ["SETS", "PluginFilter", "Source", "file_source", "installed_sources", "normalise"]

SETS = f"{PROJECT}.concept_sets"
"""The entry points that name a file instead of a module: ``acme-words = acme_words:words.yaml``."""

_SECTION = re.compile(rf"^\s*\[\s*({PROJECT}|{re.escape(SETS)})\s*\]", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A plugin that was found, and how to import it."""

    record: PluginRecord
    load: Callable[[], object]


def normalise(name: str) -> str:
    """Return a name as PEP 503 compares it.

    >>> normalise("ACME_Dist.plugins")
    'acme-dist-plugins'
    """
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


@dataclass(frozen=True)
class PluginFilter:
    """Which installed plugins the environment lets in, and whether a broken one ends the program."""

    allowed: frozenset[str] | None
    disabled: frozenset[str]
    strict: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> PluginFilter:
        """Read ``MCD_LOAD_PLUGINS``, ``MCD_DISABLE_PLUGINS`` and ``MCD_STRICT_PLUGINS``."""
        allowed = environ.get("MCD_LOAD_PLUGINS")
        return cls(
            allowed=None if allowed is None else _names(allowed),
            disabled=_names(environ.get("MCD_DISABLE_PLUGINS", "")),
            strict=environ.get("MCD_STRICT_PLUGINS", "").strip().lower() not in ("", "0", "false", "no"),
        )

    def refusal(self, record: PluginRecord) -> str:
        """Return why a plugin stays out, or an empty string."""
        names = _handles(record)
        if self.disabled & names:
            return "disabled by MCD_DISABLE_PLUGINS"
        if self.allowed is not None and not self.allowed & names:
            return "not in MCD_LOAD_PLUGINS"
        return ""

    def unmatched(self, records: Iterable[PluginRecord]) -> tuple[str, ...]:
        """Return a line for each name in the environment that fits no plugin: most likely a typing error."""
        known = {handle for record in records for handle in _handles(record)}
        asked = (("MCD_LOAD_PLUGINS", self.allowed or frozenset()), ("MCD_DISABLE_PLUGINS", self.disabled))
        return tuple(
            f"{variable} names '{name}', which is neither a plugin nor a distribution with one"
            for variable, names in asked
            for name in sorted(names - known)
        )


def _names(text: str) -> frozenset[str]:
    return frozenset(normalise(name) for name in text.split(",") if name.strip())


def _handles(record: PluginRecord) -> frozenset[str]:
    """Return every name under which a user may mean this plugin."""
    bare = record.name.partition("@")[0]
    return frozenset(normalise(name) for name in (record.name, bare, record.distribution) if name)


def installed_sources() -> list[Source]:
    """Return the plugins of all installed distributions: ours first, then by distribution and name.

    Names are given out in that order, so no plugin takes the name of a built-in one. Nothing is imported.
    """
    found = sorted(_entry_points(), key=lambda source: _rank(source.record))
    taken: dict[str, str] = {}
    sources = []
    for source in found:
        record = _with_free_name(source.record, taken)
        taken[record.name] = record.distribution
        sources.append(replace(source, record=record))
    return sources


def _rank(record: PluginRecord) -> tuple[bool, str, str]:
    distribution = normalise(record.distribution)
    return distribution != DISTRIBUTION, distribution, record.name


def _with_free_name(record: PluginRecord, taken: Mapping[str, str]) -> PluginRecord:
    if record.name not in taken:
        return record
    note = f"renamed: '{record.name}' is a plugin of {taken[record.name] or 'a file'}"
    name = _free(f"{record.name}@{record.file or record.distribution}", taken)
    return replace(record, name=name, notes=(*record.notes, note))


def _free(name: str, taken: Collection[str]) -> str:
    # one distribution may declare a name twice; its second is name@dist, its third name@dist@dist
    while name in taken:
        name += "@" + name.rpartition("@")[2]
    return name


def _entry_points() -> Iterator[Source]:
    """Yield the entry points of our group.

    ``importlib.metadata.entry_points()`` would be shorter, but one malformed file of an unrelated
    distribution makes it raise for everybody.
    """
    seen = set()
    for distribution in importlib.metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (OSError, UnicodeDecodeError):
            continue  # nothing says that it is meant for us
        if not _SECTION.search(text):
            continue
        name, version = _identity(distribution)
        if normalise(name) in seen:
            continue  # shadowed: the import system would find the first one too
        seen.add(normalise(name))
        yield from _of_distribution(distribution, name, version)


def _identity(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    try:
        return distribution.metadata["Name"] or "unknown", distribution.metadata["Version"] or ""
    except (KeyError, OSError, UnicodeDecodeError):
        return "unknown", ""


def _of_distribution(distribution: importlib.metadata.Distribution, name: str, version: str) -> list[Source]:
    def unreadable(error: Exception) -> Source:
        def fail() -> object:
            raise PluginLoadError(f"its entry_points.txt cannot be read: {said_by(error, whole=True)}") from error

        return Source(PluginRecord(name, name, version), fail)

    try:
        points, notes = distribution.entry_points.select(group=PROJECT), _made_for(distribution, name)
        found = [
            Source(PluginRecord(point.name, name, version, point.value, notes=notes), point.load) for point in points
        ]
        files = [(point.name, point.value) for point in distribution.entry_points.select(group=SETS)]
        summary = distribution.metadata["Summary"] or "" if files else ""
    except Exception as error:  # the file is somebody else's; whatever it provokes concerns them only
        return [unreadable(error)]
    if files:
        record = PluginRecord(normalise(name), name, version, notes=notes)
        found.append(Source(record, lambda: _DeclaredSets(files, summary)))
    return found


def _made_for(distribution: importlib.metadata.Distribution, name: str) -> tuple[str, ...]:
    """Return the note on a distribution that asks for another version of mcd; mostly none."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in distribution.requires or ():
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue  # pip says so
        if normalise(one.name) == DISTRIBUTION and not one.specifier.contains(__version__, prereleases=True):
            wanted = f"{DISTRIBUTION}{one.specifier}"
            return (f"made for {wanted}, and this is {__version__}: look for a newer one with mcd install -U {name}",)
    return ()


class _DeclaredSets:
    """The plugin of a distribution without code: its metadata says which concept sets lie in it."""

    def __init__(self, files: Sequence[tuple[str, str]], summary: str) -> None:
        self._files, self._summary = files, summary

    @hookimpl
    def mcd_register_concept_sets(self) -> list[Component]:
        for name, target in self._files:
            if not re.fullmatch(r"\w+(\.\w+)*:.+\.ya?ml", target):
                raise PluginLoadError(f"entry point '{name}' of group {SETS}: {target!r} is not 'package:file.yaml'")
        return [Component(name, target, self._summary) for name, target in self._files]


def file_source(path: Path, taken: Iterable[PluginRecord]) -> Source:
    """Return the plugin in a file that the user named.

    Raises
    ------
    PluginLoadError
        When the file cannot be read.
    """
    try:
        code = path.read_bytes()
    except OSError as error:
        raise PluginLoadError(
            f"plugin file {path} cannot be read: {error.strerror or error}", "give the path of a Python file"
        ) from None
    module = module_name(path, code)
    record = PluginRecord(path.stem, module=module, file=str(path))
    record = _with_free_name(record, {other.name: other.distribution for other in taken})
    return Source(record, lambda: run_file(path, code))
