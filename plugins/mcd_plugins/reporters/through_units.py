"""What layers are seen through that are not their neurons, in words."""

from __future__ import annotations

from collections.abc import Sequence

from mcd.plugins import Manifest

__all__ = ["units_cautions"]


def units_cautions(manifest: Manifest) -> list[str]:
    """Return of which layers labels are no test on other patients than their units were fitted on, or may be none."""
    if manifest.control == "random units":  # which nothing was fitted on
        return []
    seen = [(one.name, one.through) for one in manifest.layers if one.through is not None]
    unknown = [name for name, through in seen if not through.fitted]
    found = [
        f"The units of {name} were fitted on patients of {through.kept} of the {manifest.images} images: their labels "
        "are no test on other patients (column fitted_images)."
        for name, through in seen
        if through.kept
    ]
    if unknown:
        found.append(
            f"It is not recorded which images the units of {_listed(unknown)} were fitted on: some may be of patients "
            "that the labels were tested on."
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more layers" if len(names) > 6 else "")
