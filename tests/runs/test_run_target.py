"""A target run once more: as in the sweep to the last bit, with layers edited, with gradients; the page's example."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.runs.test_dissect import Net, Patches, dissect
from torch import nn

import mcd
from mcd.errors import ConfigError, DataError, UnknownNameError, UsageError
from mcd.extraction.target_pass import PassedBatch
from mcd.host import PluginHost
from mcd.networks.editing import edits_of
from mcd.networks.pooling import Pooling
from mcd.runs.runnable import How, runnable
from mcd.study.preparer import Preparer
from mcd.study.selection import Selection

PAGE = Path(__file__).parents[2] / "docs/how-to/edit-a-layer.md"
PHANTOMS = {"plugin": "phantom", "options": {"patients": 12}}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    folder: Path = tmp_path_factory.mktemp("edited") / "run"
    return mcd.dissect(
        "phantom-mammo",
        layers=["stages.1", "stages.3", "head"],
        dissector="phantom-clip",
        dataset=PHANTOMS,
        concepts=["mass", "implant"],
        scorer="pearson",
        calibration={"draws": 0},
        batch_size=10,
        workers=0,
        device="cpu",
        progress=False,
        output=folder,
    )


def passed(run: mcd.Dissection | Path | None, **settings: object) -> mcd.Passed:
    return mcd.run_target(run, progress=False, workers=0, **settings)  # type: ignore[arg-type]  # each its own


def test_without_edits_it_is_the_sweep_to_the_last_bit(stored: mcd.Dissection) -> None:
    again = passed(stored.folder)
    assert again.image_ids == stored.image_ids
    assert list(again.activations) == stored.layers
    for layer in stored.layers:
        assert torch.equal(again.activations[layer], stored.activations(layer))
    assert torch.equal(again.outputs, stored.activations("head"))
    assert again.gradients == {}


def test_chosen_images_come_in_the_order_asked_for(stored: mcd.Dissection) -> None:
    chosen = [stored.image_ids[row] for row in (20, 3, 11)]
    again = passed(stored, images=chosen, layers="stages.3", batch_size=2)
    assert again.image_ids == tuple(chosen)
    torch.testing.assert_close(again.activations["stages.3"], stored.activations("stages.3")[[20, 3, 11]])
    with pytest.raises(UnknownNameError, match="no image that is run has the id 'x'"):
        passed(stored, images=["x"])


def test_an_edit_changes_what_comes_after_it_only(stored: mcd.Dissection) -> None:
    again = passed(stored, edits=mcd.Edit("stages.3", units=[0, 5]))
    plain = stored.activations("stages.3").clone()
    plain[:, [0, 5]] = 0
    assert torch.equal(again.activations["stages.3"], plain)
    assert torch.equal(again.activations["stages.1"], stored.activations("stages.1"))
    assert not torch.equal(again.outputs, stored.activations("head"))


def test_the_mean_is_over_images_and_positions_of_the_raw_output(stored: mcd.Dissection) -> None:
    found: dict[str, torch.Tensor] = {}

    def keep(output: torch.Tensor) -> torch.Tensor:
        found[str(len(found))] = output.clone()
        return output

    passed(stored, layers="head", edits=mcd.Edit("stages.1", to=keep))
    whole = torch.cat(list(found.values()))
    means = passed(stored, layers="stages.1", pooling="max", edits=mcd.Edit("stages.1", units=[2], to="mean"))
    column = means.activations["stages.1"][:, 2]
    torch.testing.assert_close(column, whole[:, 2].mean().expand(len(column)))
    given = passed(
        stored, layers="head", edits=mcd.Edit("stages.1", units=[2], to=torch.full((whole.shape[1],), float(column[0])))
    )
    torch.testing.assert_close(means.outputs, given.outputs)


def test_gradients_are_handed_over_raw_and_summed_over_positions(stored: mcd.Dissection) -> None:
    seen: list[PassedBatch] = []
    found = passed(stored, layers=["stages.3", "head"], gradients_of=4, each_batch=seen.append)
    assert torch.equal(found.gradients["head"], torch.eye(11)[4].expand(len(found.image_ids), 11))
    raw = torch.cat([one.raw_gradients["stages.3"] for one in seen])
    torch.testing.assert_close(found.gradients["stages.3"], raw.sum((2, 3)))
    outputs = torch.cat([one.raw["stages.3"] for one in seen])
    torch.testing.assert_close(found.activations["stages.3"], outputs.mean((2, 3)))
    # the head is linear in the mean over positions: its weights are the gradient
    other = passed(stored, layers="stages.3", gradients_of=lambda one: one[:, 4] * 2)
    torch.testing.assert_close(other.gradients["stages.3"], 2 * found.gradients["stages.3"])
    assert sum(len(one.rows) for one in seen) == len(stored.image_ids)
    with pytest.raises(UsageError, match="small gradients are 0 in fp16"):
        passed(stored, gradients_of=0, precision="fp16")


class Plain(Net):
    """Keeps nothing between passes: a network that counts its calls is another one after each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.drop(self.conv(x)).mean((2, 3)))
        return out


def test_what_was_given_in_python_is_given_again_and_must_be_the_same() -> None:
    net = Plain()
    found = dissect(model=net)
    again = passed(found, model=net, dataset=Patches())
    for layer in found.layers:
        assert torch.equal(again.activations[layer], found.activations(layer))
    assert not net.conv._forward_hooks
    assert all(one.requires_grad for one in net.parameters())
    stored = mcd.load(found.folder)
    with pytest.raises(UsageError, match=r"target of .* was given in Python"):
        passed(stored)
    with pytest.raises(UsageError, match=r"data set of .* was given in Python"):
        passed(stored, model=net)
    other = Plain()
    nn.init.zeros_(other.head.weight)
    with pytest.raises(DataError, match="has other weights, settings or code"):
        passed(found, model=other, dataset=Patches())
    with pytest.raises(DataError, match="no longer exists"):
        passed(found, model=net, dataset=Patches(20))


class OneBlank(Patches):
    """The sixth image is black: it is of no use, and left out where that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.images[5] = 0


def test_what_the_run_left_out_is_left_out_again() -> None:
    net = Plain()
    found = dissect(model=net, dataset=OneBlank(), on_error="skip")
    assert len(found.image_ids) == 39
    again = passed(found, model=net, dataset=OneBlank())
    assert again.image_ids == found.image_ids
    for layer in found.layers:
        assert torch.equal(again.activations[layer], found.activations(layer))
    skipped = passed(None, model=net, dataset=OneBlank(), layers="conv", on_error="skip", batch_size=8, device="cpu")
    assert torch.equal(skipped.activations["conv"], found.activations("conv"))
    with pytest.raises(DataError, match="1 of 40 images cannot be used"):
        passed(None, model=net, dataset=OneBlank(), layers="conv")


def test_a_model_and_a_data_set_need_no_run() -> None:
    found = passed(None, model=Net(), dataset=Patches(), layers=["conv"], limit=6, device="cpu")
    plain = dissect()
    assert found.image_ids == plain.image_ids[:6]
    torch.testing.assert_close(found.activations["conv"], plain.activations("conv")[:6])
    assert found.outputs.shape == (6, 3)
    for settings, said in (
        ({}, "what is to be run"),
        ({"model": Net()}, "what is to be run"),
    ):
        with pytest.raises(UsageError, match=said):
            passed(None, **settings)
    with pytest.raises(UsageError, match="of its own"):
        passed(plain, limit=3)
    with pytest.raises(ConfigError, match="no pooling 'median'"):
        passed(plain, model=Net(), dataset=Patches(), pooling="median")


def test_many_edits_in_one_pass_are_those_of_a_pass_each() -> None:
    net, patches = Net(), Patches()
    one = runnable(
        Preparer(PluginHost.discover([], {**os.environ, "MCD_DISABLE_PLUGINS": "progress"})),
        net,
        patches,
        How(device="cpu", batch_size=8, workers=0),
        selection=Selection(),
        pooling=Pooling("avg"),
    )
    edits = [mcd.Edit("conv", units=[0], to="mean"), mcd.Edit("conv", units=[1])]
    changes = [edits_of([edit], one.layers, "net") for edit in edits]
    found = torch.zeros(3, len(patches), 3)

    def each(rows: tuple[int, ...], number: int, outputs: torch.Tensor) -> None:
        found[number, list(rows)] = outputs

    (conv,) = one.picked(["conv"])
    one.through.outputs(changes, each, means=one.through.means([conv]))
    for number, given in enumerate([(), *edits]):
        alone = passed(None, model=net, dataset=patches, device="cpu", batch_size=8, edits=given)
        assert torch.equal(found[number], alone.outputs)


class Maps(nn.Module):
    """Gives maps, which are no outputs of a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x)
        return out


def test_a_network_without_a_head_says_so_when_its_outputs_are_read() -> None:
    found = passed(None, model=Maps(), dataset=Patches(), layers="conv", limit=6)
    assert found.activations["conv"].shape == (6, 2)
    with pytest.raises(UsageError, match=r"shape \(6, 2, 10, 10\) for 6 images: not one row of numbers"):
        _ = found.outputs
    with pytest.raises(UsageError, match="not one row of numbers an image"):
        passed(None, model=Maps(), dataset=Patches(), layers="conv", limit=6, gradients_of=0)


def test_numbers_that_are_none_name_the_image() -> None:
    explode: Callable[[torch.Tensor], torch.Tensor] = lambda one: one / 0  # noqa: E731 -- as in a notebook
    with pytest.raises(DataError, match="activations of layer conv of Net are NaN or infinite for image"):
        passed(None, model=Net(), dataset=Patches(), layers="conv", limit=6, edits=mcd.Edit("conv", to=explode))


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert "mass" in capsys.readouterr().out
