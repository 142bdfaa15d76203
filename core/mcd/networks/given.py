"""A network as its owner gave it: all that it holds, to be put back after it has run."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

__all__ = ["AsGiven", "Generator", "generator_states", "generators_in", "state_of"]

Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random

_SMALL = 1_000_000
"""Buffers with more values are not copied: masks, not statistics."""


class AsGiven:
    """What a network holds at one moment.

    Its tensors with device, strides and gradients; the content of small buffers; hooks, submodules and modes;
    attributes and containers in which it keeps tensors between passes, such as a mask that was None: torch could not
    learn with those of a run; the states of random generators of its own. The very objects come back. Other
    attributes, such as counters, stay as the network left them.
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
        self._generators = [_restoring(one) for one in generators_in(module)]

    def put_back(self) -> None:
        """Give the network all of it again."""
        for part, mode in self._modes:  # a frozen script has none
            part.training = mode
        for part, attributes, containers in self._parts:
            _put_attributes(vars(part), attributes)
            for put_back in containers:
                put_back()
        for put_back in self._parameters:
            put_back()
        for buffer, values, version in self._contents:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(values)
        for restore in self._generators:
            restore()


_NESTED = 3
"""How deep tensors are looked for in containers."""


def _holds_tensors(value: object, depth: int = _NESTED) -> bool:
    """Whether a value is a tensor, or a container with some in it."""
    if isinstance(value, torch.Tensor):
        return True
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return depth > 0 and any(_holds_tensors(one, depth - 1) for one in inside)


def _put_attributes(now: dict[str, object], before: dict[str, object]) -> None:
    for name in [one for one, value in now.items() if one not in before and _holds_tensors(value)]:
        del now[name]
    for name, value in before.items():
        other = now.get(name)
        if other is not value and (_holds_tensors(value) or _holds_tensors(other)):
            now[name] = value


_REGISTRIES = (
    "_parameters",
    "_buffers",
    "_modules",
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def _containers(part: nn.Module) -> Iterator[Callable[[], None]]:
    """Yield what gives back the content of the containers of a module: its parts and hooks, and where tensors are."""
    for name, one in vars(part).items():
        if isinstance(one, dict):
            yield functools.partial(_put_items, one, dict(one), always=name in _REGISTRIES)
        elif isinstance(one, list):
            yield functools.partial(_put_elements, one, list(one))


def _put_items(mapping: dict[object, object], content: dict[object, object], *, always: bool) -> None:
    same = [*map(id, mapping), *map(id, mapping.values())] == [*map(id, content), *map(id, content.values())]
    if not same and (always or _holds_tensors(mapping) or _holds_tensors(content)):
        mapping.clear()
        mapping.update(content)


def _put_elements(elements: list[object], content: list[object]) -> None:
    if [*map(id, elements)] != [*map(id, content)] and (_holds_tensors(elements) or _holds_tensors(content)):
        elements[:] = content


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


def generators_in(module: nn.Module) -> list[Generator]:
    """Return the random generators among a network's attributes."""
    return [one for part in module.modules() for one in vars(part).values() if isinstance(one, Generator)]


def generator_states(module: nn.Module) -> list[str]:
    """Return the states of the random generators among a network's attributes, to be compared."""
    return [state_of(one) for one in generators_in(module)]


def state_of(one: Generator) -> str:
    """Return the state of a random generator as text, to be compared."""
    if isinstance(one, torch.Generator):
        return one.get_state().numpy().tobytes().hex()
    if isinstance(one, np.random.Generator):
        return repr(one.bit_generator.state)
    return repr(one.getstate() if isinstance(one, random.Random) else one.get_state(legacy=False))


def _restoring(one: Generator) -> Callable[[], object]:
    """Return what gives a random generator the state again that it has now."""
    if isinstance(one, np.random.Generator):
        return functools.partial(setattr, one.bit_generator, "state", one.bit_generator.state)
    if isinstance(one, random.Random):
        return functools.partial(one.setstate, one.getstate())
    if isinstance(one, torch.Generator):
        return functools.partial(one.set_state, one.get_state())
    return functools.partial(one.set_state, one.get_state())
