"""Labels as CSV, JSON and Parquet. Images appear by id only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pydantic

import mcd
from mcd.plugins import csv_bytes, ordered_top_k
from mcd_plugins.reporters.evaluations import Evaluated, evaluated

__all__ = ["CsvReporter", "JsonReporter", "ParquetReporter"]


def top_image_ids(dissection: mcd.Dissection, count: int) -> dict[tuple[str, int], list[str]]:
    """Return the ids of the most activating images of every neuron, best first, ties by order of images.

    Of imported labels they are not known: there are none.
    """
    found: dict[tuple[str, int], list[str]] = {}
    if dissection.manifest.imported is not None:
        return {(one.name, neuron): [] for one in dissection.manifest.layers for neuron in range(one.neurons)}
    ids = np.array(dissection.image_ids, dtype=object)
    for layer in dissection.layers:
        ranked = ordered_top_k(dissection.activations(layer), count).T.numpy()
        found |= {(layer, neuron): ids[rows].tolist() for neuron, rows in enumerate(ranked)}
    return found


class CsvReporter(mcd.Reporter):
    """Write ``labels.csv``.

    ``csv`` writes the long form, a row a label. ``csv:published`` writes the columns of the published code,
    a row a neuron: layer, unit, description, similarity, images. Lists are JSON, and images are ids instead
    of row numbers; neurons without a label have empty lists. Where the run was evaluated, ``evaluation.csv`` beside it
    has the means of each layer, and of all (an empty layer).
    """

    class Options(mcd.Options):
        """Settings of the CSV."""

        style: Literal["long", "published"] = pydantic.Field(default="long", description="which columns are written")
        images: int = pydantic.Field(
            default=5, ge=0, le=1000, description="published style: top images listed a neuron"
        )

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the file."""
        published = self.options.style == "published"
        table = self._published(dissection) if published else dissection.labels
        path = folder / ("labels_published.csv" if published else "labels.csv")
        path.write_bytes(csv_bytes(table))
        return [path, *self._evaluation(dissection, folder)]

    def _evaluation(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        found = evaluated(dissection).source
        if found is None or not len(found.summary):
            return []
        path = folder / "evaluation.csv"
        path.write_bytes(csv_bytes(found.summary))
        return [path]

    def _published(self, dissection: mcd.Dissection) -> pd.DataFrame:
        images = top_image_ids(dissection, self.options.images)
        rows = [
            {
                "layer": layer,
                "unit": neuron,
                "description": json.dumps(labels["concept"].tolist(), ensure_ascii=False),
                "similarity": json.dumps(
                    [None if math.isnan(score) else round(float(score), 6) for score in labels["score"]]
                ),
                "images": json.dumps(images[layer, neuron]),
            }
            for layer, neuron, labels, _ in _neurons(dissection)
        ]
        return pd.DataFrame(rows, columns=["layer", "unit", "description", "similarity", "images"])


class JsonReporter(mcd.Reporter):
    """Write ``labels.json``: what was run, how right the labels are, then layers, neurons, labels and top images.

    ``evaluation`` has the means of each layer, and of all (an empty layer), problems and notes; or ``missing``, a
    sentence that says why there is none.
    """

    class Options(mcd.Options):
        """Settings of the JSON."""

        images: int = pydantic.Field(default=5, ge=0, le=1000, description="top images listed a neuron")

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the file."""
        images = top_image_ids(dissection, self.options.images)
        manifest = dissection.manifest
        layers: dict[str, list[dict[str, object]]] = {layer: [] for layer in dissection.layers}
        for layer, neuron, labels, status in _neurons(dissection):
            found = labels[["concept", "category", "broad_category"]].to_dict("records")
            for one, score in zip(found, labels["score"], strict=True):
                one["score"] = None if math.isnan(score) else round(float(score), 6)
            name = manifest.unit(layer, neuron)
            mine: dict[str, object] = {"neuron": neuron, **({"unit": name} if name else {})}
            layers[layer].append(mine | {"status": status, "labels": found, "images": images[layer, neuron]})
        head: dict[str, object] = {
            "target": manifest.target,
            "dissector": manifest.dissector,
            "scorer": manifest.scorer,
        }
        path = folder / "labels.json"
        if manifest.imported is not None:
            head["imported"] = manifest.imported.model_dump(mode="json")
        images_known = manifest.images if manifest.imported is None else None
        head |= {"images": images_known, "evaluation": _evaluation(evaluated(dissection))}
        text = json.dumps({**head, "layers": layers}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return [path]


class ParquetReporter(mcd.Reporter):
    """Write ``labels.parquet``: the long form, with the ids of each neuron's top images as a list column."""

    class Options(mcd.Options):
        """Settings of the Parquet file."""

        images: int = pydantic.Field(default=5, ge=0, le=1000, description="top images listed a neuron")

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the file."""
        images = top_image_ids(dissection, self.options.images)
        table = dissection.labels.copy()
        table["images"] = [images[layer, neuron] for layer, neuron in zip(table["layer"], table["neuron"], strict=True)]
        path = folder / "labels.parquet"
        table.to_parquet(path, index=False)
        return [path]


def _evaluation(found: Evaluated) -> dict[str, object]:
    """Return an evaluation as JSON has it; what is unknown is null."""
    if found.source is None:
        return {"missing": found.missing}
    table = found.source.summary
    means = [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
    said = {"problems": list(found.problems), "notes": list(found.notes)}
    return {"against": [one.against for one in found.judged], "means": means, **said}


def _neurons(dissection: mcd.Dissection) -> Iterator[tuple[str, int, pd.DataFrame, str]]:
    for _, rows in dissection.labels.groupby(["layer", "neuron"], sort=False):
        first = rows.iloc[0]
        yield str(first["layer"]), int(first["neuron"]), rows[rows["rank"].notna()], str(first["status"])
