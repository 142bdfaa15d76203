"""Weights files: whole and plain, or one clear message; nothing in them is ever executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mcd.errors import CheckpointError
from mcd.networks.checkpoints import load_weights, read_state_dict


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def weights() -> dict[str, torch.Tensor]:
    return {name: torch.rand_like(value.float()).to(value.dtype) for name, value in net().state_dict().items()}


@pytest.mark.parametrize("form", ["safetensors", "plain", "state_dict", "model", "module."])
def test_every_common_form_is_loaded(form: str, tmp_path: Path) -> None:
    state, module = weights(), net()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "module.":
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    else:
        torch.save(state if form == "plain" else {"epoch": 3, form: state}, path)
    load_weights(module, path)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, state[name])


def test_weights_that_do_not_fit_are_listed_and_change_nothing(tmp_path: Path) -> None:
    state, module = weights(), net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    del state["1.weight"]
    state["extra.weight"] = torch.rand(2)
    state["2.weight"] = torch.rand(7, 4, 1, 1)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, tmp_path / "w.safetensors")
    message = caught.value.message
    assert "1 missing: 1.weight" in message
    assert "1 unexpected: extra.weight" in message
    assert "2.weight is 7×4×1×1 in the file, 2×4×1×1 in the network" in message
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    torch.save({"state_dict": weights(), "hook": Bomb(tmp_path / "boom")}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"holds Python objects \(\w+\.system\), which mcd never executes"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pth", b"", "is empty"),
        ("w.pth", b"<!DOCTYPE html><html>404</html>", "is a web page"),
        ("w.pth", b"PK\x03\x04 cut short", "cannot be read as weights, it is cut short or damaged"),
        ("w.pth", b"\x80\x02 cut short", "it is cut short or damaged|no weights file"),
        ("w.pth", b"anything else", "is no file that torch.save wrote, whatever its name says"),
        ("w.pth", bytes(range(101, 256)), "is no file that torch.save wrote, whatever its name says"),
        ("w.pth", b"\x40" + bytes(7) + b'{"w":{"dtype":"F32"}}', "is a safetensors file by its content"),
        ("w.safetensors", b"anything else", "no whole safetensors file"),
    ],
)
def test_what_is_no_weights_file_is_told_apart(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(tmp_path / name)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError):
        read_state_dict(tmp_path / "w.pth")


def test_other_contents_and_places_are_named(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"a": torch.rand(1), "lr": 0.1}, tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match="holds list"):
        read_state_dict(tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="'lr' is of type float"):
        read_state_dict(tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match="does not exist"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_state_dict(tmp_path)


def test_a_wrapped_network_is_found_by_what_all_names_begin_with_or_by_its_prefix(tmp_path: Path) -> None:
    state, module = weights(), net()
    torch.save({"state_dict": {f"model.backbone.{name}": one for name, one in state.items()}}, tmp_path / "all.ckpt")
    load_weights(module, tmp_path / "all.ckpt")
    torch.testing.assert_close(module.state_dict()["0.weight"], state["0.weight"])
    more = {f"model.{name}": one for name, one in state.items()} | {"head.weight": torch.rand(2, 2)}
    torch.save(more, tmp_path / "more.ckpt")
    with pytest.raises(CheckpointError) as caught:
        load_weights(net(), tmp_path / "more.ckpt")
    assert caught.value.hint.endswith("prefix=model")
    for prefix in ("model", "model."):
        again = net()
        load_weights(again, tmp_path / "more.ckpt", prefix=prefix)
        torch.testing.assert_close(again.state_dict()["0.weight"], state["0.weight"])
    with pytest.raises(CheckpointError, match=r"no tensors under 'modle\.'"):
        load_weights(net(), tmp_path / "more.ckpt", prefix="modle")


@pytest.mark.parametrize("prefix", ["", "model", "model.head", "model.bckbone", "backbone"])
def test_where_the_network_lies_in_a_checkpoint_is_offered_in_full(prefix: str, tmp_path: Path) -> None:
    inside = {f"model.backbone.{name}": one for name, one in weights().items()}
    torch.save({"state_dict": {**inside, "model.head.weight": torch.rand(2, 2)}}, tmp_path / "w.ckpt")
    with pytest.raises(CheckpointError) as caught:
        load_weights(net(), tmp_path / "w.ckpt", prefix=prefix)
    assert caught.value.hint.endswith("prefix=model.backbone")
    load_weights(net(), tmp_path / "w.ckpt", prefix="model.backbone")


def test_another_architecture_is_told_where_the_names_part(tmp_path: Path) -> None:
    torch.save({"model.trunk.stem.weight": torch.rand(2), "model.head.weight": torch.rand(2)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        load_weights(net(), tmp_path / "w.pth")
    assert "prefix=model.head|model.trunk" in caught.value.hint
    with pytest.raises(CheckpointError) as caught:
        load_weights(net(), tmp_path / "w.pth", prefix="model.trnk")
    assert "did you mean 'model.trunk'" in caught.value.hint


def test_another_head_is_no_matter_of_prefixes(tmp_path: Path) -> None:
    """Even where a second network of the file would fit as well."""
    state = {f"{at}.{name}": one for at in ("student", "teacher") for name, one in weights().items()}
    del state["student.2.bias"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"1 missing: 2\.bias") as caught:
        load_weights(net(), tmp_path / "w.pth", prefix="student")
    assert "prefix" not in caught.value.hint


@pytest.mark.parametrize(("name", "value"), [("2.weight", "NaN"), ("1.bias", "infinity"), ("1.running_var", "NaN")])
def test_weights_that_are_no_numbers_are_refused_by_name(name: str, value: str, tmp_path: Path) -> None:
    state, module = weights(), net()
    before = {one: tensor.clone() for one, tensor in module.state_dict().items()}
    state[name].view(-1)[1] = float("nan" if value == "NaN" else "inf")
    state["2.bias"][0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, tmp_path / "w.pth")
    assert f"{name} has {value} among its values, as have 1 other tensors" in caught.value.message
    assert all(torch.equal(tensor, before[one]) for one, tensor in module.state_dict().items())


def test_infinity_in_a_buffer_is_a_mask(tmp_path: Path) -> None:
    module = net()
    module.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    torch.save(module.state_dict(), tmp_path / "w.pth")
    load_weights(module, tmp_path / "w.pth")
