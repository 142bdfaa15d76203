"""The images that neurons respond to most, where they may be copied."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcd.api.dataset import Dataset
from mcd.errors import DataError, UsageError
from mcd.figures.axes import SIGNIFICANT as SIGNIFICANT_LABEL
from mcd.figures.axes import evenly, picked, short
from mcd.figures.data import FigureData
from mcd.figures.drawing import FAINT, MUTED, SMALL, WIDTH, canvas, finish, styled
from mcd.runs.dissection import Dissection
from mcd.runs.thumbnails import data_set_of, same_samples, thumbnails
from mcd.scoring.ordering import by_evidence
from mcd.scoring.verdicts import SIGNIFICANT

__all__ = ["top_images"]

Neuron = tuple[str, int]

_SIZE = 360
"""Pixels of the longer side of an image."""
_ROWS = 4
_SAID = 1.5
"""Inches for the text about a neuron."""
_LABELS = 3
_ID = 14
"""Letters of an id below its image: more would need more room than the image."""


@styled
def top_images(
    data: FigureData,
    neurons: Sequence[Neuron] = (),
    run: str | None = None,
    count: int = 5,
    layers: Sequence[str] = (),
    *,
    copy_images: bool = False,
) -> Figure:
    """Return the images that neurons respond to most, beside their first labels.

    Parameters
    ----------
    neurons
        Layer and number of each; by default of four layers, spread evenly, the one whose first label has the highest
        z.
    run
        The first by default.
    count
        Images of each.
    layers
        Patterns that pick the layers of which neurons are chosen.
    copy_images
        Draw images of a data set that does not say that they may be copied: for those who know that they may.

    Raises
    ------
    DataError
        When the images may not be copied, no longer exist, or have changed.
    UsageError
        When there is no such neuron, or none to choose; or one is asked for that responds to all images alike.
    """
    name, dissection = data.one(run)
    shown = list(neurons) or _outstanding(name, dissection, layers)
    _check_responding(dissection, shown)
    dataset = data_set_of(dissection)
    if not dataset.images_may_be_copied and not copy_images:
        raise DataError(f"images of {name} may not be copied: {_reason(dataset)}", _hint(dataset))
    found = [dissection.top_images(layer, number, count) for layer, number in shown]
    wanted = dict.fromkeys(image for table in found for image in table["image"])
    samples = same_samples(dissection, dataset)
    texts = {image for image in wanted if samples[image].burned_in}
    copies = thumbnails(dissection, list(wanted), _SIZE, dataset=dataset, samples=samples)
    columns = max(len(table) for table in found)
    one = (WIDTH - _SAID) / columns
    figure, panels = canvas(
        0.9 + len(shown) * (one * _tallest(copies) + 0.35), len(shown), columns + 1, ratios=[_SAID, *[one] * columns]
    )
    for row, ((layer, number), table) in enumerate(zip(shown, found, strict=True)):
        line = panels[row * (columns + 1) : (row + 1) * (columns + 1)]
        for axes in line:
            axes.axis("off")
        _said(line[0], dissection, layer, number)
        values = zip(table["image"].tolist(), table["activation"].tolist(), strict=True)
        for axes, (image, activation) in zip(line[1:], values, strict=False):
            lacking = "text is\nburned in" if image in texts else "cannot be read\nany more"
            _image(axes, copies.get(image, b""), lacking, image, activation)
    warned = dataset.against_copies or ("" if dataset.images_may_be_copied else "they may show patients")
    return finish(
        figure,
        f"What neurons of {name} respond to most",
        data.comparison.heading,
        "Below each image its id and the neuron's activation",
        "Labels with z and q; the dissector gave them by more images than these",
        "Images are left out where by their headers text is burned into the pixels, which may name the patient"
        if texts
        else "",
        f"Do not pass this figure on: it holds copies of images, and {warned}" if warned else "",
    )


def _check_responding(dissection: Dissection, neurons: Sequence[Neuron]) -> None:
    status = dissection.labels.drop_duplicates(["layer", "neuron"]).set_index(["layer", "neuron"])["status"]
    for neuron in neurons:
        if status.get(neuron) in ("dead", "constant"):
            layer, number = neuron
            raise UsageError(
                f"neuron {number} of {layer} has no top images: its activation is the same for all",
                "choose another: --neuron LAYER:NUMBER",
            )


def _reason(dataset: Dataset) -> str:
    return dataset.against_copies or "the data set does not say that they may, and they may show patients"


def _hint(dataset: Dataset) -> str:
    return "" if dataset.against_copies else "where you may, say so: --copy-images"


def _outstanding(name: str, dissection: Dissection, patterns: Sequence[str]) -> list[Neuron]:
    """Return of some layers the neuron with the strongest evidence for its first label."""
    labels = dissection.labels
    first = labels[(labels["rank"] == 1) & labels["verdict"].isin(SIGNIFICANT)]
    there = [layer for layer in picked(dissection.layers, patterns) if (first["layer"] == layer).any()]
    if not there:
        raise UsageError(
            f"nothing to show: no neuron of {name} {SIGNIFICANT_LABEL}", "choose some: --neuron LAYER:NUMBER"
        )
    found = []
    for layer in evenly(there, _ROWS):
        found.append((layer, int(by_evidence(first[first["layer"] == layer])["neuron"].iloc[0])))
    return found


def _tallest(copies: Mapping[str, bytes]) -> float:
    """Return the height of the tallest image, in widths."""
    tall = 1.0
    for content in copies.values():
        with PIL.Image.open(io.BytesIO(content)) as image:
            tall = max(tall, image.height / image.width)
    return min(tall, 2.0)


def _said(axes: Axes, dissection: Dissection, layer: str, number: int) -> None:
    labels = dissection.labels
    rows = labels[(labels["layer"] == layer) & (labels["neuron"] == number)]
    unit = dissection.manifest.unit(layer, number)
    status = rows["status"].iloc[0]
    rows = by_evidence(rows[rows["rank"].notna()]).head(_LABELS)
    lines = [
        f"{concept}\n   z {z:.1f}, q {q:.2g}"
        for concept, z, q in zip(rows["concept"].tolist(), rows["z"].tolist(), rows["q"].tolist(), strict=True)
    ]
    axes.text(
        0,
        1,
        f"{short(layer, 22)}\nneuron {number}" + (f": {short(unit, 18)}" if unit else ""),
        transform=axes.transAxes,
        va="top",
        fontsize=8,
        fontweight="bold",
        linespacing=1.3,
    )
    axes.text(
        0, 0.8, "\n".join(lines) or str(status), transform=axes.transAxes, va="top", fontsize=SMALL, linespacing=1.35
    )


def _image(axes: Axes, content: bytes, lacking: str, name: str, activation: float) -> None:
    if content:
        with PIL.Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image.convert("RGB"))
        axes.imshow(pixels, interpolation="lanczos", interpolation_stage="data")
        axes.set_anchor("N")
    else:
        axes.text(
            0.5,
            0.5,
            lacking,
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=SMALL,
            color=MUTED,
            bbox={"facecolor": FAINT, "edgecolor": "none"},
        )
    axes.text(
        0.5,
        -0.03,
        f"{short(name, _ID)}\n{activation:.3g}",
        transform=axes.transAxes,
        ha="center",
        va="top",
        fontsize=SMALL,
        linespacing=1.2,
    )
