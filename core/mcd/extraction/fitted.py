"""Images that units were fitted on: they, and others of the same patients, are no test of these units."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mcd.api.dataset import Sample

__all__ = ["rows_fitted_on"]


def rows_fitted_on(samples: Sequence[Sample], fitted: Collection[str]) -> tuple[int, ...]:
    """Return the rows of images that something was fitted on, or on another image of the same patient.

    An image whose patient is not known stands for itself. The images have been examined (`mcd.Dataset.examine`): a
    digest that is missing matches none.

    Parameters
    ----------
    fitted
        Content digests of the images that it was fitted on: `mcd.Units.fitted`.
    """
    own = frozenset(fitted) - {""}
    patients = {one.patient for one in samples if one.digest in own} - {""}
    return tuple(row for row, one in enumerate(samples) if one.digest in own or one.patient in patients)
