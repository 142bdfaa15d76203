"""The card of a trained model: what it was trained on and how, how well it does, under which licences."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pydantic
from numpy.typing import NDArray

import mcd
from mcd_plugins.finetune.asked import Asked
from mcd_plugins.finetune.formats import Format
from mcd_plugins.finetune.measures import (
    DRAWS,
    Bin,
    best_threshold,
    calibration_of,
    measured,
    probabilities,
)
from mcd_plugins.finetune.splits import PARTS

__all__ = ["CURVE", "LICENCES", "MODEL", "Fitted", "bins_of", "card_of", "data_rows", "measure_rows", "page_of"]

Json = pydantic.JsonValue
Record = dict[str, Json]

MODEL, CURVE = "model.safetensors", "calibration.svg"
LICENCES: Mapping[str, str] = {"data": "data", "weights": "weights it was trained from"}
"""What the card calls those that may be given."""
_UNKNOWN = "not known"


@dataclass(frozen=True, eq=False)
class Fitted:
    """What training gave.

    Parameters
    ----------
    logits
        ``(images, outputs)`` float64 of all images with a label.
    history
        Numbers of each pass, or of each penalty of a probe.
    columns
        What the numbers are; the third is what it was chosen by.
    best
        Which was chosen, from 1.
    """

    logits: NDArray[np.float64]
    history: Sequence[Sequence[float]]
    columns: Sequence[str]
    best: int


def card_of(asked: Asked, form: Format, fitted: Fitted, licences: Mapping[str, str]) -> Record:
    """Return the card as plain data.

    Parameters
    ----------
    licences
        Of ``data`` and ``weights``, in the places of those that data set and model say.
    """
    images, task = asked.images, asked.task
    said = probabilities(fitted.logits)
    validation, threshold = asked.parts.rows("validation"), 0.5
    if task.binary:
        threshold = best_threshold(said[validation][:, 1], task.labels[validation])
    flags: list[Json] = [*form.flags(MODEL)]
    return {
        "schema": "mcd.model-card/1",
        "name": f"{images.target.name}, trained for {task.name}",
        "task": task.name,
        "classes": [*task.classes],
        "ordinal": task.ordinal,
        "outputs": [*task.names],
        "base": {
            "name": images.target.name,
            **images.model,
            "fingerprint": images.network,
            "revision": images.target.revision,
        },
        "licences": {
            LICENCES["data"]: licences.get("data") or images.images.licence or _UNKNOWN,
            LICENCES["weights"]: licences.get("weights") or images.target.licence or _UNKNOWN,
        },
        "data": _data(asked),
        "training": {**asked.recipe.said(), "chosen": _chosen(fitted)},
        "threshold": float(f"{threshold:.9g}"),  # as predictions.csv has probabilities
        "measures": {part: _measures(asked, said, part, threshold) for part in PARTS[1:]},
        "calibration": _calibration(asked, said),
        "load": flags,
        "versions": {"mcd": mcd.__version__, "torch": asked.settings()["torch"]},
    }


def _data(asked: Asked) -> Record:
    task, parts = asked.task, asked.parts
    counted: Record = {}
    for part in PARTS:
        rows = parts.rows(part)
        labels: Record = {name: int((task.labels[rows] == at).sum()) for at, name in enumerate(task.classes)}
        counted[part] = {"images": len(rows), "patients": len({parts.patients[row] for row in rows}), "labels": labels}
    return {
        **asked.images.dataset,
        "fingerprint": asked.images.fingerprint,
        "column": asked.column,
        "left out": task.left_out,
        "split": parts.source,
        "split digest": parts.digest,
        "parts": counted,
    }


def _chosen(fitted: Fitted) -> Record:
    best = fitted.history[fitted.best - 1]
    return {
        name: int(one) if name == "epoch" else _rounded(one) for name, one in zip(fitted.columns, best, strict=True)
    }


def _measures(asked: Asked, said: NDArray[np.float64], part: str, threshold: float) -> Record:
    task, rows = asked.task, asked.parts.rows(part)
    numbers = asked.parts.numbers(rows)
    found = measured(task, said[rows], task.labels[rows], numbers, threshold, asked.recipe.seed)
    return {
        name: {"value": _rounded(one.value), "low": _rounded(one.low), "high": _rounded(one.high)}
        for name, one in found.items()
    }


def _calibration(asked: Asked, said: NDArray[np.float64]) -> Record:
    rows = asked.parts.rows("test")
    found = calibration_of(asked.task, said[rows], asked.task.labels[rows])
    bins: list[Json] = [
        {"images": one.images, "predicted": _rounded(one.predicted), "observed": _rounded(one.observed)}
        for one in found.bins
    ]
    return {"part": "test", "expected calibration error": _rounded(found.error), "bins": bins}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 6)


def page_of(card: Mapping[str, Json]) -> str:
    """Return the card as a page in Markdown."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Mapping[str, Json]) -> Iterator[str]:
    yield f"# {card['name']}"
    yield ""
    yield "Written by `mcd finetune`. For research; not a medical device."
    yield ""
    load = card["load"]
    assert isinstance(load, list)
    classes = card["classes"]
    assert isinstance(classes, list)
    yield f"Classes: {', '.join(map(str, classes))}{' (ordered)' if card['ordinal'] else ''}."
    yield ""
    if load:
        yield from ("To dissect it:", "", "```", f"mcd dissect {shlex.join(map(str, load))} …", "```")
    else:
        yield "Its tensors have the names of the network that was given as an object."
    yield from ("", "## Licences", "")
    yield from (f"- {name}: {value}" for name, value in _items(card, "licences"))
    yield from ("", "Whether the trained weights may be passed on follows from both.")
    yield from ("", "## Data", "")
    yield from _data_lines(card)
    yield from ("", "## Training", "")
    yield from (f"- {name}: {_text(value)}" for name, value in _items(card, "base"))
    yield from (f"- {name}: {_text(value)}" for name, value in _items(card, "training"))
    for part, _ in _items(card, "measures"):
        yield from ("", f"## On the {part} part", "")
        yield f"With 95 % intervals over {DRAWS:,} resamples of patients."
        yield from ("", "| measure | value | 95 % interval |", "|---|---:|---|")
        yield from (f"| {' | '.join(row)} |" for row in measure_rows(card, part))
    yield from ("", "## Calibration", "")
    found = card["calibration"]
    assert isinstance(found, dict)
    error = _number(found, "expected calibration error")
    yield f"On the test part. Expected calibration error: {error}."
    yield from ("", "| images | mean predicted probability | observed share |", "|---:|---:|---:|")
    yield from (f"| {one.images} | {one.predicted:.3f} | {one.observed:.3f} |" for one in bins_of(card))
    yield from ("", f"![Observed share against mean predicted probability]({CURVE})")


def bins_of(card: Mapping[str, Json]) -> list[Bin]:
    """Return the bins of the calibration curve of a card."""
    found = card["calibration"]
    assert isinstance(found, dict)
    return pydantic.TypeAdapter(list[Bin]).validate_python(found["bins"])


def _data_lines(card: Mapping[str, Json]) -> Iterator[str]:
    for name, value in _items(card, "data"):
        if name != "parts" and value:
            yield f"- {name}: {_text(value)}"
    yield from ("", "| part | images | patients | labels |", "|---|---:|---:|---|")
    yield from (f"| {' | '.join(row)} |" for row in data_rows(card))


def data_rows(card: Mapping[str, Json]) -> list[list[str]]:
    """Return for each part of a card its name, images, patients and labels."""
    data, found = card["data"], []
    assert isinstance(data, dict)
    for part, one in _items(data, "parts"):
        assert isinstance(one, dict)
        labels = ", ".join(f"{name} {count}" for name, count in _items(one, "labels"))
        found.append([part, str(one["images"]), str(one["patients"]), labels])
    return found


def measure_rows(card: Mapping[str, Json], part: str) -> list[list[str]]:
    """Return for each measure on a part its name, value and interval."""
    measures = card["measures"]
    assert isinstance(measures, dict)
    return [[name, _number(one, "value"), _interval(one)] for name, one in _items(measures, part)]


def _items(record: Mapping[str, Json], name: str) -> Iterator[tuple[str, Json]]:
    found = record[name]
    assert isinstance(found, dict)
    yield from found.items()


def _text(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items()) or "none"
    return "–" if value is None or value == "" else str(value)


def _number(record: Json, name: str) -> str:
    assert isinstance(record, dict)
    value = record[name]
    return f"{value:.3f}" if isinstance(value, float | int) else "–"


def _interval(record: Json) -> str:
    low, high = _number(record, "low"), _number(record, "high")
    return "–" if low == "–" else f"{low} – {high}"
