"""The example notebook, executed by a kernel: what it shows, and one bar instead of a dozen lines."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook" / "a-study.ipynb"
_FAILS = """
def broken(activations, similarity):
    raise ValueError("no score today")

mcd.score(mammo, scorer=broken, output="runs/broken")
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[NotebookNode]:
    """The cells with code after they ran, and one more, which fails."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"patients": 40', '"patients": 25')  # 100 images, the fewest for the scorer
    notebook.cells.append(nbformat.v4.new_code_cell(_FAILS, metadata={"tags": ["raises-exception"]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCD_STORE", str(folder / "store"))
        patch.setenv("OMP_NUM_THREADS", "1")
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return [one for one in notebook.cells if one.cell_type == "code"]


def shown(cells: list[NotebookNode], source: str) -> NotebookNode:
    """Return what the last line of the cell that ends so showed."""
    (cell,) = [one for one in cells if one.source.endswith(source)]
    (result,) = [one for one in cell.outputs if one.output_type == "execute_result"]
    found: NotebookNode = result.data
    return found


def test_what_is_stored_has_no_outputs() -> None:
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_results_show_themselves_and_figures_lie_in_the_page(cells: list[NotebookNode]) -> None:
    assert "phantom-mammo dissected by phantom-clip" in shown(cells, "\nmammo")["text/html"]
    assert shown(cells, "show=True)")["text/html"].count("data:image/webp") == 5
    assert shown(cells, '["image"][0])')["image/png"]
    for name in ("null", "significant", "evaluation", "depth"):
        assert shown(cells, f'.figure("{name}")')["image/png"]
    assert "side by side" in shown(cells, "\ncompared")["text/html"]
    assert "how far they agree" in shown(cells, "mammo.compare(contrasted)")["text/html"]
    assert "Labels evaluated against annotations, truth" in shown(cells, ".evaluate(draws=20)")["text/html"]
    assert 'href="runs/mammo/report/explorer.html"' in shown(cells, "mammo.report()")["text/html"]


@pytest.mark.slow
def test_a_run_shows_one_bar_which_ends_as_one_line(cells: list[NotebookNode]) -> None:
    for cell in cells[:-1]:
        assert not [one for one in cell.outputs if one.output_type in ("stream", "error")], cell.source
        bars = [one.data for one in cell.outputs if one.output_type == "display_data"]
        runs = cell.source.count("mcd.dissect(") + cell.source.count("mcd.score(")
        assert len(bars) == runs
        for bar in bars:
            assert bar["text/plain"].startswith("done in ")
            assert "progressbar" not in bar["text/html"]


@pytest.mark.slow
def test_a_run_that_fails_leaves_one_line_above_the_error(cells: list[NotebookNode]) -> None:
    bar, error = cells[-1].outputs
    assert error.output_type == "error"
    assert "no score today" in error.evalue
    assert bar.output_type == "display_data"
    assert "progressbar" not in bar.data["text/html"]
