"""What people have on their disks: released files load by their path alone, others are refused in one sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
from tests.plugins.mammo_clip.conftest import classifier_state, released, saved_classifier

from mcd.errors import CheckpointError, UsageError
from mcd.testing import check_dissector, check_model_loader
from mcd_plugins.mammo_clip.dissector import MammoClip
from mcd_plugins.mammo_clip.loader import ImageNetTower, MammoClipClassifier, MammoClipTower
from mcd_plugins.mammo_clip.network import build, open_checkpoint

State = dict[str, torch.Tensor]
B2, B5 = "tf_efficientnetv2-detect", "tf_efficientnet_b5_ns-detect"


def tower(path: Path) -> MammoClipTower:
    return MammoClipTower(MammoClipTower.Options(checkpoint=path))


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        MammoClip(MammoClip.Options(checkpoint=path)).load()
    with pytest.raises(CheckpointError) as again:
        tower(path).load()
    assert str(again.value) == str(caught.value)
    return caught.value


def test_a_released_checkpoint_needs_its_path_only_and_omegaconf_is_not_imported(b2: Path) -> None:
    target = tower(b2).load()
    assert target.name == "Mammo-CLIP B2 tower"
    assert target.module(torch.rand(1, 3, 64, 48)).shape == (1, 1408)
    assert not any(name.startswith("omegaconf") for name in sys.modules)


def test_a_prefix_of_distributed_training_and_position_ids_make_no_difference(b2_state: State, tmp_path: Path) -> None:
    state = {f"module.{name}": one for name, one in b2_state.items()}
    state["module.text_encoder.text_encoder.embeddings.position_ids"] = torch.arange(512)[None]
    path = released(state, tmp_path / "ddp.tar", encoder=B2)
    ours = tower(path).load().module.state_dict()
    assert torch.equal(ours["conv_head.weight"], b2_state["image_encoder._conv_head.weight"])


def test_without_a_configuration_the_shapes_decide(b2_state: State, tmp_path: Path) -> None:
    torch.save({"model": b2_state}, tmp_path / "bare.tar")
    assert tower(tmp_path / "bare.tar").load().name == "Mammo-CLIP B2 tower"


def test_averaged_weights_that_are_not_used_are_said(b2_state: State, tmp_path: Path) -> None:
    torch.save({"model": b2_state, "model_ema": {name: one + 1 for name, one in b2_state.items()}}, tmp_path / "e.tar")
    target = tower(tmp_path / "e.tar").load()
    assert "weights averaged over training (model_ema), which are not used" in target.caution
    assert tower(released(b2_state, tmp_path / "plain.tar", encoder=B2)).load().caution == ""


class Bomb:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self.command,)


class Evaluation:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (self.code,)


def test_a_checkpoint_that_would_execute_code_is_refused_and_nothing_runs(b2_state: State, tmp_path: Path) -> None:
    boom = tmp_path / "boom"
    for trap in (Bomb(f"touch {boom}"), Evaluation(f"open({str(boom)!r}, 'w')")):
        path = released(b2_state, tmp_path / "evil.tar", encoder=B2, hook=trap)
        assert "which mcd never executes" in refusal(path).message
        assert not boom.exists()


def test_a_truncated_one_and_a_web_page_and_another_architecture_are_told_apart(
    b2: Path, b2_state: State, tmp_path: Path
) -> None:
    (tmp_path / "cut.tar").write_bytes(b2.read_bytes()[:-100_000])
    assert "cannot be read as weights" in refusal(tmp_path / "cut.tar").message
    (tmp_path / "page.tar").write_text("<!DOCTYPE html><html>Sign in</html>")
    assert "is a web page" in refusal(tmp_path / "page.tar").message
    torch.save({"model": {"conv1.weight": torch.rand(3), "fc.weight": torch.rand(3)}}, tmp_path / "resnet.tar")
    other = refusal(tmp_path / "resnet.tar")
    assert "is no checkpoint of Mammo-CLIP B2 or B5: its tensors are called conv1, fc" in other.message
    assert "--model-plugin timm" in other.hint
    swin = released(b2_state, tmp_path / "swin.tar", encoder="swin_tiny")
    assert "says its image encoder is 'swin_tiny'" in refusal(swin).message
    wrong = released(b2_state, tmp_path / "wrong.tar", encoder=B5)
    assert "but its tensors are those of B2" in refusal(wrong).message


def test_missing_and_foreign_tensors_are_named(b2_state: State, tmp_path: Path) -> None:
    state = {name: one for name, one in b2_state.items() if name != "image_encoder._blocks.3._bn1.bias"}
    path = released(state, tmp_path / "less.tar", encoder=B2)
    with pytest.raises(CheckpointError, match=r"1 missing: blocks\.1\.1\.bn2\.bias"):
        tower(path).load()
    headless = {name: one for name, one in b2_state.items() if "text_projection" not in name}
    path = released(headless, tmp_path / "headless.tar", encoder=B2)
    with pytest.raises(CheckpointError, match=r"has no text_projection.projection.weight"):
        build(open_checkpoint(path))


@pytest.mark.parametrize("classes", [1, 3, 4, 5])
def test_a_classifier_tells_network_and_classes_by_its_shapes(classes: int, b2_state: State, tmp_path: Path) -> None:
    state = classifier_state(b2_state, classes)
    path = saved_classifier(state, tmp_path / "c.pth")
    target = MammoClipClassifier(MammoClipClassifier.Options(checkpoint=path)).load()
    assert target.name == f"Mammo-CLIP B2 classifier, {classes} class{'' if classes == 1 else 'es'}"
    assert target.aliases["classifier.classification_head"] == "classifier"
    image = torch.rand(2, 3, 64, 48)
    with torch.inference_mode():
        logits = target.module(image)
        head = target.module.get_submodule("classifier")
        assert isinstance(head, torch.nn.Linear)
        assert torch.equal(head.weight, state["classifier.classification_head.weight"])
    assert logits.shape == (2, classes)


def test_each_loader_sends_the_other_ones_file_there(b2: Path, b2_state: State, tmp_path: Path) -> None:
    path = saved_classifier(classifier_state(b2_state, 4), tmp_path / "c.pth")
    assert refusal(path).hint == "use --model-plugin mammo-clip-classifier:FILE"
    with pytest.raises(CheckpointError, match="has no classifier") as caught:
        MammoClipClassifier(MammoClipClassifier.Options(checkpoint=b2)).load()
    assert caught.value.hint == "use --model-plugin mammo-clip:FILE"


def test_the_imagenet_tower_takes_the_ports_names_and_timms_and_drops_the_head(b2_state: State, tmp_path: Path) -> None:
    port = {name.removeprefix("image_encoder."): one for name, one in b2_state.items() if name.startswith("image_e")}
    torch.save({**port, "_fc.weight": torch.zeros(1000, 1408), "_fc.bias": torch.zeros(1000)}, tmp_path / "port.pth")

    def load(**options: object) -> torch.nn.Module:
        return ImageNetTower(ImageNetTower.Options.model_validate({"network": "b2", **options})).load().module

    first = load(checkpoint=tmp_path / "port.pth")
    torch.save({**first.state_dict(), "classifier.weight": torch.zeros(1000, 1408)}, tmp_path / "timm.pth")
    again = load(checkpoint=tmp_path / "timm.pth")
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in first.state_dict().items())
    assert str(first) == str(again)
    assert "static_padding=(2, 2)" in str(first.get_submodule("blocks.2.0.conv_dw"))
    with pytest.raises(UsageError, match=r"needs weights: tf_efficientnet_b2.aa_in1k"):
        load()
    with pytest.raises(CheckpointError, match="does not fit"):
        load(checkpoint=tmp_path / "timm.pth", network="b5")


def test_tensors_of_no_shape_where_some_is_needed_are_refused(b2_state: State, tmp_path: Path) -> None:
    word = "text_encoder.text_encoder.embeddings.position_embeddings.weight"
    for name in ("image_encoder._conv_head.weight", word):
        torch.save({"model": {**b2_state, name: torch.tensor(1.0)}}, tmp_path / "flat.tar")
        with pytest.raises(CheckpointError, match=r"is no checkpoint of Mammo-CLIP|is no BERT"):
            build(open_checkpoint(tmp_path / "flat.tar"))
    state = {**classifier_state(b2_state, 1), "classifier.classification_head.weight": torch.tensor(1.0)}
    with pytest.raises(CheckpointError, match="has no classifier"):
        MammoClipClassifier(MammoClipClassifier.Options(checkpoint=saved_classifier(state, tmp_path / "c.pth"))).load()


@pytest.mark.slow
def test_models_and_dissectors_pass_the_kit(b2: Path, b2_state: State, tmp_path: Path) -> None:
    """At a size that takes seconds; the weights are those of a B2."""
    size = {"preprocessing": {"height": 96, "width": 64}}
    classifier = saved_classifier(classifier_state(b2_state, 3), tmp_path / "fine-tuned.pth")
    check_model_loader(MammoClipTower(MammoClipTower.Options.model_validate({"checkpoint": b2, **size})))
    options = {"checkpoint": classifier, **size}
    check_model_loader(MammoClipClassifier(MammoClipClassifier.Options.model_validate(options)))
    check_dissector(MammoClip(MammoClip.Options.model_validate({"checkpoint": b2, **size})))
    port = {name.removeprefix("image_encoder."): one for name, one in b2_state.items() if name.startswith("image_e")}
    torch.save({**port, "_fc.weight": torch.zeros(1000, 1408), "_fc.bias": torch.zeros(1000)}, tmp_path / "port.pth")
    options = {"network": "b2", "checkpoint": tmp_path / "port.pth", **size}
    check_model_loader(ImageNetTower(ImageNetTower.Options.model_validate(options)))
