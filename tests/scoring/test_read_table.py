"""Tables of a run folder that no run has written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcd.errors import StoreError
from mcd.scoring.results import read_table
from mcd.study.digests import CheckedFiles


def test_a_table_of_texts_that_are_no_utf8_is_damaged(tmp_path: Path) -> None:
    for name, text in (("whole", b"mass"), ("broken", b"ma\xffs")):
        offsets, data = pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(text)
        column = pa.Array.from_buffers(pa.string(), 1, [None, offsets, data])
        pq.write_table(pa.table({"concept": column}), tmp_path / f"{name}.parquet")
    assert read_table(CheckedFiles(tmp_path, {}), "whole.parquet", 5)["concept"].tolist() == ["mass"]
    with pytest.raises(StoreError, match=r"broken\.parquet is damaged: it is no table"):
        read_table(CheckedFiles(tmp_path, {}), "broken.parquet", 5)
