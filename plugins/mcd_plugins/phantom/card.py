"""The model card: written by the training script from what it measured, never by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mcd_plugins.phantom import evaluation
from mcd_plugins.phantom.captions import FACTORS

__all__ = ["Measured", "write_card"]

_HEAD = """# Model card: phantom-clip and phantom-mammo

<!-- Written by `python -m mcd_plugins.phantom.train`; do not edit. -->

**Synthetic, for demonstration and testing, never for patients.** Both networks have seen drawn phantoms only (data
set `phantom`); neither knows anything about a real mammogram. Input of both: one channel, 320×192, as
`mcd_plugins.phantom.shipped.PREPROCESSING` prepares it. Licence: Apache-2.0.
"""

_CLIP = """## phantom-clip

An image–text model: a small convolutional image tower and a text tower over hashed words, word pairs and letter
groups, trained together with a sigmoid contrastive loss on phantoms and captions of what they show.

Zero-shot AUROC on held-out patients, nothing fitted: the cosine of an image with a value's prompt minus the mean
cosine with the prompts of the factor's other values. Several values: the mean of each against the rest. A descriptor
is judged on the images that have what it describes: the margin where there is a mass.
"""

_MAMMO = """## phantom-mammo

A small convolutional classifier of eleven findings, there to be dissected: layers `stem`, `stages.0` … `stages.3`,
`head`. AUROC of each output on held-out patients:
"""

_END = """## Limits

- The phantoms are drawings: ellipses, noise and dots. Numbers here say nothing about mammograms of people.
- Words that the captions do not contain get an embedding from their letters; it means little.
- Both views of a breast show the same lesions, and each image is judged by itself.

Made again, byte for byte on the same machine and library versions, by `python -m mcd_plugins.phantom.train all
--output DIR`.
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
        By factor and value (phantom-clip), or by finding (phantom-mammo; its only value is "present").
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

    def sentence(self) -> str:
        """Return the settings in words."""
        return (
            f"Trained on {4 * self.patients:,} images of {self.patients:,} patients for {self.epochs} passes with seed "
            f"{self.seed}, {self.minutes:.0f} minutes on {self.threads} threads; measured on {4 * self.held_out:,} "
            f"images of {self.held_out:,} other patients; weights {self.size / 1e6:.1f} MB."
        )


def write_card(folder: Path) -> None:
    """Write ``MODEL_CARD.md`` from the measurements in a folder; a network that has none is left out."""
    parts = [_HEAD]
    for name, text in (("phantom_clip", _CLIP), ("phantom_mammo", _MAMMO)):
        path = folder / f"{name}.json"
        if path.exists():
            measured = Measured(**json.loads(path.read_text(encoding="utf-8")))
            table = _clip_table(measured) if name == "phantom_clip" else _mammo_table(measured)
            parts.append("\n".join([text, table, measured.sentence(), ""]))
    (folder / "MODEL_CARD.md").write_text("\n".join([*parts, _END]), encoding="utf-8")


def _mammo_table(measured: Measured) -> str:
    return evaluation.table({name: areas["present"] for name, areas in measured.auroc.items()}, "finding")


def _clip_table(measured: Measured) -> str:
    means = {factor: float(np.mean(list(areas.values()))) for factor, areas in measured.auroc.items()}
    rows = ["### By value", "", "| factor | prompt | AUROC |", "|---|---|---|"]
    rows += [
        f"| {factor} | {evaluation.prompt(factor, value)} | {area:.3f} |"
        for factor, areas in measured.auroc.items()
        for value, area in areas.items()
        if len(FACTORS[factor]) > 2
    ]
    return "\n".join([evaluation.table(means, "factor"), *rows, ""])
