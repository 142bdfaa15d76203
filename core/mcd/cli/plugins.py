"""``mcd plugins``: what is installed, what it offers, and what is wrong with it."""

from __future__ import annotations

import json
import shutil
import textwrap
import traceback
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from mcd.cli.candidates import any_component, any_plugin
from mcd.cli.catalogue import search
from mcd.cli.new_plugin import new
from mcd.cli.terminal import echo, echo_lines
from mcd.components import Kind
from mcd.errors import (
    AmbiguousNameError,
    MissingDependencyError,
    PluginError,
    PluginLoadError,
    UnknownNameError,
    UsageError,
    nearest,
)

if TYPE_CHECKING:
    from mcd.host import Offer, PluginHost, PluginRecord

__all__ = ["plugins"]


class HasHost(Protocol):
    """What these commands expect of ``ctx.obj``."""

    @property
    def host(self) -> PluginHost:
        """The plugin host, made on first use: ``list --no-load`` must not make it."""


@click.group()
def plugins() -> None:
    """Show what is installed: models, dissectors, data sets, scorers, reporters, concept sets. Begin one."""


plugins.add_command(new)
plugins.add_command(search)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--no-load", is_flag=True, help="Read metadata only; import nothing.")
@click.pass_obj
def list_(state: HasHost, as_json: bool, no_load: bool) -> None:
    """List what every plugin offers, and the plugins that are broken or disabled."""
    from mcd.host import PluginHost

    records = PluginHost.installed() if no_load else state.host.plugins
    warnings = () if no_load else state.host.warnings
    if as_json:
        described = {"plugins": [_record_data(record) for record in records], "warnings": list(warnings)}
        echo_lines(json.dumps(described, indent=2))
    elif no_load:
        _table(("plugin", "from", "state", "module"), [(r.name, r.origin, r.state, r.module) for r in records])
    else:
        _list_offers(state.host)


def _list_offers(host: PluginHost) -> None:
    offers = [offer for kind in Kind for offer in host.offers(kind)]
    rows = [(offer.kind.label, offer.component.name, offer.plugin, _summary(offer)) for offer in offers]
    _table(("kind", "name", "plugin", "summary"), rows)
    absent = [record for record in host.plugins if record.state != "loaded"]
    if absent:
        echo()
        _table(("plugin", "from", "state", "reason"), [(r.name, r.origin, r.state, _reason(r)) for r in absent])
    notes = [f"plugin '{record.name}': {note}" for record in host.plugins for note in record.notes]
    for line in [*notes, *host.warnings]:
        echo(f"note: {line}")
    if any(record.state == "broken" for record in absent):
        echo("see what is wrong with: mcd plugins check")


def _summary(offer: Offer) -> str:
    missing = offer.missing()
    return f"{offer.component.summary} (needs {', '.join(missing)})".strip() if missing else offer.component.summary


def _reason(record: PluginRecord) -> str:
    return f"{record.phase}: {record.reason}" if record.phase.startswith("mcd_") else record.reason


def _record_data(record: PluginRecord) -> dict[str, object]:
    from mcd.host import Offer

    offers = [Offer(record, kind, component) for kind, found in record.components.items() for component in found]
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "module": record.module,
        "file": record.file,
        "state": record.state,
        "phase": record.phase,
        "reason": record.reason,
        "notes": list(record.notes),
        "components": [
            {
                "kind": offer.kind.label,
                "name": offer.component.name,
                "summary": offer.component.summary,
                "target": offer.component.target,
                "requires": list(offer.component.requires),
                "files": list(offer.component.files),
                "missing": list(offer.missing()),
            }
            for offer in offers
        ],
    }


@plugins.command()
@click.argument("words", nargs=-1, metavar="[KIND] NAME", shell_complete=any_component)
@click.pass_obj
def show(state: HasHost, words: tuple[str, ...]) -> None:
    """Show a component: where it comes from, what it needs, and its settings.

    NAME may be PLUGIN/NAME. KIND (model, dissector, dataset, scorer, reporter, concept-set, command) is
    needed only when two kinds have the name.
    """
    if len(words) not in (1, 2):
        raise UsageError(f"'mcd plugins show' takes a name, not {len(words)}", "mcd plugins show [KIND] NAME")
    host = state.host
    offer = host.find(_kind(words[0]), words[1]) if len(words) == 2 else _found_anywhere(host, words[0])
    component, missing = offer.component, offer.missing()
    echo(f"{offer.kind.label} {component.name}", bold=True)
    echo_lines("".join(f"  {line}\n" for line in textwrap.wrap(component.summary, _width() - 2)))
    echo(f"  from    {offer.record}")
    echo(f"  target  {component.target}")
    for text in component.requires:
        echo(f"  needs   {text} ({'not installed' if text in missing else 'installed'})")
    if component.files:
        echo(f"  files   {' '.join(component.files)}")
    try:
        _show_settings(offer, host.load(offer.kind, offer.qualified))
    except MissingDependencyError as error:
        echo(f"  its settings can be shown once it is complete: {error.hint}")


def _kind(word: str) -> Kind:
    wanted = word.strip().lower().replace("_", "-").replace(" ", "-")
    words = {kind.slug: kind for kind in Kind}
    for name, kind in words.items():
        if wanted in (name, name + "s"):
            return kind
    raise UnknownNameError(f"no kind of component is called '{word}'", nearest(wanted, words))


def _found_anywhere(host: PluginHost, name: str) -> Offer:
    """Return the one component with a name, whatever its kind."""
    hits = []
    for kind in Kind:
        try:
            hits.append(host.find(kind, name))
        except UnknownNameError:
            continue
    if len(hits) == 1:
        return hits[0]
    if hits:
        kinds = [hit.kind.slug for hit in hits]
        commands = "\n".join(f"mcd plugins show {kind} {name}" for kind in kinds)
        raise AmbiguousNameError(f"'{name}' is the name of a {' and of a '.join(kinds)}", f"say which one:\n{commands}")
    names = [offer.qualified if "/" in name else offer.component.name for kind in Kind for offer in host.offers(kind)]
    absent = "".join(f"\n{record.name} did not load: {record.reason}" for record in host.plugins if record.reason)
    raise UnknownNameError(f"nothing is named '{name}'", nearest(name, names) + absent)


def _show_settings(offer: Offer, target: object) -> None:
    from mcd.api.base import Configured
    from mcd.api.image import Preprocessing
    from mcd.host.mistaken import FLAGS
    from mcd.options import describe_options

    primary = None
    if isinstance(target, type) and issubclass(target, Preprocessing):
        rows = describe_options(target)  # a recipe is its own settings
    elif isinstance(target, type) and issubclass(target, Configured):
        rows, primary = describe_options(target.Options), target.Options.primary()
    else:
        what = f"mcd {offer.component.name} --help" if offer.kind is Kind.COMMAND else str(target)
        echo(f"  see     {what}")
        return
    echo()
    if not rows:
        echo("It has no settings.")
        return
    _table(("setting", "type", "default", "description"), rows)
    flag, argument = FLAGS[offer.kind]
    if argument:
        echo(f"\nset with: {flag} {offer.component.name} {argument} SETTING=VALUE")
    else:
        echo(f"\nset in a study file: {flag[2:]}: {{plugin: {offer.component.name}, options: {{SETTING: VALUE}}}}")
    if primary is not None:
        echo(f"or, for {primary}, in short: {flag} {offer.component.name}:VALUE")


@plugins.command()
@click.argument("name", required=False, metavar="[NAME]", shell_complete=any_plugin)
@click.option("--no-import", is_flag=True, help="NAME is the folder of a package: read its text, import nothing.")
@click.pass_context
def check(context: click.Context, name: str | None, no_import: bool) -> None:
    """Import every component, of all plugins or of the plugin NAME; exit with 3 when anything is broken.

    With --no-import, NAME is the folder of a package that need not be installed: its pyproject.toml and the text of its
    modules are read, and nothing of it runs.
    """
    if no_import:
        if not _check_folder(name):
            context.exit(PluginError.exit_code)
        return
    state: HasHost = context.obj
    records = _chosen(state.host, name)
    sound = [_check_plugin(state.host, record) for record in records if record.state != "disabled"]
    for warning in state.host.warnings:
        echo(f"note: {warning}")
    if not all(sound):
        context.exit(PluginError.exit_code)


def _check_folder(name: str | None) -> bool:
    """Say what is wrong with the package in a folder; return whether that is nothing."""
    from mcd.study.unimported import examine_package

    if name is None:
        raise UsageError("'mcd plugins check --no-import' takes the folder of a package", "for that here: .")
    found = examine_package(Path(name).expanduser())
    echo(f"{'broken ' if found.findings else 'ok     '} {found.name}")
    for kind, component in found.components:
        echo(f"  offers  {kind.label} {component}")
    for one in found.findings:
        echo(f"  broken  {one.where}: {one.message}")
        echo_lines(textwrap.indent(one.hint, " " * 10))
    return not found.findings


def _chosen(host: PluginHost, name: str | None) -> Sequence[PluginRecord]:
    from mcd.host import normalise

    if name is None:
        return host.plugins
    wanted = normalise(name)
    chosen = [one for one in host.plugins if wanted in (normalise(one.name), normalise(one.distribution))]
    if not chosen:
        raise UnknownNameError(f"no plugin named '{name}'", nearest(name, [record.name for record in host.plugins]))
    for record in chosen:
        if record.state == "disabled":
            echo(f"{record} is not checked: {record.reason}")
    return chosen


def _check_plugin(host: PluginHost, record: PluginRecord) -> bool:
    """Import all that a plugin offers and say how it went; return whether nothing is broken."""
    echo(f"{'broken ' if record.state == 'broken' else 'ok     '} {record}")
    for note in record.notes:
        echo(f"        note: {note}")
    if record.error is not None:
        echo(f"        {record.phase}: {record.reason}")
        _echo_traceback(record.error)
        return False
    sound = True
    for kind, components in record.components.items():
        for component in components:
            what = f"{kind.label} {component.name}"
            try:
                found = _load(host, kind, f"{record.name}/{component.name}")
                echo(f"  ok      {what}")
                for remark in _remarks(host, record, kind, component.name, found):
                    echo_lines(
                        textwrap.fill(f"note: {remark}", _width(), initial_indent=" " * 10, subsequent_indent=" " * 10)
                    )
            except MissingDependencyError as error:
                echo(f"  missing {what}: {error.hint}")
            except PluginLoadError as error:
                sound = False
                echo(f"  broken  {what}")
                echo_lines(textwrap.indent(str(error), " " * 10))
                _echo_traceback(error.__cause__)
    return sound


def _remarks(host: PluginHost, record: PluginRecord, kind: Kind, name: str, found: object) -> list[str]:
    """Return what is in order, and that users of a component will stumble over."""
    from mcd.api.base import Configured
    from mcd.api.image import Preprocessing
    from mcd.options import Options

    remarks = []
    others = [offer for offer in host.offers(kind) if offer.component.name == name and offer.plugin != record.name]
    if others:
        remarks.append(f"{others[0].record} offers a {kind.label} of this name too: users type {record.name}/{name}")
    settings = found.Options if isinstance(found, type) and issubclass(found, Configured) else found
    if isinstance(settings, type) and issubclass(settings, Options | Preprocessing):
        bare = [field for field, info in settings.model_fields.items() if not info.description]
        if bare:
            remarks.append(f'setting {", ".join(bare)} has no description: write Field(…, description="…")')
    return remarks


def _load(host: PluginHost, kind: Kind, name: str) -> object:
    """Import a component and return it; a concept set that is a file is read, too."""
    found = host.load(kind, name)
    if kind is Kind.CONCEPTS and not isinstance(found, type):
        from mcd.study.vocabularies.loading import load_concepts

        load_concepts(host, name)
    return found


def _echo_traceback(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, PluginLoadError | UsageError):  # those say all there is to say
        echo_lines(textwrap.indent("".join(traceback.format_exception(error)).rstrip(), " " * 10))


def _width() -> int:
    return shutil.get_terminal_size().columns


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], cap: int = 28) -> None:
    """Print aligned columns; cells wrap, at ``cap`` or, for the last column, at the edge of the screen.

    Plain text on purpose: ``mcd plugins list`` is where people look when an installation is damaged, so it
    works, and is quick, without rich.
    """
    cells = [tuple(map(str, row)) for row in rows]
    widths = [min(cap, max(len(row[i]) for row in [tuple(header), *cells])) for i in range(len(header) - 1)]
    widths.append(max(24, _width() - sum(widths) - 2 * len(widths)))
    _row(header, widths, bold=True)
    for row in cells:
        _row(row, widths)


def _row(row: Sequence[str], widths: Sequence[int], *, bold: bool = False) -> None:
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        line = "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        echo(line, bold=bold)
