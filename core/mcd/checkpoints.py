"""Weights from files: read as plain tensors, never as foreign objects, and loaded wholly or not at all."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

from mcd.errors import CheckpointError

__all__ = ["load_weights", "read_state_dict"]

_NESTED = ("state_dict", "model", "model_state_dict")
_SHOWN = 5


def load_weights(
    module: nn.Module, path: Path, *, rename: Callable[[Iterable[str]], Mapping[str, str]] | None = None
) -> None:
    """Load a weights file into a network; every tensor must find its place.

    Parameters
    ----------
    module
        The network. Unchanged when the weights do not fit.
    path
        ``.safetensors``, or a file that ``torch.save`` wrote (see `read_state_dict`).
    rename
        Takes the names in the file and returns for each the network's name.

    Raises
    ------
    CheckpointError
        When the file cannot be read, or with the missing, unexpected and misshapen tensors.
    """
    state = read_state_dict(path)
    if rename is not None:
        names = rename(state)
        state = {names[name]: tensor for name, tensor in state.items()}
    wanted = module.state_dict()
    # BatchNorm's step counter takes no part in inference, and older files lack it.
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in wanted]
    misshapen = [
        f"{name} is {_shape(state[name])} in the file, {_shape(wanted[name])} in the network"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    if missing or unexpected or misshapen:
        raise CheckpointError(
            f"{path} does not fit {type(module).__name__} ({len(state)} tensors for {len(wanted)})"
            + _listed("missing", missing)
            + _listed("unexpected", unexpected)
            + _listed("misshapen", misshapen),
            _advice(missing, unexpected, misshapen),
        )
    module.load_state_dict(state, strict=False)


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file by name.

    A ``.safetensors`` file is read as such. Anything else is opened with ``weights_only=True``, so nothing in it
    is executed. A state dict nested under ``state_dict``, ``model`` or ``model_state_dict`` is found, and a
    ``module.`` in front of every name (DistributedDataParallel) is taken off.

    Raises
    ------
    CheckpointError
        When the file is not there, is no weights file, is cut short, or holds Python objects.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"checkpoint {path} {kind}", "give the path of a weights file")
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for name in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not found:
        raise CheckpointError(
            f"{path} holds {type(found).__name__} instead of named tensors", "save model.state_dict()"
        )
    strangers = [name for name, value in found.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise CheckpointError(
            f"{path} is no state dict: '{strangers[0]}' is a {type(found[strangers[0]]).__name__}",
            "save model.state_dict() alone",
        )
    if all(str(name).startswith("module.") for name in found):
        return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}
    return {str(name): tensor for name, tensor in found.items()}


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no whole safetensors file: {error}", "download it again") from None


def _read_torch(path: Path) -> object:
    with path.open("rb") as file:
        start = file.read(256).lstrip().lower()
    if not start:
        raise CheckpointError(f"{path} is empty", "download it again")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path} is a web page, not weights", "download it again: the server sent a page instead")
    try:
        found: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        foreign = re.search(r"(?:GLOBAL|class|Unsupported global:)\s+([\w.]+)", str(error))
        if foreign is None:
            raise CheckpointError(f"{path} is no weights file that torch can read", "download it again") from None
        raise CheckpointError(
            f"{path} holds Python objects ({foreign[1]}), which mcd never executes",
            "where you trust the file, load it in Python and save its state dict with safetensors",
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as weights: {reason}", "download it again") from None
    return found


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"\n  {len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"


def _advice(missing: list[str], unexpected: list[str], misshapen: list[str]) -> str:
    heads = ("classifier", "head", "fc")
    odd = [*missing, *unexpected, *(line.split()[0] for line in misshapen)]
    if all(name.split(".")[0] in heads for name in odd):
        return "only the head differs: set num_classes as in the file (0 for none)"
    if missing and unexpected and not misshapen:
        return "the names differ: is it another architecture, or a network wrapped in another one?"
    return "is it the weights of another architecture?"
