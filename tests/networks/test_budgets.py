"""A small weights file does not take much memory or time; a file that is as torch writes it is read as before."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from random import Random

import pytest
import torch
from tests.hostile.pickles import Pickles
from tests.hostile.watching import Canary

from mcd.errors import CheckpointError
from mcd.networks.checkpoints import read_checkpoint, read_state_dict
from mcd.networks.scanning import scan


@pytest.fixture(scope="module")
def pickles(tmp_path_factory: pytest.TempPathFactory) -> Pickles:
    folder = tmp_path_factory.mktemp("pickles")
    return Pickles(folder, Canary(folder / "canary"))


@pytest.mark.parametrize("where", ["bare", "in a zip"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("endless: shared tuples as a key", "nested without end"),
        ("endless: shared dicts", "nested without end"),
        ("endless: memo far out", "a memo far larger"),
        ("endless: many zeros in an array", "bytes that are made of a number"),
        ("endless: bytes of great length", "cut short|no file that torch.save"),
        ("misfits: a tensor beyond the bytes of its storage", "larger than their bytes"),
        ("misfits: a tensor of one number many times", "repeated, not stored|no file that torch.save|safely|damaged"),
    ],
)
def test_small_files_that_take_much_are_refused(
    where: str, name: str, said: str, pickles: Pickles, tmp_path: Path
) -> None:
    kind, _, which = name.partition(": ")
    path = pickles.generators[f"{kind}, {where}: {which}"](Random(3), tmp_path)
    with pytest.raises(CheckpointError, match=said):
        read_state_dict(path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    for name in ("a.pth", "a.safetensors", "model.safetensors.index.json"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(CheckpointError, match="is no file"):
            read_state_dict(tmp_path / name)


def test_what_is_shared_is_no_reason(tmp_path: Path) -> None:
    weight = torch.zeros(3)
    torch.save({"weight": weight, "twin": weight}, tmp_path / "a.pth")
    assert set(read_state_dict(tmp_path / "a.pth")) == {"weight", "twin"}
    torch.save({"model": {"weight": weight}, "epochs": [{"lr": 0.1, "loss": [1.0] * 50}] * 500}, tmp_path / "b.pth")
    assert set(read_state_dict(tmp_path / "b.pth")) == {"weight"}
    torch.save({"weight": weight}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert isinstance(read_checkpoint(tmp_path / "old.pth"), dict)


def test_the_storages_that_a_pickle_asks_for_are_known_before_it_is_read() -> None:
    file = io.BytesIO()
    torch.save({"a": torch.zeros(6, dtype=torch.float64), "b": torch.zeros(5, dtype=torch.uint8)}, file)
    with zipfile.ZipFile(file) as archive:
        data = archive.read("archive/data.pkl")
        held = {name: archive.getinfo(f"archive/data/{name}").file_size for name in ("0", "1")}
    assert {one.key: one.bytes for one in scan(io.BytesIO(data), len(data))} == held
