"""``mcd demo``: a small study on phantoms that answers the three questions, and says how many labels are right."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import isnan
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import click

from mcd.cli import State
from mcd.cli.flags import plugin_file_flag

if TYPE_CHECKING:
    import pandas as pd

    import mcd
    from mcd.comparison import Changes, Comparison
    from mcd.figures import FigureData
    from mcd.host import PluginHost

__all__ = ["demo"]

_MODELS = ("phantom-general", "phantom-mammo", "phantom-calc")
_SHOWN = 3


@click.command()
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("mcd-demo"),
    show_default=True,
    metavar="DIR",
    help="Where the runs and their report go.",
)
@click.option(
    "--patients", type=click.IntRange(min=25), default=50, show_default=True, help="Phantom patients, four views each."
)
@plugin_file_flag
@click.pass_context
def demo(ctx: click.Context, output: Path, patients: int) -> None:
    """Dissect three small networks on phantom mammograms, and compare them.

    One has seen everyday pictures only, one was trained on phantoms, one was trained on from there to tell
    calcifications. Everything is synthetic: it shows what a study does and leaves, and says nothing about patients.
    """
    from mcd.comparison import ComparisonSettings
    from mcd.figures import collect

    host = ctx.ensure_object(State).host
    general, mammo, calc = found = _dissected(host, output, patients)
    click.echo(f"\nThree networks, {mammo.manifest.images} drawn mammograms of {patients} patients.")
    click.echo("Everything is synthetic; it says nothing about patients.\n")
    _print_models(found)
    data = collect([mammo, general, calc], ComparisonSettings(resamples=100))
    _print_trained(data.comparison)
    _print_tuned(data.comparison)
    _print_represented(data.comparison)
    folder = output / "report"
    for path in [*_written(host, found, folder), *_drawn(data, folder)]:
        click.echo(f"written: {path}")
    click.echo(f"\nnext: open {folder / 'explorer.html'}")
    click.echo(f"      mcd compare {general.folder} {mammo.folder}")
    click.echo(f"      mcd score {mammo.folder} --concepts birads")


def _dissected(host: PluginHost, output: Path, patients: int) -> list[mcd.Dissection]:
    from mcd.runs.prepared import prepare
    from mcd.runs.run import run
    from mcd.study.study import Study

    study = Study.model_validate(
        {
            "models": [{"plugin": name, "layers": ["stages.*", "head"]} for name in _MODELS],
            "dissectors": "phantom-clip",
            "dataset": {"plugin": "phantom", "options": {"patients": patients}},
            "concepts": "phantom",
            "calibration": {"most_draws": 4000},  # a demo is quick; a study goes on to 16,000
        }
    )
    return run(prepare(host, study, output))


def _print_models(found: Sequence[mcd.Dissection]) -> None:
    from mcd.cli.tables import print_table
    from mcd_plugins.phantom.truth import right_labels

    seen = {"phantom-general": "everyday things", "phantom-mammo": "phantoms", "phantom-calc": "then calcium"}
    rows = []
    for one in found:
        name, judged = one.manifest.target, right_labels(one)
        neurons = sum(layer.neurons for layer in one.manifest.summary)
        counts = [f"{count} ({count / neurons:.0%})" for count in (len(judged), judged.right)]
        rows.append([name, seen[name], str(neurons), *counts, f"{judged.by_luck:.0%}"])
    header = ("network", "trained on", "neurons", "significant", "right", "by luck")
    print_table(header, rows, right=header[2:])
    _say(
        "significant: at q ≤ 0.05. right: the phantoms' truth is known, and the neuron does tell the images of its "
        "concept from others. Shares are of all neurons. by luck: the share of labels that would be right, were they "
        "dealt out anew."
    )


def _print_trained(found: Comparison) -> None:
    click.echo("\n1. What does training on mammograms add?\n")
    table = found.differences
    whole = table[(table["run"] == _MODELS[0]) & (table["place"] == "(all)") & (table["level"] == "broad_category")]
    for row in whole.to_dict("records"):
        _say(f"{row['name']}: {_added(row)} of all neurons")


def _added(row: Mapping[Hashable, object]) -> str:
    """Return what the reference has more than the other: the table has it the other way round."""
    difference, low, high = (-100 * float(str(row[f"difference{end}"])) for end in ("", "_high", "_low"))
    around = "" if isnan(low) else f" ({low:+.0f} to {high:+.0f})"  # of few patients there are no intervals
    return f"{difference:+.0f} points{around}"


def _print_tuned(found: Comparison) -> None:
    click.echo("\n2. What does training on for calcifications change?\n")
    change = next(one for one in found.changes if one.run == _MODELS[2])
    table = change.categories.sort_values("change", ascending=False, kind="stable")
    _say("more neurons: " + _listed(table.head(_SHOWN)))
    _say("fewer neurons: " + _listed(table.iloc[::-1].head(_SHOWN)))
    _say(_fate(change))


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(f"{row['name']} {row['before']} → {row['after']}" for row in table.to_dict("records"))


def _fate(change: Changes) -> str:
    total = change.layers[change.layers["place"] == "(all)"].set_index("change")["neurons"]
    return "neuron by neuron: " + ", ".join(f"{total[kind]} {kind}" for kind in total.index if total[kind])


def _print_represented(found: Comparison) -> None:
    click.echo("\n3. Which concepts does no neuron carry, although the images show them?\n")
    table = found.concepts[found.concepts["answer"] == "under-represented"]
    for name in _MODELS:
        missing = table.loc[table["run"] == name, "concept"].tolist()
        shown = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
        _say(f"{name}: {len(missing)}" + (f" ({shown})" if missing else ""))
    click.echo()


def _written(host: PluginHost, found: Sequence[mcd.Dissection], folder: Path) -> list[Path]:
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice

    folder.mkdir(parents=True, exist_ok=True)
    (page,) = Preparer(host).reporters([Choice(plugin="html")])
    return page.report_several(found, folder)


def _drawn(data: FigureData, folder: Path) -> list[Path]:
    from mcd.figures import categories, coverage, depth, figure_bytes, specialisation
    from mcd.plugins import write_atomically

    drawn = {
        "depth": depth(data),
        "categories": categories(data),
        "coverage": coverage(data),
        "specialisation": specialisation(data, _MODELS[2]),
    }
    for name, figure in drawn.items():
        write_atomically(folder / f"{name}.png", figure_bytes(figure, "png"))
    return [folder / f"{name}.png" for name in drawn]


def _say(text: str) -> None:
    click.echo(fill(text, 79, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
