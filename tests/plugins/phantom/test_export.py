"""Phantoms as files: what is read back is what was drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Outcome

import mcd
from mcd_plugins.datasets.csv_table import CsvTable
from mcd_plugins.phantom.dataset import PhantomDataset


@pytest.mark.parametrize("format_", ["png", "dicom"])
def test_what_is_read_back_is_what_was_drawn(format_: str, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command("phantoms", "files", "--patients", "2", "--format", format_, cwd=tmp_path)
    assert (done.code, done.out) == (0, "files: 8 images of 2 drawn patients, and labels.csv\n"), done.err
    options = {"table": tmp_path / "files" / "labels.csv", "findings": ["mass", "biopsy clip"]}
    table = CsvTable(CsvTable.Options.model_validate(options))
    drawn = PhantomDataset(PhantomDataset.Options(patients=2))
    pairs = list(zip(table.scan(), drawn.scan(), strict=True))
    assert len(pairs) == 8
    for found, expected in pairs:
        assert isinstance(found, mcd.Sample)
        assert isinstance(expected, mcd.Sample)
        assert (found.patient, found.laterality, found.view) == (
            expected.patient,
            expected.laterality,
            expected.view,
        )
        assert found.findings == {name: expected.findings[name] for name in ("mass", "biopsy clip")}
        image = table.read(found)
        seen, known = image.pixels / image.maximum, drawn.read(expected).pixels / 255  # DICOM: a linear window
        np.testing.assert_allclose(seen, known, atol=0 if format_ == "png" else 0.005)


def test_the_same_command_writes_the_same_bytes(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    for name in ("a", "b"):
        assert mcd_command("phantoms", name, "--patients", "1", "--format", "dicom", cwd=tmp_path).code == 0
    for path in sorted((tmp_path / "a").glob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
