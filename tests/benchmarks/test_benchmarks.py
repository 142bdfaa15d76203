"""Every benchmark runs, at toy size, and gives the tables that README.md shows; README.md is what rendering gives."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import cv2
import pytest
import torch
from benchmarks.__main__ import main
from benchmarks.fused import fused_soft_wpmi
from benchmarks.report import Cell, Table
from benchmarks.scorers import looped_soft_wpmi
from tests.absence import absent

from benchmarks import CHAPTERS, LONG, page, report


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Benchmarks set how many threads work."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


EVERY = [name for names in CHAPTERS.values() for name in names]
SECONDS = ("breast", "intervals", "isolation", "mammo_clip", "scaling")
"""Those that take seconds at any size: for the nightly run."""
FOLDER = Path(page.__file__).parent


def shape(table: Table) -> tuple[list[str], set[str]]:
    """Return the columns and the names of rows, without numbers: sizes differ."""
    columns, rows = ([re.sub(r"[\d,]+", "", str(one)) for one in names] for names in (table.columns, names_of(table)))
    return columns, set(rows)


def names_of(table: Table) -> list[Cell]:
    return [row[0] for row in table.rows]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nightly) if name in SECONDS else name for name in EVERY]
)
def test_a_benchmark_gives_the_tables_of_its_results(name: str) -> None:
    if name == "explorer" and not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        absent("there is no Chromium: apt-get install chromium")
    module = import_module(f"benchmarks.{name}")
    found = module.measure(module.TOY)
    assert found.tables
    assert all(table.rows for table in found.tables)
    kept = report.read(name)
    for one, other in zip(found.tables, kept.report.tables if kept else (), strict=False):
        columns, rows = shape(one)
        assert columns == shape(other)[0]
        assert rows <= shape(other)[1]


def test_readme_is_what_rendering_gives() -> None:
    assert page.README.read_text(encoding="utf-8") == page.page()


def test_every_benchmark_is_in_a_chapter_and_every_result_is_of_a_benchmark() -> None:
    modules = [path.stem for path in FOLDER.glob("*.py") if "def measure(settings" in path.read_text(encoding="utf-8")]
    assert sorted(EVERY) == sorted(modules)
    assert {path.stem for path in report.RESULTS.iterdir()} <= set(EVERY)
    assert set(LONG) <= set(EVERY)


def test_options_of_a_benchmark_change_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    before = page.README.read_bytes()
    assert main(["stability_coverage", "--toy", "--images", "50"]) == 0
    shown = capsys.readouterr().out
    assert "1 sets of 50 images:" in shown
    assert "`python -m benchmarks stability_coverage --images 50`" in shown
    assert page.README.read_bytes() == before
    with pytest.raises(SystemExit, match="0"):
        main(["stability_coverage", "--help"])
    assert "options of this benchmark:\n  Images, and sets of them." in capsys.readouterr().out
    assert main(["nothing"]) == 2
    assert "there is no benchmark 'nothing'" in capsys.readouterr().err


def test_a_goal_that_is_missed_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("benchmarks.stability_coverage")
    missed = report.Report([Table("", ("a",), [(1,)])], [report.Line("a", 2, "b", 1, 2.0, "≤ 1", holds=False)])
    monkeypatch.setattr(module, "measure", lambda settings: missed)
    assert main(["stability_coverage", "--dry"]) == 1


def test_cells_are_shown_plainly() -> None:
    assert [page.text(cell) for cell in (None, 12345, 1234.5, 0.12345, 3.0, "a|b")] == [
        "unmeasured",
        "12,345",
        "1,234",
        "0.123",
        "3",
        "a\\|b",
    ]


def test_the_fused_kernel_scores_as_the_released_loop(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    cosine = 0.2 + 0.05 * torch.randn(300, 70, generator=generator)
    activations = torch.randn(300, 21, generator=generator)
    kernel = fused_soft_wpmi(tmp_path, threads=1)
    if kernel is None:
        absent("no C compiler called cc")
    torch.testing.assert_close(kernel(activations, cosine), looped_soft_wpmi(activations, cosine), atol=1e-3, rtol=0)
