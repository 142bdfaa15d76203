"""The data set ``phantom``: synthetic mammograms, drawn when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pydantic
from numpy.typing import NDArray

import mcd
from mcd.plugins import Seed
from mcd_plugins.phantom.captions import FACTORS, code, values_and_phrases
from mcd_plugins.phantom.factors import View, draw_patient
from mcd_plugins.phantom.render import outline, render

__all__ = ["PhantomDataset"]

_RENDERING = "phantom/1"
"""Raised when the same factors give other pixels."""


class PhantomDataset(mcd.Dataset):
    """Synthetic mammograms, 320×192, four views a patient: L-CC, R-CC, L-MLO, R-MLO.

    Every factor is known: density, scanner, implant, view marker, and for each breast mass, calcifications,
    architectural distortion, asymmetry, skin thickening, lymph node and biopsy clip. A patient is the same
    whatever the number of patients. For demonstration and testing, never for patients.
    """

    class Options(mcd.Options):
        """Settings of the phantoms."""

        patients: int = pydantic.Field(default=50, ge=1, le=100_000, description="how many patients, four views each")
        seed: Seed = pydantic.Field(default=7, description="decides which patients; the models were trained on 0")
        boxes: bool = pydantic.Field(
            default=False, description="give each sample the boxes of its lesions; draws every image at the scan"
        )

    options: Options
    ids_are_public = True
    has_masks = True
    images_may_be_copied = True
    licence = "Apache-2.0"

    def __len__(self) -> int:
        """Return the number of images."""
        return 4 * self.options.patients

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield every view of every patient, with all that is known about it."""
        for number in range(self.options.patients):
            for view in draw_patient(self.options.seed, number).views:
                yield mcd.Sample(
                    id=view.id,
                    digest=hashlib.sha256(f"{_RENDERING} {view.id}".encode()).hexdigest(),
                    source="drawn",
                    patient=f"{self.options.seed}-{number:05d}",
                    view=view.view,
                    laterality=view.laterality,
                    density=view.patient.density,
                    vendor=view.patient.scanner,
                    implant=view.patient.implant,
                    collection="phantom",
                    findings=_findings(view),
                    boxes=_boxes(view) if self.options.boxes else (),
                )

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Draw one image."""
        return mcd.Image(render(self._view(sample))[0], 255.0)

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> NDArray[np.bool_]:
        """Return where the breast was drawn."""
        return outline(self._view(sample))

    def boxes(self, sample: mcd.Sample) -> tuple[mcd.Box, ...]:
        """Return the boxes of the lesions in one image; they are known only once it is drawn."""
        return _boxes(self._view(sample))

    def _view(self, sample: mcd.Sample) -> View:
        patient = draw_patient(self.options.seed, int(sample.patient.split("-")[1]))
        return next(view for view in patient.views if view.id == sample.id)


def _findings(view: View) -> dict[str, bool]:
    """Return for every phrase of the concept set ``phantom`` whether it is true: nothing is unknown here."""
    codes = dict(zip(FACTORS, code(view).tolist(), strict=True))
    return {
        phrase: codes[factor] == FACTORS[factor].index(value)
        for factor, value, phrase in values_and_phrases()
        if value != "absent"
    }


def _boxes(view: View) -> tuple[mcd.Box, ...]:
    return tuple(mcd.Box(*box) for box in render(view)[1])
