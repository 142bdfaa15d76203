"""The check of model loaders."""

from __future__ import annotations

import torch
from torch import nn

from mcd.api.image import Preprocessing
from mcd.api.model import ModelLoader, Target
from mcd.networks.trial import trial_pass
from mcd.testing.contract import ContractError, called, created, kind_of, require, same_settings_same_fingerprint

__all__ = ["check_model_loader"]


def check_model_loader(loader: ModelLoader | type[ModelLoader]) -> None:
    """Make sure that a loader returns a target that can be dissected, the same one each time.

    The target is run on the CPU, on two images and on the first of them alone, as the engine does before a study.

    Parameters
    ----------
    loader
        A model loader, or its class where the default settings will do.

    Raises
    ------
    ContractError
        When ``load`` raises, returns something else than a `mcd.Target`, or other weights the next time; when the
        network cannot be run, is on another device than the CPU, has no layer that can be read, gives an image other
        values in another batch, or does not give what ``outputs`` names.
    """
    made = created(loader, ModelLoader)
    name = type(made).__qualname__
    same_settings_same_fingerprint(made)
    with called(f"{name}.load()"):
        target = made.load()
    _check_target(name, target)
    _check_again(name, type(made)(made.options), target)
    with called(f"the network of {name}"):
        trial = trial_pass(target)
    readable = [layer for layer in trial.layers if not layer.reason]
    why = "; ".join(f"{one.name}: {one.reason}" for one in trial.layers[:3])
    require(
        readable,
        f"no layer of {name} can be read ({why or 'it has no modules'})",
        "return a network whose modules return tensors with one axis of neurons",
    )
    _check_outputs(name, target)


def _check_target(name: str, target: object) -> None:
    wrapped = "return mcd.Target(name, network, mcd.Preprocessing(…))"
    if not isinstance(target, Target):
        raise ContractError(f"{name}.load() returned {kind_of(target)}, not a mcd.Target", wrapped)
    require(isinstance(target.name, str) and target.name.strip(), f"the target of {name} has no name", wrapped)
    module: object = target.module
    require(isinstance(module, nn.Module), f"the module of {name} is {kind_of(module)}, not an nn.Module", wrapped)
    recipe: object = target.preprocessing
    require(
        isinstance(recipe, Preprocessing),
        f"the preprocessing of {name} is {kind_of(recipe)}, not a mcd.Preprocessing",
        "say as a mcd.Preprocessing how an image becomes the input; subclass it for anything else",
    )
    away = [key for key, one in target.module.state_dict().items() if one.device.type != "cpu"]
    require(
        not away,
        f"{name}.load() puts '{(away or [''])[0]}' on another device than the CPU",
        "leave the network on the CPU: the engine moves it",
    )


def _check_again(name: str, loader: ModelLoader, first: Target) -> None:
    with called(f"{name}.load(), the second time,"):
        second = loader.load()
    states = first.module.state_dict(), second.module.state_dict()
    other = [key for key in states[0] if key not in states[1] or not torch.equal(states[0][key], states[1][key])]
    require(
        not other and len(states[0]) == len(states[1]),
        f"{name}.load() returns other weights the second time, such as '{(other or ['more of them'])[0]}'",
        "read them from a file, or draw them from a seed that is a setting",
    )


def _check_outputs(name: str, target: Target) -> None:
    if not target.outputs:
        return
    recipe = target.preprocessing
    batch = torch.rand(2, recipe.channels or 3, recipe.height or 224, recipe.width or 224)
    with called(f"the network of {name}"), torch.inference_mode():
        found: object = target.module.eval()(recipe.finalize(batch))
    width = found.shape[1] if isinstance(found, torch.Tensor) and found.ndim == 2 else 0
    require(
        width == len(target.outputs),
        f"{name} names {len(target.outputs)} outputs and the network gives {width or 'no table of them'}",
        "name each column of the network's output (B, K), or none",
    )
