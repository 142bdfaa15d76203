"""Weights of a CLIP under all the names they come with: OpenAI's, a trainer's prefixes, a tag's, the hub's."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tests.conftest import Outcome
from tests.plugins.transformers.clips import dissector as transformers_clip
from tests.plugins.transformers.hub import COMMIT, cached

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError
from mcd.options import validate_options
from mcd_plugins.open_clip.dissector import OpenClip
from mcd_plugins.open_clip.loader import OpenClipTower

State = dict[str, torch.Tensor]
TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
NAME = "acme/tiny-open-clip"
AT = f"{NAME}@{COMMIT}"
TEXTS = ["a spiculated mass", "no finding"]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """An architecture ``tiny``, and one whose text tower is a part of its own."""
    known = {"tiny": TINY, "tiny-custom": {**TINY, "custom_text": True}}
    for name, config in known.items():
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)


def network(**changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    made = open_clip.create_model("tiny", load_weights=False, **changes)
    assert isinstance(made, torch.nn.Module)
    return made.eval()


def dissector(**options: object) -> OpenClip:
    made = OpenClip(validate_options(OpenClip.Options, {"name": "tiny", **options}, "open-clip"))
    made.load()
    return made


def target(**options: object) -> mcd.Target:
    return OpenClipTower(validate_options(OpenClipTower.Options, {"name": "tiny", **options}, "open-clip")).load()


def same(made: OpenClip, theirs: torch.nn.Module) -> None:
    batch = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(made.encode_images(batch), theirs.encode_image(batch))
        tokens = open_clip.get_tokenizer("tiny")(TEXTS)
        torch.testing.assert_close(made.encode_texts(TEXTS), theirs.encode_text(tokens))


def saved(path: Path, state: State, **besides: object) -> Path:
    torch.save({"state_dict": state, **besides}, path)
    return path


def as_openai_trains(theirs: torch.nn.Module) -> State:
    """Round the weights as OpenAI's code does before it computes on a GPU: all but norms, embeddings, positions."""
    kept = ("ln_", "_embedding", "logit_scale", "token_embedding")
    state = {
        name: one if any(part in name for part in kept) else one.half() for name, one in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    return state


@pytest.mark.parametrize("name", ["tiny", "tiny-custom"])
def test_a_fine_tuned_openai_clip_is_read_with_its_activation(name: str, tmp_path: Path) -> None:
    theirs = network(quick_gelu=True)
    state = as_openai_trains(theirs)  # PubMedCLIP's .pth: a state dict of OpenAI's code beside a trainer's own things
    path = saved(tmp_path / "best.pth", state, best_epoch=3, optimizer_state_dict={"state": {}}, best_loss=0.5)
    same(dissector(name=name, checkpoint=path, quick_gelu=True), theirs)
    with pytest.raises(UsageError, match="computes with QuickGELU; this network computes with GELU") as caught:
        dissector(name=name, checkpoint=path)
    assert "set quick_gelu=true" in caught.value.hint
    other = copy.deepcopy(network())
    other.load_state_dict(state)
    same(dissector(name="tiny", checkpoint=path, quick_gelu=False), other)


def test_openais_own_archives_say_more_than_weights(tmp_path: Path) -> None:
    theirs = network(quick_gelu=True)
    numbers = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(16), "vocab_size": torch.tensor(9)}
    path = saved(tmp_path / "clip.pt", {**theirs.state_dict(), **numbers})
    same(dissector(checkpoint=path, quick_gelu=True), theirs)
    with pytest.raises(UsageError, match="QuickGELU"):
        target(checkpoint=path)


def test_a_network_inside_another_one_is_found_by_its_prefix(tmp_path: Path) -> None:
    theirs = network()
    inside = {f"model.clip.{name}": one for name, one in theirs.state_dict().items()}
    same(dissector(checkpoint=saved(tmp_path / "alone.ckpt", inside)), theirs)  # all begin so: nothing to say
    path = saved(tmp_path / "lightning.ckpt", {**inside, "head.weight": torch.zeros(2, 24)})
    same(dissector(checkpoint=path, prefix="model.clip"), theirs)
    batch = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(target(checkpoint=path, prefix="model.clip.").module(batch), theirs.encode_image(batch))
    with pytest.raises(CheckpointError, match=r"no tensors under 'model.klip\.'"):
        dissector(checkpoint=path, prefix="model.klip")
    with pytest.raises(CheckpointError, match="does not fit"):
        dissector(checkpoint=path)
    with pytest.raises(UsageError, match="there is none"):
        dissector(prefix="model.clip")


def test_a_tower_alone_is_no_clip(tmp_path: Path) -> None:
    images = {name: one for name, one in network().state_dict().items() if name.startswith("visual.")}
    with pytest.raises(CheckpointError, match=r"missing: .*positional_embedding"):
        dissector(checkpoint=saved(tmp_path / "tower.pth", images))


def test_a_clip_of_transformers_is_sent_to_its_own_dissector(tmp_path: Path) -> None:
    state = {"vision_model.embeddings.class_embedding": torch.rand(3), "text_model.embeddings.x": torch.rand(2)}
    with pytest.raises(CheckpointError, match="holds a CLIP of transformers") as caught:
        dissector(checkpoint=saved(tmp_path / "pytorch_model.bin", {**state, "logit_scale": torch.tensor(1.0)}))
    assert "transformers-clip:FOLDER" in caught.value.hint


def test_folders_of_the_other_library_are_sent_to_their_own_plugin(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(CheckpointError, match="holds a model of transformers, not of open_clip") as caught:
        dissector(name=str(tmp_path / "theirs"))
    assert "--dissector transformers-clip:" in caught.value.hint
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    with pytest.raises(CheckpointError, match="holds a model of open_clip, not of transformers") as caught:
        transformers_clip(tmp_path / "ours")
    assert "--dissector open-clip:" in caught.value.hint


def test_nested_and_averaged_weights_are_found(tmp_path: Path) -> None:
    theirs, other = network(), copy.deepcopy(network())
    for parameter in other.parameters():
        parameter.data *= 0.5
    path = tmp_path / "w.pt"
    torch.save({"epoch": 1, "net": theirs.state_dict(), "net_ema": other.state_dict()}, path)
    with pytest.raises(CheckpointError) as caught:
        dissector(checkpoint=path)
    assert "prefix=net" in caught.value.hint
    made = dissector(checkpoint=path, prefix="net", resize="squash")
    same(made, theirs)
    assert "net_ema" in made.caution
    assert "net_ema" in target(checkpoint=path, prefix="net").caution
    made = dissector(checkpoint=path, ema=True, resize="squash")
    same(made, other)
    assert made.caution == ""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds ``acme/tiny-open-clip``, and nothing else to reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    files = tmp_path / "files"
    files.mkdir()
    (files / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    save_file(network(quick_gelu=True).state_dict(), files / "open_clip_model.safetensors")
    return cached(tmp_path / "cache", NAME, files)


@pytest.mark.slow
def test_a_name_on_the_hub_is_recorded_with_its_commit(
    hub: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    (tmp_path / "words.txt").write_text("mass\ncalcification\nbreast\n")
    done = mcd_command(
        "dissect",
        "--offline",
        "--model-plugin",
        f"open-clip:hf-hub:{NAME}",
        "--layers",
        "transformer.resblocks.*",
        "--dissector",
        f"open-clip:hf-hub:{NAME}",
        "--dataset",
        "phantom:4",
        "--scorer",
        "soft-wpmi:4",
        "--concepts",
        tmp_path / "words.txt",
        "--device",
        "cpu",
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["revisions"] == {"target": AT, "dissector": AT}


def test_a_tag_brings_its_activation_and_its_commit(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {"ours": {"hf_hub": f"{NAME}/", "quick_gelu": True}, "theirs": {"hf_hub": "nobody/nothing/"}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", tags)
    made = dissector(pretrained="ours")
    same(made, network(quick_gelu=True))
    assert (made.revision, target(pretrained="ours").revision) == (AT, AT)
    with pytest.raises(UnknownNameError, match="no weights 'our' for tiny") as unknown:
        dissector(pretrained="our")
    assert "did you mean 'ours'" in unknown.value.hint
    with pytest.raises(CheckpointError, match="offline, and the weights of nobody/nothing") as absent:
        target(pretrained="theirs")
    assert "hf download nobody/nothing --local-dir FOLDER; then give checkpoint=FILE" in absent.value.hint
    with pytest.raises(UsageError, match="given twice"):
        dissector(pretrained="ours", checkpoint="x.pt")


def test_a_repository_without_weights_is_no_random_network(hub: Path) -> None:
    (hub / "open_clip_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f"offline, and the weights of {NAME}"):
        dissector(name=f"hf-hub:{NAME}")


def test_a_text_tower_that_nobody_asked_to_fetch_is_named(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has the text tower roberta-base") as caught:
        target(name="roberta-ViT-B-32")
    assert "hf download roberta-base config.json" in caught.value.hint
    folder = tmp_path / "biomed"
    folder.mkdir()
    text = {"hf_model_name": "acme/bert", "hf_tokenizer_name": "acme/bert", "hf_proj_type": "mlp"}
    config = {"model_cfg": {**TINY, "text_cfg": text}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="has the text tower acme/bert") as beside:
        dissector(name=str(folder))
    assert f"hf download acme/bert config.json --local-dir {folder}" in beside.value.hint
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": 7, "num_hidden_layers": 1}))
    (folder / "open_clip_model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is empty"):
        dissector(name=str(folder))
