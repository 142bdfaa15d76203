"""Layers seen through units: identity gives the neurons' own tables, and the rest of a run works as with neurons."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from tests.command_line import Outcome
from tests.plugins.units.unit_files import written
from tests.runs import tiny
from tests.runs.test_dissect import Brightness, Patches, dissect
from tests.runs.test_run_target import Plain
from torch import nn

import mcd
from mcd.api.base import digest
from mcd.errors import DataError, PluginError, UsageError
from mcd.networks.units import with_random_units

ORDER = [3, 0, 5, 1, 4, 2]


class Rows(nn.Module):
    """Tokens of an image, ``(B, 12, 8)``, and one flat layer after them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.embed, self.head = nn.Linear(12, 6), nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.embed(x[:, 0]).mean(1))
        return out


def own(table: pd.DataFrame, layer: str) -> pd.DataFrame:
    return table[table["layer"] == layer].drop(columns="layer").reset_index(drop=True)


@pytest.mark.parametrize(("network", "layer"), [(Plain, "conv"), (Rows, "embed"), (Rows, "head")])
def test_identity_directions_and_dictionaries_give_the_tables_of_the_neurons_and_permuted_ones_the_same_permuted(
    network: type[nn.Module], layer: str, tmp_path: Path
) -> None:
    same = written(tmp_path / "same.safetensors", {"directions": torch.eye(6)})
    turned = written(tmp_path / "turned.safetensors", {"directions": torch.eye(6)[ORDER]})
    eye = torch.eye(6)
    sae = written(tmp_path / "sae.safetensors", {"encoder": eye, "decoder": eye.clone()}, activation="none")
    found = dissect(
        model=network(),
        layers=layer,
        units=[f"directions:{same}", f"dictionary:{sae}", f"directions:{turned}"],
        neurons=True,
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 9}},
        calibration={"draws": 50, "most_draws": 50},
    )
    assert found.layers == [layer, f"{layer}/same", f"{layer}/sae", f"{layer}/turned"]
    for table in (found.labels, found.results.neurons):
        neurons, identity, latents, permuted = (own(table, one) for one in found.layers)
        pd.testing.assert_frame_equal(identity, neurons, check_exact=True)
        pd.testing.assert_frame_equal(latents, neurons, check_exact=True)
        back = permuted.assign(neuron=[ORDER[one] for one in permuted["neuron"]])
        back = back.sort_values([one for one in ("neuron", "rank") if one in back], kind="stable").reset_index(
            drop=True
        )
        pd.testing.assert_frame_equal(back, neurons, check_exact=True)


def test_a_run_with_units_has_maps_is_resumed_and_follows_the_content_of_its_file(tmp_path: Path) -> None:
    drawn = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    file = written(tmp_path / "cavs.safetensors", {"directions": drawn}, layer="conv")
    settings = {"units": f"directions:{file}", "layers": "conv", "maps": 2, "model": Plain(), "dissector": Brightness()}
    settings |= {"dataset": Patches(), "output": tmp_path / "run"}
    found = dissect(**settings)
    assert found.layers == ["conv/cavs"]
    assert found.activations("conv/cavs").shape == (40, 4)
    again = dissect(**settings)
    assert again.manifest.store.activations == found.manifest.store.activations
    pd.testing.assert_frame_equal(again.labels, found.labels, check_exact=True)
    before = found.activations("conv/cavs")
    written(file, {"directions": -drawn}, layer="conv")
    other = dissect(**settings)
    torch.testing.assert_close(other.activations("conv/cavs"), -before)
    assert other.manifest.fingerprints["units"] != found.manifest.fingerprints["units"]


def test_units_of_two_layers_that_share_a_name_follow_each_their_own_file(tmp_path: Path) -> None:
    drawn, files = torch.randn(2, 6, generator=torch.Generator().manual_seed(0)), []
    for layer in ("embed", "head"):
        (tmp_path / layer).mkdir()
        files.append(written(tmp_path / layer / "axes.safetensors", {"directions": drawn}, layer=layer))
    settings = {"units": [f"directions:{one}" for one in files], "layers": ["embed", "head"], "model": Rows()}
    settings |= {"dissector": Brightness(), "dataset": Patches(), "output": tmp_path / "run"}
    before = dissect(**settings).activations("embed/axes")
    written(files[0], {"directions": -drawn}, layer="embed")
    after = dissect(**settings)
    assert after.layers == ["embed/axes", "head/axes"]
    torch.testing.assert_close(after.activations("embed/axes"), -before)
    (again, _) = mcd.run_target(after, progress=False).activations.values()
    assert torch.equal(again, after.activations("embed/axes"))


class InPlace(nn.Module):
    """Units that write into what they are given."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.neg_()


def test_units_that_work_in_place_change_nothing_for_the_network_and_other_units(tmp_path: Path) -> None:
    plain = dissect(model=Plain(), layers=["conv", "head"])
    both = [mcd.Units("turned", InPlace(), 6, 6, layer="conv"), mcd.Units("same", nn.Identity(), 6, 6, layer="conv")]
    seen = dissect(model=Plain(), layers=["conv", "head"], units=both, neurons=True, store=tmp_path / "store")
    for layer, own in (("conv", "conv"), ("conv/same", "conv"), ("head", "head")):
        assert torch.equal(seen.activations(layer), plain.activations(own))
    assert torch.equal(seen.activations("conv/turned"), -plain.activations("conv"))


class Logarithm(nn.Module):
    """Is infinite where a neuron is 0."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return (values * 0).log()


def test_units_that_are_not_finite_are_named_beside_image_and_weights() -> None:
    odd = mcd.Units("odd", Logarithm(), 6, 6)
    with pytest.raises(DataError, match=r"layer conv/odd of .* gives NaN or infinity") as caught:
        dissect(model=Plain(), layers="conv", units=odd)
    assert caught.value.hint == "check the image and the weights, and units 'odd'"


def test_a_target_is_run_again_through_the_units_of_its_run(tmp_path: Path) -> None:
    drawn = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    file = written(tmp_path / "cavs.safetensors", {"directions": drawn})
    given: dict[str, object] = {"model": Plain(), "dataset": Patches()}
    found = dissect(**given, units=f"directions:{file}", layers="conv", output=tmp_path / "run")
    stored = mcd.load(tmp_path / "run", trust=True, **given)  # type: ignore[arg-type]  # each its own
    again = mcd.run_target(stored, progress=False)
    assert torch.equal(again.activations["conv/cavs"], found.activations("conv/cavs"))
    for asked, what in ({"edits": mcd.Edit("conv/cavs")}, "edit"), ({"gradients_of": 0}, "gradient"):
        with pytest.raises(UsageError, match=f"conv/cavs is conv seen through units.*no {what}"):
            mcd.run_target(stored, progress=False, **asked)  # type: ignore[arg-type]  # each its own
    written(file, {"directions": 2 * drawn})
    with pytest.raises(DataError, match="cavs are not the units of"):
        mcd.run_target(stored, progress=False)


def test_units_are_given_as_objects() -> None:
    module = nn.Linear(6, 2)
    found = dissect(model=Plain(), layers="conv", units=mcd.Units("probe", module, 6, 2))
    plain = dissect(model=Plain(), layers="conv")
    with torch.no_grad():
        torch.testing.assert_close(found.activations("conv/probe"), module(plain.activations("conv")))
    assert found.manifest.study["models"][0]["units"] == [{"plugin": "object", "options": {}, "name": "probe"}]
    (again,) = mcd.run_target(found, progress=False).activations.values()
    assert torch.equal(again, found.activations("conv/probe"))


def units(channels: int, **more: object) -> mcd.Units:
    given = {"name": "mine", "module": nn.Linear(channels, 2), "channels": channels, "units": 2, **more}
    return mcd.Units(**given)  # type: ignore[arg-type]  # each its own


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"units": units(5)}, UsageError, "units 'mine' are made of 5 neurons, and layer conv has 6"),
        (
            {"units": units(6, layer="other")},
            UsageError,
            "were made for layer other, which is none of those chosen: conv",
        ),
        ({"units": [units(6), units(6)]}, UsageError, "two layers would be called conv/mine"),
        ({"units": units(6, name="a/b")}, UsageError, "units cannot be called 'a/b'"),
        (
            {"units": units(3, layer="head"), "layers": ["conv", "head"]},
            UsageError,
            "no units were made for layer conv",
        ),
        ({"units": units(6, names=("one",))}, PluginError, "have 1 name for 2 units"),
        (
            {"units": units(6, fitted={"a"})},
            PluginError,
            "layer, names, facts or digests of images of units 'mine' are no texts",
        ),
        ({"units": units(6, facts={"L0": 6})}, PluginError, "names, facts or digests of images of units 'mine'"),
        ({"units": units(6, name="a\x1bb")}, UsageError, "units cannot be called 'a.*b': a name is printable"),
        ({"units": units(6, name=None)}, UsageError, "units cannot be called 'None'"),
        ({"units": units(6, names=None)}, PluginError, "names, facts or digests of images of units 'mine' are no"),
        ({"units": units(6, layer=3)}, PluginError, "layer, names, facts or digests"),
        ({"units": units(6, module=nn.Linear(6, 3))}, PluginError, r"made torch.float32 of \(.*3\) of neurons"),
    ],
)
def test_units_that_do_not_fit_are_refused(
    asked: dict[str, object], kind: type[mcd.errors.MCDError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        dissect(**{"model": Plain(), "layers": "conv", **asked})


class Idle(Brightness):
    """Is given nothing."""

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        raise AssertionError(texts)


def test_units_that_make_something_else_are_found_before_anything_is_computed() -> None:
    asked: dict[str, object] = {"model": Plain(), "layers": "conv", "dissector": Idle()}
    with pytest.raises(PluginError, match=r"units 'mine' made torch.float32 of \(2, 1, 1, 3\) of neurons of"):
        dissect(**asked, units=units(6, module=nn.Linear(6, 3)))
    with pytest.raises(PluginError, match=r"units 'mine' failed on layer conv/mine: .*cannot be multiplied"):
        dissect(**asked, units=units(6, module=nn.Linear(5, 2)))


def test_units_may_name_their_layer_as_users_of_the_target_do() -> None:
    target = mcd.Target("plain", Plain(), aliases={"first": "conv"})
    found = dissect(model=target, layers=["first", "head"], units=units(6, layer="first"), neurons=True)
    assert found.layers == ["conv", "conv/mine", "head"]
    assert list(mcd.run_target(found, progress=False).activations) == found.layers


def test_a_study_file_names_units_beside_layers_from_its_own_folder(
    mcd_command: Callable[..., Outcome], tmp_path: Path
) -> None:
    plugin, study = tiny.written(tmp_path)
    written(tmp_path / "own.safetensors", {"directions": torch.eye(4)}, layer="one")
    study.write_text(
        """
models: {plugin: first, layers: one, units: ["mine=directions:own.safetensors", {plugin: directions, options: {
  file: own.safetensors}}], neurons: true}
dissectors: tiny
dataset: {plugin: tiny-images, options: {images: 20, broken: false}}
scorer: {plugin: soft-wpmi, options: {top_k: 5}}
calibration: {draws: 20, most_draws: 20}
device: cpu
workers: 0
"""
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = mcd_command("--plugin-file", plugin, "run", study, "-o", "run", "-q", cwd=elsewhere)
    assert done.code == 0, done.err
    record = json.loads((elsewhere / "run" / "manifest.json").read_text())
    assert [one["name"] for one in record["layers"]] == ["one", "one/mine", "one/own"]
    shown = [(one["name"], one["options"]) for one in record["study"]["models"][0]["units"]]
    assert shown == [("mine", {"file": "own.safetensors"}), ("own", {"file": "own.safetensors"})]
    again = mcd_command("--plugin-file", plugin, "run", study, "-o", "run", "-q", cwd=elsewhere)
    assert (again.code, "holds another run" in again.err) == (0, False)
    other = mcd_command("--plugin-file", plugin, "run", study, "--units", "nothing", "-o", "other", cwd=elsewhere)
    assert other.code == 2
    assert "no unit source named 'nothing'" in other.err


def test_random_units_of_two_sources_are_not_the_same_units() -> None:
    def drawn(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Linear(6, 2)

    one, other = with_random_units([units(6, random=drawn), units(6, random=drawn, name="others")], 0)
    assert not torch.equal(one.module(torch.ones(6)), other.module(torch.ones(6)))


def test_random_units_stand_beside_units_among_the_controls(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.safetensors", {"directions": torch.eye(6)})
    asked = {"model": Plain(), "layers": "conv", "controls": True, "calibration": {"draws": 20, "most_draws": 20}}
    found = dissect(**asked, units=f"directions:{file}", neurons=True, output=tmp_path / "run")
    table = found.results.controls
    assert table["control"].unique().tolist()[:3] == ["none", "random weights", "random units"]
    rows = table.set_index(["control", "layer"])
    assert ("random units", "conv") not in rows.index  # its neurons are no units
    assert rows.loc[("random units", "conv/mine"), "mean_z"] != rows.loc[("none", "conv/mine"), "mean_z"]
    control = mcd.load(tmp_path / "run" / "controls" / "random-units", trust=True, model=Plain(), dataset=Patches())
    again = mcd.run_target(control, progress=False)
    assert torch.equal(again.activations["conv/mine"], control.activations("conv/mine"))
    assert not torch.equal(again.activations["conv/mine"], found.activations("conv/mine"))
    without = dissect(**asked, units=units(6))
    assert "random units" not in set(without.results.controls["control"])
    assert any("units 'mine' have no random counterpart" in one for one in without.manifest.warnings)


def test_what_is_known_of_units_is_recorded_and_cannot_steer_a_terminal() -> None:
    given = units(6, names=("a\x1b[31m", "mass"), facts={"R²": ".9", "by\n": "\x1b[2J"}, fitted=frozenset({"d2", "d1"}))
    (layer,) = dissect(model=Plain(), layers="conv", units=given).manifest.layers
    assert layer.through is not None
    assert layer.through.names == ["a\\u001b[31m", "mass"]
    assert list(layer.through.facts.items()) == [("R²", ".9"), ("by\\u000a", "\\u001b[2J")]
    assert (layer.through.fitted, layer.through.fitted_digest) == (2, digest("d1", "d2"))


def test_units_of_python_are_given_again_to_a_loaded_run(tmp_path: Path) -> None:
    def drawn(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Linear(6, 2)

    own = units(6, random=drawn)
    draws = {"draws": 20, "most_draws": 20}
    asked = {"model": Plain(), "layers": "conv", "units": own, "controls": True, "calibration": draws}
    found = dissect(**asked, output=tmp_path / "run")
    given: dict[str, object] = {"model": Plain(), "dataset": Patches()}
    loaded = mcd.load(tmp_path / "run", **given)  # type: ignore[arg-type]  # each its own
    with pytest.raises(UsageError, match=r"the unit source of .* was given in Python.*\n.*mcd\.load\(RUN, units=…\)"):
        mcd.run_target(loaded, progress=False)
    with pytest.raises(DataError, match="mine are not the units of"):
        mcd.load(tmp_path / "run", units=units(6, module=drawn(9)), **given)  # type: ignore[arg-type]  # each its own
    for place in ("run", "run/controls/random-units"):
        one = mcd.load(tmp_path / place, units=own, **given)  # type: ignore[arg-type]  # each its own
        (again,) = mcd.run_target(one, progress=False).activations.values()
        assert torch.equal(again, one.activations("conv/mine"))
    assert torch.equal(mcd.load(tmp_path / "run").activations("conv/mine"), found.activations("conv/mine"))


def test_runs_of_the_same_units_agree_whatever_their_file_says_and_those_of_others_are_as_other_models(
    tmp_path: Path,
) -> None:
    drawn = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    runs = []
    for directions, names in ((drawn, "abcd"), (drawn, "efgh"), (-drawn, "abcd")):
        file = written(tmp_path / "cavs.safetensors", {"directions": directions}, names=json.dumps(list(names)))
        scorer = "soft-wpmi:5" if names == "abcd" else "pearson"
        runs.append(dissect(model=Plain(), layers="conv", units=f"directions:{file}", scorer=scorer))
    assert len(mcd.compare(runs[:2], resamples=0).agreements) == 1
    others = mcd.compare([runs[0], runs[2]], resamples=0)
    assert (len(others.agreements), len(others.changes)) == (0, 0)
    assert set(others.layers["layer"]) >= {"conv/cavs"}
    assert any("are not compared one by one" in one for one in others.notes)
    (paired,) = mcd.compare([runs[0], runs[2]], resamples=0, match="hungarian").changes
    assert len(paired.neurons) == 4


def test_a_run_is_compared_with_its_random_units(tmp_path: Path) -> None:
    file = written(tmp_path / "cavs.safetensors", {"directions": torch.eye(6)[:3]})
    draws = {"draws": 20, "most_draws": 20}
    run = dissect(
        model=Plain(),
        layers="conv",
        units=f"directions:{file}",
        controls=True,
        calibration=draws,
        output=tmp_path / "run",
    )
    control = mcd.load(tmp_path / "run" / "controls" / "random-units")
    found = mcd.compare([run, control], resamples=0)
    assert len(found.differences)
    assert any("units of" in one for one in found.notes)
