"""Weights from files: read as plain tensors, never as foreign objects, and loaded wholly or not at all."""

from __future__ import annotations

import pickle
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from mcd.errors import CheckpointError, nearest
from mcd.networks.prefixes import Renaming, branches, fits, fitting_prefixes
from mcd.networks.unpickling import Foreign, ForeignCallError, plain, restricted_pickle

__all__ = ["check_finite", "find_state_dict", "fit_state_dict", "load_weights", "read_checkpoint", "read_state_dict"]

_NESTED = ("state_dict", "model", "model_state_dict")
_TORCH = (".pt", ".pth", ".tar", ".ckpt", ".bin")
_SHOWN = 5
_OFFERED = 4
_AGAIN = "download it again"


class _UnlikeError(CheckpointError):
    """Names, shapes or types of the tensors are not the network's."""


def load_weights(module: nn.Module, path: Path, *, rename: Renaming | None = None, prefix: str = "") -> None:
    """Load a weights file into a network; every tensor must find its place.

    Parameters
    ----------
    module
        The network. Unchanged when the weights do not fit.
    path
        ``.safetensors``, or a file that ``torch.save`` wrote (see `read_state_dict`).
    rename
        Takes the names in the file and returns for each the network's name.
    prefix
        Take only the tensors under it (``model.backbone.``), and take it off. Without one, what all names begin
        with (``model.`` in a Lightning checkpoint) is taken off where the network's names begin after it.

    Raises
    ------
    CheckpointError
        When the file cannot be read, or with the missing, unexpected and misshapen tensors.
    """
    whole = read_state_dict(path)
    prefix = prefix.rstrip(".")
    state = _under(prefix, whole) if prefix else _without_common_start(whole, module, rename)
    if not state:
        raise CheckpointError(f"{path} has no tensors under '{prefix}.'", _prefix_hint(prefix, whole, module, rename))
    try:
        fit_state_dict(module, state, path, rename=rename)
    except _UnlikeError as error:
        elsewhere = [] if fits(state, module, rename) else fitting_prefixes(whole, module, rename)
        if elsewhere:
            raise CheckpointError(error.message, _say_prefix(elsewhere)) from None
        raise


def _under(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    start = prefix + "."
    return {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}


def _prefix_hint(wrong: str, state: Mapping[str, torch.Tensor], module: nn.Module, rename: Renaming | None) -> str:
    fitting = fitting_prefixes(state, module, rename)
    return _say_prefix(fitting) if fitting else nearest(wrong, branches(state))


def _say_prefix(prefixes: list[str]) -> str:
    return f"the network's names begin after '{prefixes[0]}': prefix={'|'.join(prefixes[:_OFFERED])}"


def _without_common_start(
    state: dict[str, torch.Tensor], module: nn.Module, rename: Renaming | None
) -> dict[str, torch.Tensor]:
    """Return the state without what all its names begin with, if only so they are names of the network."""
    wanted = module.state_dict().keys()
    found = state
    while found:
        if not wanted.isdisjoint((rename(found) if rename else {name: name for name in found}).values()):
            return found
        starts = {name.partition(".")[0] for name in found}
        if len(starts) > 1 or not all("." in name for name in found):
            return state
        found = {name.partition(".")[2]: tensor for name, tensor in found.items()}
    return state


def fit_state_dict(
    module: nn.Module,
    state: Mapping[str, torch.Tensor],
    path: Path,
    *,
    rename: Renaming | None = None,
) -> None:
    """Load tensors into a network as `load_weights` does; ``path`` is where messages say they come from.

    Raises
    ------
    CheckpointError
        With the missing, unexpected and misshapen tensors, or the first with values that are no numbers; the network
        is unchanged then.
    """
    if rename is not None:
        names = rename(state)
        twice = [name for name, count in Counter(names[name] for name in state).items() if count > 1]
        if twice:
            raise CheckpointError(f"{path} has several tensors for {twice[0]}", "is it two checkpoints in one?")
        state = {names[name]: tensor for name, tensor in state.items()}
    wanted = {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    # BatchNorm's step counter takes no part in inference, and older files lack it.
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in wanted]
    misshapen = [
        f"{name} is {_shape(state[name])} in the file, {_shape(wanted[name])} in the network"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    # Copying would drop an imaginary part, or take class numbers for weights, without a word.
    mistyped = [
        f"{name} is {_kind(state[name])} in the file, {_kind(wanted[name])} in the network"
        for name in wanted
        if name in state and _kind(state[name]) != _kind(wanted[name]) and not name.endswith("num_batches_tracked")
    ]
    if missing or unexpected or misshapen or mistyped:
        raise _UnlikeError(
            f"{path} does not fit {type(module).__name__} ({len(state)} tensors for {len(wanted)})"
            + _listed("missing", missing)
            + _listed("unexpected", unexpected)
            + _listed("misshapen", misshapen)
            + _listed("of another type", mistyped),
            _advice(missing, unexpected, misshapen + mistyped),
        )
    check_finite(module, state, path)
    module.load_state_dict(state, strict=False)


def read_checkpoint(path: Path) -> object:
    """Return all that a weights file holds, as plain data: tensors, numbers, texts, lists, dicts.

    A ``.safetensors`` file is read as such; ``.pt``, ``.pth``, ``.tar``, ``.ckpt`` and ``.bin`` are opened with
    ``weights_only=True``, so nothing in them is executed; other files are refused. Where a file pickles objects
    of foreign classes (a configuration of omegaconf, arrays), these are not imported: the content of omegaconf's
    containers is returned, other objects are left as inert records.

    Raises
    ------
    CheckpointError
        When the file is missing, is no weights file, is cut short, or would call a function.
    """
    path = Path(path)
    _check_file(path)
    found = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path)
    try:
        return plain(found)
    except RecursionError:
        raise CheckpointError(f"{path} holds something nested without end", _AGAIN) from None


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file by name: `find_state_dict` in what `read_checkpoint` returns.

    Raises
    ------
    CheckpointError
        As those two.
    """
    return find_state_dict(read_checkpoint(path), path)


def check_finite(module: nn.Module, state: Mapping[str, object], source: object) -> None:
    """Refuse weights that are no numbers: every activation after them would be none either.

    Infinity is refused in parameters only: buffers hold it on purpose (attention masks).

    Parameters
    ----------
    module
        The network that they are for; it says which names are parameters.
    source
        Where they come from, for the message.

    Raises
    ------
    CheckpointError
        Naming the first such tensor in the order of the network, and how many more there are.
    """
    parameters = {name for name, _ in module.named_parameters()}
    bad: list[tuple[str, str]] = []
    for name in module.state_dict():
        tensor = state.get(name)
        if not isinstance(tensor, torch.Tensor) or isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            continue
        if tensor.is_meta or tensor.is_quantized or _kind(tensor) == "whole-number":
            continue
        values = tensor.float() if tensor.element_size() == 1 else tensor  # torch asks this of no 8-bit floats
        if values.isnan().any():
            bad.append((name, "NaN"))
        elif name in parameters and values.isinf().any():
            bad.append((name, "infinity"))
    if bad:
        more = f", as have {len(bad) - 1} other tensors" if len(bad) > 1 else ""
        raise CheckpointError(
            f"{source}: {bad[0][0]} has {bad[0][1]} among its values{more}",
            "training may have diverged: take an earlier checkpoint, or save and download this one again",
        )


def find_state_dict(found: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in the content of a checkpoint by name.

    A state dict nested under ``state_dict``, ``model`` or ``model_state_dict`` is found, and a ``module.`` in
    front of every name (DistributedDataParallel) is taken off.

    Raises
    ------
    CheckpointError
        When there is none, or it holds anything but plain tensors.
    """
    for name in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if isinstance(found, Foreign):
        raise _holds_objects(path, found.class_name)
    if not isinstance(found, Mapping) or not found:
        what = f"an empty {type(found).__name__}" if isinstance(found, Mapping) else type(found).__name__
        raise CheckpointError(f"{path} holds {what} instead of named tensors", "save model.state_dict()")
    state: dict[str, torch.Tensor] = {}
    for name, value in found.items():
        if not isinstance(name, str):
            raise CheckpointError(f"{path} is no state dict: it is keyed by {name!r}", "save model.state_dict() alone")
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path} is no state dict: '{name}' is a {type(value).__name__}", "save model.state_dict() alone"
            )
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise CheckpointError(
                f"{path} cannot be used: '{name}' is no plain tensor (sparse, quantised or without values)",
                "save the weights of the network before it was converted",
            )
        state[name] = value
    if all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def _check_file(path: Path) -> None:
    """Refuse what is missing, not readable or plainly something else, before a decoder sees it."""
    try:
        with path.open("rb") as file:
            start = file.read(256).lstrip().lower()
    except IsADirectoryError:
        raise CheckpointError(f"checkpoint {path} is a folder", "give the path of a weights file") from None
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"checkpoint {path} does not exist", "give the path of a weights file") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be opened: {_reason(error)}") from None
    if path.suffix.lower() not in (".safetensors", *_TORCH):
        raise CheckpointError(
            f"{path} is none of the weights files that mcd reads: .safetensors, {', '.join(_TORCH)}",
            "save the state dict with safetensors; or, where torch.save wrote the file, rename it to .pth",
        )
    if not start:
        raise CheckpointError(f"{path} is empty", _AGAIN)
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path} is a web page, not weights", f"{_AGAIN}: the server sent a page instead")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights", "fetch them: git lfs pull")


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no whole safetensors file: {_reason(error)}", _AGAIN) from None


def _read_torch(path: Path) -> object:
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"  # the form that can be mapped instead of read
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old pickle protocols and sparse tensors: what matters is refused
            found: object = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if not zipped:
            raise _unread(path, error) from None
        return _read_foreign(path)
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise _unread(path, error) from None
    return found


def _read_foreign(path: Path) -> object:
    """Read a zip file that names foreign classes. It is no TorchScript: torch has refused that before this."""
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=restricted_pickle, mmap=True)
    except ForeignCallError as error:
        raise _holds_objects(path, str(error)) from None
    except Exception as error:  # as above
        raise _unread(path, error) from None


def _unread(path: Path, error: Exception) -> CheckpointError:
    """Return what to say; torch's own text is left out where it advises to execute the file."""
    text = str(error)
    foreign = re.search(r"GLOBAL\s+([\w.]+)", text) or re.search(r"[Uu]nsupported (?:class|global:?)\s+([\w.]+)", text)
    if foreign is not None:
        return _holds_objects(path, foreign[1])
    if "TorchScript" in text:
        return CheckpointError(
            f"{path} is a TorchScript program, which mcd never executes",
            "where you trust the file: safetensors.torch.save_file(torch.jit.load(FILE).state_dict(), 'w.safetensors')",
        )
    if isinstance(error, OSError | MemoryError):  # which say nothing of the content
        return CheckpointError(f"{path} cannot be read as weights: {_reason(error)}")
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # after eight bytes that count the header's
        return CheckpointError(f"{path} is a safetensors file by its content", "rename it to .safetensors")
    if start.startswith((b"PK\x03\x04", b"\x80")):  # zip, or the pickle of older versions
        if "weights_only" in text or "WeightsUnpickler" in text:
            return CheckpointError(f"{path} is no weights file that torch can read safely", _AGAIN)
        reason = _reason(error).partition(". ")[0]
        return CheckpointError(f"{path} cannot be read as weights, it is cut short or damaged: {reason}", _AGAIN)
    return CheckpointError(
        f"{path} is no file that torch.save wrote, whatever its name says",
        f"if it should be one, {_AGAIN}; if it is of another program, save model.state_dict() with torch.save",
    )


def _holds_objects(path: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds Python objects ({name}), which mcd never executes",
        "where you trust the file, load it in Python and save its state dict with safetensors",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _kind(tensor: torch.Tensor) -> str:
    return "complex" if tensor.is_complex() else "floating-point" if tensor.is_floating_point() else "whole-number"


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
        inside = [name for name in unexpected if "." in name]
        where = f" Then say where: prefix={'|'.join(branches(inside)[:_OFFERED])}" if inside else ""
        return f"the names differ: is it another architecture, or a network inside another one?{where}"
    return "is it the weights of another architecture?"
