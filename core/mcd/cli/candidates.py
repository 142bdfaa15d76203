"""What may stand where a shell completes: names of components, their settings, files. No component is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mcd.components import Kind

if TYPE_CHECKING:
    from mcd.host import Offer, PluginHost
    from mcd.host.settings_text import Declared

__all__ = [
    "CONCEPTS",
    "Callback",
    "Completed",
    "any_component",
    "any_plugin",
    "components",
    "files",
    "settings",
    "units",
]

Completed = list[CompletionItem]
Callback = Callable[[click.Context, click.Parameter, str], Completed]


def components(kind: Kind, *, or_file: bool = False, several: bool = False) -> Callback:
    """Return what completes ``NAME[:VALUE]``.

    Parameters
    ----------
    kind
        Of the components.
    or_file
        Whether a file may stand there instead.
    several
        Whether names are joined by commas.
    """

    def complete(ctx: click.Context, _parameter: click.Parameter, text: str) -> Completed:
        before, comma, last = text.rpartition(",") if several else ("", "", text)
        found = _named(_host(ctx), kind, last)
        if or_file and (not found or os.sep in last):
            found += files(last)
        return [_after(before + comma, one) for one in found]

    return complete


CONCEPTS = components(Kind.CONCEPTS, or_file=True, several=True)
"""What completes a concept set, or several."""


def units(ctx: click.Context, _parameter: click.Parameter, text: str) -> Completed:
    """Complete ``[NAME=]KIND:FILE``: kinds of units, then the files that a kind reads."""
    called, equals, rest = text.partition("=") if "=" in text.partition(":")[0] else ("", "", text)
    kind, colon, path = rest.partition(":")
    host = _host(ctx)
    found = _named(host, Kind.UNITS, rest)
    offer = _offer(host, Kind.UNITS, kind) if colon else None
    if offer is not None and offer.component.files:
        fitting = [one for one in files(path) if one.value.endswith(os.sep) or _fits(one.value, offer.component.files)]
        found = [_after(f"{kind}:", one) for one in fitting]
    return [_after(called + equals, one) for one in found]


def _fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.rpartition(os.sep)[2], one) for one in patterns)


def settings(kind: Kind, flag: str) -> Callback:
    """Return what completes ``[NAME.]KEY=VALUE`` of the components that a flag, ``--model``, names."""

    def complete(ctx: click.Context, _parameter: click.Parameter, text: str) -> Completed:
        host, chosen = _host(ctx), _given(ctx, flag)
        names = [one.partition(":")[0] for one in chosen]
        owner, dot, rest = text.partition(".")
        if dot and "=" not in owner and owner in names:
            return [_after(f"{owner}.", one) for one in _pairs(host, kind, owner, rest)]
        if len(names) == 1:
            return _pairs(host, kind, names[0], text)
        return [_item(f"{one}.") for one in names if one.startswith(text)]

    return complete


def any_component(ctx: click.Context, _parameter: click.Parameter, text: str) -> Completed:
    """Complete the name of a component of any kind, as ``mcd plugins show`` takes it."""
    return [one for kind in Kind for one in _names(_host(ctx), kind, text)]


def any_plugin(ctx: click.Context, _parameter: click.Parameter, text: str) -> Completed:
    """Complete the name of a plugin."""
    return [_item(one.name) for one in _host(ctx).plugins if one.name.startswith(text)]


def files(text: str, *, folders_only: bool = False) -> Completed:
    """Complete a path; a folder ends with a slash, so that what is in it can follow."""
    folder, _, name = text.rpartition(os.sep)
    above = f"{folder}{os.sep}" if folder or text.startswith(os.sep) else ""
    try:
        found = sorted(Path(above or ".").expanduser().iterdir())
    except OSError:
        return []
    shown = [one for one in found if one.name.startswith(name) and (name or not one.name.startswith("."))]
    return [
        _item(f"{above}{one.name}{os.sep if one.is_dir() else ''}") for one in shown if one.is_dir() or not folders_only
    ]


def _item(value: str, summary: str = "") -> CompletionItem:
    return CompletionItem(value, help=summary or None)


def _after(text: str, item: CompletionItem) -> CompletionItem:
    return _item(f"{text}{item.value}", item.help or "")


def _host(ctx: click.Context) -> PluginHost:
    from mcd.cli.state import State

    return ctx.ensure_object(State).host


def _given(ctx: click.Context, flag: str) -> Sequence[str]:
    """Return what an option of this command was given so far."""
    for one in ctx.command.params:
        if flag in one.opts and one.name is not None:
            value = ctx.params.get(one.name)
            return [value] if isinstance(value, str) else [str(each) for each in value or ()]
    return []


def _names(host: PluginHost, kind: Kind, text: str) -> Completed:
    return [
        _item(one.component.name, one.component.summary)
        for one in host.offers(kind)
        if one.component.name.startswith(text)
    ]


def _named(host: PluginHost, kind: Kind, text: str) -> Completed:
    name, colon, value = text.partition(":")
    if not colon or kind is Kind.PREPROCESSING:  # recipes take no value behind their name
        found = _names(host, kind, text)
        return found if len(found) != 1 or kind is Kind.PREPROCESSING else list(_forms(host, kind, found[0]))
    settings = _settings(host, kind, name)
    return [_after(f"{name}:", one) for one in _values(settings[0], value)] if settings else []


def _forms(host: PluginHost, kind: Kind, item: CompletionItem) -> Iterator[CompletionItem]:
    """Yield how the one component that is left is written: with a value where it needs one, or one can be completed."""
    settings = _settings(host, kind, item.value)
    if not settings or not settings[0].required:
        yield item
    if settings and (settings[0].required or settings[0].may_be_path or settings[0].choices):
        yield _item(f"{item.value}:", settings[0].name)


def _offer(host: PluginHost, kind: Kind, name: str) -> Offer | None:
    return next((one for one in host.offers(kind) if name in (one.component.name, one.qualified)), None)


def _settings(host: PluginHost, kind: Kind, name: str) -> Sequence[Declared]:
    from mcd.host.settings_text import declared_settings

    offer = _offer(host, kind, name)
    return [] if offer is None else declared_settings(offer)


def _pairs(host: PluginHost, kind: Kind, name: str, text: str) -> Completed:
    key, equals, value = text.partition("=")
    found = _settings(host, kind, name)
    if not equals:
        begun = [one for one in found if one.name.startswith(key.replace("-", "_"))]
        return [_item(f"{one.name}=", one.description or one.annotation) for one in begun]
    wanted = key.replace("-", "_")
    return [_after(f"{key}=", each) for one in found if one.name == wanted for each in _values(one, value)]


def _values(setting: Declared, text: str) -> Completed:
    if setting.may_be_path:
        return files(text)
    return [_item(one) for one in setting.choices if one.startswith(text)]
