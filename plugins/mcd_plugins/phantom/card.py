"""The model card: written by the training script from what it measured, never by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from mcd_plugins.phantom import evaluation
from mcd_plugins.phantom.captions import FACTORS

__all__ = ["CARD", "NETWORKS", "Measured", "card_of"]

CARD = "MODEL_CARD.md"

NETWORKS = ("phantom_clip", "phantom_mammo", "phantom_general", "phantom_calc")
"""What the script trains, in the order of the card; calc starts from mammo."""

_HEAD = """# Model card: phantom-clip, phantom-mammo, phantom-general and phantom-calc

<!-- Written by `python -m mcd_plugins.phantom.train`; do not edit. -->

**Synthetic, for demonstration and testing, never for patients.** The networks have seen drawn images only: phantoms
(data set `phantom`), or everyday things; none knows anything about a real mammogram. Input of all: one channel,
320×192, as `mcd_plugins.phantom.shipped.PREPROCESSING` prepares it. Licence: Apache-2.0.
"""

_CLIP = """## phantom-clip

An image–text model: a small convolutional image tower and a text tower over hashed words, word pairs and letter
groups, trained together with a sigmoid contrastive loss on phantoms and captions of what they show.

Zero-shot AUROC on held-out patients, without fitting: the cosine of an image with a value's prompt minus the mean
cosine with the prompts of the factor's other values. Several values: the mean of each against the rest. A descriptor
is evaluated on the images that have what it describes: the margin where there is a mass.
"""

_MAMMO = """## phantom-mammo

A small convolutional classifier of eleven findings, to be dissected: layers `stem`, `stages.0` … `stages.3`,
`head`. AUROC of each output on held-out patients:
"""

_GENERAL = """## phantom-general

The architecture of phantom-mammo, trained from scratch to classify twelve kinds of drawn everyday images
(`mcd_plugins.phantom.everyday`); it has never seen a phantom. For comparison with phantom-mammo: what does a
network respond to in mammograms that was not trained on them? Weights stored in float16. AUROC of each output on
held-out images, one kind against the rest:
"""

_CALC = """## phantom-calc

phantom-mammo, all layers fine-tuned on other patients to classify calcifications only: present, typically
benign, suspicious, each morphology, each distribution. For comparison with phantom-mammo: what does fine-tuning
gain, and what is lost? Weights stored in float16. AUROC of each output on held-out patients, all images (one without
calcifications has no morphology):
"""

_TEXTS: Mapping[str, str] = dict(zip(NETWORKS, (_CLIP, _MAMMO, _GENERAL, _CALC), strict=True))

_END = """## Limits

- The phantoms are drawings: ellipses, noise and dots. Numbers here say nothing about mammograms of people.
- Words that the captions do not contain get an embedding from their letters, which carries little meaning.
- Both views of a breast show the same lesions, and each image is evaluated by itself.

Reproducible byte for byte with as many threads on the same machine and library versions:
`python -m mcd_plugins.phantom.train all --output DIR`; `general` or `calc` in place of `all` trains one. Minutes are
wall-clock times on a shared machine.
"""


@dataclass(frozen=True)
class Measured:
    """How a network was trained and what it reached on held-out patients.

    Parameters
    ----------
    patients, held_out, epochs, seed
        Settings of the script; four images a patient.
    minutes
        Training time, drawing the images not counted.
    threads
        How many the training used.
    size
        Of the weights, in bytes.
    auroc
        By factor and value (phantom-clip), or by output (the others; its only value is "present").
    """

    patients: int
    held_out: int
    epochs: int
    seed: int
    minutes: float
    threads: int
    size: int
    auroc: Mapping[str, Mapping[str, float]]

    def save(self, path: Path) -> None:
        """Write it as JSON, so that a later run that trains the other network can still write the whole card."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def sentence(self, name: str) -> str:
        """Return the settings in words."""
        if name == "phantom_general":
            seen, other = f"{4 * self.patients:,} images", f"{4 * self.held_out:,} other images"
        else:
            seen = f"{4 * self.patients:,} images of {self.patients:,} patients"
            other = f"{4 * self.held_out:,} images of {self.held_out:,} other patients"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"Trained on {seen} for {self.epochs} passes with seed {self.seed}, {self.minutes:.0f} minutes on "
            f"{threads}; measured on {other}; weights {self.size / 1e6:.2g} MB."
        )


def card_of(folder: Path) -> str:
    """Return the card from the measurements in a folder; of a network that has none there, from the shipped ones."""
    parts = [_HEAD]
    for name in NETWORKS:
        measured = _measured(folder, name)
        if measured is not None:
            table = _by_factor(measured) if name == "phantom_clip" else _by_output(name, measured)
            parts.append("\n".join([_TEXTS[name], table, measured.sentence(name), ""]))
    return "\n".join([*parts, _END])


def _measured(folder: Path, name: str) -> Measured | None:
    for place in (folder, files("mcd_plugins.phantom") / "weights"):
        path = place / f"{name}.json"
        if path.is_file():
            return Measured(**json.loads(path.read_text(encoding="utf-8")))
    return None


def _by_output(name: str, measured: Measured) -> str:
    what = {"phantom_general": "image", "phantom_calc": "calcifications"}.get(name, "finding")
    return evaluation.table({output: areas["present"] for output, areas in measured.auroc.items()}, what)


def _by_factor(measured: Measured) -> str:
    means = {factor: float(np.mean(list(areas.values()))) for factor, areas in measured.auroc.items()}
    rows = ["### By value", "", "| factor | prompt | AUROC |", "|---|---|---|"]
    rows += [
        f"| {factor} | {evaluation.prompt(factor, value)} | {area:.3f} |"
        for factor, areas in measured.auroc.items()
        for value, area in areas.items()
        if len(FACTORS[factor]) > 2
    ]
    return "\n".join([evaluation.table(means, "factor"), *rows, ""])
