"""What the probe set of a run does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcd.errors import amount
from mcd.extraction.probe_map import PROBE_MAP

if TYPE_CHECKING:
    from mcd.runs.dissection import Dissection

__all__ = ["FEW_IMAGES", "has_probe_map", "limits_of"]

FEW_IMAGES = 100
"""Below so many images only large effects are detectable."""


def has_probe_map(dissection: Dissection) -> bool:
    """Say whether a run still has its folder private, which ties rows to images and people."""
    return (dissection.store_folder / PROBE_MAP).exists()


def limits_of(dissection: Dissection) -> Iterator[str]:
    """Yield what a reader must know of the images of a run, a sentence each."""
    images = dissection.manifest.images
    if 0 < images < FEW_IMAGES:  # none are known of an imported run
        few = f"{amount(images, 'image')} {'is' if images == 1 else 'are'} few"
        yield f"{few}: only large effects are detectable (at least {FEW_IMAGES} are advised)"
    if has_probe_map(dissection) and not any(dissection.patients):
        yield "patients are not known: images of one woman count as independent, which makes q too small"
