"""Peak memory does not grow with the number of images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource, sys
import mcd
mcd.dissect("phantom-mammo", layers="stages.*", dissector="phantom-clip", concepts="phantom", progress=False,
            workers=0, device="cpu", calibration={"draws": 0},
            dataset={"plugin": "phantom", "options": {"patients": int(sys.argv[1])}}, output=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(patients: int, folder: Path) -> int:
    """Return the peak memory in KiB of a run over four images a patient, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(patients), str(folder)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.slow
def test_eight_times_the_images_need_no_more_memory(tmp_path: Path) -> None:
    few, many = peak(25, tmp_path / "few"), peak(200, tmp_path / "many")
    # 700 more images are 43 MB of pixels as bytes and 172 MB as the floats that the networks see
    assert many - few < 30 * 1024
