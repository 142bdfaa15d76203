"""A GPU without one: tensors that say they are on another device, and refuse to be mixed with those of the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

THERE = torch.device("meta")
"""What they say: torch asks for no driver of it, and gives no array of numpy."""

Function = Callable[..., object]


class Elsewhere(torch.Tensor):
    """A tensor that computes on the CPU and says that it is elsewhere."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=THERE,
        )
        made.held = held
        return made

    def tolist(self) -> object:
        """Return what it holds, as a tensor of a GPU does."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Function,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Compute."""
        return _computed(func, args, dict(kwargs or {}))


class Device(TorchDispatchMode):
    """While it is open, tensors that are made for the other device are such tensors."""

    def __torch_dispatch__(
        self,
        func: Function,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Compute."""
        return _computed(func, args, dict(kwargs or {}))


def _computed(func: Function, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    name = str(func).split(".")[1]
    given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    away = [one for one in given if isinstance(one, Elsewhere)]
    here = [one for one in given if not isinstance(one, Elsewhere) and one.ndim]
    by_rows = name.startswith("index") and name != "index_select" and isinstance(args[0], Elsewhere)
    if away and here and not by_rows and name not in ("_to_copy", "copy_"):  # a GPU takes rows from the CPU, too
        raise RuntimeError(f"{name}: tensors on two devices")
    wanted = kwargs.pop("device", None)
    settings = {**kwargs, **({} if wanted is None else {"device": torch.device("cpu")})}
    found = func(*tree_map(_held, args), **tree_map(_held, settings))
    first = [args[0]] if name == "copy_" else away
    going = torch.device(str(wanted)) == THERE if wanted is not None else any(isinstance(o, Elsewhere) for o in first)
    known = {id(one.held): one for one in away}
    return tree_map(lambda one: known.get(id(one), one) if id(one) in known else _away(one), found) if going else found


def _away(one: object) -> object:
    return Elsewhere(one) if isinstance(one, torch.Tensor) else one


def _held(one: object) -> object:
    return one.held if isinstance(one, Elsewhere) else one
