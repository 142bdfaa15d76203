"""``mcd demo``: a small study on phantoms that answers the three questions, and reports how many labels are right."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

import mcd
from mcd.errors import UsageError
from mcd.plugins import PATH, echo, outputs, print_table, say, with_plugin_files, write_atomically

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["demo"]

_MODELS = ("phantom-general", "phantom-mammo", "phantom-calc")
_SHOWN = 3
_RESAMPLES = 100
"""Probe sets drawn for intervals, on the terminal and on the page; a study has 200."""


@click.command()
@click.option(
    "--output",
    "-o",
    type=PATH,
    default=Path("mcd-demo"),
    show_default=True,
    metavar="DIR",
    help="Where the runs and their report go.",
)
@click.option(
    "--patients",
    type=click.IntRange(25, 100_000),
    default=50,
    show_default=True,
    help="Phantom patients, four views each.",
)
@with_plugin_files
def demo(plugin_files: Sequence[Path], output: Path, patients: int) -> None:
    """Dissect three small networks on phantom mammograms, and compare them.

    One has seen everyday pictures only, one was trained on phantoms, one was trained on from there to distinguish
    calcifications. Everything is synthetic: it shows what a study does and leaves, and says nothing about patients.
    """
    general, mammo, calc = found = _dissected(plugin_files, output, patients)
    echo(f"\nThree networks, {mammo.manifest.images} drawn mammograms of {patients} patients.")
    echo("Everything is synthetic; it says nothing about patients.\n")
    _print_models(found)
    data = mcd.figures.collect([mammo, general, calc], mcd.ComparisonSettings(resamples=_RESAMPLES))
    _print_trained(data.comparison)
    _print_tuned(data.comparison)
    _print_represented(data.comparison)
    folder = output / "report"
    page = {"plugin": "html", "options": {"bootstrap": _RESAMPLES}}
    written = mcd.report(found, reporters=page, output=folder, plugin_files=plugin_files)
    with outputs(folder) as fresh:
        written += [folder / path.name for path in _drawn(data, fresh)]
    for path in written:
        echo(f"written: {path}")
    echo(f"\nnext: open {folder / 'explorer.html'}")
    echo(f"      mcd compare {general.folder} {mammo.folder}")
    echo(f"      mcd score {mammo.folder} --concepts birads")


def _dissected(plugin_files: Sequence[Path], output: Path, patients: int) -> list[mcd.Dissection]:
    study: dict[str, object] = {
        "models": [{"plugin": name, "layers": ["stages.*", "head"]} for name in _MODELS],
        "dissectors": "phantom-clip",
        "dataset": {"plugin": "phantom", "options": {"patients": patients}},
        "concepts": "phantom",
        "calibration": {"most_draws": 4000},  # a demo is quick; a study continues to 16,000
    }
    return mcd.run(study, output=output, plugin_files=plugin_files)


def _print_models(found: Sequence[mcd.Dissection]) -> None:
    from mcd_plugins.phantom.truth import right_labels

    seen = {"phantom-general": "everyday things", "phantom-mammo": "phantoms", "phantom-calc": "then calcium"}
    rows = []
    for one in found:
        name, judged = one.manifest.target, right_labels(one)
        neurons = sum(layer.neurons for layer in one.manifest.summary)
        counts = [f"{count} ({count / neurons:.0%})" for count in (len(judged), judged.right)]
        rows.append([name, seen[name], str(neurons), *counts, f"{judged.by_chance:.0%}"])
    header = ("network", "trained on", "neurons", "significant", "right", "chance")
    print_table(header, rows, right=header[2:])
    say(
        "significant: at q ≤ 0.05. right: the neuron separates images that show its concept from those that do not, by "
        "the phantoms' known truth. Shares are of all neurons. chance: the expected share of right labels after "
        "random reassignment."
    )


def _print_trained(found: mcd.Comparison) -> None:
    echo("\n1. What does training on mammograms add?\n")
    table = found.differences
    whole = table[(table["run"] == _MODELS[0]) & (table["place"] == "(all)") & (table["level"] == "broad_category")]
    for row in whole.to_dict("records"):
        say(f"{row['name']}: {_added(row)} of all neurons")


def _added(row: Mapping[Hashable, object]) -> str:
    """Return what the reference has more than the other: the table has it the other way round."""
    difference, low, high = (-100 * float(str(row[f"difference{end}"])) for end in ("", "_high", "_low"))
    around = "" if isnan(low) else f" ({low:+.0f} to {high:+.0f})"  # of few patients there are no intervals
    return f"{difference:+.0f} points{around}"


def _print_tuned(found: mcd.Comparison) -> None:
    echo("\n2. What does training on for calcifications change?\n")
    change = next(one for one in found.changes if one.run == _MODELS[2])
    table = change.categories.sort_values("change", ascending=False, kind="stable")
    say("more neurons: " + _listed(table[table["change"] > 0].head(_SHOWN)))
    say("fewer neurons: " + _listed(table[table["change"] < 0].iloc[::-1].head(_SHOWN)))
    say(_fate(change.layers))


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(f"{row['name']} {row['before']} → {row['after']}" for row in table.to_dict("records")) or "–"


def _fate(layers: pd.DataFrame) -> str:
    total = layers[layers["place"] == "(all)"].set_index("change")["neurons"]
    return "neuron by neuron: " + ", ".join(f"{total[kind]} {kind}" for kind in total.index if total[kind])


def _print_represented(found: mcd.Comparison) -> None:
    echo("\n3. Which concepts does no neuron carry, although the images show them?\n")
    table = found.concepts[found.concepts["answer"] == "under-represented"]
    for name in _MODELS:
        missing = table.loc[table["run"] == name, "concept"].tolist()
        shown = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
        say(f"{name}: {len(missing)}" + (f" ({shown})" if missing else ""))
    echo()


def _drawn(data: mcd.figures.FigureData, folder: Path) -> list[Path]:
    drawn = {
        "depth": partial(mcd.figures.depth, data),
        "categories": partial(mcd.figures.categories, data),
        "coverage": partial(mcd.figures.coverage, data),
        "specialisation": partial(mcd.figures.specialisation, data, _MODELS[2]),
    }
    written = []
    for name, draw in drawn.items():
        try:
            figure = draw()
        except UsageError as error:  # of few patients there may be nothing to show
            say(f"not drawn: {name}: {error.message}")
            continue
        written.append(folder / f"{name}.png")
        write_atomically(written[-1], mcd.figures.figure_bytes(figure, "png"))
    return written
