"""The registry of plugins that the rest of mcd talks to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mcd.components import Kind
from mcd.errors import AmbiguousNameError, PluginLoadError, UnknownNameError, amount, nearest, passes_through, said_by
from mcd.events import Event, Warned
from mcd.files import expanded
from mcd.host.importing import where_in
from mcd.host.mistaken import meant, which_path
from mcd.host.records import Offer, PluginRecord
from mcd.host.registration import Observer, Registered, register
from mcd.host.sources import PluginFilter, file_source, installed_sources, normalise
from mcd.host.targets import load_target

__all__ = ["PluginHost"]


class PluginHost:
    """All plugins of one process; made once, by `discover`, and fixed from then on.

    Parameters
    ----------
    registered
        What became of each plugin, in the order in which they were found.
    warnings
        What a user should know about how the plugins were chosen.
    found_with
        What `discover` was given, to find the same ones again where the host was pickled.

    Examples
    --------
    >>> host = PluginHost.discover()
    >>> [offer.qualified for offer in host.offers(Kind.SCORER)]  # doctest: +SKIP
    ['scorers/softwpmi', ...]
    """

    def __init__(
        self,
        registered: Sequence[Registered],
        warnings: Sequence[str] = (),
        found_with: tuple[Sequence[Path], Mapping[str, str]] = ((), {}),
    ) -> None:
        self.plugins: tuple[PluginRecord, ...] = tuple(one.record for one in registered)
        self.warnings = tuple(warnings)
        self._found_with = found_with
        # in the order of the plugins; pluggy's tryfirst and trylast move one to either end
        self._observers = sorted((each for one in registered for each in one.observers), key=lambda each: each.order)

    @property
    def files(self) -> tuple[Path, ...]:
        """The plugin files that it was made with, as absolute paths."""
        return tuple(self._found_with[0])

    @classmethod
    def discover(cls, files: Sequence[Path] = (), environ: Mapping[str, str] = os.environ) -> PluginHost:
        """Find and register all plugins, one by one; a broken one is recorded and harms nothing else.

        Parameters
        ----------
        files
            Plugin files. They were asked for by name, so the environment does not hold them back and
            a broken one is an error.
        environ
            Where ``MCD_LOAD_PLUGINS``, ``MCD_DISABLE_PLUGINS`` and ``MCD_STRICT_PLUGINS`` are looked up.

        Raises
        ------
        PluginLoadError
            For a broken plugin file, and for any broken plugin when ``MCD_STRICT_PLUGINS`` is set.
        """
        plugin_filter = PluginFilter.read(environ)
        found = _registered(plugin_filter)
        warnings = plugin_filter.unmatched(one.record for one in found)
        for path in map(expanded, files):
            one = register(file_source(path, [other.record for other in found]))
            if one.record.error is not None:
                raise _file_error(path, one.record) from one.record.error
            _add(found, one)
        ours = {name: value for name, value in environ.items() if name.startswith("MCD_")}
        return cls(found, warnings, (tuple(path.absolute() for path in files), ours))

    def __reduce__(self) -> tuple[Callable[..., PluginHost], tuple[object, ...]]:
        """Return how it is found again: plugins are code, which no pickle holds."""
        return PluginHost.discover, self._found_with

    def observed_by(self, observer: Observer) -> PluginHost:
        """Return the same plugins with one more observer."""
        found = object.__new__(PluginHost)
        found.__dict__ |= self.__dict__
        found._observers = [*self._observers, observer]
        return found

    @staticmethod
    def installed(environ: Mapping[str, str] = os.environ) -> tuple[PluginRecord, ...]:
        """Return the installed plugins from their metadata alone, as ``found`` or ``disabled``.

        The way out when importing a plugin kills the process.
        """
        plugin_filter = PluginFilter.read(environ)
        return tuple(_refused(source.record, plugin_filter) or source.record for source in installed_sources())

    def offers(self, kind: Kind) -> tuple[Offer, ...]:
        """Return all components of a kind, sorted by name."""
        found = (
            Offer(record, kind, component) for record in self.plugins for component in record.components.get(kind, ())
        )
        return tuple(sorted(found, key=lambda offer: (offer.component.name, offer.plugin)))

    def find(self, kind: Kind, name: str) -> Offer:
        """Return the component with a name, ``name`` or ``plugin/name``.

        Raises
        ------
        UnknownNameError
            When no loaded plugin offers it; says which plugins did not load and might have.
        AmbiguousNameError
            When several do; says how to pick each.
        """
        plugin, _, bare = name.rpartition("/")
        hits = [
            offer
            for offer in self.offers(kind)
            if offer.component.name == bare and (not plugin or normalise(offer.plugin) == normalise(plugin))
        ]
        if len(hits) == 1:
            return hits[0]
        if hits:
            raise AmbiguousNameError(
                f"{len(hits)} plugins offer a {kind.label} named '{name}'",
                f"say which one: {' or '.join(offer.qualified for offer in hits)}",
            )
        what = f": {found}" if (found := which_path(name)) else ""
        raise UnknownNameError(f"no {kind.label} named '{name}'{what}", self._instead(kind, name))

    def load(self, kind: Kind, name: str) -> object:
        """Import the component with a name: a class, a ``click.Command``, or a concept set's file.

        Raises
        ------
        UnknownNameError, AmbiguousNameError
            As `find`.
        MissingDependencyError
            When it needs a distribution that is not installed; the hint is the command to type.
        PluginLoadError
            When it does not import, or is not what its kind asks for.
        """
        return load_target(self.find(kind, name))

    def emit(self, event: Event) -> None:
        """Tell every observer; one that raises is reported to the others and not called again."""
        for observer in tuple(self._observers):
            try:
                observer.call(event)
            except BaseException as error:  # an observer may raise anything
                if passes_through(error):
                    raise
                self._dismiss(observer, error)

    def _dismiss(self, observer: Observer, error: BaseException) -> None:
        if not any(other is observer for other in self._observers):
            return  # it raised again while its first failure was being reported
        self._observers = [other for other in self._observers if other is not observer]
        self.emit(
            Warned(f"an observer of {observer.name} failed and is not called again: {said_by(error, whole=True)}")
        )

    def _instead(self, kind: Kind, name: str) -> str:
        """Return the hint for an unknown name: what is near, what there is, and what did not load."""
        plugin = name.rpartition("/")[0]
        offers = self.offers(kind)
        if flags := meant(kind, name, offers):
            return flags
        lines = [nearest(name, [offer.qualified if plugin else offer.component.name for offer in offers])]
        for other in Kind:
            if other is not kind and any(name in (o.component.name, o.qualified) for o in self.offers(other)):
                lines.append(f"'{name}' is the name of a {other.label}")
        absent = [
            record
            for record in self.plugins
            if record.state != "loaded" and (not plugin or normalise(record.name) == normalise(plugin))
        ]
        if absent:
            count = amount(len(absent), "plugin")
            each = "; ".join(f"{record.name} ({record.reason})" for record in absent)
            lines.append(f"{count} did not load and may offer it: {each}")
        if any(record.state == "broken" for record in absent):
            lines.append("see what is wrong with: mcd plugins check")
        return "\n".join(lines)


def _registered(plugin_filter: PluginFilter) -> list[Registered]:
    found: list[Registered] = []
    for source in installed_sources():
        refused = _refused(source.record, plugin_filter)
        one = Registered(refused) if refused is not None else register(source)
        if plugin_filter.strict and one.record.error is not None:
            raise PluginLoadError(
                f"{one.record} is broken ({one.record.phase}): {one.record.reason}",
                "MCD_STRICT_PLUGINS is set; unset it to go on without this plugin",
            ) from one.record.error
        _add(found, one)
    return found


def _refused(record: PluginRecord, plugin_filter: PluginFilter) -> PluginRecord | None:
    reason = plugin_filter.refusal(record)
    return replace(record, state="disabled", reason=reason) if reason else None


def _add(found: list[Registered], one: Registered) -> None:
    """Append what was registered; a second name for a plugin that is already there becomes a note on it."""
    for index, other in enumerate(found):
        if one.plugin is not None and one.plugin is other.plugin:
            note = f"also offered as '{one.record.name}' by {one.record.origin}"
            found[index] = other._replace(record=replace(other.record, notes=(*other.record.notes, note)))
            return
    found.append(one)


def _file_error(path: Path, record: PluginRecord) -> PluginLoadError:
    where = where_in(path, record.error) if record.error is not None else ""
    step = "" if record.phase in ("import", "registration") else f" ({record.phase})"
    return PluginLoadError(f"plugin file {path}{where}{step}: {record.reason}", "correct the file, or leave it out")
