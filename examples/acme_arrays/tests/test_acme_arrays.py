"""What must hold of acme-arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from acme_arrays.dataset import ArraysDataset

from mcd.errors import DataError
from mcd.testing import assert_light, check_dataset


def written(folder: Path, table: str) -> ArraysDataset:
    """Return the data set of three drawn images and a table."""
    np.save(folder / "images.npy", np.random.default_rng(0).integers(0, 256, size=(3, 20, 10), dtype=np.uint8))
    (folder / "table.csv").write_text(table, encoding="utf-8")
    return ArraysDataset(ArraysDataset.Options(root=folder))


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_arrays")


def test_images_have_ids_of_their_own_and_can_be_read(tmp_path: Path) -> None:
    check_dataset(written(tmp_path, "id,patient,laterality,mass\na,1,L,1\nb,1,R,0\nc,2,L,\n"))


def test_what_is_left_empty_is_not_known(tmp_path: Path) -> None:
    found = written(tmp_path, "id,patient,mass\na,1,1\nb,1,0\nc,2,\n").scan()
    assert [dict(sample.findings) for sample in found] == [{"mass": True}, {"mass": False}, {}]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("id,mass\na,1\nb,yes\nc,0\n", "line 3: a finding is 'yes'"),
        ("id\na\nb\n", "has 2 rows, and images.npy 3 images"),
        ("name\na\nb\nc\n", "has no rows with an id"),
    ],
)
def test_a_table_that_is_not_in_order_is_refused(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        list(written(tmp_path, table).scan())
