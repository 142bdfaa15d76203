"""A received run folder is data: reading it runs nothing, reads nothing outside of it and fetches nothing, unasked."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.conftest import Outcome
from tests.hostile.received_runs import EDITS, NEEDS_TRUST, changed

import mcd
from mcd.errors import MCDError
from mcd.runs.verifying import verify

SLOW = pytest.mark.slow
_watched: list[Path] = []
_seen: list[str] = []
_OPENING = ("open", "os.listdir", "os.scandir", "socket.connect", "socket.getaddrinfo", "os.system", "subprocess.Popen")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched or event not in _OPENING:
        return
    if not event.startswith(("open", "os.listdir", "os.scandir")):
        _seen.append(f"{event} {arguments[:2]}")
    elif isinstance(arguments[0], str | bytes | os.PathLike):
        path = Path(os.fsdecode(arguments[0]))
        if any(path.absolute().is_relative_to(one) or _leads_into(path, one) for one in _watched):
            _seen.append(f"{event} {path}")


def _leads_into(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(folder)


sys.addaudithook(_note)


@contextlib.contextmanager
def nothing_read_in(folder: Path) -> Iterator[None]:
    """Fail where anything below a folder is opened, or a connection or command is made."""
    _seen.clear()
    _watched.append(folder)
    try:
        yield
    finally:
        _watched.clear()
    assert _seen == []
    assert not (folder / "ran").exists()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run, and one outside of it with all that a run might refer to."""
    folder = tmp_path_factory.mktemp("received")
    mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:3",
        scorer="cosine-cubed",
        concepts="phantom",
        maps=1,
        calibration={"draws": 20},
        device="cpu",
        output=folder / "run",
        progress=False,
    )
    outside = folder / "outside"
    shutil.copytree(folder / "run", outside / "run")
    (outside / "images").mkdir()
    for number in range(3):
        PIL.Image.fromarray(np.full((8, 8), number, dtype=np.uint8)).save(outside / "images" / f"{number}.png")
    (outside / "words.txt").write_text("mass\ncyst\n")
    code = f"import pathlib\npathlib.Path({str(outside / 'ran')!r}).touch()\ndef run(*a): return a[0].T @ a[1]\n"
    (outside / "evil.py").write_text(code)
    return folder


@pytest.fixture
def received(place: Path) -> Iterator[Path]:
    """Return a copy of the run, to be edited."""
    copy = place / "received"
    shutil.copytree(place / "run", copy)
    yield copy
    shutil.rmtree(copy)


def tried(verb: Callable[[], object]) -> str:
    """Return what a verb refuses; nothing but an error of mcd's may be raised."""
    try:
        verb()
    except MCDError as error:
        return f"{error.message}\n{error.hint}"
    return ""


@pytest.mark.parametrize("edit", EDITS)
def test_a_report_reads_and_runs_nothing_else(place: Path, received: Path, tmp_path: Path, edit: str) -> None:
    EDITS[edit](received, place / "outside")
    (place / "outside" / "ran").unlink(missing_ok=True)
    page = {"plugin": "html", "options": {"thumbnails": "true"}}
    with nothing_read_in(place / "outside"):
        tried(lambda: verify(received))
        said = tried(lambda: mcd.report(received, reporters=page, output=tmp_path / "out"))
    if not any(word in edit for word in ("link", "pipe", "key", "digest")):
        assert said == ""  # a report never needs it
        assert (tmp_path / "out" / "explorer.html").is_file()


@pytest.mark.parametrize("edit", [name if name in NEEDS_TRUST else pytest.param(name, marks=SLOW) for name in EDITS])
def test_scoring_anew_reads_and_runs_nothing_else(place: Path, received: Path, tmp_path: Path, edit: str) -> None:
    EDITS[edit](received, place / "outside")
    with nothing_read_in(place / "outside"):
        for settings in ({"calibration": {"draws": 0}}, {"concepts": ["mass", "no mass at all"]}):
            tried(lambda s=settings: mcd.score(received, output=tmp_path / "out", progress=False, **s))


@pytest.mark.parametrize("edit", [name if name in NEEDS_TRUST else pytest.param(name, marks=SLOW) for name in EDITS])
def test_comparisons_and_figures_read_and_run_nothing_else(place: Path, received: Path, edit: str) -> None:
    EDITS[edit](received, place / "outside")

    def drawn() -> None:
        data = mcd.figures.collect([mcd.load(received)])
        mcd.figures.top_images(data, [("head", 0)], copy_images=True)

    with nothing_read_in(place / "outside"):
        compared = tried(lambda: mcd.compare([received, place / "run"], resamples=0))
        figures = tried(drawn)
    if edit in NEEDS_TRUST:
        assert "--trust" in compared
        assert "--trust" in figures


def test_every_command_that_reads_runs_takes_trust_on_its_own_line(
    place: Path, received: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    EDITS["a scorer in a file"](received, place / "outside")
    mark = place / "outside" / "ran"
    mark.unlink(missing_ok=True)
    commands = {
        "score": ("score", received, "--draws", "0", "-o", tmp_path / "scored"),
        "figures": ("figures", received, "-o", tmp_path / "figures"),
        "compare": ("compare", received, place / "run"),
    }
    for arguments in commands.values():
        done = mcd_command(*arguments)
        assert (done.code, mark.exists()) == (4, False), done.err
        assert "hint: if you trust this run: --trust" in done.err
    done = mcd_command("report", received, "-o", tmp_path / "out")
    assert (done.code, mark.exists()) == (0, False), done.err
    assert mcd_command("report", received, "-o", tmp_path / "out", "--trust").code == 0
    mark.unlink(missing_ok=True)
    done = mcd_command(*commands["score"], "--trust")
    assert mark.exists(), done.err


def test_a_scoring_reads_the_run_that_it_lies_in_or_that_is_named_beside_it(place: Path, tmp_path: Path) -> None:
    run = place / "run"
    inside = mcd.score(run, scorer="cosine", calibration={"draws": 0}, progress=False).folder
    assert mcd.load(inside).image_ids == mcd.load(run).image_ids
    apart = mcd.score(run, scorer="cosine", calibration={"draws": 0}, output=tmp_path / "x", progress=False).folder
    assert "--trust" in tried(lambda: mcd.load(apart).image_ids)
    assert mcd.load(apart, beside=[run]).image_ids == mcd.load(apart, trust=True).image_ids
    assert len(mcd.load(apart).labels) > 0
    shutil.rmtree(run / "scored")


def test_a_vocabulary_in_a_file_is_kept_in_the_run(place: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("mass\ncyst\n")
    found = mcd.score(place / "run", concepts=str(words), output=tmp_path / "x", progress=False)
    words.unlink()
    again = mcd.load(found.folder, beside=[place / "run"])
    assert [one.term for one in mcd.plugins.concepts_of(again).concepts] == ["mass", "cyst"]
    changed(found.folder / "concepts.json", lambda kept: kept["broad_categories"]["uncategorised"].clear())
    assert "concepts.json is not what the run wrote" in tried(lambda: mcd.plugins.concepts_of(again))


def test_the_plan_of_a_study_says_which_code_it_runs(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    (tmp_path / "own.py").write_text("def make(): raise SystemExit(1)\ndef f(a, p): return a.T @ p\n")
    (tmp_path / "study.yaml").write_text(
        "models: module:own.py:make\ndissectors: phantom-clip\ndataset: phantom\nscorer: own.py:f\n"
    )
    planned = mcd_command("run", "study.yaml", "--dry-run", cwd=tmp_path)
    assert planned.code == 0, planned.err
    assert "# model 'module' runs code: own.py:make" in planned.out
    assert "# scorer runs code: own.py:f" in planned.out
    started = mcd_command("run", "study.yaml", cwd=tmp_path)
    assert started.code != 0
    assert "note: model 'module' runs code: own.py:make" in started.err
