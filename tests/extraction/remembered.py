"""Pictures in a folder, and the probe set that they make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from mcd.events import Clock
from mcd.extraction.probe import ProbeSet, examined
from mcd.study.selection import Selection
from mcd_plugins.datasets.images import ImageFolder


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    for at in range(count):
        values = np.random.default_rng(at).integers(0, 255, (8, 8), dtype=np.uint8)
        PIL.Image.fromarray(values).save(folder / f"{at}.bmp")
    return folder


def probed(folder: Path, *, workers: int | None = 0, verify: bool = False, said: list[str] | None = None) -> ProbeSet:
    clock = Clock(lambda _: None)
    found = examined(ImageFolder(ImageFolder.Options(path=folder)), Selection(), clock, workers=workers, verify=verify)
    if said is not None:
        said += clock.warnings
    return found
