"""``mcd paper``: the published set-ups, run with what is in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

import mcd
from mcd.errors import UsageError
from mcd.plugins import (
    PATH,
    check_writable,
    csv_bytes,
    echo,
    echo_lines,
    outputs,
    print_table,
    say,
    with_plugin_files,
    write_atomically,
)

if TYPE_CHECKING:
    from mcd_plugins.paper.answering import Studied
    from mcd_plugins.paper.inventory import Found
    from mcd_plugins.paper.studies import Planned

__all__ = ["paper"]


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--list", "listed", is_flag=True, help="Show what is there, what is missing and who publishes it.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
@click.option(
    "--settings",
    type=PATH,
    metavar="FILE",
    help="YAML: what studies are run with, such as study: {batch_size: 16}. Its scorers may be code, which runs.",
)
@click.option(
    "--stand-in", is_flag=True, help="Write drawn weights and phantoms in the layouts of the real ones into DIR."
)
@click.option(
    "--output",
    "-o",
    type=PATH,
    default=Path("mcd-paper"),
    show_default=True,
    metavar="DIR",
    help="Where runs, tables, figures and paper.md go.",
)
@with_plugin_files
def paper(
    plugin_files: Sequence[Path],
    folder: Path,
    listed: bool,
    as_json: bool,
    settings: Path | None,
    stand_in: bool,
    output: Path,
) -> None:
    """Run every set-up of Mammo-CLIP Dissect that the files in DIR allow.

    DIR has checkpoints and data sets under the names that their authors give them, in folders or not. Nothing is
    fetched. G, M and the four C are dissected by Mammo-CLIP in one pass over each probe set. The same command goes on
    after an interruption.

    \b
    mcd paper DIR --list
    mcd paper DIR -o OUT
    mcd paper --stand-in DIR                    # 180 MB, to try without the files
    """
    from mcd_plugins.paper.answering import studied
    from mcd_plugins.paper.inventory import look
    from mcd_plugins.paper.studies import check, plan, read_settings

    if as_json and not listed:
        raise UsageError("--json needs --list", "mcd paper DIR --list --json")
    if stand_in:
        _write_stand_in(folder)
        return
    chosen = read_settings(settings)
    found = look(folder, chosen.files)
    if listed:
        _list(found, as_json)
        return
    for line in _said(found):
        say(line, err=True)
    check(found)
    for name in FILES:
        check_writable(output / name)
    studies = []
    for planned in plan(found, chosen, output):
        runs = _run(planned, output, plugin_files)
        studies.append(studied(planned.probe_set, planned.names, runs, chosen.resamples))
    _write(found, studies, chosen.note, output)


FILES = ("paper.md", "claims.csv", "claims.json")


def _write_stand_in(folder: Path) -> None:
    from mcd_plugins.paper.stand_in import SETTINGS, write_stand_in

    with outputs(folder) as fresh:
        write_stand_in(fresh)
    say(f"{folder}: a stand-in of all six set-ups. Its weights are drawn; it says nothing about Mammo-CLIP.")
    echo(f"next: mcd paper {folder} --settings {folder / SETTINGS}")


def _list(found: Mapping[str, Found], as_json: bool) -> None:
    if as_json:
        echo_lines(json.dumps([_record(one) for one in found.values()], indent=2, ensure_ascii=False))
        return
    print_table(
        ["state", "what", "where"],
        [[one.state, one.item.title, _where(one)] for one in found.values()],
    )
    missing = [one for one in found.values() if not one.usable]
    if missing:
        echo("\nWhere its authors publish what is missing:\n")
    for one in missing:
        item = one.item
        say(f"{item.title} ({item.role}): {item.source}. Licence: {item.licence}. Access: {item.access}.")


def _where(one: Found) -> str:
    if one.path is None:
        return "–"
    return f"{one.path}: {one.trouble}" if one.trouble else str(one.path)


def _record(one: Found) -> dict[str, str | None]:
    return {
        "id": one.id,
        "title": one.item.title,
        "role": one.item.role,
        "state": one.state,
        "path": None if one.path is None else str(one.path),
        "trouble": one.trouble,
        "source": one.item.source,
        "licence": one.item.licence,
        "access": one.item.access,
    }


def _said(found: Mapping[str, Found]) -> Iterator[str]:
    """Yield in sentences what is there, and what is missing."""
    there = [one.item.title for one in found.values() if one.usable]
    yield f"there: {', '.join(there) or 'nothing'}"
    missing = [one.item.title for one in found.values() if one.path is None]
    if missing:
        yield f"missing: {', '.join(missing)} (where to get it: --list)"


def _run(planned: Planned, output: Path, plugin_files: Sequence[Path]) -> list[mcd.Dissection]:
    folder = output / planned.probe_set / "runs"
    if len(planned.names) == 1:  # a study of one model has no folder for it, and others may follow
        folder /= planned.names[0]
    say(f"{planned.probe_set}: {', '.join(planned.names)}", err=True)
    return mcd.run(planned.study, output=folder, plugin_files=plugin_files)


def _write(found: Mapping[str, Found], studies: Sequence[Studied], note: str, output: Path) -> None:
    """Write tables, figures and the report, and say in short what it says."""
    from mcd_plugins.paper.answering import drawings
    from mcd_plugins.paper.page import as_csv, as_json, page

    drawn = {}
    with outputs(output) as fresh:
        for study in studies:
            drawn[study.probe_set] = list(drawings(study))
            for name, data in study.comparisons():
                for called, table in data.comparison.tables().items():
                    _put(fresh / study.probe_set / name / f"{called}.csv", csv_bytes(table))
            for one in drawn[study.probe_set]:
                if one.content:
                    _put(fresh / study.probe_set / "figures" / f"{one.name}.png", one.content)
        for name, content in zip(
            FILES, (page(found, studies, drawn, note), as_csv(studies), as_json(studies)), strict=True
        ):
            _put(fresh / name, content)
    for study in studies:
        _print(study)
    for name in FILES:
        echo(f"written: {output / name}")
    for study in studies:
        runs = " ".join(str(run.folder) for run in study.runs.values())
        echo(f"next: mcd report {runs} --reporter html -o {output / study.probe_set / 'report'}")


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def _print(study: Studied) -> None:
    echo(f"\n{study.probe_set}\n")
    print_table(
        ["claim", "of", "answer", "rung", "by mean score"],
        [[one.claim.id, one.run or "–", one.answer, one.rung or "–", one.by_threshold] for one in study.answers],
    )
    echo()
