"""Files of units that are none: one message that says what is wrong, before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.plugins.units.unit_files import dictionary_file, directions_file, groups_file, pca_file, written
from torch import nn

import mcd
from mcd.errors import DataError
from mcd_plugins.units.dictionary import Dictionary
from mcd_plugins.units.directions import Directions
from mcd_plugins.units.groups import Groups
from mcd_plugins.units.pca import PrincipalAxes

NAN = torch.tensor([[1.0, torch.nan], [0, 1]])


def loaded(path: Path) -> mcd.Units:
    return Directions(Directions.Options(file=path)).load()


def test_what_a_file_says_of_its_units_is_read(tmp_path: Path) -> None:
    units = loaded(directions_file(tmp_path))
    assert (units.name, units.channels, units.units, units.layer) == ("drawn", 5, 7, "conv")
    named = written(tmp_path / "named.safetensors", {"directions": torch.eye(2)}, names='["mass", "cyst"]', by="me")
    assert loaded(named).names == ("mass", "cyst")
    assert (loaded(named).fitted, loaded(named).facts) == (frozenset(), {})
    facts, fitted = '{"R²": ".9", "L0": "6.0"}', '["a1", "b2"]'
    fitted_on = loaded(
        written(tmp_path / "fitted.safetensors", {"directions": torch.eye(2)}, facts=facts, fitted=fitted)
    )
    assert fitted_on.fitted == {"a1", "b2"}
    assert list(fitted_on.facts.items()) == [("R²", ".9"), ("L0", "6.0")]


@pytest.mark.parametrize(
    ("tensors", "about", "said"),
    [
        ({"directions": NAN}, {}, "tensor 'directions' holds NaN or infinity"),
        ({"directions": torch.tensor([[1.0, 2], [0, 0]])}, {}, "row 1 of 'directions' has length zero"),
        ({"vectors": torch.eye(2)}, {}, "has no tensor 'directions'; its tensors are: vectors"),
        (
            {"directions": torch.eye(2), "decoder": torch.eye(2)},
            {},
            "has a tensor 'decoder', which is none of this kind",
        ),
        ({"directions": torch.eye(2), "bias": torch.ones(3)}, {}, "'bias' is of 3 units, another tensor of 2"),
        ({"directions": torch.ones(3)}, {}, r"'directions' is torch.float32 of shape \(3,\)"),
        ({"directions": torch.eye(2, dtype=torch.int64)}, {}, "'directions' is torch.int64"),
        ({"directions": torch.empty(0, 4)}, {}, r"'directions' of shape \(0, 4\) is empty"),
        ({"directions": torch.eye(2)}, {"names": '["one"]'}, "has 1 name for 2 units"),
        ({"directions": torch.eye(2)}, {"names": "one, two"}, "its metadata 'names' cannot be read"),
        ({"directions": torch.eye(2)}, {"fitted": '{"a": 1}'}, "its metadata 'fitted' cannot be read"),
        ({"directions": torch.eye(2)}, {"facts": '["L0"]'}, "its metadata 'facts' cannot be read"),
        ({"directions": torch.eye(2)}, {"facts": json.dumps({"kind": "x" * 10**6})}, "'facts' cannot be read"),
        ({"directions": torch.eye(2)}, {"facts": json.dumps({str(one): "" for one in range(101)})}, "'facts' cannot"),
        ({"directions": torch.eye(2)}, {"names": json.dumps(["mass", "x" * 10**6])}, "'names' cannot be read"),
        ({"directions": torch.eye(2)}, {"layer": "x" * 10**6}, "its metadata 'layer' cannot be read"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tensors: dict[str, torch.Tensor], about: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        loaded(written(tmp_path / "units.safetensors", tensors, **about))


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "units.safetensors"
    torch.save({"directions": torch.eye(2)}, path)
    with pytest.raises(DataError, match=r"is a pickle, as torch\.save writes it: no units are read from one"):
        loaded(path)
    for data, said in ((b"", "is empty"), (b"directions", "is no whole safetensors file")):
        path.write_bytes(data)
        with pytest.raises(DataError, match=said):
            loaded(path)
    with pytest.raises(DataError, match="there is no file"):
        loaded(tmp_path)


VALUES = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(9))


def test_a_group_is_the_mean_of_its_members_z_scores(tmp_path: Path) -> None:
    file = groups_file(tmp_path)
    held = load_file(file)
    scores = (VALUES - held["means"]) / held["deviations"]
    expected = torch.stack([scores[..., :2].mean(-1), scores[..., 2:].mean(-1)], dim=-1)
    torch.testing.assert_close(Groups(Groups.Options(file=file)).load().module(VALUES), expected)


def test_an_axis_is_measured_from_the_means(tmp_path: Path) -> None:
    file = pca_file(tmp_path)
    expected = (VALUES - load_file(file)["means"])[..., [3, 1]]
    found = PrincipalAxes(PrincipalAxes.Options(file=file)).load().module(VALUES)
    torch.testing.assert_close(found, expected)


def test_a_group_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for changed, said in (
        ({"members": torch.full((1, 5), 0.5)}, "holds other numbers than 0 and 1"),
        ({"members": torch.zeros(1, 5)}, "row 0 of 'members' has length zero"),
        ({"deviations": torch.tensor([1.0, 0, 1, 1, 1])}, "neuron 1 of a group has deviation 0: no z-score"),
    ):
        with pytest.raises(DataError, match=said):
            Groups(Groups.Options(file=groups_file(tmp_path, **changed))).load()


def drawn(units: mcd.Units, seed: int = 1) -> nn.Module:
    assert units.random is not None
    return units.random(seed)


def test_random_units_are_as_many_as_long_and_as_sparse(tmp_path: Path) -> None:
    values = torch.randn(300, 5, generator=torch.Generator().manual_seed(4))
    directions = loaded(directions_file(tmp_path))
    groups = Groups(Groups.Options(file=groups_file(tmp_path))).load()
    axes = PrincipalAxes(PrincipalAxes.Options(file=pca_file(tmp_path))).load()
    sae = Dictionary(Dictionary.Options(file=dictionary_file(tmp_path, "relu"))).load()
    for units in (directions, groups, axes, sae):
        first, again, other = (drawn(units, seed).eval()(values) for seed in (1, 1, 2))
        assert first.shape == units.module(values).shape
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert not torch.equal(first, units.module(values))
    weights = [one.state_dict()["weight"] for one in (directions.module, drawn(directions), drawn(groups))]
    torch.testing.assert_close(weights[0].norm(dim=1), weights[1].norm(dim=1))
    assert sorted((weights[2] > 0).sum(1).tolist()) == [2, 3]


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_random_directions_are_as_long_as_very_short_and_very_long_ones(scale: float, tmp_path: Path) -> None:
    file = written(tmp_path / "far.safetensors", {"directions": scale * torch.eye(4)})
    weight = drawn(loaded(file)).get_buffer("weight").double()
    torch.testing.assert_close(weight.norm(dim=1) / scale, torch.ones(4, dtype=torch.float64), rtol=1e-5, atol=0)


def test_random_axes_are_at_the_same_angles_as_the_axes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    for count, neurons in ((3, 6), (6, 6), (7, 5)):
        axes = torch.randn(count, neurons, generator=generator)
        file = written(tmp_path / "axes.safetensors", {"axes": axes, "means": torch.zeros(neurons)})
        found = drawn(PrincipalAxes(PrincipalAxes.Options(file=file)).load()).get_buffer("weight")
        torch.testing.assert_close(found @ found.T, axes @ axes.T, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found, axes, atol=0.1)


def test_units_stay_what_they_are_when_their_file_is_written_anew(tmp_path: Path) -> None:
    kept = written(tmp_path / "kept.safetensors", {"directions": torch.ones(300, 300)})
    units = loaded(kept)
    with kept.open("r+b") as file:
        file.write(bytes(kept.stat().st_size))
    assert torch.equal(units.module(torch.eye(300)), torch.ones(300, 300))
