"""Networks that are built to be given weights of a file at once: nothing is drawn for what is overwritten."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mcd.networks.process import process_state_kept, random_states

__all__ = ["unfilled"]

Network = TypeVar("Network", bound=nn.Module)

_FILLING = frozenset(("uniform_", "normal_", "erfinv_", "mul_", "add_", "clamp_", "zero_", "fill_"))
"""Methods of tensors that draw or set weights."""

_DRAWING = frozenset(("normal_", "uniform_", "rand", "randn", "randint", "randperm", "normal", "bernoulli"))
"""Functions by which networks commonly draw other numbers."""


_VALUES = frozenset(
    (
        *("item", "tolist", "numpy", "equal", "allclose", "is_nonzero", "__array__", "__contains__"),
        *("__bool__", "__complex__", "__float__", "__index__", "__int__"),
    )
)
"""Functions that return what tensors hold as something else than tensors."""

_SHAPES = frozenset(("empty_like", "zeros_like", "ones_like", "full_like", "new_tensor"))
"""Functions that go by the shape or type of a tensor, not by what it holds, beside ``new_…``."""


class _DrawnError(BaseException):
    """Something but a parameter is drawn, or made of one; not caught by what catches every `Exception`."""


def unfilled(build: Callable[[], Network]) -> Network:
    """Return the network that ``build`` returns, for weights of a file: those that it would draw are NaN instead.

    Drawing takes most of the time in which a large network is built. Only parameters are left without values, which
    `mcd.plugins.load_weights` and `mcd.plugins.fit_state_dict` find in the file or refuse it; buffers have those that
    they would have. Where ``build`` draws numbers for anything else, makes anything of the values of parameters, or
    keeps parameters beside those of the network's state dict, it is called again and nothing is left out. Random states
    are left as they were.

    Parameters
    ----------
    build
        Makes the network; called twice where the first is of no use.

    Returns
    -------
    torch.nn.Module
        Which is only to be used once all its parameters are loaded.
    """
    with process_state_kept():
        before = random_states()
        with contextlib.suppress(_DrawnError), _Unfilled() as left_out:
            network = build()
            if random_states() == before and not left_out.beside(network):
                return network
    with process_state_kept():
        return build()


class _Unfilled(TorchFunctionMode):
    """Puts NaN into parameters where they would be given first values."""

    def __init__(self) -> None:
        super().__init__()
        self._parameters: WeakValueDictionary[int, nn.Parameter] = WeakValueDictionary()
        self._memory: WeakValueDictionary[int, nn.Parameter] = WeakValueDictionary()

    def beside(self, network: nn.Module) -> bool:
        """Say whether there are such parameters still that are none of a network's state dict."""
        own = {id(one) for one in network.state_dict(keep_vars=True).values()}
        if own.issuperset(self._parameters):
            return False
        gc.collect()
        return not own.issuperset(self._parameters)

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call a function of torch, unless it fills a parameter."""
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("tensor")
        if not isinstance(first, nn.Parameter):
            if getattr(func, "__name__", "") in _DRAWING:
                raise _DrawnError
            return self._called(func, args, kwargs)
        if not first.is_floating_point() or not _fills(func):
            return self._called(func, args, kwargs)
        if id(first) not in self._parameters:
            self._parameters[id(first)] = first
            if memory := _memory_of(first):
                self._memory[memory] = first
            first.detach().fill_(torch.nan)
        return first

    def _called(self, func: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        """Return what a function of torch does, unless that is made of values that were left out."""
        name = getattr(func, "__name__", "")
        free = name in _SHAPES or name.startswith("new_") or not self._left_out((*args, *kwargs.values()))
        free = free or sys._getframe(2).f_globals.get("__name__") == nn.init.__name__  # it draws anew what is too large
        if not free and name in _VALUES:
            raise _DrawnError
        try:
            found = func(*args, **kwargs)
        except Exception:  # whatever it is, perhaps because of what was left out
            if free:
                raise
            raise _DrawnError from None
        if not free and not all(_memory_of(one) in self._memory for one in _tensors((found,))):
            raise _DrawnError
        return found

    def _left_out(self, values: Sequence[object]) -> bool:
        return any(_memory_of(one) in self._memory for one in _tensors(values))


def _tensors(values: Sequence[object]) -> Iterator[torch.Tensor]:
    for one in values:
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _memory_of(tensor: torch.Tensor) -> int:
    """Return where the values of a tensor lie, also those of a view; 0 where it has none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, ValueError):  # sparse, or a parameter whose shape is not known yet
        return 0


def _fills(func: Callable[..., object]) -> bool:
    name = getattr(func, "__name__", "")
    return name in _FILLING or (name.endswith("_") and getattr(func, "__module__", "") == "torch.nn.init")
