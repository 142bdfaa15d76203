"""Weights averaged over training: recognised under many names, and used where they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.networks.own_network import State, has, loaded, net, weights

from mcd.errors import CheckpointError
from mcd.networks.checkpoints import averaged_beside


def averaged(state: State) -> State:
    return {name: value * 0.5 if value.is_floating_point() else value for name, value in state.items()}


@pytest.mark.parametrize(
    ("key", "inner"),
    [
        ("state_dict_ema", ""),
        ("model_ema", "module."),
        ("ema", "shadow."),
        ("swa_model", ""),
        ("modelEma", ""),
        ("moving_avg", ""),
        ("polyak", "module."),
    ],
)
def test_averaged_weights_are_said_and_used_where_asked_for(key: str, inner: str, tmp_path: Path) -> None:
    state = weights()
    ema: object = {f"{inner}{name}": value for name, value in averaged(state).items()}
    if inner == "shadow.":
        ema = {"decay": 0.99, "shadow": averaged(state)}
    torch.save({"epoch": 3, "state_dict": state, key: ema}, tmp_path / "w.pth")
    module, said = loaded(tmp_path / "w.pth")
    assert has(module, state)
    assert f"averaged over training ({key}" in said
    assert "ema=true" in said
    assert str(tmp_path) not in said
    module, said = loaded(tmp_path / "w.pth", ema=False)
    assert has(module, state)
    assert said == ""
    for options in ({"ema": True}, {"prefix": f"{key}.{inner}" if inner != "module." else key}):
        module, said = loaded(tmp_path / "w.pth", **options)
        assert has(module, averaged(state))
        assert said == ""


def test_averaged_weights_inside_names_and_alone(tmp_path: Path) -> None:
    state = weights()
    both = {f"model.{name}": value for name, value in state.items()}
    both |= {f"model_ema.{name}": value for name, value in averaged(state).items()}
    torch.save({"state_dict": both}, tmp_path / "both.ckpt")
    module, said = loaded(tmp_path / "both.ckpt", prefix="model")
    assert has(module, state)
    assert "model_ema" in said
    assert has(loaded(tmp_path / "both.ckpt", prefix="model", ema=True)[0], averaged(state))
    assert has(loaded(tmp_path / "both.ckpt", ema=True)[0], averaged(state))
    with pytest.raises(CheckpointError, match="does not fit") as caught:
        loaded(tmp_path / "both.ckpt")
    assert "prefix=model|model_ema" in caught.value.hint
    torch.save({"epoch": 1, "ema": averaged(state)}, tmp_path / "alone.pth")
    assert has(loaded(tmp_path / "alone.pth", ema=True)[0], averaged(state))
    torch.save(state, tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="no weights averaged over training"):
        loaded(tmp_path / "none.pth", ema=True)
    module = torch.optim.swa_utils.AveragedModel(net())
    module.module.load_state_dict(state)
    torch.save(module.state_dict(), tmp_path / "swa.pth")  # averaged itself, with a counter beside
    assert has(loaded(tmp_path / "swa.pth")[0], state)


def test_an_average_in_the_place_of_the_weights_is_said(tmp_path: Path) -> None:
    """As Lightning's WeightAveraging saves it."""
    state, before = (
        {f"model.{name}": value for name, value in one.items()} for one in (averaged(weights()), weights())
    )
    average = {"state_dict": state, "current_model_state": before, "averaging_state": {"n_averaged": torch.tensor(7)}}
    torch.save(average, tmp_path / "w.ckpt")
    for prefix in ("", "model"):
        module, said = loaded(tmp_path / "w.ckpt", prefix=prefix)
        assert has(module, averaged(weights()))
        assert "averaged over training" in said
        assert "ema=false takes them" in said
        assert "averaged over training" in averaged_beside(average, state)
        for ema, right in ((True, averaged(weights())), (False, weights())):
            module, said = loaded(tmp_path / "w.ckpt", prefix=prefix, ema=ema)
            assert has(module, right)
            assert said == ""
    assert loaded(tmp_path / "w.ckpt", prefix="current_model_state.model")[1] == ""
    assert averaged_beside(average, before) == ""


@pytest.mark.parametrize(
    ("callbacks", "prefix"),
    [({"StochasticWeightAveraging": {"average_model_state": "*"}}, ""), ({"EMA": {"ema": {"module": "*"}}}, "model")],
)
def test_averages_that_callbacks_keep_are_said(callbacks: dict[str, object], prefix: str, tmp_path: Path) -> None:
    def filled(one: object) -> object:
        named = {f"model.{name}": value for name, value in averaged(weights()).items()}
        return {key: filled(value) for key, value in one.items()} if isinstance(one, dict) else named

    state = {f"model.{name}": value for name, value in weights().items()}
    torch.save({"state_dict": state, "callbacks": filled(callbacks)}, tmp_path / "w.ckpt")
    module, said = loaded(tmp_path / "w.ckpt", prefix=prefix)
    assert has(module, weights())
    assert "ema=true takes them" in said
    assert has(loaded(tmp_path / "w.ckpt", prefix=prefix, ema=True)[0], averaged(weights()))


def test_averages_that_an_optimiser_keeps_are_said(tmp_path: Path) -> None:
    states = [{"opt": {}, "ema": tuple(averaged(weights()).values())}]
    torch.save({"state_dict": weights(), "optimizer_states": states}, tmp_path / "w.ckpt")
    assert "(optimizer_states.0.ema) without their names" in loaded(tmp_path / "w.ckpt")[1]


@pytest.mark.parametrize("form", ["list", "dotless"])
def test_averaged_weights_without_their_names_are_said(form: str, tmp_path: Path) -> None:
    state = weights()
    short = {name.replace(".", ""): value for name, value in averaged(state).items()}
    ema = {"decay": 0.9, "shadow_params": list(short.values())} if form == "list" else short
    torch.save({"model": state, "model_ema": ema}, tmp_path / "w.pth")
    module, said = loaded(tmp_path / "w.pth")
    assert has(module, state)
    assert "averaged over training (model_ema" in said
    assert "without their names" in said
    assert loaded(tmp_path / "w.pth", ema=False)[1] == ""
    with pytest.raises(CheckpointError, match="without their names"):
        loaded(tmp_path / "w.pth", ema=True)
    if form == "dotless":
        flat = {f"model.{name}": value for name, value in state.items()}
        torch.save({"state_dict": flat | {f"model_ema.{name}": value for name, value in short.items()}}, tmp_path / "w")
        (tmp_path / "w").rename(tmp_path / "w.pth")
        assert "model_ema) without their names" in loaded(tmp_path / "w.pth", prefix="model")[1]
