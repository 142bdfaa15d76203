"""``mcd reproduce``: every number of the ledger is derived, judged, and falls when a file of it changes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.command_line import Outcome

from mcd_plugins.reproduce.command import _left
from mcd_plugins.reproduce.deriving import derive, verdict_of
from mcd_plugins.reproduce.ledger import Data, Row, _rows_of, ledger

Run = Callable[..., Outcome]
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "reproduced.md"
NUMBERS = st.floats(-1e6, 1e6)


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    return shared / "data" / "published"


@pytest.mark.slow
def test_every_number_is_derived_and_judged_as_the_page_says(mcd_command: Run, published: Path, tmp_path: Path) -> None:
    done = mcd_command("reproduce", "--json", "--data", published, "-o", tmp_path / "page")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [row["id"] for row in rows] == [row.id for row in ledger().rows]
    assert {row["id"]: row["verdict"] for row in rows} == {row.id: row.verdict for row in ledger().rows}
    assert all(isinstance(row["ours"], float) and row["reason"] for row in rows)
    assert (tmp_path / "page" / PAGE.name).read_text() == PAGE.read_text(), "mcd reproduce --data DIR -o docs/reference"


def test_the_ledger_spans_the_field(mcd_command: Run) -> None:
    rows = json.loads(mcd_command("reproduce", "--list", "--json").out)
    assert set(rows[0]) == {"id", "source", "paper", "place", "quantity", "value", "tolerance", "data", "command"}
    assert len(rows) >= 40
    of_papers = Counter(row["paper"] for row in rows if row["source"] == "published")
    assert sum(of_papers.values()) >= 20
    assert len(of_papers) >= 5
    assert max(of_papers.values()) <= 15


@pytest.mark.parametrize("name", sorted(ledger().files))
def test_a_changed_file_flips_what_rests_on_it(published: Path, tmp_path: Path, name: str) -> None:
    rows = [row for row in ledger().rows if name in row.data]
    assert rows, "no number rests on it"
    shutil.copytree(published, tmp_path / "data")
    path = tmp_path / "data" / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    data = Data([tmp_path / "data"], ledger().files)
    assert {derive(row, Data([published], ledger().files)).verdict for row in rows} == {"matches"}
    assert {derive(row, data).verdict for row in rows} == {"wrong"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"layer,unit\n", b"[]", b"{}", b"[1]", b"topk\n1\n"])
@pytest.mark.parametrize("only", ["clip-dissect/distinct", "mammo-sae", "linear-explanations/correlation", "cosy"])
def test_a_broken_file_is_wrong_and_ends_nothing(
    published: Path, tmp_path: Path, mcd_command: Run, only: str, content: bytes
) -> None:
    shutil.copytree(published, tmp_path / "data")
    for path in (tmp_path / "data").glob("*/*"):
        path.chmod(0o644)
        path.write_bytes(content)
    done = mcd_command("reproduce", "--json", "--only", only, "--data", tmp_path / "data")
    assert (done.code, "Traceback" in done.err) == (1, False)
    rows = json.loads(done.out)
    assert {row["verdict"] for row in rows} == {"wrong"}
    assert all(row["ours"] is None and "cannot be derived" in row["reason"] for row in rows)


def test_without_the_files_the_rest_is_derived_and_what_is_left_out_is_said(mcd_command: Run) -> None:
    done = mcd_command("reproduce", "--only", "mammo-clip-dissect")
    assert done.code == 0, done.err
    assert "mammo-clip-dissect/blocks" in done.out
    assert "kept/conv1" not in done.out
    said = " ".join(done.out.split())
    assert "Rows left out of the ledger, for want of files of other people (--data DIR): 6." in said
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--only", "neuron-evil"), 2, "did you mean 'neuron-eval'"),
        (("--only", "cosy"), 2, "for want of files of other people (--data DIR): 8"),
        (("--data", "nowhere"), 2, "is not a folder"),
        (("--data", "."), 4, "15 files of the ledger are in none of the folders"),
    ],
)
def test_wrong_input_is_said(
    mcd_command: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = mcd_command("reproduce", *arguments, cwd=tmp_path)
    assert done.code == code
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


def row(**changes: object) -> Row:
    fields = {"id": "x", "source": "ours", "paper": "cosy", "place": "", "quantity": "", "value": 0.0, "tolerance": 0.0}
    return Row.model_validate({**fields, "derivation": "noise.mean_score", "verdict": "matches", **changes})


def test_everything_that_is_not_installed_is_named() -> None:
    rows = [row(requires="no-such-one"), row(requires="no-such-other"), row(requires="no-such-one")]
    (said,) = _left(rows)
    assert "for want of no-such-one and no-such-other (" in said
    assert said.endswith(": 3.")


def test_a_series_of_rows_shares_what_stands_beside_them() -> None:
    series = {
        "tolerance": 1,
        "settings": {"a": 1},
        "rows": [{"id": "x"}, {"id": "y", "tolerance": 2, "settings": {"b": 2}}],
    }
    assert list(_rows_of(series)) == [
        {"id": "x", "tolerance": 1, "settings": {"a": 1}},
        {"id": "y", "tolerance": 2, "settings": {"a": 1, "b": 2}},
    ]
    assert list(_rows_of({"id": "z"})) == [{"id": "z", "settings": {}}]


@given(value=NUMBERS, tolerance=st.floats(0, 10), ours=NUMBERS, fault=st.none() | NUMBERS)
def test_the_right_derivation_is_asked_first(value: float, tolerance: float, ours: float, fault: float | None) -> None:
    found = verdict_of(row(value=value, tolerance=tolerance), ours, fault)
    right, faulty = (one is not None and abs(one - value) <= tolerance + 1e-12 for one in (ours, fault))
    assert found == ("matches" if right else "artefact" if faulty else "wrong")


def test_what_does_not_match_needs_a_cause() -> None:
    with pytest.raises(ValueError, match="needs its cause"):
        row(verdict="wrong")
    with pytest.raises(ValueError, match="needs its derivation"):
        row(verdict="artefact", cause="it is biased")
