"""What each layer's neurons respond to, at a glance."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import pandas as pd
import pydantic
import rich.box
from rich.markup import escape
from rich.table import Table

import mcd
from mcd.plugins import SIGNIFICANT, Manifest, Terminal, by_evidence
from mcd_plugins.reporters.controls import Controls, controls_of
from mcd_plugins.reporters.evaluations import evaluated
from mcd_plugins.reporters.words import share

__all__ = ["ConsoleReporter"]


class ConsoleReporter(mcd.Reporter):
    """Print a summary: for each layer how many neurons have a label, their concepts, the clearest neurons."""

    class Options(mcd.Options):
        """Settings of the summary."""

        concepts: int = pydantic.Field(
            default=3, ge=1, le=10_000, description="concepts shown a layer, most frequent first"
        )
        neurons: int = pydantic.Field(
            default=3, ge=0, le=10_000, description="neurons shown a layer, lowest q first, then highest z"
        )

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Print the summary; no file is written."""
        console = Terminal(highlight=False)
        manifest = dissection.manifest
        images = f"{manifest.images} images"
        if manifest.left_out:
            images += " (" + ", ".join(f"{count} {why}" for why, count in manifest.left_out.items()) + ")"
        console.print(
            f"\n[bold]{escape(manifest.target)}[/] dissected by [bold]{escape(manifest.dissector)}[/] "
            f"on {images}, scored with {escape(manifest.scorer)}\n"
        )
        console.print(self._layers(dissection))
        if self.options.neurons and (dissection.labels["rank"] == 1).any():
            console.print(self._neurons(dissection))
        controls = controls_of(dissection.results.controls)
        if controls is not None:
            console.print(_controls(controls))
        for line in _significance(manifest):
            console.print(line, markup=False)
        _more_draws(dissection, console)
        for line in [*_remarks(dissection.labels), *evaluated(dissection).findings]:
            console.print(line, markup=False)
        return []

    def _layers(self, dissection: mcd.Dissection) -> Table:
        judged = dissection.labels["verdict"].ne("").any()
        table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("layer", overflow="fold")
        table.add_column("neurons", justify="right")
        table.add_column("significant" if judged else "labelled", justify="right")
        beside = {one.layer: one.beside_untrained for one in dissection.manifest.summary}
        if any(beside.values()):
            table.add_column("beside untrained", overflow="fold", max_width=14)
        table.add_column("what they respond to (neurons)", overflow="fold", ratio=1)
        for layer, rows in dissection.labels.groupby("layer", sort=False):
            best = rows[rows["rank"] == 1]
            if judged:
                best = best[best["verdict"].isin(SIGNIFICANT)]
            frequent = best["concept"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
            shown = ", ".join(f"{name} ({count})" for name, count in frequent.head(self.options.concepts).items())
            neurons = rows["neuron"].nunique()
            untrained = [beside.get(str(layer)) or "–"] if any(beside.values()) else []
            table.add_row(escape(str(layer)), str(neurons), str(len(best)), *untrained, escape(shown) or "–")
        return table

    def _neurons(self, dissection: mcd.Dissection) -> Table:
        table = Table(
            box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title="\nClearest neurons", title_justify="left"
        )
        table.add_column("layer", overflow="fold")
        table.add_column("neuron", justify="right")
        table.add_column("concept", overflow="fold", ratio=1)
        table.add_column("category", overflow="fold")
        table.add_column("score", justify="right")
        judged = dissection.labels["verdict"].ne("").any()
        if judged:
            table.add_column("z", justify="right")
            table.add_column("q", justify="right")
        best = dissection.labels[dissection.labels["rank"] == 1]
        for _, rows in best.groupby("layer", sort=False):
            own = by_evidence(rows, higher_is_better=dissection.manifest.higher_is_better)
            for row in own.head(self.options.neurons).itertuples():
                chance = [f"{row.z:.1f}", f"{row.q:.2g}"] if judged else []
                table.add_row(
                    escape(str(row.layer)),
                    str(row.neuron),
                    escape(str(row.concept)),
                    escape(str(row.category)),
                    f"{row.score:.3g}",
                    *chance,
                )
        return table


def _controls(controls: Controls) -> Table:
    """Set the run beside its negative controls, over all layers."""
    table = Table(
        box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title="\nNegative controls", title_justify="left"
    )
    table.add_column("control", overflow="fold", ratio=1)
    for title in ("neurons", "significant", "mammographic", "mean z"):
        table.add_column(title, justify="right")
    for one in controls.total:
        mammographic = share(one.mammographic, one.significant)
        significant = f"{one.significant} ({share(one.significant, one.neurons)})"
        z = "–" if math.isnan(one.mean_z) else f"{one.mean_z:.2f}"
        table.add_row(one.name, str(one.neurons), significant, mammographic, z)
    return table


def _rungs(manifest: Manifest) -> list[str]:
    """Return the line on how far the significant labels get, above the first rung."""
    lines = []
    named = sum(one.significant or 0 for one in manifest.summary)
    for rung, problem in manifest.rungs.items():
        counts = [one.rungs[rung] for one in manifest.summary if rung in one.rungs]
        significant, testable = sum(one.significant for one in counts), sum(one.testable for one in counts)
        part = f" ({testable} can be tested)" if testable < named else ""
        if problem:
            lines.append(f"Not available: {rung} ({problem}).")
        elif named:
            lines.append(f"Of these, {significant} are {rung}{part}.")
    networks = max((one.untrained or 0 for one in manifest.summary), default=0)
    if networks:
        lines.append(f"Untrained: {networks} networks of the same architecture with weights drawn anew.")
    return lines


def _significance(manifest: Manifest) -> list[str]:
    """Return the lines on significance: counts, the null, what may be compared."""
    judged = [one for one in manifest.summary if one.significant is not None]
    if not judged:
        return []
    neurons, significant = sum(one.neurons for one in judged), sum(one.significant or 0 for one in judged)
    share = sum((one.non_null or 0) * one.neurons for one in judged) / max(1, neurons)
    published = sum(one.above_mean_score or 0 for one in judged)
    return [
        f"{significant} of {neurons} neurons have a significant label (q ≤ {manifest.q}); "
        f"estimated non-null fraction {100 * share:.0f} %.",
        *_rungs(manifest),
        f"Null: {judged[0].permutation_unit}s permuted, {manifest.draws_said}.",
        "Compare z between layers and models, not scores.",
        f"The mean-score threshold of the paper keeps {published} neurons; it is not a test of significance.",
    ]


def _more_draws(dissection: mcd.Dissection, console: Terminal) -> None:
    """Name the layers for which the draws were not enough, with a command that can be copied."""
    said, command = dissection.manifest.more_draws(shlex.quote(str(dissection.folder)))
    if said:
        console.print(f"{said[:1].upper()}{said[1:]}{':' if command else '.'}", markup=False)
    if command:
        console.print(f"  {command}", markup=False, soft_wrap=True)


def _remarks(labels: pd.DataFrame) -> list[str]:
    counts = labels.drop_duplicates(["layer", "neuron"])["status"].value_counts()
    meaning = {
        "dead": "never respond",
        "constant": "have the same activation for every image",
        "tied": "have a label that was decided between images with equal activation by seeded chance",
        "unscored": "have no defined score",
    }
    return [f"{counts[status]} neurons {words} ({status})" for status, words in meaning.items() if status in counts]
