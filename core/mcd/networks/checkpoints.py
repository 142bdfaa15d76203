"""Weights from files: read as plain tensors, never as foreign objects, and loaded wholly or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from mcd.errors import CheckpointError, nearest
from mcd.files import expanded
from mcd.networks.misfits import advice
from mcd.networks.nesting import (
    averaged_twin,
    carries_nothing,
    find_state_dict,
    is_averaged,
    named_as,
    not_averaged,
    places,
    said_in_place,
    tensors_below,
    unnamed_average,
    unwrapped,
)
from mcd.networks.prefixes import Renaming, branches, fits, fitting_prefixes
from mcd.networks.unpickling import plain
from mcd.networks.weights_files import read_file

__all__ = [
    "Conversion",
    "Selection",
    "averaged_beside",
    "check_finite",
    "find_state_dict",
    "fit_state_dict",
    "load_weights",
    "read_checkpoint",
    "read_state_dict",
    "select_weights",
]

_SHOWN, _OFFERED = 5, 4

State = Mapping[str, torch.Tensor]
Conversion = Callable[[dict[str, torch.Tensor]], tuple[State, str] | None]
"""Takes tensors that do not fit; returns them as the network has them, and a remark on what was changed; or None."""


class _UnlikeError(CheckpointError):
    """Names, shapes or types of the tensors are not the network's: so many of them."""

    count = 0


@dataclass(frozen=True)
class Selection:
    """The tensors of a checkpoint that were chosen.

    Parameters
    ----------
    state
        By name, what was asked for as prefix taken off.
    whole
        Those of the state dict that they were chosen from, or else of all mappings in the file.
    remark
        What a reader of the results must know of the choice, or empty.
    """

    state: dict[str, torch.Tensor]
    whole: State
    remark: str = ""


def load_weights(
    module: nn.Module,
    path: Path,
    *,
    rename: Renaming | None = None,
    prefix: str = "",
    ema: bool | None = None,
    convert: Conversion | None = None,
) -> str:
    """Load a weights file into a network; every tensor must find its place.

    Counters and tables of indices, which hold nothing that was learned, need not.

    Parameters
    ----------
    module
        The network. Unchanged when the weights do not fit.
    path
        ``.safetensors``, a file that ``torch.save`` wrote, or the index or a part of either in shards.
    rename
        Takes the names in the file and returns for each the network's name.
    prefix
        Take only the tensors under it, and take it off: the start of names (``model.backbone.``), keys of mappings
        (``net``), or both. Without one, what all names begin with (``model.`` in a Lightning checkpoint) is taken off
        where the network's names begin after it.
    ema
        Whether to take the weights averaged over training where the file holds both; None takes the others and says
        so.
    convert
        Tried where the tensors do not fit as they are.

    Returns
    -------
    str
        What a reader of the results must know: averaged weights that are not used, what was converted, extra state
        that is not loaded. Mostly empty.

    Raises
    ------
    CheckpointError
        When the file cannot be read, or with the missing, unexpected and misshapen tensors.
    """
    found = select_weights(module, path, rename=rename, prefix=prefix, ema=ema)
    state = found.state if prefix else _without_common_start(found.state, module, rename)
    try:
        fit_state_dict(module, state, path, rename=rename)
    except _UnlikeError as error:
        converted = None if convert is None else convert(dict(state))
        if converted is not None:
            problem = _problem(module, converted[0], path)
            if problem is None:
                return "; ".join(filter(None, (converted[1], found.remark, _extra(module))))
            if problem.count < error.count:
                raise problem from None
        elsewhere = [] if fits(state, module, rename) else fitting_prefixes(found.whole, module, rename)
        if elsewhere:
            raise CheckpointError(error.summary, _say_prefix(elsewhere), error.lines) from None
        raise
    return "; ".join(filter(None, (found.remark, _extra(module))))


def _extra(module: nn.Module) -> str:
    """Return the remark on modules with a state of their own beside the tensors, which no weights file sets."""
    names = [name for name, one in module.named_modules() if type(one).get_extra_state is not nn.Module.get_extra_state]
    where = names[0] or "the network" if names else ""
    return f"the extra state of {where} (get_extra_state) is as it was built, not loaded" if names else ""


def _problem(module: nn.Module, state: State, path: Path) -> _UnlikeError | None:
    try:
        fit_state_dict(module, state, path)
    except _UnlikeError as error:
        return error
    return None


def select_weights(
    module: nn.Module, path: Path, *, rename: Renaming | None = None, prefix: str = "", ema: bool | None = None
) -> Selection:
    """Return the tensors of a weights file that are meant for a network, as `load_weights` chooses them.

    Raises
    ------
    CheckpointError
        When the file cannot be read, holds no such tensors, or no averaged ones where they are asked for.
    """
    content = not_averaged(read_checkpoint(path)) if ema is False else read_checkpoint(path)
    below, prefix = tensors_below(content), unwrapped(prefix.rstrip("."))
    whole: State = {}
    try:
        whole = find_state_dict(content, path)
    except CheckpointError as error:
        inside = places(content)
        if not inside:
            raise
        if not (prefix or ema):
            fitting = fitting_prefixes(below, module, rename)
            hint = _say_prefix(fitting) if fitting else f"it holds tensors elsewhere: prefix={_choice(inside)}"
            raise CheckpointError(error.summary, hint, error.lines) from None
    state = (_under(prefix, whole) or _under(prefix, below)) if prefix else dict(whole)
    if prefix and not state:
        raise _nothing_under(prefix, path, whole or below, fitting_prefixes(whole or below, module, rename))
    twin = "" if ema is False else averaged_twin(state, below) or averaged_twin(module.state_dict(), below)
    averaged, in_place = _under(twin, below) if twin else {}, said_in_place(content, state)
    if ema:
        if not (averaged or in_place):
            said = unnamed_average(content, state) or "it holds no weights averaged over training beside the others"
            raise CheckpointError(f"{path}: {said}", "leave out ema")
        return Selection(averaged or state, below)
    if in_place:
        return Selection(state, whole or below, f"{in_place}; ema=false takes them")
    if averaged and not _shared(averaged, state):
        said = f"the checkpoint also holds weights averaged over training ({twin}); ema=true takes them"
        return Selection(state, whole or below, said)
    fitting = fitting_prefixes(below, module, rename) if not prefix and len(places(content)) > 1 else []
    others = [one for one in fitting if not (is_averaged(one) or _shared(_under(one, below), state))]
    said = f"the checkpoint also holds such weights elsewhere; prefix={_choice(others)} takes them" if others else ""
    return Selection(state, whole or below, said or ("" if ema is False else unnamed_average(content, state)))


def averaged_beside(content: object, state: State) -> str:
    """Return the remark on weights averaged over training beside those that are used, or in their place; mostly empty.

    ``content`` is that of the file, as `read_checkpoint` returns it, ``state`` the tensors that are used.
    """
    below = tensors_below(content)
    twin = averaged_twin(state, below)
    if not twin or _shared(_under(twin, below), state):
        return said_in_place(content, state)
    return f"the checkpoint also holds weights averaged over training ({twin}), which are not used"


def _shared(one: State, other: State) -> bool:
    """Say whether two state dicts are made of the same tensors, as two ways to one; counters alone may be shared."""
    held = {id(tensor) for tensor in other.values()}
    return 2 * sum(id(tensor) in held for tensor in one.values()) > len(one)


def _under(prefix: str, state: State) -> dict[str, torch.Tensor]:
    start = prefix + "."
    return {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}


def _nothing_under(prefix: str, path: Path, state: State, fitting: list[str]) -> CheckpointError:
    hint = _say_prefix(fitting) if fitting else nearest(prefix, branches(state))
    return CheckpointError(f"{path} has no tensors under '{prefix}.'", hint)


def _say_prefix(prefixes: list[str]) -> str:
    return f"the network's names begin after '{prefixes[0]}': prefix={_choice(prefixes)}"


def _choice(prefixes: Iterable[str]) -> str:
    return "|".join(list(prefixes)[:_OFFERED])


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
    state = named_as(state, wanted)
    # The network's own counters and indices stand where the file has none, or others.
    learned = {name for name, _ in module.named_parameters()} | {name for name in wanted if not carries_nothing(name)}
    state = {
        name: tensor
        for name, tensor in state.items()
        if name in learned or not carries_nothing(name) or (name in wanted and _alike(tensor, wanted[name]))
    }
    missing = [name for name in wanted if name not in state and name in learned]
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
        if name in state and _kind(state[name]) != _kind(wanted[name])
    ]
    if missing or unexpected or misshapen or mistyped:
        unlike = _UnlikeError(
            f"{path} does not fit {type(module).__name__} ({len(state)} tensors for {len(wanted)})",
            advice(missing, unexpected, [*misshapen, *mistyped], _OFFERED),
            [
                *_listed("missing", missing),
                *_listed("unexpected", unexpected),
                *_listed("misshapen", misshapen),
                *_listed("of another type", mistyped),
            ],
        )
        unlike.count = len(missing) + len(unexpected) + len(misshapen) + len(mistyped)
        raise unlike
    check_finite(module, state, path)
    module.load_state_dict(state, strict=False)


def read_checkpoint(path: Path) -> object:
    """Return all that a weights file holds, as plain data: tensors, numbers, texts, lists, dicts.

    A ``.safetensors`` file is read as such; ``.pt``, ``.pth``, ``.tar``, ``.ckpt`` and ``.bin`` are opened with
    ``weights_only=True``, so nothing in them is executed; other files are refused. Where a file pickles objects
    of foreign classes (a configuration of omegaconf, arrays), these are not imported: the content of omegaconf's
    containers is returned, other objects are left as inert records. Shards are taken together: those that an
    ``.index.json`` lists, or those beside the one given.

    Raises
    ------
    CheckpointError
        When the file is missing, is no weights file, is cut short, or would call a function.
    """
    path = expanded(path)
    found = read_file(path)
    try:
        return plain(found)
    except RecursionError:
        raise CheckpointError(f"{path} holds something nested without end", "download it again") from None


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


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and _kind(one) == _kind(other)


def _kind(tensor: torch.Tensor) -> str:
    return "complex" if tensor.is_complex() else "floating-point" if tensor.is_floating_point() else "whole-number"


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"]
