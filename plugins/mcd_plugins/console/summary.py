"""What each layer's neurons respond to, at a glance."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pydantic
import rich.box
import rich.table
from rich.markup import escape

import mcd
from mcd.errors import amount
from mcd.plugins import SIGNIFICANT, Manifest, Terminal, by_evidence
from mcd_plugins.console.ending import end
from mcd_plugins.reporters.controls import Controls
from mcd_plugins.reporters.facts import Facts, facts_of
from mcd_plugins.reporters.first_screen import first_screen
from mcd_plugins.reporters.tables import Table
from mcd_plugins.reporters.through_units import beside_table
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
        images = amount(manifest.images, "image") if manifest.imported is None else "images that are not known"
        if manifest.left_out:
            images += " (" + ", ".join(f"{count} {why}" for why, count in manifest.left_out.items()) + ")"
        console.print(
            f"\n[bold]{escape(manifest.target)}[/] dissected by [bold]{escape(manifest.dissector)}[/] "
            f"on {images}, scored with {escape(manifest.scorer)}\n"
        )
        facts = facts_of(dissection)
        console.print(self._layers(dissection))
        if self.options.neurons and (dissection.labels["rank"] == 1).any():
            console.print(self._neurons(dissection, facts))
        if beside := beside_table({"": facts.beside}):
            console.print(_beside(beside))
            console.print(beside.note, markup=False)
        if facts.controls is not None:
            console.print(_controls(facts.controls))
        for seen in facts.seen:
            console.print(f"{seen.layer}: {seen.said}.", markup=False)
        for line in [*_rungs(manifest), *_estimates(manifest), *_remarks(dissection.labels), *facts.evaluation.known]:
            console.print(line, markup=False)
        end(console, first_screen([dissection], [facts], resamples=0), dissection.folder)
        return []

    def _layers(self, dissection: mcd.Dissection) -> rich.table.Table:
        judged = dissection.labels["verdict"].ne("").any()
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
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

    def _neurons(self, dissection: mcd.Dissection, facts: Facts) -> rich.table.Table:
        table = rich.table.Table(
            box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title="\nClearest neurons", title_justify="left"
        )
        table.add_column("layer", overflow="fold")
        table.add_column("neuron", justify="right", overflow="fold")
        table.add_column("concept", overflow="fold", ratio=1)
        if not facts.names:  # which need its room
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
                    escape(facts.called(str(row.layer), int(str(row.neuron)))),
                    escape(str(row.concept)),
                    *([] if facts.names else [escape(str(row.category))]),
                    f"{row.score:.3g}",
                    *chance,
                )
        return table


def _beside(beside: Table) -> rich.table.Table:
    """Set units beside random units."""
    table = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title=f"\n{beside.title}", title_justify="left"
    )
    for title in beside.header:
        table.add_column(title, overflow="fold", justify="left" if title in beside.words else "right")
    for row in beside.rows:
        table.add_row(*map(escape, row))
    return table


def _controls(controls: Controls) -> rich.table.Table:
    """Set the run beside its negative controls, over all layers."""
    table = rich.table.Table(
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
    """Return which rungs are not available, and what untrained networks are."""
    lines = [f"Not available: {rung} ({problem})." for rung, problem in manifest.rungs.items() if problem]
    networks = max((one.untrained or 0 for one in manifest.summary), default=0)
    if networks:
        lines.append(f"Untrained: {networks} networks of the same architecture with weights drawn anew.")
    return lines


def _estimates(manifest: Manifest) -> list[str]:
    """Return what is estimated of all neurons, and what the threshold of the paper keeps."""
    judged = [one for one in manifest.summary if one.significant is not None]
    if manifest.imported is not None:
        return ["The labels were imported: images, activations, p and q are not known. Labels may be chance."]
    if not judged:
        return []
    neurons = sum(one.neurons for one in judged)
    share = sum((one.non_null or 0) * one.neurons for one in judged) / max(1, neurons)
    published = sum(one.above_mean_score or 0 for one in judged)
    return [
        f"Estimated non-null fraction: {100 * share:.0f} %.",
        f"The mean-score threshold of the paper keeps {amount(published, 'neuron')}; it is not a test of significance.",
    ]


def _remarks(labels: pd.DataFrame) -> list[str]:
    counts = labels.drop_duplicates(["layer", "neuron"])["status"].value_counts()
    meaning = {
        "dead": "never respond",
        "constant": "have the same activation for every image",
        "tied": "have a label that was decided between images with equal activation by seeded chance",
        "unscored": "have no defined score",
    }
    return [
        f"{amount(counts[status], 'neuron')} {words} ({status})"
        for status, words in meaning.items()
        if status in counts
    ]
