"""A target and its images for plugins: what records show of them, and what a layer gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.extraction.test_maps import Tokens
from tests.runs.test_dissect import Net, Patches
from torch import nn

import mcd
from mcd.errors import DataError, UnknownNameError, UsageError
from mcd.plugins import LayerUnit, Positions, TargetImages, load_target, run_images, target_images
from mcd.testing.material import TinyImages, tiny_target


def test_records_show_no_patient() -> None:
    images = target_images(
        "phantom-mammo", "phantom:2", where='patient != "7-00001"', limit=3, device="cpu", workers=0, progress=False
    )
    assert [one.patient for one in images.samples] == ["7-00000"] * 3
    assert str(images.dataset["where"]).startswith("hidden:")
    assert images.dataset["options"] == {"patients": 2, "seed": 7, "boxes": False}
    assert images.model == {"plugin": "phantom-mammo", "options": {}}
    assert load_target("phantom-mammo").licence == images.images.licence == "Apache-2.0"


def test_a_layer_gives_what_run_target_says_and_inputs_come_in_the_order_asked_for() -> None:
    network, images = Net(), Patches()
    made = target_images(network, images, device="cpu", workers=0, store="off", progress=False)
    layer = next(one.name for one in made.layers if not one.reason)
    passed = mcd.run_target(
        model=network, dataset=images, layers=layer, device="cpu", workers=0, progress=False
    ).activations[layer]
    assert torch.equal(made.outputs(network, layer), passed)
    rows = [rows for rows, _ in made.inputs([[3, 1], [0]], torch.device("cpu"))]
    assert rows == [(3, 1), (0,)]
    assert made.model == {"plugin": "object", "options": {"class": "Net"}}


def test_gradients_of_several_numbers_come_out_of_one_pass() -> None:
    """Of outputs as `mcd.run_target` has each alone; of a unit of a later layer what the chain rule says."""
    asked = {"device": "cpu", "workers": 0, "progress": False}
    made = target_images("phantom-mammo", "phantom:3", store="off", **asked)
    inner, later, head = made.picked(["stages.2", "stages.3", "head"])
    wanted = [4, LayerUnit(head, 4), LayerUnit(later, 7), 0]
    found = made.passed([inner], gradients_of=wanted, images=made.ids[3:9])
    assert found.gradients["stages.2"].shape == (6, 4, 96)
    for at, output in ((0, 4), (1, 4), (3, 0)):
        alone = mcd.run_target(
            model="phantom-mammo",
            dataset="phantom:3",
            layers="stages.2",
            gradients_of=output,
            images=made.ids[3:9],
            **asked,
        )
        torch.testing.assert_close(found.gradients["stages.2"][:, at], alone.gradients["stages.2"])
        assert torch.equal(found.activations["stages.2"], alone.activations["stages.2"])
    step, own = 1e-2, made.ids[3:5]

    def higher(output: torch.Tensor) -> torch.Tensor:
        return output + step

    moved = mcd.run_target(
        model="phantom-mammo",
        dataset="phantom:3",
        layers="stages.3",
        edits=mcd.Edit("stages.2", to=higher),
        images=own,
        **asked,
    ).activations["stages.3"]
    slope = (moved - made.passed([later], images=own).activations["stages.3"])[:, 7] / step
    torch.testing.assert_close(slope, found.gradients["stages.2"][:2, 2].sum(dim=1), rtol=0.1, atol=1e-3)
    with pytest.raises(UsageError, match=r"layer head has units 0 to 10, not 11"):
        made.passed([inner], gradients_of=[LayerUnit(head, 11)], images=own)
    with pytest.raises(UsageError, match=r"does not depend on layer stages\.3"):
        made.passed([later], gradients_of=[LayerUnit(inner, 0)], images=own)


def test_other_images_go_through_the_same_target() -> None:
    made = target_images("phantom-mammo", "phantom:3", device="cpu", workers=0, progress=False, store="off")
    other = made.beside("phantom:2")
    assert other.target is made.target
    assert len(other.ids) == 8
    assert other.dataset["options"] == {"patients": 2, "seed": 7, "boxes": False}
    assert other.passed([], images=other.ids[:2]).outputs.shape == (2, 11)
    with pytest.raises(DataError, match="there is no file or folder nowhere"):
        made.beside("images:nowhere")


class Masked(TinyImages):
    """Of most images the left half is breast, of the first one all."""

    has_masks = True

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> np.ndarray:
        found = np.ones(image.pixels.shape, dtype=bool)
        found[:, 16:] = sample.id == "tiny-00"
        return found


def found_at(images: TargetImages, name: str, **settings: object) -> list[Positions]:
    batches: list[Positions] = []
    images.positions(images.layer(name), batches.append, **settings)  # type: ignore[arg-type]  # each its own
    return batches


def test_positions_are_those_of_the_map_with_the_share_of_each_that_is_breast() -> None:
    asked = {"device": "cpu", "workers": 0, "progress": False, "batch_size": 7}
    images = target_images(tiny_target(), Masked(), store="off", **asked)
    batches = found_at(images, "0", masked=True)
    assert [row for one in batches for row in one.rows] == list(range(24))
    whole = mcd.run_target(model=tiny_target(), dataset=Masked(), layers="0", pooling="max", **asked).activations["0"]
    values = torch.cat([one.values for one in batches])
    assert values.shape == (24, 15 * 15, 8)
    assert torch.equal(values.amax(dim=1), whole)
    inside = mcd.run_target(model=tiny_target(), dataset=Masked(), layers="0", pooling="masked-max", **asked)
    share = torch.cat([one.breast for one in batches if one.breast is not None])
    kept = values.masked_fill((share < 0.5)[:, :, None], -torch.inf).amax(dim=1)
    assert torch.equal(kept, inside.activations["0"])
    grid = share[1].reshape(15, 15)
    assert (grid[:, :7] == 1).all()
    assert (grid[:, 8:] == 0).all()
    assert [framed for one in batches for framed in one.framed] == [True] * 24  # halves are no breasts either
    (some,) = found_at(images, "0", rows=[5, 2])
    assert some.rows == (5, 2)
    assert some.breast is None
    torch.testing.assert_close(some.values, values[[5, 2]])
    (flat,) = found_at(images, "4", rows=[3], masked=True)
    assert flat.values.shape[:2] == (1, 1)
    assert flat.breast is None


def test_a_breast_that_was_found_is_no_rectangle() -> None:
    images = target_images("phantom-mammo", "phantom:1", device="cpu", workers=0, store="off", progress=False)
    (found,) = found_at(images, "stages.2", masked=True)
    assert found.framed == (False,) * 4
    assert found.breast is not None
    assert 0.1 < float(found.breast.mean()) < 0.9


def test_class_tokens_are_no_positions_and_must_be_known() -> None:
    net = Tokens()
    images = target_images(net, Patches(4), device="cpu", workers=0, store="off", progress=False)
    (found,) = found_at(images, "block")
    expected = net.block(net.patch(Patches(4).images).flatten(2).transpose(1, 2))
    torch.testing.assert_close(found.values, expected.detach())
    net.__class__ = type("Silent", (Tokens,), {"num_prefix_tokens": None})
    with pytest.raises(UsageError, match="which tokens of layer block are patches is not known"):
        found_at(images, "block")


class Broken(nn.Module):
    """Divides by the brightness of one image, which is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.divided = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.divided(self.conv(x) / (x.mean((1, 2, 3), keepdim=True) > 0.4))
        return out


def test_one_layer_is_chosen_and_what_it_gives_is_finite() -> None:
    images = target_images(Broken(), Patches(8), device="cpu", workers=0, store="off", progress=False)
    with pytest.raises(DataError, match="outputs of layer divided of Broken are NaN or infinite for image"):
        found_at(images, "divided")
    with pytest.raises(UsageError, match="one layer is needed, and 2 are chosen: conv, divided"):
        images.layer("*")
    with pytest.raises(UnknownNameError, match="convs"):
        images.layer("convs")
    with pytest.raises(UsageError, match="which layers"):
        images.layer()


def test_the_images_of_a_run_are_those_that_it_saw(tmp_path: Path) -> None:
    run = mcd.dissect(
        "phantom-mammo",
        layers="stages.3",
        dissector="phantom-clip",
        dataset="phantom:2",
        where='view == "CC"',
        concepts="phantom",
        scorer="cosine",
        calibration={"draws": 0},
        device="cpu",
        workers=0,
        progress=False,
        output=tmp_path / "run",
    )
    images = run_images(run.folder, progress=False)
    named = target_images(
        "phantom-mammo",
        "phantom:2",
        where='view == "CC"',
        device="cpu",
        workers=0,
        store="off",
        progress=False,
    )
    assert (images.model, images.dataset) == (named.model, named.dataset)
    assert (images.digests, images.ids, images.network) == (named.digests, named.ids, named.network)
    assert images.layer().name == "stages.3"
    (here,), (there,) = found_at(images, "stages.3"), found_at(named, "stages.3")
    assert torch.equal(here.values, there.values)
    with pytest.raises(UsageError, match="which layers"):
        named.layer()
