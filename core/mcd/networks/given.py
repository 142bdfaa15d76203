"""A network as its owner gave it: all that it holds, to be put back after it has run."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

__all__ = ["AsGiven", "generator_states"]

_SMALL = 1_000_000
"""Buffers with more values are not copied: masks, not statistics."""


class AsGiven:
    """What a network holds at one moment.

    Its tensors with device, strides and gradients; the content of small buffers; hooks, submodules and modes; all other
    attributes, with what lists, mappings and sets among them hold: a network may keep masks and positions that it
    computed, of which torch could not learn later. States of random generators of its own. The very objects come back.
    """

    def __init__(self, module: nn.Module) -> None:
        self._modes = [(part, part.training) for part in module.modules() if hasattr(part, "training")]
        self._parts = [(part, dict(vars(part)), list(_containers(part))) for part in module.modules()]
        self._parameters = [_held(one) for one in module.parameters()]
        self._contents = [
            (one, one.detach().clone(), one._version)
            for one in module.buffers()
            if one.numel() <= _SMALL and one.layout == torch.strided and not one.is_meta and not one.is_inference()
        ]
        self._generators = list(_generators(module))

    def put_back(self) -> None:
        """Give the network all of it again."""
        for part, mode in self._modes:  # a frozen script has none
            part.training = mode
        for part, attributes, containers in self._parts:
            for name in vars(part).keys() - attributes.keys():
                del vars(part)[name]
            vars(part).update(attributes)
            for put_back in containers:
                put_back()
        for put_back in self._parameters:
            put_back()
        for buffer, values, version in self._contents:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(values)
        for _, restore in self._generators:
            restore()


def _containers(part: nn.Module) -> Iterator[Callable[[], None]]:
    """Yield what gives back the content of each container of a module: parameters, parts, hooks, what its owner has."""
    for one in vars(part).values():
        if isinstance(one, dict):
            yield functools.partial(_put_items, one, dict(one))
        elif isinstance(one, list):
            yield functools.partial(one.__setitem__, slice(None), list(one))
        elif isinstance(one, set):
            yield functools.partial(_put_members, one, set(one))


def _put_items(mapping: dict[object, object], content: dict[object, object]) -> None:
    if [(id(key), id(value)) for key, value in mapping.items()] != [
        (id(key), id(value)) for key, value in content.items()
    ]:
        mapping.clear()
        mapping.update(content)


def _put_members(group: set[object], content: set[object]) -> None:
    if group != content:
        group.clear()
        group.update(content)


def _held(parameter: nn.Parameter) -> Callable[[], None]:
    """Return what gives a parameter its values, its gradient and its flag again."""
    data, gradient, wanted = parameter.data, parameter.grad, parameter.requires_grad
    values = None if gradient is None else gradient.data

    def put_back() -> None:
        parameter.data = data
        if gradient is not None and values is not None:
            gradient.data = values
            parameter.grad = gradient
        if parameter.requires_grad != wanted:
            parameter.requires_grad_(wanted)

    return put_back


def generator_states(module: nn.Module) -> list[str]:
    """Return the states of the random generators among a network's attributes, to be compared."""
    return [state for state, _ in _generators(module)]


def _generators(module: nn.Module) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield for each random generator its state as text, and what gives it this state again."""
    for part in module.modules():
        for one in vars(part).values():
            if isinstance(one, torch.Generator):
                state = one.get_state()
                yield state.numpy().tobytes().hex(), functools.partial(one.set_state, state)
            elif isinstance(one, np.random.Generator):
                numbers = one.bit_generator.state
                yield repr(numbers), functools.partial(setattr, one.bit_generator, "state", numbers)
            elif isinstance(one, np.random.RandomState):
                yield repr(one.get_state(legacy=False)), functools.partial(one.set_state, one.get_state())
            elif isinstance(one, random.Random):
                yield repr(one.getstate()), functools.partial(one.setstate, one.getstate())
