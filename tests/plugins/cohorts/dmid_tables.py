"""The original release that ``dmid`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
from tests.plugins.cohorts.conftest import pixels, write_dicom

INFO = """\
IMG001\tMLOLT\tG\tCALC + MISC\tM\t20\t30\t5
IMG001  MLOLT  G  CIRC  B  40  60  8
IMG002  MLORT  F  NORM
IMG003  CCRT   -  CLAC  B  10  12  3
IMG004  CCLRT  D  SPIC  N  10  35561  3
IMG005  CCLT   D  ARCH  M  10  12  -
"""


def released(root: Path) -> Path:
    """Write it; its TIFF files hold four channels."""
    folder = root / "TIFF Images" / "TIFF Images"
    folder.mkdir(parents=True)
    (root / "Info.txt").write_text(INFO)
    for number in range(1, 6):
        grey = (pixels(number) >> 4).astype(np.uint8)
        colours = np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=2)
        PIL.Image.fromarray(colours).save(folder / f"IMG{number:03d}.tif")
        write_dicom(root / "DICOM Images" / "DICOM Images" / f"IMG{number:03d}.dcm", seed=number)
    return root
