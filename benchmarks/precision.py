"""bf16 beside fp32.

One study runs in fp32, in bf16, with TF32, and in fp32 in batches of half the size, where only last bits differ: as
many labels change there for no reason. A neuron agrees where its first concept, and its verdict, are those of the
first run. Seconds are those of the sweep, on the CPU without waiting for images, and the ratio is bf16's to fp32's.
Goal, on a GPU: bf16 is faster, and no more labels change than by other batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch

import mcd
from benchmarks.report import Cell, Line, Report, Table


@dataclass(frozen=True)
class Settings:
    """A study: components as on the command line, images of the data set, draws of the null, images a batch."""

    model: str = "phantom-mammo"
    layers: str = "stages.*"
    dissector: str = "phantom-clip"
    data: str = "phantom"
    concepts: str = "phantom"
    scorer: str = "soft-wpmi"
    images: int = 400
    draws: int = 1000
    batch_size: int = 16


TOY = Settings(layers="stages.3", scorer="cosine", images=8, draws=20)

REFERENCE = "fp32"
COLUMNS = ("run", "same first concept", "same verdict", "models, s", "of fp32")


def measure(settings: Settings) -> Report:
    """Return, for the CPU and for a GPU, which share of neurons agrees with the first run, and the time."""
    size = settings.batch_size
    runs: Mapping[str, Mapping[str, object]] = {
        REFERENCE: {},
        "bf16": {"precision": "bf16"},
        "TF32": {"tf32": True},
        "fp32, half the batch size": {"batch_size": max(1, size // 2)},
    }
    tables, lines = [], []
    for device, name in (("cpu", "the CPU"), ("cuda", "a GPU")):
        there = device == "cpu" or torch.cuda.is_available()
        rows = compared(settings, device, runs) if there else [(run, None, None, None, None) for run in runs]
        tables.append(Table(f"{settings.images} images, {settings.model}, batches of {size}, on {name}", COLUMNS, rows))
        (_, bf16, *_, faster), (_, chance, *_) = rows[1], rows[3]
        pays = device == "cuda" and there and bool(faster < 1 and bf16 >= chance)  # type: ignore[operator]  # numbers
        goal = ("faster, with as many", pays if there else None) if device == "cuda" else ("", None)
        lines.append(Line(f"bf16 on {name}, same first concept", bf16, "fp32, other batches", chance, faster, *goal))
    return Report(tables, lines)


def compared(settings: Settings, device: str, runs: Mapping[str, Mapping[str, object]]) -> list[tuple[Cell, ...]]:
    """Return a row for each run."""
    found = {name: studied(settings, device, changed) for name, changed in runs.items()}
    reference, seconds = found[REFERENCE]
    return [
        (
            name,
            float((labels["concept"] == reference["concept"]).mean()),
            float((labels["verdict"] == reference["verdict"]).mean()),
            taken,
            taken / seconds,
        )
        for name, (labels, taken) in found.items()
    ]


def studied(settings: Settings, device: str, changed: Mapping[str, object]) -> tuple[pd.DataFrame, float]:
    """Return the first label of each neuron, missing concepts as empty text, and the seconds of the models."""
    asked: dict[str, object] = {"batch_size": settings.batch_size, **changed}
    run = mcd.dissect(
        settings.model,
        layers=settings.layers,
        dissector=settings.dissector,
        dataset=settings.data,
        concepts=settings.concepts,
        scorer=settings.scorer,
        limit=settings.images,
        calibration={"draws": settings.draws},
        device=device,
        store="off",
        progress=False,
        **asked,  # type: ignore[arg-type]  # each its own
    )
    first = run.labels.sort_values("rank", kind="stable").drop_duplicates(["layer", "neuron"])
    spent = run.manifest.seconds
    taken = spent["sweep"] - (0 if device == "cuda" else spent["wait for images"])  # a GPU computes meanwhile
    return first.set_index(["layer", "neuron"]).sort_index().fillna({"concept": "", "verdict": ""}), taken
