"""Which images are no test of units: those that they were fitted on, and others of the same patients."""

from __future__ import annotations

from mcd.api.dataset import Sample
from mcd.plugins import rows_fitted_on


def test_an_image_takes_all_images_of_its_patient_along() -> None:
    samples = [
        Sample("a", digest="1", patient="p"),
        Sample("b", digest="2", patient="q"),
        Sample("c", digest="3", patient="p"),
        Sample("d", digest="4"),
        Sample("e", digest="5"),
        Sample("f", digest=""),
    ]
    assert rows_fitted_on(samples, {"1", "4", ""}) == (0, 2, 3)
    assert rows_fitted_on(samples, frozenset()) == ()
    assert rows_fitted_on(samples, ["9"]) == ()
