"""Foreign objects in a checkpoint are read as plain data; what would act is refused; neither is imported."""

from __future__ import annotations

import argparse
import builtins
import collections
import importlib
import pathlib
import pickle
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.plugins.mammo_clip.conftest import released

from mcd.errors import CheckpointError
from mcd.networks.checkpoints import read_checkpoint, read_state_dict
from mcd.networks.unpickling import Foreign

WEIGHT = torch.arange(6.0).reshape(2, 3)


def mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def test_omegaconfs_lists_become_lists_and_nothing_is_imported(tmp_path: Path) -> None:
    path = released({"weight": WEIGHT}, tmp_path / "a.tar", encoder="x")
    content = mapping(read_checkpoint(path))
    transform = mapping(mapping(content["config"])["transform"])
    assert mapping(transform["train"])["affine_scale"] == [0.8, 1.2]
    assert mapping(mapping(content["config"])["model"])["temperature"] == 0.07
    assert content["epoch"] == 7
    assert torch.equal(read_state_dict(path)["weight"], WEIGHT)
    assert "omegaconf" not in sys.modules


class Subclassed(dict):
    pass


class Listed(list):
    pass


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_of_many_kinds_do_not_keep_the_tensors_from_being_read(protocol: int, tmp_path: Path) -> None:
    counts = collections.defaultdict(list, a=[1])
    others = {
        "array": np.arange(3.0),
        "objects": np.array([None, "x"], dtype=object),
        "number": np.float32(2),
        "counts": counts,
        "path": pathlib.PurePosixPath("/x/y"),
        "arguments": argparse.Namespace(lr=0.1),
        "mapped": Subclassed(a=1),
        "listed": Listed([1, 2]),
        "set": {1, 2},
        "bytes": b"\xff",
        "type": int,
        "size": WEIGHT.shape,
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "complex": 1j,
        "parameter": torch.nn.Parameter(WEIGHT),
    }
    torch.save({"model": {"weight": WEIGHT}, **others}, tmp_path / "a.pth", pickle_protocol=protocol)
    content = mapping(read_checkpoint(tmp_path / "a.pth"))
    assert torch.equal(read_state_dict(tmp_path / "a.pth")["weight"], WEIGHT)
    assert content["counts"] == {"a": [1]}
    assert (content["bytes"], content["set"], content["type"]) == (b"\xff", {1, 2}, int)
    arguments = content["arguments"]
    assert isinstance(arguments, Foreign)
    assert (arguments.class_name, arguments.state) == ("argparse.Namespace", {"lr": 0.1})
    assert isinstance(content["array"], Foreign)


class Call:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1",)),
        (exec, ("raise SystemExit",)),
        (builtins.getattr, (1, "real")),
        (importlib.import_module, ("this",)),
        (subprocess.Popen, ("touch boom",)),
        (subprocess.check_call, ("touch boom",)),
        (pickle.loads, (b"",)),
        (torch.load, ("boom",)),
        (torch.hub.load, ("a", "b")),
        (np.load, ("boom",)),
        (types.SimpleNamespace, ()),
    ],
)
def test_what_would_act_is_refused_by_name(
    function: Callable[..., object], arguments: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"weight": WEIGHT}, "hook": Call(function, *arguments)}, tmp_path / "a.pth")
    if function is types.SimpleNamespace:  # a class, and kept as an inert record
        assert isinstance(mapping(read_checkpoint(tmp_path / "a.pth"))["hook"], Foreign)
        return
    with pytest.raises(CheckpointError, match=rf"holds Python objects \(.*{function.__name__}\), which mcd never"):
        read_checkpoint(tmp_path / "a.pth")
    assert not (tmp_path / "boom").exists()


def test_a_pickle_cannot_change_the_functions_it_may_call(tmp_path: Path) -> None:
    torch.save({"weight": WEIGHT, "x": Listed([1])}, tmp_path / "a.pth")
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    changing = b"\x80\x02" + rebuild + b"N}X\x0c\x00\x00\x00__defaults__(K\x01ts\x86b."  # BUILD with attributes
    with zipfile.ZipFile(tmp_path / "a.pth") as old, zipfile.ZipFile(tmp_path / "b.pth", "w") as new:
        for name in old.namelist():
            new.writestr(name, changing if name.endswith("data.pkl") else old.read(name))
    before = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises(CheckpointError, match=r"cannot be read|which mcd never executes|no weights file"):
        read_checkpoint(tmp_path / "b.pth")
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_a_whole_pickled_network_is_refused_as_such(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(CheckpointError, match=r"holds Python objects \(torch.nn.modules.linear.Linear\)"):
        read_state_dict(tmp_path / "whole.pth")


def test_the_old_form_is_read_only_where_it_holds_tensors_alone(tmp_path: Path) -> None:
    torch.save({"weight": WEIGHT}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_state_dict(tmp_path / "old.pth")["weight"], WEIGHT)
    torch.save({"weight": WEIGHT, "x": Call(eval, "1")}, tmp_path / "bad.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="which mcd never executes"):
        read_state_dict(tmp_path / "bad.pth")


def test_something_nested_without_end_is_refused(tmp_path: Path) -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    torch.save(loop, tmp_path / "loop.pth")
    with pytest.raises(CheckpointError, match="nested without end"):
        read_checkpoint(tmp_path / "loop.pth")
