"""Where no patient is known, nothing that is printed, drawn or written speaks of 95 % over patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.command_line import Outcome
from tests.figures.test_drawn import caption

import mcd
from mcd import figures


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> list[Path]:
    """Two networks on images of nobody in particular, of which the lower half is bright in some."""
    place: Path = tmp_path_factory.mktemp("nobody")
    (place / "images").mkdir()
    rng = np.random.default_rng(0)
    for at in range(60):
        pixels = rng.integers(0, 90, (96, 64)).astype(np.uint8)
        pixels[48:] += 120 * np.uint8(at % 2)
        PIL.Image.fromarray(pixels).save(place / "images" / f"{at}.png")
    found = []
    for name in ("phantom-general", "phantom-mammo"):
        flags = ("--dissector", "phantom-clip", "--concepts", "phantom", "--scorer", "pearson", "--layers", "stages.3")
        dataset = f"images:{place / 'images'}"
        done = mcd_command("dissect", "--model-plugin", name, "--dataset", dataset, *flags, "-o", place / name)
        assert done.code == 0, done.err
        found.append(place / name)
    return found


def test_tables_figures_and_pages_say_images_where_no_patient_is_known(
    runs: list[Path], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command("compare", *runs, "-o", tmp_path / "tables", "--bootstrap", 20)
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "in brackets: 95 % intervals over images, since patients are not known" in text
    assert "patients are not known" in text.partition("1. Composition")[0]
    written = mcd_command("report", *runs, "-o", tmp_path / "report", "--reporter", "markdown", "--reporter", "html")
    assert written.code == 0, written.err
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "report").rglob("*.*") if path.is_file()]
    drawn = caption(figures.depth(figures.collect([mcd.load(one) for one in runs])))
    assert "95 % intervals over images" in drawn
    for said in (text, written.out, *pages, drawn):
        assert "intervals over patients" not in " ".join(said.split())
