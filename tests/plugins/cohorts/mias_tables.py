"""The release that ``mias`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.cohorts.conftest import write_picture

INFO = """
INFORMATION:

This file lists the films in the MIAS database and provides
appropriate details as follows:

1st column: MIAS database reference number.

REFNUM BG CLASS SEVERITY X Y RADIUS
mdb001 G CIRC B 535 425 197
mdb002 G NORM
mdb003 F CALC B 477 133 30
mdb003 F SPIC M 500 1020 26
mdb004 D NORM\x20
mdb005 D CALC M *NOTE 3*
mdb006 F CIRC B

That is all.
"""


def released(root: Path) -> Path:
    """Write it."""
    for number in range(1, 7):
        write_picture(root / f"mdb{number:03d}.pgm", seed=number)
    (root / "Info.txt").write_text(INFO)
    return root
