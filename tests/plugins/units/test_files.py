"""Files of units that are none: one message that says what is wrong, before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.plugins.units.unit_files import directions_file, written

import mcd
from mcd.errors import DataError
from mcd_plugins.units.directions import Directions

NAN = torch.tensor([[1.0, torch.nan], [0, 1]])


def loaded(path: Path) -> mcd.Units:
    return Directions(Directions.Options(file=path)).load()


def test_what_a_file_says_of_its_units_is_read(tmp_path: Path) -> None:
    units = loaded(directions_file(tmp_path))
    assert (units.name, units.channels, units.units, units.layer) == ("drawn", 5, 7, "conv")
    named = written(tmp_path / "named.safetensors", {"directions": torch.eye(2)}, names='["mass", "cyst"]', by="me")
    assert loaded(named).names == ("mass", "cyst")


@pytest.mark.parametrize(
    ("tensors", "about", "said"),
    [
        ({"directions": NAN}, {}, "tensor 'directions' holds NaN or infinity"),
        ({"directions": torch.tensor([[1.0, 2], [0, 0]])}, {}, "row 1 of 'directions' has length zero"),
        ({"vectors": torch.eye(2)}, {}, "has no tensor 'directions'; its tensors are: vectors"),
        (
            {"directions": torch.eye(2), "decoder": torch.eye(2)},
            {},
            "has a tensor 'decoder', which is none of this kind",
        ),
        ({"directions": torch.eye(2), "bias": torch.ones(3)}, {}, "'bias' is of 3 units, another tensor of 2"),
        ({"directions": torch.ones(3)}, {}, r"'directions' is torch.float32 of shape \(3,\)"),
        ({"directions": torch.eye(2, dtype=torch.int64)}, {}, "'directions' is torch.int64"),
        ({"directions": torch.empty(0, 4)}, {}, r"'directions' of shape \(0, 4\) is empty"),
        ({"directions": torch.eye(2)}, {"names": '["one"]'}, "has 1 names for 2 units"),
        ({"directions": torch.eye(2)}, {"names": "one, two"}, "its metadata 'names' cannot be read"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tensors: dict[str, torch.Tensor], about: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        loaded(written(tmp_path / "units.safetensors", tensors, **about))


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "units.safetensors"
    torch.save({"directions": torch.eye(2)}, path)
    with pytest.raises(DataError, match=r"is a pickle, as torch\.save writes it: no units are read from one"):
        loaded(path)
    for data, said in ((b"", "is empty"), (b"directions", "is no whole safetensors file")):
        path.write_bytes(data)
        with pytest.raises(DataError, match=said):
            loaded(path)
    with pytest.raises(DataError, match="there is no file"):
        loaded(tmp_path)
