"""What a layer's output holds: one tensor, or several in tuples, mappings and records."""

from __future__ import annotations

import copy
import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass

import torch

__all__ = ["Output", "Seen", "main_name", "main_output", "seen", "tensor_at", "tensors_in", "with_tensor"]

_NAMED = ("last_hidden_state", "logits")
"""Entries that stand for a record of several outputs (transformers' ModelOutput), in order of preference."""
_DEPTH = 4
_VALUES = 4096
"""How many values of a layer's output for the first image are kept to compare two passes."""


def main_output(output: object) -> torch.Tensor | None:
    """Return the tensor a layer's output stands for, or None where that is ambiguous.

    Itself; the first of a tuple or list (as published); of a mapping or record ``last_hidden_state``, ``logits`` or its
    only tensor.
    """
    name = main_name(output)
    return None if name is None else tensor_at(output, name)


def main_name(output: object) -> str | None:
    """Return the name of the tensor that an output stands for, as `tensors_in` gives it; None where ambiguous."""
    if isinstance(output, torch.Tensor):
        return ""
    names = [name for name, value in _entries(output) if isinstance(value, torch.Tensor)]
    if isinstance(output, tuple | list):
        return names[0] if output and isinstance(output[0], torch.Tensor) else _only(output)
    named = [name for name in _NAMED if name in names]
    if named or len(names) == 1:
        return (named or names)[0]
    return None if names else _only(output)


def _only(output: object) -> str | None:
    names = [name for name, _ in tensors_in(output)]
    return names[0] if len(names) == 1 else None


def tensor_at(output: object, name: str) -> torch.Tensor | None:
    """Return the tensor of an output by its name, or None where there is none."""
    return dict(tensors_in(output)).get(name)


def tensors_in(output: object, above: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor of an output and its name: "" where it is the output, else ``0``, ``features.1``.

    Numbers are places in tuples and lists; names are keys of mappings, fields of named tuples and dataclasses.
    """
    if isinstance(output, torch.Tensor):
        yield above, output
    elif depth < _DEPTH:
        for name, value in _entries(output):
            yield from tensors_in(value, f"{above}.{name}" if above else name, depth + 1)


def with_tensor(output: object, old: torch.Tensor, new: torch.Tensor, depth: int = 0) -> object:
    """Return an output in which one tensor stands in every place of another; the output itself stays as it is."""
    if output is old:
        return new
    entries = _entries(output) if depth < _DEPTH and not isinstance(output, torch.Tensor) else []
    made = [(name, value, with_tensor(value, old, new, depth + 1)) for name, value in entries]
    changed = {name: after for name, value, after in made if after is not value}
    if not changed:
        return output
    if isinstance(output, tuple | list):
        values = [after for _, _, after in made]
        made_of: Callable[..., object] = type(output)
        return made_of(*values) if hasattr(output, "_fields") else made_of(values)  # a named tuple takes its fields
    found = copy.copy(output)
    if isinstance(found, MutableMapping):
        for key in [key for key in found if str(key) in changed]:
            found[key] = changed[str(key)]
    else:
        for name, value in changed.items():
            object.__setattr__(found, name, value)  # a dataclass may be frozen
    return found


def _entries(output: object) -> list[tuple[str, object]]:
    if isinstance(output, Mapping):
        return [(str(name), value) for name, value in output.items()]
    if isinstance(output, tuple | list):
        names = getattr(output, "_fields", None) or map(str, range(len(output)))
        return list(zip(names, output, strict=True))
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return [(field.name, getattr(output, field.name, None)) for field in dataclasses.fields(output)]
    return list(vars(output).items()) if isinstance(output, types.SimpleNamespace) else []


@dataclass(frozen=True)
class Seen:
    """What one pass shows of a tensor: its shape and type, and a few of its values for the first image.

    ``problem`` says why it cannot be read, or is empty.
    """

    shape: tuple[int, ...]
    values: torch.Tensor
    problem: str = ""
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Output:
    """What one call of a layer gave.

    Parameters
    ----------
    type
        The name of its type.
    tensors
        By name, as `tensors_in` gives them.
    main
        The name of the tensor that stands for it; None where that is ambiguous.
    """

    type: str
    tensors: Mapping[str, Seen]
    main: str | None


def seen(output: object) -> Output:
    """Return what is kept of an output; all outputs of a large network at once would fill the memory."""
    tensors = {name: _seen(tensor) for name, tensor in tensors_in(output)}
    return Output(type(output).__name__, tensors, main_name(output))


_UNREADABLE: tuple[tuple[str, Callable[[torch.Tensor], bool]], ...] = (
    ("nested: its rows differ in length", lambda tensor: tensor.is_nested),
    ("quantised: give the network as it was before", lambda tensor: tensor.is_quantized),
    ("sparse", lambda tensor: tensor.layout != torch.strided),
    ("without values, on the device meta", lambda tensor: tensor.is_meta),
    ("complex: it has no order", lambda tensor: tensor.is_complex()),
    (
        "of whole numbers, as indices are, which have no order: read a layer before it, or return what is measured as "
        "floats",
        lambda tensor: not (tensor.is_floating_point() or tensor.dtype == torch.bool),  # of which 0 and 1 have one
    ),
)


def _seen(tensor: torch.Tensor) -> Seen:
    problem = next((name for name, holds in _UNREADABLE if holds(tensor)), "")
    if problem or not tensor.ndim:
        shape = () if tensor.is_nested else tuple(tensor.shape)
        return Seen(shape, torch.empty(0), f"its output is {problem}" if problem else "")
    flat = tensor[:1].detach().flatten()
    values = flat[:: max(1, -(-len(flat) // _VALUES))].float().clone()
    return Seen(tuple(tensor.shape), values, dtype=tensor.dtype)
