"""CSV for spreadsheets: no cell runs, numbers stay numbers, and the text can be had back."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.api.dataset import Sample, Unreadable
from mcd.extraction.probe import ProbeSet
from mcd.extraction.probe_map import parse_probe_map, write_probe_map
from mcd.plugins import csv_bytes, unguarded
from mcd.scoring.results import Results
from mcd.study.csv_cells import guarded

FORMULAS = (
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    "-",
    "=",
    "'=1+1",
    "mass;=1+1",
    "a;'=1",
    "a\tb\n@x",
)
NUMBERS = ("-0.5", "+3", "-1e-05", "-.5", "1", "-3.")
BEGIN = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


@given(st.text(alphabet="'=+-@;\t\r\n 019.eaß\uff1d"))
def test_any_text_comes_back_and_only_numbers_begin_like_formulas(text: str) -> None:
    assert unguarded(guarded(text)) == text
    if guarded(text).startswith(BEGIN):
        assert float(text) == float(guarded(text))
    for cell in re.split("[;\t\r\n]", guarded(text))[1:]:  # of a spreadsheet with another separator
        assert not cell.startswith(BEGIN) or float(cell) is not None


def test_of_a_table_texts_are_guarded_and_numbers_left(tmp_path: Path) -> None:
    count = len(FORMULAS) + len(NUMBERS) + 1
    table = pd.DataFrame(
        {
            "concept": [*FORMULAS, *NUMBERS, None],
            "score": [-1.5] * count,
            "=also": ["mass"] * count,
            "kind": pd.Categorical(["-x"] * count),
        }
    )
    Results(table).write(tmp_path)
    header, *rows = csv.reader(io.StringIO((tmp_path / "labels.csv").read_bytes().decode(), newline=""))
    assert header == ["concept", "score", "'=also", "kind"]
    assert not any(row[0].startswith(BEGIN) for row in rows[: len(FORMULAS)])
    assert [unguarded(row[0]) for row in rows] == [*FORMULAS, *NUMBERS, ""]
    assert [row[0] for row in rows[len(FORMULAS) : -1]] == list(NUMBERS)
    assert {row[1] for row in rows} == {"-1.5"}
    assert {row[3] for row in rows} == {"'-x"}
    assert pd.read_parquet(tmp_path / "labels.parquet")["concept"].tolist() == table["concept"].tolist()
    assert csv_bytes(pd.DataFrame({"a": ["x\r=1"], "b": [-1]})) == b'"a","b"\n"x\r\'=1",-1\n'  # no row of its own
    assert csv_bytes(pd.DataFrame({"a": [1, -2]})) == b"a\n1\n-2\n"


@pytest.mark.parametrize("text", FORMULAS)
def test_a_probe_map_is_read_as_it_was_meant(tmp_path: Path, text: str) -> None:
    one = Sample(id=text, source=text, patient=text, labels={text: text})
    probe = ProbeSet((one,), (text,), (Unreadable(text, text),))
    write_probe_map(tmp_path / "map.csv", probe, {})
    data = (tmp_path / "map.csv").read_bytes()
    cells = [cell for row in csv.reader(io.StringIO(data.decode(), newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(BEGIN)]
    first, left_out = parse_probe_map(data)
    assert [first[name] for name in ("id", "source", "patient")] == [text] * 3
    assert first["own_id"] == one.id  # of which control characters are shown
    assert left_out["source"] == left_out["left_out"] == text
