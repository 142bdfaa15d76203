"""Weights of a CLIP from a file, under whichever of the usual names, into a network of open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from torch import nn

from mcd.errors import CheckpointError, UsageError
from mcd.plugins import fit_state_dict, select_weights

__all__ = ["fill"]

State = Mapping[str, torch.Tensor]

_NUMBERS = ("input_resolution", "context_length", "vocab_size")
"""What OpenAI's own archives hold besides the weights."""
_TRANSFORMERS = ("vision_model.", "text_model.embeddings.")


def fill(network: nn.Module, path: Path, *, prefix: str = "", ema: bool | None = None, sure: bool = False) -> str:
    """Load a weights file into a network; every tensor that takes part in an embedding must find its place.

    The names are those of open_clip, or of OpenAI's code, whose fine-tuned offspring (PubMedCLIP) has them.

    Parameters
    ----------
    prefix
        Take only the tensors under it. Without one, what all names begin with is taken off where only so they are
        names of the network.
    ema
        Whether to take the weights averaged over training where the file holds both.
    sure
        Somebody said which activation the weights need.

    Returns
    -------
    str
        That there are averaged weights which are not used; mostly empty.

    Raises
    ------
    CheckpointError
        When the file cannot be read or does not fit.
    UsageError
        When it was plainly trained with another activation than the network computes with.
    """
    found = select_weights(network, path, prefix=prefix, ema=ema)
    state: State = found.state if prefix else _without_common_start(found.state, network)
    if any(name.startswith(_TRANSFORMERS) for name in state):
        raise CheckpointError(
            f"{path} holds a CLIP of transformers, which is no model of open_clip",
            "give its folder, with configuration and tokenizer, to transformers-clip:FOLDER; its image tower is the "
            "target transformers:FOLDER",
        )
    if not sure:
        _check_activation(network, state, path)
    own, named = network.state_dict(), _converted(network, state)
    known = {
        name: one for name, one in named.items() if name in own or not (name in _NUMBERS or "position_ids" in name)
    }
    for name in ("logit_scale", "logit_bias"):  # no part of an embedding; one number, or a vector of one
        if name in own:
            known[name] = known[name].reshape(own[name].shape) if name in known else own[name]
    fit_state_dict(network, known, path)
    return found.remark


def _without_common_start(state: State, network: nn.Module) -> State:
    found = state
    while found and _converted(network, found).keys().isdisjoint(network.state_dict()):
        if len({name.partition(".")[0] for name in found}) > 1:
            return state
        found = {name.partition(".")[2]: one for name, one in found.items()}
    return found or state


def _converted(network: nn.Module, state: State) -> dict[str, torch.Tensor]:
    """Return a state under open_clip's names, by its own converters."""
    made: dict[str, torch.Tensor] = convert_state_dict(network, dict(state))
    if "positional_embedding" in made and not hasattr(network, "positional_embedding"):
        made = convert_to_custom_text_state_dict(made)
    return made


def _check_activation(network: nn.Module, state: State, path: Path) -> None:
    """Refuse what OpenAI's code has saved for a network that does not compute with its QuickGELU.

    Its archives hold three numbers more; what it trained on a GPU has the norms of the towers as 32-bit numbers,
    the rest as 16-bit numbers.
    """
    halves = any(one.dtype == torch.float16 for one in state.values())
    norm = state.get("ln_final.weight")
    openai = any(name in state for name in _NUMBERS) or (halves and norm is not None and norm.dtype == torch.float32)
    if openai and not any(type(module).__name__ == "QuickGELU" for module in network.modules()):
        raise UsageError(
            f"{path} looks as saved by OpenAI's code, which computes with QuickGELU; this network computes with GELU",
            "set quick_gelu=true; or false, where you know that it was trained otherwise",
        )
