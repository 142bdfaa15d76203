"""``mcd bench`` from the command line: tables, files, a scorer and a run of one's own, and every wrong input."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from tests.conftest import Outcome
from tests.latex import amiss

import mcd
from mcd_plugins.bench.methods import published
from mcd_plugins.bench.report import BENCH_VERSION

Run = Callable[..., Outcome]

PARTS = ("--model", "phantom-mammo", "--layer", "stages.3", "--dissector", "phantom-clip")
QUICK = ("--method", "CLIP-Dissect cos", "--method", "mcd significant", "--size", "toy", "--repeats", "1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder: one layer over 80 images of 20 patients."""
    return mcd.dissect(
        "phantom-general",
        layers=["stages.2", "stages.3"],
        dissector="phantom-clip",
        dataset="phantom:20",
        concepts="phantom",
        scorer="pearson",
        calibration={"draws": 0},
        output=tmp_path_factory.mktemp("runs") / "run",
        progress=False,
    ).folder


@pytest.fixture(scope="module")
def done(mcd_command: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """Return what the smallest bench on phantoms prints and leaves."""
    folder = tmp_path_factory.mktemp("bench") / "out"
    return mcd_command("bench", "--size", "toy", "--repeats", 1, "-o", folder), folder


@pytest.mark.slow
def test_every_method_has_a_row_and_all_of_it_fits_80_columns(done: tuple[Outcome, Path]) -> None:
    found, folder = done
    assert found.code == 0, found.err
    assert max(map(len, found.out.replace(str(folder), "").splitlines())) <= 80
    ours = ["mcd significant", "mcd beyond nuisances", "mcd beyond untrained"]
    for name in [*(one.name for one in published()), *ours]:
        assert len(re.findall(rf"^{re.escape(name)} +(–|\d\.\d\d\d) ", found.out, re.MULTILINE)) == 2, name
    assert len(published()) >= 10
    said = "not tried: mcd right: needs annotated concepts that more held-out patients have"
    assert said in " ".join(found.out.split())  # of 12 patients, 10 would have to have a concept, and 10 lack it
    assert "seconds" not in found.out
    assert f"cite as: mcd bench {BENCH_VERSION}" in found.out


@pytest.mark.slow
def test_the_files_say_the_same_as_what_is_printed(done: tuple[Outcome, Path]) -> None:
    found, folder = done
    rows = list(csv.DictReader(io.StringIO((folder / "bench.csv").read_text(encoding="utf-8"))))
    kept = json.loads((folder / "bench.json").read_bytes())
    pooled = {row["method"]: row for row in rows if row["plant"] == "all"}
    printed = re.search(r"^mcd significant +([\d.]+|–) +([\d.]+)", found.out, re.MULTILINE)
    assert printed is not None
    assert f"{float(pooled['mcd significant']['recall']):.3f}" == printed[2]
    assert {row["plant"] for row in rows} >= {"noise", "dead", "confounded", "single", "superposed", "tied"}
    assert all(float(row["seconds"]) >= 0 for row in rows)
    assert (kept["schema"], kept["bench"], kept["settings"]["seed"]) == ("mcd.bench/1", BENCH_VERSION, 0)
    tex = (folder / "bench.tex").read_text(encoding="utf-8")
    assert tex.count("\\\\\n") == 1 + len(pooled)
    assert "\\toprule" in tex
    assert BENCH_VERSION in tex
    assert amiss(tex) == []


@pytest.mark.slow
def test_the_page_is_one_file_that_fetches_nothing(done: tuple[Outcome, Path]) -> None:
    text = (done[1] / "bench.html").read_text(encoding="utf-8")
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in html.unescape(text)
    assert "default-src 'none'" in html.unescape(text)
    assert not re.search(r"<script|<link|src=|href=", text)
    assert all(one.name in text and one.source.split(",")[0].replace("&", "&amp;") in text for one in published())


@pytest.mark.slow
def test_a_scorer_of_ones_own_gets_a_row_and_one_with_the_null(mcd_command: Run, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def score(a, p):\n    return (a - a.mean(0)).T @ (p - p.mean(0))\n")
    found = mcd_command("bench", "--data", run, *QUICK, "--scorer", f"{file}:score", "-o", tmp_path / "out")
    assert found.code == 0, found.err
    (plain,) = re.findall(r"^mine.py:score  +.*", found.out.split("By plant")[0], re.MULTILINE)
    (judged,) = re.findall(r"^mine.py:score null +.*", found.out.split("By plant")[0], re.MULTILINE)
    assert plain.split()[3:5] == [plain.split()[3], "–"]  # it has no p of its own
    assert float(judged.split()[-4]) <= 1.0


@pytest.mark.slow
def test_units_are_planted_into_the_layer_of_a_run(mcd_command: Run, run: Path, tmp_path: Path) -> None:
    found = mcd_command("bench", "--data", run, *QUICK, "--method", "Network Dissection", "-o", tmp_path / "out")
    assert found.code == 0, found.err
    assert "80 images, phantom-general stages.3, phantom-clip" in " ".join(found.out.split())
    assert "Units follow what is annotated" in " ".join(found.out.split())
    assert "not tried: Network Dissection: needs activation maps and boxes" in " ".join(found.out.split())
    shortcuts = json.loads((tmp_path / "out" / "bench.json").read_bytes())["settings"]["confounded with"]
    assert [name.partition(" (")[0] for name in shortcuts] == ["view", "laterality", "vendor"]
    other = mcd_command("bench", "--data", run, *QUICK, "--layer", "stages.2", "-o", tmp_path / "out2")
    assert "phantom-general stages.2" in " ".join(other.out.split())


@pytest.mark.slow
def test_images_of_which_nothing_is_annotated_give_units_that_follow_similarity(
    mcd_command: Run, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for at in range(60):
        pixels = np.kron(rng.integers(0, 255, (10, 6)), np.ones((16, 16))).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "images" / f"{at:02d}.png")
    given = (*PARTS, "--concepts", "phantom", *QUICK)
    found = mcd_command("bench", "--data", tmp_path / "images", *given, "-o", tmp_path / "out")
    assert found.code == 0, found.err
    assert "Nothing is annotated: units follow what the dissector sees" in " ".join(found.out.split())
    few = tmp_path / "few"
    few.mkdir()
    for at in range(12):
        (tmp_path / "images" / f"{at:02d}.png").rename(few / f"{at}.png")
    found = mcd_command("bench", "--data", few, *given, "-o", tmp_path / "out2")
    assert found.code == 4
    assert "a bench needs 50 images, and the run has 12" in found.err


@pytest.mark.nightly
def test_threads_change_nothing_that_is_printed(mcd_process: Run, tmp_path: Path) -> None:
    printed = [
        mcd_process("bench", "--size", "toy", "-o", "out", cwd=made, OMP_NUM_THREADS=str(threads))
        for threads in (1, 2)
        if (made := tmp_path / str(threads)).mkdir() is None
    ]
    assert printed[0].code == 0, printed[0].err
    assert printed[0].out == printed[1].out


def test_torch_has_its_threads_back(mcd_command: Run, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    assert mcd_command("bench", "--data", tmp_path, "-o", tmp_path / "out").code == 4
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("--method", "INVRT"), 2, "no method of the bench is called 'INVRT'"),
        (("--method", "CLIP-Dissect"), 2, "no method of the bench is called 'CLIP-Dissect'"),
        (("--scorer", "gone.py:score"), 2, "there is no file gone.py"),
        (("--scorer", "mine.py:other"), 2, "mine.py has no function 'other'"),
        (("--scorer", "broken.py:score"), 2, "broken.py, line 1: ZeroDivisionError"),
        (("--data", "gone"), 2, "there is no folder gone"),
        (("--data", "empty", "--model-arg", "a=b"), 2, "--model, --layer, --dissector must say with the others"),
        (("--data", "empty"), 4, "empty"),
        (("--data", "empty", "--model", "phantom-mammo"), 2, "--layer, --dissector must say with the others"),
        (("--layer", "stages.3"), 2, "--layer has no part here: without --data there are phantoms alone"),
        (("--concepts", "phantom"), 2, "--concepts has no part here"),
        (("--untrained", "10"), 2, "--untrained has no part here"),
        (("--data", "nothing:here", *PARTS), 2, "nothing"),
        (("--data", "empty", *PARTS), 4, "empty"),
        (("--data", "empty", *PARTS, "--dataset-arg", "colour=red"), 2, "colour"),
        (("--data", "RUN", "--layer", "stages.9"), 2, "the run has no layer 'stages.9'"),
        (("--data", "RUN", "--model", "phantom-mammo"), 2, "--model has no part here"),
        (("--data", "RUN", "--scorer", "raising.py:score", *QUICK), 3, "ValueError: no idea (raising.py, line 2)"),
        (("--data", "RUN", "--scorer", "shape.py:score", *QUICK), 3, "scorer score returned shape (80, "),
        (("--data", "RUN", "--scorer", "mine.py:score", "--scorer", "mine.py:score"), 2, "two methods are called"),
        (("--repeats", "0"), 2, "--repeats"),
        (("--size", "huge"), 2, "--size"),
    ],
)
def test_a_wrong_input_is_one_clear_error(
    given: tuple[str, ...], code: int, said: str, mcd_command: Run, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.py").write_text("def score(a, p):\n    return a.T @ p\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "raising.py").write_text("def score(a, p):\n    raise ValueError('no idea')\n")
    (tmp_path / "shape.py").write_text("def score(a, p):\n    return a\n")
    found = mcd_command("bench", *(str(run) if one == "RUN" else one for one in given), "-o", "out", cwd=tmp_path)
    assert found.code == code, found.err
    assert said in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "out" / "bench.csv").exists()


def test_what_is_in_the_way_is_said_before_anything_is_drawn(mcd_command: Run, tmp_path: Path) -> None:
    (tmp_path / "bench.csv").write_text("mine")
    found = mcd_command("bench", "-o", tmp_path)
    assert found.code == 2
    assert "bench.csv is in the way" in found.err
    assert "drawing" not in found.err
    assert (tmp_path / "bench.csv").read_text() == "mine"


def test_what_it_prints_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/explanation/planted-truth.md").read_text(encoding="utf-8")
    from mcd_plugins.bench.contract import PLANTS
    from mcd_plugins.bench.methods.ours import OURS
    from mcd_plugins.bench.ranking import COLUMNS

    for name in (*PLANTS, *COLUMNS):
        assert f"`{name}`" in page, name
    for one in (*published(), *OURS):
        assert one.name in page, one.name
    assert f"`BENCH_VERSION` {BENCH_VERSION}" in page
