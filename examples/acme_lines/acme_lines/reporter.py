"""The reporter: imported when somebody uses it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pydantic import Field

import mcd
from mcd.plugins import SIGNIFICANT

__all__ = ["LinesReporter", "line"]

_BAR = 20


class LinesReporter(mcd.Reporter):
    """Writes ``layers.txt``: for each layer a bar, how many neurons have a significant label, and their concepts."""

    class Options(mcd.Options):
        """Settings; the first is what NAME:VALUE sets."""

        concepts: int = Field(default=3, ge=0, le=100, description="concepts named a layer, the most frequent first")

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the file and return its path."""
        neurons = {layer.name: layer.neurons for layer in dissection.manifest.layers}
        width = max(map(len, neurons))
        first = dissection.labels[dissection.labels["rank"] == 1]
        significant = first[first["verdict"].isin(SIGNIFICANT)]
        carried = {layer: significant[significant["layer"] == layer]["concept"] for layer in neurons}
        lines = [
            f"{layer:{width}}  {line(carried[layer], count, self.options.concepts)}".rstrip()
            for layer, count in neurons.items()
        ]
        path = folder / "layers.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [path]


def line(labels: pd.Series[str], neurons: int, most: int) -> str:
    """Return the line of a layer without its name: of ``neurons``, ``labels`` are the significant ones."""
    share = len(labels) / neurons
    bar = "█" * round(share * _BAR)
    counts = labels.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    named = " · ".join(f"{concept} {count}" for concept, count in counts.head(most).items())
    return f"{bar:·<{_BAR}} {len(labels):5,} of {neurons:5,}  {named}"
