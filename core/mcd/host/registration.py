"""One plugin becomes one record, or a record of why it is broken."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import FunctionType, MappingProxyType, MethodType
from typing import TYPE_CHECKING, NamedTuple

import pluggy

from mcd import hookspecs
from mcd.components import Component, Kind
from mcd.errors import PluginLoadError, passes_through, said_by
from mcd.events import Event
from mcd.host.records import PluginRecord
from mcd.host.sources import Source

if TYPE_CHECKING:
    from pluggy import HookImpl, HookimplOpts

__all__ = ["HOOKS", "Observer", "Registered", "register"]

_EVENT_HOOK = "mcd_on_event"
HOOKS = (*(kind.hook for kind in Kind), _EVENT_HOOK)


class Observer(NamedTuple):
    """A callable that wants to know what happens in a run. ``order`` is -1 first, 0, or 1 last."""

    name: str
    call: Callable[[Event], object]
    order: int = 0


class Registered(NamedTuple):
    """What came of a plugin: its record, its observers, and the object that holds its hooks."""

    record: PluginRecord
    observers: tuple[Observer, ...] = ()
    plugin: object = None


class _Manager(pluggy.PluginManager):
    """A plugin manager that looks at a plugin without running any of it, as pluggy 1.7 does.

    Up to 1.6, ``register`` evaluates every property and every lazy module attribute that ``dir`` lists,
    which imports what a light plugin took care not to import.
    """

    def parse_hookimpl_opts(self, plugin: object, name: str) -> HookimplOpts | None:
        """Return the options of a hook implementation; None for anything that is not a plain function."""
        found = inspect.getattr_static(plugin, name, None)
        if not isinstance(found, FunctionType | MethodType | staticmethod | classmethod):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def register(source: Source) -> Registered:
    """Import a plugin and ask it what it offers. Whatever it does wrong ends up in its record."""
    phase = "import"
    try:
        plugin = source.load()
        phase = "registration"
        # A manager of its own for each plugin. pluggy before 1.7 leaves a plugin that fails validation half
        # registered, and compares plugins with ==; throwing the manager away undoes all of it, everywhere.
        manager = _Manager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, source.record.name)
        hooks = {caller.name: caller.get_hookimpls() for caller in manager.get_hookcallers(plugin) or ()}
        _check(hooks)
        components = {}
        for kind in Kind:
            phase = kind.hook
            components[kind] = _offered(hooks.get(kind.hook, ()), kind.hook)
    except BaseException as error:  # a plugin may raise anything
        if passes_through(error):
            raise
        return Registered(
            replace(source.record, state="broken", phase=phase, reason=said_by(error, whole=True), error=error)
        )
    notes = source.record.notes + _notes(manager, plugin, hooks)
    offered = MappingProxyType({kind: found for kind, found in components.items() if found})
    record = replace(source.record, state="loaded", notes=notes, components=offered)
    name = str(record)
    observers = tuple(Observer(name, _listener(one), one.trylast - one.tryfirst) for one in hooks.get(_EVENT_HOOK, ()))
    return Registered(record, observers, plugin)


def _check(hooks: dict[str, list[HookImpl]]) -> None:
    """Refuse what pluggy lets pass and mcd does not support."""
    for name in HOOKS:
        for implementation in hooks.get(name, ()):
            if implementation.wrapper or implementation.hookwrapper:
                raise PluginLoadError(f"{name} is a wrapper; mcd's hooks take plain functions only")
            arguments = ("event",) if name == _EVENT_HOOK else ()
            try:
                signature = inspect.signature(implementation.function)
                signature.bind(**dict.fromkeys(_accepted(signature, arguments)))
            except TypeError as error:
                raise PluginLoadError(f"{name}{signature} does not fit its hook: {error}") from None


def _accepted(signature: inspect.Signature, arguments: Iterable[str]) -> list[str]:
    """Return the arguments an implementation asks for; it may leave any out."""
    return [name for name in arguments if name in signature.parameters]


def _listener(implementation: HookImpl) -> Callable[[Event], object]:
    # pluggy before 1.7 withholds an argument that has a default, so the call is made here
    function = implementation.function
    wanted = _accepted(inspect.signature(function), ("event",))
    return lambda event: function(**dict.fromkeys(wanted, event))


def _offered(implementations: Iterable[HookImpl], hook: str) -> tuple[Component, ...]:
    """Call one hook of a plugin and hold what it returns to the contract."""
    found: dict[str, Component] = {}
    for implementation in implementations:
        for component in _listed(implementation.function(), hook):
            if component.name in found:
                raise PluginLoadError(f"{hook} offers '{component.name}' twice")
            found[component.name] = component
    return tuple(found.values())


def _listed(returned: object, hook: str) -> list[Component]:
    if isinstance(returned, str | bytes) or not isinstance(returned, Iterable):
        raise PluginLoadError(f"{hook} returned {_shown(returned)}, not a list of mcd.Component")
    components = []
    for item in returned:
        if not isinstance(item, Component):
            raise PluginLoadError(f"{hook} returned a list with {_shown(item)} in it, which is not a mcd.Component")
        _check_requirements(item)
        components.append(item)
    return components


def _check_requirements(component: Component) -> None:
    if not component.requires:
        return
    from packaging.requirements import InvalidRequirement, Requirement

    for text in component.requires:
        try:
            Requirement(text)
        except (InvalidRequirement, TypeError):
            raise PluginLoadError(f"'{component.name}' requires {text!r}, which is not a requirement") from None


def _shown(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _notes(manager: _Manager, plugin: object, hooks: dict[str, list[HookImpl]]) -> tuple[str, ...]:
    """Return what the author most likely did not mean: hooks that are never called."""
    notes = []
    for name in sorted(set(hooks) - set(HOOKS)):
        if not all(implementation.optionalhook for implementation in hooks[name]):
            close = difflib.get_close_matches(name, HOOKS, n=1)
            notes.append(f"unknown hook {name}" + (f", did you mean {close[0]}?" if close else ""))
    for name in HOOKS:
        found = inspect.getattr_static(plugin, name, None)
        if isinstance(found, FunctionType) and manager.parse_hookimpl_opts(plugin, name) is None:
            notes.append(f"{name} is never called: it is not marked with @mcd.hookimpl")
    if not hooks and not notes:
        notes.append("it has no hooks")
    return tuple(notes)
