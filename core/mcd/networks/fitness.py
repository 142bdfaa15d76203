"""Whether something is a network that can be dissected; if not, what it is and what to do."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from mcd.api.model import Target
from mcd.errors import DataError, MCDError, UsageError, with_article
from mcd.networks.foreign import ForeignCodeError

__all__ = ["check_network", "check_values", "explained", "no_network"]

_TEXTS = ("input_ids", "inputs_embeds", "text", "texts", "tokens", "prompt", "prompts", "caption", "captions")
_IMAGES = ("pixel_values", "image", "images", "img", "pixels")


def no_network(value: object) -> UsageError:
    """Return the error for what was given in place of a network."""
    name = getattr(value, "__name__", type(value).__name__)
    hint = "give an nn.Module, an mcd.Target, or the name of a model such as timm:resnet50"
    if isinstance(value, type):
        what, hint = f"the class {name}", f"make a network of it: {name}(…)" if issubclass(value, nn.Module) else hint
    elif isinstance(value, torch.export.ExportedProgram):
        what, hint = (
            "a program of torch.export",
            "give torch.export.unflatten(program), or the file: torch-export:FILE.pt2",
        )
    elif isinstance(value, Mapping) and any(isinstance(one, torch.Tensor) for one in value.values()):
        what, hint = "a state dict", "load it into a network, and give that: network.load_state_dict(…)"
    elif callable(value):
        what = f"the function {name}" if hasattr(value, "__name__") else with_article(name)
        hint = "give the nn.Module that it returns; a function has no layers"
    else:
        what = with_article(name)
    return UsageError(f"the model is {what}, not a network", hint)


def check_network(module: nn.Module, name: str) -> None:
    """Refuse a network that has no layers to hook, no values yet, or takes more than images; nothing is run.

    Raises
    ------
    UsageError
        Saying which, and what to do.
    """
    problem = next(_problems(module), None)
    if problem is not None:
        raise UsageError(f"{name} {problem[0]}", problem[1])


def _problems(module: nn.Module) -> Iterator[tuple[str, str]]:
    if isinstance(module, torch.jit.ScriptModule):
        yield (
            "is a TorchScript program (torch.jit): hooks do not reach its layers",
            "give the Python module that it was made from, or export that with torch.export",
        )
        return
    if isinstance(module, torch.fx.GraphModule) and "eval" in vars(module):  # as ExportedProgram.module() makes them
        yield (
            "is the module of a program of torch.export, in which layers are no modules any more",
            "give torch.export.unflatten(program), or the file: torch-export:FILE.pt2",
        )
    if any(type(one).__name__ == "OptimizedModule" or one._compiled_call_impl is not None for one in module.modules()):
        yield (
            "is compiled by torch.compile, which does not notice hooks",
            "give the network that was compiled (compiled._orig_mod), or do not compile it",
        )
    yield from _without_values(module)
    yield from _signature(module)


def check_values(module: nn.Module) -> None:
    """Refuse a network some of whose weights have no values yet.

    Raises
    ------
    UsageError
        Naming the first of them.
    """
    problem = next(_without_values(module), None)
    if problem is not None:
        raise UsageError(f"{type(module).__name__} {problem[0]}", problem[1])


def _without_values(module: nn.Module) -> Iterator[tuple[str, str]]:
    for part, tensor in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            yield (
                f"has lazy parts, which hold no values yet ({part})",
                "run it once on a batch of your images, and load its weights, before it is dissected",
            )
        elif tensor.is_meta:
            yield (
                f"has weights without values, on the device meta ({part})",
                "load its weights: network.to_empty(device='cpu'), then network.load_state_dict(…)",
            )


def _signature(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield what keeps forward() from being called with a batch of images alone."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # it does not say
        return
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    needed = [one.name for one in named if one.default is one.empty]
    names = [one.name for one in named]
    image = next((one for one in _IMAGES if one in names[1:]), None)
    texts_first = bool(names) and names[0] in _TEXTS
    if len(needed) < 2 and not texts_first:
        return
    towers = [name for name, part in module.named_children() if _first(part) in _IMAGES]
    takes = f"takes {', '.join(needed or names[:1])}"
    if texts_first and image:
        takes = f"takes its images as {image!r}, after {names[0]!r}"
    hint = "a target takes one batch of images, B×C×H×W: wrap it in a module whose forward() does"
    yield f"{takes}, not images alone", f"give its image tower alone: .{towers[0]}" if towers else hint


def _first(module: nn.Module) -> str:
    try:
        return next(iter(inspect.signature(module.forward).parameters), "")
    except (TypeError, ValueError):
        return ""


_OF_SHAPE = re.compile(
    r"shape|size|channels|dimension|expected (input|[0-9]+D)|height|width|resolution|divisible|must match the", re.I
)
_OF_DTYPE = re.compile(r"scalar type|dtype|should be the same|c10::|Half|BFloat16|Double")


def explained(target: Target, example: torch.Tensor, error: ForeignCodeError) -> MCDError:
    """Return the error for a target whose forward() raised on its input, with the hint that goes with it.

    Parameters
    ----------
    example
        The input.
    error
        As `mcd.networks.foreign.calling` made it.
    """
    cause = error.__cause__ or error
    shape = "×".join(map(str, example.shape[1:]))
    text = str(cause)
    fits = isinstance(cause, RuntimeError | ValueError | AssertionError | TypeError)
    if fits and _OF_DTYPE.search(text):
        hint = "weights and images have 32 bits in a run: take .half(), .double() and .to(dtype) out of its forward()"
    elif fits and _OF_SHAPE.search(text):
        hint = "give its preprocessing: height, width, channels, mean, std"
    else:
        hint = f"its forward() must take a batch of images: try network.eval()(torch.rand{tuple(example.shape)})"
        fits = False
    message = f"{target.name} cannot take an input of {shape} (channels×rows×columns): {error.reason}"
    return DataError(message, hint) if fits else ForeignCodeError(message, hint)
