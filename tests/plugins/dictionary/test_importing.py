"""Dictionaries that other tools saved: the same latents, or one message before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tests.conftest import Outcome
from tests.plugins.dictionary.saved_files import (
    LENS,
    LINEAR,
    OVER,
    SAVED,
    VALUES,
    SavedAs,
    drawn,
    lens,
    trainer,
    write_saved,
)
from torch import nn

import mcd
from mcd_plugins.dictionary.importing.formats import FORMATS
from mcd_plugins.units.dictionary import Dictionary

Command = Callable[..., Outcome]


def loaded(file: Path) -> mcd.Units:
    return Dictionary(Dictionary.Options(file=file)).load()


@pytest.mark.parametrize("saved", SAVED.values(), ids=SAVED)
def test_latents_are_those_of_the_tool(saved: SavedAs, mcd_command: Command, tmp_path: Path) -> None:
    file = write_saved(tmp_path, saved.tensors, saved.settings)
    done = mcd_command("dictionary", "import", file.name, "-o", "own.safetensors", *saved.flags, cwd=tmp_path)
    assert done.code == 0, done.err
    units = loaded(tmp_path / "own.safetensors")
    torch.testing.assert_close(units.module(VALUES), saved.expected, rtol=1e-4, atol=1e-5)
    assert (saved.expected > 0).any()
    assert (units.fitted, units.layer) == (frozenset(), "")
    assert "unknown images" in units.facts["fitted on"]
    assert max(map(len, done.out.splitlines()[:-1])) <= 80


def test_the_folder_that_a_tool_wrote_is_read_and_the_layer_is_kept(mcd_command: Command, tmp_path: Path) -> None:
    for number, name in enumerate(("topk", "BatchTopKSAE")):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_saved(folder, SAVED[name].tensors, SAVED[name].settings)
        out = tmp_path / f"{number}.safetensors"
        done = mcd_command("dictionary", "import", folder, "--layer", "conv", "-o", out)
        assert done.code == 0, done.err
        assert loaded(out).layer == "conv"
        assert loaded(out).facts["kind"] == ("TopK, k 2", "BatchTopKSAE, threshold 0.7")[number]
        said = ("blocks.1.hook_resid_post", "resid_post_layer_8")[number]
        assert loaded(out).facts["made for"] == f"{said}, as the tool calls it"


def test_the_same_file_makes_the_same_bytes(mcd_command: Command, tmp_path: Path) -> None:
    file = write_saved(tmp_path, SAVED["Mammo-SAE"].tensors)
    for name in ("a", "b"):
        assert mcd_command("dictionary", "import", file, "-o", tmp_path / f"{name}.safetensors").code == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_factors_become_codes_that_are_not_negative(mcd_command: Command, tmp_path: Path) -> None:
    rows = drawn(2, 3).abs()
    file = write_saved(tmp_path, {"D": rows}, named="nmf.pt")
    assert mcd_command("dictionary", "import", file, "-o", tmp_path / "nmf.safetensors").code == 0
    codes = drawn(50, 2, seed=1).abs()
    found = loaded(tmp_path / "nmf.safetensors").module(codes @ rows)
    torch.testing.assert_close(found, codes, rtol=1e-3, atol=1e-3)


def test_latents_of_length_zero_keep_their_numbers_and_are_counted(mcd_command: Command, tmp_path: Path) -> None:
    tensors = {name: one.clone() for name, one in LINEAR.items()} | {"bias": drawn(3)}
    tensors["decoder.weight"][:, 1] = 0
    tensors["encoder.weight"][3] = 0
    file = write_saved(tmp_path, tensors)
    done = mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors")
    assert done.code == 0, done.err
    assert "2, which never respond" in done.out
    responding = loaded(tmp_path / "own.safetensors").module(VALUES).amax(dim=0) > 0
    assert responding.tolist() == [True, False, True, False]


def test_half_and_double_precision_become_single(mcd_command: Command, tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float64):
        file = write_saved(tmp_path, {name: one.to(dtype) for name, one in LENS.items()}, lens("standard"))
        assert mcd_command("dictionary", "import", file, "-o", tmp_path / f"{dtype}.safetensors").code == 0
        assert {one.dtype for one in load_file(tmp_path / f"{dtype}.safetensors").values()} == {torch.float32}


def test_tensors_beside_those_that_are_read_count_for_nothing(mcd_command: Command, tmp_path: Path) -> None:
    saved = SAVED["Mammo-SAE"]
    file = write_saved(tmp_path, {**saved.tensors, "times_fired": torch.zeros(7, 4), "step": torch.tensor(3)})
    done = mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors")
    assert done.code == 0, done.err
    torch.testing.assert_close(
        loaded(tmp_path / "own.safetensors").module(VALUES), saved.expected, rtol=1e-4, atol=1e-5
    )


def test_a_threshold_that_was_never_set_is_asked_for(mcd_command: Command, tmp_path: Path) -> None:
    for name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        saved = SAVED[name]
        file = write_saved(tmp_path, {**saved.tensors, "threshold": torch.tensor(-1.0)}, trainer(name))
        asked = ("dictionary", "import", file, "-o", tmp_path / f"{name}.safetensors")
        assert "or say it: --threshold X" in mcd_command(*asked).err
        done = mcd_command(*asked, "--threshold", "0.7")
        assert done.code == 0, done.err
        found = loaded(tmp_path / f"{name}.safetensors").module(VALUES)
        torch.testing.assert_close(found, saved.expected, rtol=1e-4, atol=1e-5)


def without(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key: one for key, one in tensors.items() if key != name}


NAN = torch.full((4,), torch.nan)
TOPK = SAVED["AutoEncoderTopK"].tensors


@pytest.mark.parametrize(
    ("tensors", "settings", "flags", "code", "said"),
    [
        (
            {"weight": torch.ones(2, 2)},
            None,
            (),
            4,
            "no dictionary of a format that mcd knows; its tensors are: weight",
        ),
        ({"decoder": torch.ones(2, 2)}, None, (), 2, "is a dictionary of mcd already"),
        (OVER, None, (), 2, "does not say which latents respond"),
        (OVER, None, ("--activation", "topk"), 2, "does not say which latents respond"),
        (OVER, None, ("--activation", "topk", "--k", 5), 4, "k 5 of 4 latents"),
        (OVER, None, ("--activation", "relu", "--k", 2), 2, "--k has no part"),
        (OVER, None, ("--format", "saelens"), 2, "is of format overcomplete, not saelens"),
        (without(OVER, "encoder.final_block.0.weight"), None, (), 4, "code by matching pursuit"),
        ({**OVER, "encoder.mlp_blocks.0.0.weight": torch.ones(2)}, None, (), 4, "whose encoder has several layers"),
        ({**OVER, "encoder.final_block.1.weight": torch.ones(4)}, None, (), 4, "ends in layer normalisation"),
        ({**OVER, "Q": torch.ones(4, 2)}, None, (), 4, "a QSAE: its latents are quantised"),
        ({"D": torch.ones(2, 3), "W": torch.ones(2, 9)}, None, (), 4, "ConvexNMF or an ArchetypalAnalysis"),
        (TOPK, None, (), 2, "may be of AutoEncoderTopK or of BatchTopKSAE"),
        (TOPK, None, ("--activation", "topk", "--k", 3), 2, "--k has no part"),
        ({**TOPK, "threshold": torch.tensor(-1.0)}, None, ("--activation", "batchtopk"), 2, "threshold was never set"),
        (without(TOPK, "k"), None, ("--activation", "topk"), 2, "does not say how many latents respond"),
        ({**TOPK, "k": torch.tensor([2, 3])}, None, ("--activation", "topk"), 4, "tensor 'k' is no number"),
        ({**TOPK, "k": torch.tensor(2.5)}, None, ("--activation", "topk"), 4, "k 2.5 is no whole number"),
        (TOPK, trainer("AutoEncoderTopK"), ("--activation", "relu"), 2, "--activation has no part"),
        (TOPK, trainer("BatchTopKSAE"), ("--activation", "topk"), 2, "--activation has no part"),
        (
            TOPK,
            trainer("AutoEncoderTopK", dict_size=8),
            (),
            4,
            "of 4 units, and the settings beside it say dict_size 8",
        ),
        (LENS, lens("standard", d_in=7), (), 4, "of 3 channels, and the settings beside it say d_in 7"),
        (TOPK, {"trainer": {"dict_class": "Mine"}}, (), 4, "is a Mine"),
        (LENS, None, (), 2, "whose cfg.json is not beside it"),
        (LENS, None, ("--format", "saelens"), 4, "no cfg.json of SAELens lies beside it"),
        (LENS, lens("transcoder"), (), 4, "it rebuilds another layer"),
        (LENS, lens("abstopk"), (), 4, "its latents may be negative"),
        (LENS, lens("topk"), (), 4, "cfg.json beside it does not say k"),
        (LENS, lens("standard", k="many"), (), 4, "says something else of 'k'"),
        (LENS, lens("standard", normalize_activations="layer_norm"), (), 4, "over its own deviation"),
        (LENS, lens("standard", normalize_activations="expected_average_only_in"), (), 4, "times a factor"),
        (LENS, lens("standard", activation_fn="tanh-relu"), (), 4, "of activation 'tanh-relu'"),
        ({**LENS, "b_enc": NAN}, lens("standard"), (), 4, "'b_enc' holds NaN or infinity"),
        ({**LENS, "b_enc": torch.ones(5)}, lens("standard"), (), 4, "'b_enc' is of 5 units, another tensor of 4"),
        ({**LENS, "W_dec": torch.zeros(4, 3)}, lens("standard"), (), 4, "all 4 latents have a row of length zero"),
        (without(LENS, "b_dec"), lens("standard"), (), 4, "has no tensor 'b_dec'"),
        ({"tied_bias": torch.ones(2, 3), "encoder.weight": torch.ones(2, 4, 3)}, None, (), 4, "of one component, 1"),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_message(
    tensors: dict[str, torch.Tensor],
    settings: object,
    flags: tuple[object, ...],
    code: int,
    said: str,
    mcd_command: Command,
    tmp_path: Path,
) -> None:
    file = write_saved(tmp_path, tensors, settings)
    done = mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors", *flags)
    assert (done.code, done.out) == (code, ""), done.err
    assert said in done.err
    assert done.err.count("\n") == 2
    assert not (tmp_path / "own.safetensors").exists()


class Whole(nn.Module):
    """A model of a tool, saved as a whole."""


def test_objects_are_never_unpickled_and_the_message_says_what_to_save(mcd_command: Command, tmp_path: Path) -> None:
    torch.save(Whole(), tmp_path / "whole.pt")
    done = mcd_command("dictionary", "import", tmp_path / "whole.pt", "-o", tmp_path / "own.safetensors")
    assert done.code == 4
    assert "holds Python objects" in done.err
    assert "in the tool that made it, save the state dict: torch.save(MODEL.state_dict()" in done.err


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000])
def test_settings_that_are_none_are_said(text: str, mcd_command: Command, tmp_path: Path) -> None:
    file = write_saved(tmp_path, LENS, lens("standard"))
    (tmp_path / "cfg.json").write_text(text)
    done = mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors")
    assert done.code == 4
    assert "cfg.json is no JSON object" in done.err


def test_a_layer_of_the_tool_that_is_no_text_of_a_line_is_shown_as_one(mcd_command: Command, tmp_path: Path) -> None:
    odd = "a\ud800b\n\x1b" + "c" * 5000
    file = write_saved(tmp_path, LENS, lens("standard", hook_name=odd))
    done = mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors")
    assert done.code == 0, done.err
    said = loaded(tmp_path / "own.safetensors").facts["made for"]
    assert said == f"a�b��{'c' * 195}, as the tool calls it"


def test_settings_of_something_else_are_no_hindrance(mcd_command: Command, tmp_path: Path) -> None:
    file = write_saved(tmp_path, SAVED["Mammo-SAE"].tensors, {"model_type": "clip", "hidden_size": 7})
    assert mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors").code == 0


def test_another_suffix_is_refused_and_somebody_elses_file_stays(mcd_command: Command, tmp_path: Path) -> None:
    file = write_saved(tmp_path, SAVED["Mammo-SAE"].tensors)
    assert "own.pt is no name of" in mcd_command("dictionary", "import", file, "-o", tmp_path / "own.pt").err
    (tmp_path / "own.safetensors").write_bytes(b"mine")
    done = mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors")
    assert done.code == 2
    assert (tmp_path / "own.safetensors").read_bytes() == b"mine"


def test_the_file_says_what_is_known(mcd_command: Command, tmp_path: Path) -> None:
    file = write_saved(tmp_path, SAVED["AutoEncoderTopK"].tensors, SAVED["AutoEncoderTopK"].settings)
    assert mcd_command("dictionary", "import", file, "-o", tmp_path / "own.safetensors").code == 0
    with safe_open(tmp_path / "own.safetensors", framework="pt") as opened:
        about = opened.metadata()
    assert (about["activation"], about["k"]) == ("topk", "2")
    facts = json.loads(about["facts"])
    assert list(facts) == ["kind", "activation", "latents", "made for", "format", "licence", "fitted on"]
    assert facts["format"] == "dictionary_learning 0.1.0"
    assert str(tmp_path) not in str(about)


def test_every_format_that_is_read_can_be_named(mcd_command: Command) -> None:
    shown = mcd_command("dictionary", "import", "--help").out
    assert all(one in shown for one in FORMATS)
