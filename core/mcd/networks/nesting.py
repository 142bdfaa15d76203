"""What the mappings of a checkpoint hold: state dicts, those under other names, those averaged over training."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch

from mcd.errors import CheckpointError
from mcd.networks.unpickling import Foreign

__all__ = [
    "averaged_twin",
    "carries_nothing",
    "find_state_dict",
    "holds_arrays",
    "holds_objects",
    "is_averaged",
    "named_as",
    "not_averaged",
    "places",
    "said_in_place",
    "tensors_below",
    "unnamed_average",
    "unwrapped",
]

State = Mapping[str, torch.Tensor]

_NESTED = ("state_dict", "model", "model_state_dict")
_DEPTH = 6
_WRAPPERS = frozenset(
    ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_original_module")
)
"""What torch.compile, FSDP, activation checkpointing and Fabric put into names; no network calls a part so."""
_AVERAGED = re.compile(r"(^|_)(ema|swa|averaged|average|avg|shadow|polyak)(_|$)")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOTHING = frozenset(
    (
        "num_batches_tracked",
        "position_ids",
        "relative_position_index",
        "relative_coords_table",
        "attn_mask",
        "inv_freq",
        "n_averaged",
        "total_ops",
        "total_params",
    )
)
"""Counters, and buffers that follow from the sizes of a network: versions of one library save them, others do not."""


def carries_nothing(name: str) -> bool:
    """Say whether a tensor holds nothing that was learned: a counter, a table of indices, a mask.

    >>> carries_nothing("layers.0.attn.relative_position_index"), carries_nothing("layers.0.attn.qkv.weight")
    (True, False)
    """
    return name.rpartition(".")[2] in _NOTHING


def unwrapped(name: str) -> str:
    """Return the name of a tensor without what wrappers of modules put into it.

    >>> unwrapped("layer2._orig_mod.0.weight")
    'layer2.0.weight'
    """
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def find_state_dict(found: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in the content of a checkpoint by name.

    A state dict nested under ``state_dict``, ``model`` or ``model_state_dict`` is found. What wrappers put into names
    (``module.`` in front of every name, ``_orig_mod.`` anywhere) is taken off; extra state that is no tensor is left
    out.

    Raises
    ------
    CheckpointError
        When there is none, or it holds anything but plain tensors.
    """
    for _ in range(_DEPTH):
        inner = next((one for one in _NESTED if isinstance(found, Mapping) and isinstance(found.get(one), Mapping)), "")
        if not inner or not isinstance(found, Mapping):
            break
        found = found[inner]
    if not isinstance(found, Mapping) or not found:
        if isinstance(found, Foreign):
            raise holds_objects(path, found.class_name)
        what = f"an empty {type(found).__name__}" if isinstance(found, Mapping) else type(found).__name__
        raise CheckpointError(f"{path} holds {what} instead of named tensors", "save model.state_dict()")
    _refuse_arrays(path, found)
    state: dict[str, torch.Tensor] = {}
    for name, value in found.items():
        if not isinstance(name, str):
            raise CheckpointError(f"{path} is no state dict: it is keyed by {name!r}", "save model.state_dict() alone")
        if not isinstance(value, torch.Tensor) and name.rpartition(".")[2] == "_extra_state":
            continue  # what get_extra_state() of a module returned: no weights
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path} is no state dict: '{name}' is {_kind(value)}", "save model.state_dict() alone"
            )
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise CheckpointError(
                f"{path} cannot be used: '{name}' is no plain tensor (sparse, quantised or without values)",
                "save the weights of the network before it was converted",
            )
        state[name] = value
    return _plainly_named(state)


def _plainly_named(state: State) -> dict[str, torch.Tensor]:
    """Return tensors without wrappers in their names, unless two would get one name."""
    names = {name: unwrapped(name) for name in state}
    carrying = [name for name in names.values() if not carries_nothing(name)]
    while carrying and all(name.startswith("module.") for name in carrying):
        names = {name: new.removeprefix("module.") for name, new in names.items()}
        carrying = [name for name in names.values() if not carries_nothing(name)]
    if len(set(names.values())) < len(names):
        return dict(state)
    return {names[name]: tensor for name, tensor in state.items()}


def _refuse_arrays(path: Path, content: object) -> None:
    """Refuse a checkpoint without tensors that has numpy arrays instead."""
    array = None if tensors_below(content) else _array_in(content)
    if array is not None:
        raise holds_arrays(path, array)


def _array_in(content: object, above: str = "", depth: int = 0) -> str | None:
    """Return the keys that lead to the first numpy array, with dots between them; None where there is none."""
    if isinstance(content, Mapping) and depth < _DEPTH:
        inside = (_array_in(value, f"{above}.{key}".strip("."), depth + 1) for key, value in content.items())
        return next((one for one in inside if one is not None), None)
    return above if isinstance(content, Foreign) and _is_array(content.class_name) else None


def _kind(value: object) -> str:
    array = isinstance(value, Foreign) and _is_array(value.class_name)
    return "a numpy array" if array else f"of type {type(value).__name__}"


def _is_array(name: str) -> bool:
    return name.startswith("numpy.") and name.rpartition(".")[2] in ("_reconstruct", "_frombuffer", "ndarray")


def holds_arrays(path: Path, where: str = "") -> CheckpointError:
    """Return the error for a file of numpy arrays."""
    named = f" (such as '{where}')" if where else ""
    return CheckpointError(
        f"{path} holds numpy arrays{named}, not tensors",
        "where you trust the file, load it in Python, make tensors of the arrays with torch.from_numpy and save them "
        "with safetensors",
    )


def holds_objects(path: Path, name: str) -> CheckpointError:
    """Return the error for a file in which a foreign object is needed."""
    if _is_array(name):
        return holds_arrays(path)
    return CheckpointError(
        f"{path} holds Python objects ({name}), which mcd never executes",
        "where you trust the file, load it in Python and save its state dict with safetensors",
    )


def tensors_below(content: object) -> dict[str, torch.Tensor]:
    """Return every plain tensor in nested mappings, by its keys with dots between them: ``net.layer1.0.weight``."""
    return {unwrapped(name): tensor for name, tensor in _below(content, "", 0)}


def _below(content: object, above: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor) and above:
        if content.layout == torch.strided and not content.is_meta and not content.is_quantized:
            yield above, content
    elif isinstance(content, Mapping) and depth < _DEPTH:
        for key, value in content.items():
            if isinstance(key, str):
                yield from _below(value, f"{above}.{key}" if above else key, depth + 1)


def places(content: object) -> list[str]:
    """Return the keys, with dots between them, of all mappings that hold tensors, the fullest first.

    >>> places({"epoch": 3, "net": {"weight": torch.zeros(1)}})
    ['net']
    """
    found: dict[str, int] = {}
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    while waiting:
        above, one, depth = waiting.pop()
        if isinstance(one, Mapping) and depth < _DEPTH:
            count = sum(isinstance(value, torch.Tensor) for value in one.values())
            if count and above:
                found[above] = count
            waiting += [(f"{above}.{key}".strip("."), value, depth + 1) for key, value in one.items() if _is_key(key)]
    return sorted(found, key=lambda place: (-found[place], place))


def _is_key(key: object) -> bool:
    return isinstance(key, str)


def is_averaged(place: str) -> bool:
    """Say whether a place in a checkpoint is named as one of weights averaged over training.

    >>> is_averaged("state_dict_ema"), is_averaged("modelEma.conv1"), is_averaged("schema.weight")
    (True, True, False)
    """
    return any(_says_averaged(part) for part in place.split("."))


def _says_averaged(part: str) -> bool:
    return _AVERAGED.search(_HUMP.sub("_", part).lower()) is not None


def averaged_twin(state: State, below: State) -> str:
    """Return where the same tensors lie averaged over training (EMA, SWA); empty where they do not.

    Parameters
    ----------
    state
        The tensors that were chosen.
    below
        All of the file, as `tensors_below` gives them.
    """
    after: dict[str, set[str]] = defaultdict(set)
    for name in below:
        parts = name.split(".")
        at = next((at for at, part in enumerate(parts[:-1]) if _says_averaged(part)), None)
        if at is not None:
            for end in range(at + 1, min(at + 6, len(parts))):
                after[".".join(parts[:end])].add(".".join(parts[end:]))
    shared = {place: len(names & state.keys()) for place, names in after.items()}
    best = max(shared, key=lambda place: (shared[place], -len(place)), default="")
    return best if best and 2 * shared[best] > len(state) else ""


def unnamed_average(content: object, state: State) -> str:
    """Return the remark on weights averaged over training whose names are lost; mostly empty.

    torch_ema saves a list of them, latent diffusion names without dots.
    """
    short = {name.replace(".", "") for name in state}
    within: dict[str, set[str]] = defaultdict(set)
    for name in tensors_below(content):
        place, _, last = name.rpartition(".")
        within[place].add(last)
    found = [place for place, names in within.items() if 2 * len(names & short) > len(short) > 1]
    waiting: list[tuple[str, object]] = [("", content)]
    while waiting:
        above, one = waiting.pop()
        if isinstance(one, Mapping) and above.count(".") < _DEPTH:
            waiting += [(f"{above}.{key}".strip("."), value) for key, value in one.items() if _is_key(key)]
        elif isinstance(one, list | tuple) and sum(isinstance(value, torch.Tensor) for value in one) > 1:
            found.append(above)
        elif isinstance(one, list | tuple) and above.count(".") < _DEPTH:  # states of several optimisers
            waiting += [(f"{above}.{at}", value) for at, value in enumerate(one) if isinstance(value, Mapping)]
    where = next(filter(is_averaged, found), "")
    said = f"the checkpoint also holds weights averaged over training ({where}) without their names: they are not used"
    return said if where else ""


_BEFORE = "current_model_state"
"""Where Lightning's WeightAveraging puts the weights, in whose place it saves their average."""


def _averaged_in_place(content: object) -> bool:
    return isinstance(content, Mapping) and {"state_dict", _BEFORE, "averaging_state"} <= content.keys()


def not_averaged(content: object) -> object:
    """Return the content of such a checkpoint with the weights as they were; any other as it is."""
    if isinstance(content, Mapping) and _averaged_in_place(content):
        return {key: value for key, value in content.items() if key != "averaging_state"} | {
            "state_dict": content[_BEFORE]
        }
    return content


def said_in_place(content: object, state: State) -> str:
    """Return the remark that the tensors taken from such a checkpoint are averages; mostly empty."""
    if not _averaged_in_place(content):
        return ""
    held = {id(tensor) for name, tensor in tensors_below(content).items() if name.startswith("state_dict.")}
    if 2 * sum(id(tensor) in held for tensor in state.values()) <= len(state):  # counters may be shared
        return ""
    return f"these weights are averaged over training; those that are not are in the checkpoint too ({_BEFORE})"


def named_as(state: State, wanted: Iterable[str]) -> dict[str, torch.Tensor]:
    """Return tensors under the names of a network where only wrappers within the names keep them apart."""
    own = {unwrapped(name): name for name in wanted}
    inner = {_without_module(name): name for name in own.values()}

    def one(name: str) -> str:
        return own.get(name) or inner.get(_without_module(name)) or name

    names = {name: one(name) for name in state}
    return (
        {names[name]: tensor for name, tensor in state.items()}
        if len(set(names.values())) == len(names)
        else dict(state)
    )


def _without_module(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "module")
