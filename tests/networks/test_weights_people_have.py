"""Weights as people save them: nested, wrapped, in shards, averaged; and hints that help where they cannot be used."""

from __future__ import annotations

import io
import json
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.networks.own_network import State, has, loaded, net, weights
from torch import nn
from torch.nn.utils import parametrizations, prune

from mcd.errors import CheckpointError
from mcd.networks.checkpoints import load_weights, read_checkpoint, read_state_dict


@pytest.mark.parametrize(
    "keys",
    [
        *[("net",), ("network",), ("weights",), ("params",), ("ema",), ("model_state",), ("module",), ("encoder",)],
        *[("backbone",), ("student",), ("state", "net"), ("net", "backbone"), ("a.b",)],
    ],
)
@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod."])
def test_a_state_dict_under_any_name_is_offered_and_taken_as_prefix(
    keys: tuple[str, ...], wrapper: str, tmp_path: Path
) -> None:
    content: object = {f"{wrapper}{name}": value for name, value in weights().items()}
    for key in reversed(keys):
        content = {"epoch": 4, key: content, "optimizer": {"state": {0: {"exp_avg": torch.rand(3)}}}}
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="is no state dict: 'epoch' is of type int") as caught:
        loaded(tmp_path / "w.pth")
    offered = re.search(r"prefix=([^|]+)", caught.value.hint)
    assert offered is not None
    assert offered[1].startswith(".".join(keys))
    for prefix in (offered[1], ".".join(keys)):
        module, said = loaded(tmp_path / "w.pth", prefix=prefix)
        assert has(module, weights())
        assert said == ""


def test_known_names_within_one_another_need_no_prefix(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "state_dict": {"model": weights()}}, tmp_path / "w.pth")
    for prefix in ("", "state_dict.model"):
        assert has(loaded(tmp_path / "w.pth", prefix=prefix)[0], weights())


def test_the_mapping_that_fits_comes_first(tmp_path: Path) -> None:
    other = {f"layer{number}.weight": torch.rand(2) for number in range(40)}
    torch.save({"step": 1, "text": other, "image": {"tower": weights()}}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        loaded(tmp_path / "w.pth")
    assert caught.value.hint.endswith("prefix=image.tower")
    torch.save({"step": 1, "text": other, "image": {"a": torch.rand(1)}}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        loaded(tmp_path / "w.pth")
    assert caught.value.hint.endswith("prefix=text|image")


@pytest.mark.parametrize(
    "wrapped",
    [
        "{0}._orig_mod.{1}",
        "_orig_mod.module.{0}.{1}",
        "module._fsdp_wrapped_module.{0}._fsdp_wrapped_module.{1}",
        "{0}._checkpoint_wrapped_module.{1}",
        "{0}.module.{1}",
        "_forward_module.{0}._original_module.{1}",
    ],
)
@pytest.mark.parametrize("prefix", ["", "model.encoder."])
def test_wrappers_inside_names_are_taken_off(wrapped: str, prefix: str, tmp_path: Path) -> None:
    state = {prefix + wrapped.format(*name.split(".", 1)): value for name, value in weights().items()}
    more = {"model.head.weight": torch.rand(2, 2)} if prefix else {}
    torch.save({"state_dict": {**state, **more}}, tmp_path / "w.pth")
    assert has(loaded(tmp_path / "w.pth", prefix=prefix)[0], weights())


def test_a_network_with_wrappers_takes_plain_names(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = net()

    module = Wrapped()
    save_file(weights(), tmp_path / "w.safetensors")
    load_weights(module, tmp_path / "w.safetensors")
    assert has(module.module, weights())


@pytest.mark.parametrize("name", ["w.npz", "w.pth", "w.safetensors", "one.npy", "one.bin"])
def test_a_file_of_numpy_is_refused_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    arrays = {key: value.numpy() for key, value in weights().items()}
    with (tmp_path / name).open("wb") as file:
        if name.startswith("one"):
            np.save(file, next(iter(arrays.values())))
        else:
            np.savez_compressed(file, **arrays)
    with pytest.raises(CheckpointError, match="holds numpy arrays, not tensors") as caught:
        loaded(tmp_path / name)
    assert "torch.from_numpy" in caught.value.hint


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_plain_pickle_is_named(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps(weights(), protocol=protocol))
    with pytest.raises(CheckpointError, match=r"is a plain pickle|holds Python objects") as caught:
        loaded(tmp_path / "w.pth")
    assert caught.value.hint.startswith("where you trust the file, load it in Python and save its")
    torch.save(weights(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert has(loaded(tmp_path / "old.pth")[0], weights())


@pytest.mark.parametrize("nested", ["", "state_dict", "net"])
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_as_numpy_arrays_are_refused_in_one_sentence(nested: str, zipped: bool, tmp_path: Path) -> None:
    arrays = {name: value.numpy() for name, value in weights().items()}
    content = {nested: arrays, "epoch": 3} if nested else arrays
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"holds numpy arrays.*, not tensors") as caught:
        loaded(tmp_path / "w.pth")
    assert "torch.from_numpy" in caught.value.hint
    torch.save(
        {"net": weights(), "losses": next(iter(arrays.values()))}, tmp_path / "beside.pth"
    )  # beside weights: no matter
    with pytest.raises(CheckpointError, match="is no state dict") as caught:
        loaded(tmp_path / "beside.pth")
    assert "prefix=net" in caught.value.hint


def test_a_second_set_of_weights_is_said(tmp_path: Path) -> None:
    state, best = weights(), weights(seed=2)
    torch.save(
        {"epoch": 3, "model": {f"module.{key}": one for key, one in state.items()}, "best": best}, tmp_path / "w.pth"
    )
    module, said = loaded(tmp_path / "w.pth")
    assert has(module, state)
    assert said == "the checkpoint also holds such weights elsewhere; prefix=best takes them"
    for prefix, expected in (("best", best), ("model", state)):
        module, said = loaded(tmp_path / "w.pth", prefix=prefix)
        assert has(module, expected)
        assert said == ""
    torch.save({"state_dict": state, "model": state, "text": {"weight": torch.rand(3)}}, tmp_path / "once.pth")
    assert loaded(tmp_path / "once.pth")[1] == ""


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ((".metadata", "__0_0.distcp"), "format_utils dcp_to_torch"),
        (("zero_to_fp32.py",), "zero_to_fp32.py . weights.pth"),
    ],
)
def test_checkpoints_in_parts_of_other_makers_say_how_to_join_them(
    files: tuple[str, ...], hint: str, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    with pytest.raises(CheckpointError, match="in parts") as caught:
        read_state_dict(tmp_path)
    assert hint in caught.value.hint


def test_counters_and_indices_need_no_place(tmp_path: Path) -> None:
    class Indexed(nn.Module):
        def __init__(self, kind: torch.dtype = torch.int64) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3))
            self.register_buffer("position_ids", torch.arange(3, dtype=kind))

    state = {"weight": torch.rand(3)}
    extra = {
        "relative_position_index": torch.arange(9),
        "total_ops": torch.zeros(1, dtype=torch.float64),
        "n_averaged": torch.tensor(3),
        "0.attn_mask": torch.full((2, 2), float("-inf")),
        "position_ids": torch.arange(5)[None],
    }
    for held in ({**state, **extra}, state):
        module = Indexed()
        torch.save(held, tmp_path / "w.pth")
        load_weights(module, tmp_path / "w.pth")
        assert torch.equal(module.weight, state["weight"])
        assert torch.equal(module.get_buffer("position_ids"), torch.arange(3))
    torch.save({**state, "scale": torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="1 unexpected: scale"):
        load_weights(Indexed(), tmp_path / "w.pth")


@pytest.mark.parametrize("end", [".safetensors", ".bin"])
def test_shards_are_taken_together(end: str, tmp_path: Path) -> None:
    state, names = weights(), [f"model-0000{number}-of-00002{end}" for number in (1, 2)]
    halves = [dict(list(state.items())[:3]), dict(list(state.items())[3:])]
    for name, half in zip(names, halves, strict=True):
        save_file(half, tmp_path / name) if end == ".safetensors" else torch.save(half, tmp_path / name)
    index = {"weight_map": {key: names[number] for number, half in enumerate(halves) for key in half}}
    (tmp_path / f"model{end}.index.json").write_text(json.dumps(index))
    for given in (*names, f"model{end}.index.json"):
        assert has(loaded(tmp_path / given)[0], state)
    (tmp_path / names[1]).unlink()
    for given in (names[0], f"model{end}.index.json"):
        with pytest.raises(CheckpointError, match=f"1 are missing: {names[1]}"):
            loaded(tmp_path / given)
    outside = [json.dumps({"weight_map": {"a": name}}) for name in ("../elsewhere.bin", "", ".", "..", "/x.bin")]
    for wrong in (*outside, "{}", "no"):
        (tmp_path / "wrong.index.json").write_text(wrong)
        with pytest.raises(CheckpointError, match="is no index of weights"):
            read_checkpoint(tmp_path / "wrong.index.json")


def pruned() -> nn.Module:
    module = net()
    prune.l1_unstructured(module.get_submodule("0.0"), "weight", amount=0.5)
    return module


def normed() -> nn.Module:
    module = net()
    parametrizations.weight_norm(module.get_submodule("1.0"))
    return module


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        (pruned().state_dict(), "prune.remove"),
        (normed().state_dict(), "remove_parametrizations"),
        ({**weights(), "0.0.lora_A.default.weight": torch.rand(2, 2)}, "merge_and_unload"),
        ({"fc.lora_A.weight": torch.rand(2, 2), "fc.lora_B.weight": torch.rand(2, 2)}, "merge_and_unload"),
        ({**weights(), "1.0.zero_point": torch.tensor(1)}, "quantised"),
        ({"_flat_param": torch.rand(9)}, "FSDP"),
        ({"vit.embeddings.patch_embeddings.projection.weight": torch.rand(2, 2)}, "transformers:FOLDER"),
        ({"resnet.encoder.stages.0.layers.0.layer.0.convolution.weight": torch.rand(2, 2)}, "transformers:FOLDER"),
        ({"fc.weight_orig": torch.rand(2, 4), "fc.weight_mask": torch.ones(2, 4)}, "prune.remove"),
        ({**weights(), "0.0.weight": torch.rand(4, 3, 3, 3)}, "in_chans=3"),
    ],
)
def test_the_hint_says_how_the_weights_were_saved(state: State, hint: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="does not fit") as caught:
        loaded(tmp_path / "w.pth")
    assert hint in caught.value.hint
    assert "only the head" not in caught.value.hint


def test_a_file_that_was_unpacked_is_called_so(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "b5.tar")
    with zipfile.ZipFile(tmp_path / "b5.tar") as archive:
        archive.extractall(tmp_path / "unpacked")
    with tarfile.open(tmp_path / "again.tar", "w") as made:
        made.add(tmp_path / "unpacked", arcname="b5")
    with tarfile.open(tmp_path / "small.tar", "w:gz") as made:
        made.add(tmp_path / "unpacked" / "b5", arcname=".")
    for name, above in (("zip.pth", "."), ("deep.pth", "x")):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as zipped:
            for one in sorted((tmp_path / "unpacked").rglob("*")):
                if one.is_file():
                    zipped.write(one, Path(above) / one.relative_to(tmp_path / "unpacked"))
    # A zip file laid out as torch does it is one of torch's, compressed or not.
    assert all(torch.equal(one, weights()[name]) for name, one in read_state_dict(tmp_path / "zip.pth").items())
    for name in ("again.tar", "small.tar", "deep.pth"):
        with pytest.raises(CheckpointError, match="unpacked and packed again") as caught:
            read_state_dict(tmp_path / name)
        assert "no archive to unpack" in caught.value.hint
    for name in ("unpacked", "unpacked/b5"):
        with pytest.raises(CheckpointError, match="a weights file that was unpacked"):
            read_state_dict(tmp_path / name)


def test_an_archive_around_a_weights_file_and_a_folder_name_what_is_inside(tmp_path: Path) -> None:
    data = io.BytesIO()
    torch.save(weights(), data)
    with tarfile.open(tmp_path / "around.tar", "w") as made:
        entry = tarfile.TarInfo("run/best.pth")
        entry.size = len(data.getvalue())
        made.addfile(entry, io.BytesIO(data.getvalue()))
    with pytest.raises(CheckpointError, match=r"is an archive with run/best\.pth in it"):
        read_state_dict(tmp_path / "around.tar")
    (tmp_path / "w.tar.gz").write_bytes(b"\x1f\x8b00")
    with pytest.raises(CheckpointError, match="is an archive") as caught:
        read_state_dict(tmp_path / "w.tar.gz")
    assert "unpack it" in caught.value.hint
    with pytest.raises(CheckpointError, match="is a folder") as caught:
        read_state_dict(tmp_path)
    assert "around.tar" in caught.value.hint
