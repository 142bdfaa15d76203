"""Networks of the same architecture that have not been trained: their own code draws every parameter anew.

Unlike permuted weights (`mcd.networks.controls`), whose scale was learned, these are what training may begin with.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils import parametrize, remove_spectral_norm
from torch.nn.utils.parametrizations import _SpectralNorm, _WeightNorm, spectral_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from mcd.api.base import digest
from mcd.api.model import Target
from mcd.errors import UsageError
from mcd.networks.foreign import calling, enough_memory
from mcd.networks.process import process_state_kept

__all__ = ["Untrained", "collecting", "reinitialised", "tracking", "untrained"]

_STATISTICS = re.compile(r"(running|moving)_(mean|var)")
"""Names of buffers that hold what a normalisation has seen of images."""
_PROGRAMS = (torch.jit.ScriptModule, torch.export.UnflattenedModule)
_HINT = "leave out --untrained"


@dataclass(frozen=True)
class Untrained:
    """Networks of the architecture of a target that have not been trained: none where there cannot be any, and why."""

    networks: tuple[Target, ...] = ()
    problem: str = ""


def untrained(target: Target, count: int, seed: int) -> Untrained:
    """Return so many networks of the architecture of a target; the first of more are the same.

    Raises
    ------
    UsageError
        When the memory does not suffice.
    """
    with enough_memory(torch.device("cpu"), "ask for fewer with --untrained", f"{count} copies of {target.name}"):
        try:
            made = [reinitialised(target, int(digest(str(seed), str(one))[:15], 16)) for one in range(count)]
        except UsageError as error:
            return Untrained(problem=error.message)
    return Untrained(tuple(replace(one, name=f"{one.name} {at}") for at, one in enumerate(made, start=1)))


def reinitialised(target: Target, seed: int) -> Target:
    """Return a copy of a target, on the CPU, whose parameters are drawn anew.

    What draws them is ``reset_parameters()`` of every module with parameters of its own; where that leaves some,
    ``init_weights()`` of the innermost module around them that has it; where that leaves some too, the loader of the
    target builds the network anew, if it can. Running statistics of normalisations are those of no image; see
    `collecting`. The target and the random states of the process stay as they are.

    Raises
    ------
    UsageError
        When a parameter cannot be drawn anew, or the network cannot be copied; the message names the module.
    """
    try:
        module = _drawn_anew(target, seed)
    except UsageError:
        if target.untrained is None:
            raise
        module = _built_anew(target, target.untrained, seed)
    return replace(target, name=f"{target.name} (untrained)", module=module, revision="", caution="", untrained=None)


def _built_anew(target: Target, build: Callable[[int], nn.Module], seed: int) -> nn.Module:
    what = f"the loader of {target.name} cannot build it untrained"
    with process_state_kept(), calling(what, _HINT):
        module = build(seed % 2**32).cpu().float().eval()
    own, other = ({name: one.shape for name, one in net.named_parameters()} for net in (target.module, module))
    if own != other:
        differing = next(name for name in (*own, *other) if own.get(name) != other.get(name))
        raise UsageError(f"{what}: parameter '{differing}' is another", _HINT)
    return module


def _drawn_anew(target: Target, seed: int) -> nn.Module:
    what = f"{target.name} cannot be re-initialised"
    for name, part in target.module.named_modules():
        if isinstance(part, _PROGRAMS):
            raise UsageError(
                f"{what}: {_said(target.module, name)} is a program, without the code that draws its first weights",
                _HINT,
            )
    with process_state_kept():
        with calling(what, _HINT, network=target.module):
            module = _copied(target.module)
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        with calling(what, _HINT, network=module), torch.no_grad():
            normalise = _plain(module)
            _draw(module)
            for again in normalise:
                again()
        problem = next(_problems(module), "")
    if problem:
        raise UsageError(f"{what}: {problem}", _HINT)
    return module


def _copied(module: nn.Module) -> nn.Module:
    """Return a copy of a network on the CPU, in 32 bits."""
    # What is computed from parameters, as weights normalised by a hook, cannot be copied by itself.
    memo: dict[int, object] = {
        id(one): one.detach().clone()
        for part in module.modules()
        for one in vars(part).values()
        if isinstance(one, torch.Tensor) and not one.is_leaf
    }
    made = copy.deepcopy(module, memo).cpu().float()
    for part in made.modules():
        vars(part).pop("_is_hf_initialized", None)  # by which init_weights() of transformers leaves a module as it is
    return made


def _plain(module: nn.Module) -> list[Callable[[], object]]:
    """Let weights that a normalisation computes be parameters again; return what normalises them as before.

    Only spectral norms: the norm of a weight that has just been drawn is its own.
    """
    found: list[Callable[[], object]] = []
    for part in list(module.modules()):
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                remove_weight_norm(part, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(part, hook.name)
                found.append(partial(spectral_norm, part, hook.name, eps=hook.eps, dim=hook.dim))
        lists = part.parametrizations if parametrize.is_parametrized(part) else None
        for name, steps in list(lists.items()) if isinstance(lists, nn.ModuleDict) else []:
            step, *others = steps.children()
            if others or not isinstance(step, _WeightNorm | _SpectralNorm):
                continue
            part.__class__ = _own_class(type(part))
            parametrize.remove_parametrizations(part, name)
            if isinstance(step, _SpectralNorm):
                found.append(partial(spectral_norm, part, name, eps=step.eps, dim=step.dim))
    return found


def _own_class(cls: type[nn.Module]) -> type[nn.Module]:
    """Return a copy of a class that torch made for one module: a copy of the module has it too, and it is changed."""
    content = {name: one for name, one in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    return type(cls.__name__, cls.__bases__, content)


def _draw(module: nn.Module) -> None:
    """Draw all parameters anew; NaN stays where nothing did."""
    constants = {name: _constant(one) for name, one in module.named_parameters()}
    for parameter in module.parameters():
        if _continuous(parameter):
            parameter.fill_(torch.nan)
    for part in reversed(list(module.modules())):  # what a module draws for its parts comes after what they draw
        if isinstance(part, _BatchNorm | _InstanceNorm):
            part.reset_running_stats()
        own = any(one is not None for one in part._parameters.values())
        draws = _method(part, "reset_parameters") or _method(part, "_reset_parameters") if own else None
        if draws is not None:
            draws()
    _draw_from_outside(module)
    for name, parameter in module.named_parameters():
        if (constant := constants.get(name)) is not None and _unset(parameter) and bool(parameter.isnan().all()):
            parameter.fill_(constant)  # one number, as a temperature is: there is no pattern in it


def _draw_from_outside(module: nn.Module) -> None:
    asked: set[str] = set()
    for name in [name for name, one in module.named_parameters() if _unset(one)]:
        path = name.split(".")[:-1]
        for owner in (".".join(path[:depth]) for depth in range(len(path), -1, -1)):
            if not _unset(module.get_parameter(name)):
                break
            draws = _method(module.get_submodule(owner), "init_weights")
            if owner not in asked and draws is not None:
                draws()
            asked.add(owner)


def _method(part: nn.Module, name: str) -> Callable[[], object] | None:
    """Return a method of a module; None where it has none that can be called without arguments."""
    found: object = getattr(part, name, None)
    if not callable(found):
        return None
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return None
    return found


def _continuous(parameter: torch.Tensor) -> bool:
    return parameter.is_floating_point() or parameter.is_complex()


def _unset(parameter: torch.Tensor) -> bool:
    return _continuous(parameter) and bool(parameter.isnan().any())


def _constant(parameter: torch.Tensor) -> complex | None:
    """Return the one value that a parameter has everywhere; None where it has several, or none."""
    flat = parameter.detach().flatten()
    found: complex | None = flat[0].item() if len(flat) and bool((flat == flat[0]).all()) else None
    return found


def _problems(module: nn.Module) -> Iterator[str]:
    if not any(_continuous(one) for one in module.parameters()):
        yield "it has no parameters that could be drawn"
    for name, parameter in module.named_parameters():
        if _unset(parameter) or not (_continuous(parameter) or _constant(parameter) is not None):
            owner, _, own = name.rpartition(".")
            yield (
                f"nothing draws the first values of '{own}' of {_said(module, owner)}: neither reset_parameters() of "
                "that module nor init_weights() of one around it"
            )
    for name, part in module.named_modules():
        held = [] if isinstance(part, _BatchNorm | _InstanceNorm) else filter(_STATISTICS.fullmatch, part._buffers)
        yield from (f"'{one}' of {_said(module, name)} cannot be estimated anew" for one in held)


def _said(module: nn.Module, name: str) -> str:
    return f"{name or 'the network itself'} ({type(module.get_submodule(name)).__name__})"


def tracking(module: nn.Module) -> list[_BatchNorm | _InstanceNorm]:
    """Return the normalisations of a network that go by the statistics of images seen before."""
    norms = (part for part in module.modules() if isinstance(part, _BatchNorm | _InstanceNorm))
    return [part for part in norms if part.track_running_stats and part.running_mean is not None]


@contextlib.contextmanager
def collecting(norms: Sequence[_BatchNorm | _InstanceNorm]) -> Iterator[None]:
    """Let normalisations estimate their statistics anew: the mean over the batches that pass while the context is open.

    They are in training mode meanwhile; what they are parts of is not.
    """
    hooks = [one.register_forward_pre_hook(_count) for one in norms if isinstance(one, _InstanceNorm)]
    before = [one.momentum for one in norms]
    try:
        for one in norms:
            one.reset_running_stats()
            one.momentum, one.training = None, True
        yield
    finally:
        for one, momentum in zip(norms, before, strict=True):
            one.momentum, one.training = momentum, False
        for hook in hooks:
            hook.remove()


def _count(norm: nn.Module, _inputs: object) -> None:
    """Weigh a batch as all before it: instance norms take a momentum of None for one of 0."""
    assert isinstance(norm, _InstanceNorm)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    norm.momentum = 1 / int(norm.num_batches_tracked)
