"""What a network or a component computes, as a digest: the ingredient of every key of the store."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import re
import secrets
import types
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.fx
from torch import nn

from mcd.api.base import Configured, digest
from mcd.api.dataset import Dataset
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.networks.code import PROVENANCE, Walker
from mcd.networks.distributions import installed_version

__all__ = ["Identity", "attributes_of", "identity_of"]


@dataclass(frozen=True)
class Identity:
    """What decides the numbers that something computes.

    Parameters
    ----------
    content
        Digest of weights, structure, settings and the user's own code. The manifest records it: two runs with the
        same are of the same network, whatever is installed.
    key
        Digest of that and of the versions of all distributions that define a class of it. Stored numbers are found by
        it.
    unknown
        Why it cannot be identified, or empty. Then both digests are drawn at random: nothing is found again.
    """

    content: str
    key: str
    unknown: str = ""


def identity_of(*parts: object) -> Identity:
    """Return what decides the numbers of networks, components, functions and plain values.

    ``training``, the device and the memory format of a network take no part, nor do backward hooks.
    """
    walker = _Walker()
    try:
        content = digest(*(walker.read(one, "it" if len(parts) == 1 else _name(one)) for one in parts))
        walker.settle()
    except RecursionError:
        walker.unidentified("it", "is nested too deeply to be read")
        content = ""
    if walker.unknown:
        content = secrets.token_hex(32)
    versions = (part for item in sorted(walker.versions.items()) for part in item)
    return Identity(content, digest(content, *versions), walker.unknown[0] if walker.unknown else "")


def attributes_of(value: object) -> dict[str, object]:
    """Return what an object holds, in ``__slots__`` of its classes too."""
    found = dict(vars(value))
    for cls in type(value).__mro__:
        for name, one in vars(cls).items():
            if isinstance(one, types.MemberDescriptorType):
                with contextlib.suppress(AttributeError):  # it was never set
                    found[name] = one.__get__(value)
    return found


def _name(value: object) -> str:
    return getattr(value, "name", "") or type(value).__name__


_KEPT_BY_TORCH = frozenset(vars(nn.Module()))
_HOOKS = (("_forward_hooks", "_forward_hooks_with_kwargs"), ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"))
_MANGLED = re.compile(rb"[./]?___torch_mangle_\d+")
"""What torch puts into the names of scripts of one class, counted up in a process."""
_OF_TORCH = frozenset(("aten", "prim", "prims", "quantized", "torchvision"))
_PARTS = frozenset(("options", "name", "module", "image_tower", "preprocessing", "caution", "revision"))
"""Attributes of a component that other ingredients cover, or that decide no numbers."""
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)


class _Walker(Walker):
    """Knows what torch and mcd are made of."""

    def _special(self, value: object, where: str) -> str | None:
        if isinstance(value, torch.Tensor):
            return self._tensor(value, where)
        if isinstance(value, torch.jit.ScriptModule | torch.jit.ScriptFunction):
            return self._script(value, where)
        if type(value).__name__ == "OptimizedModule":
            return self.unidentified(where, "is made by torch.compile, which does not say what it will run")
        if isinstance(value, nn.Module):
            return self._network(value, where)
        if isinstance(value, torch.fx.Graph):
            return self._graph(value, where)
        if isinstance(value, torch.fx.Node):
            return digest("node", value.op, value.name)
        if isinstance(value, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
            return self._operation(value, where)
        if isinstance(value, Configured | Preprocessing):
            return self._component(value, where)
        return None

    def _tensor(self, tensor: torch.Tensor, where: str) -> str:
        try:
            flat = tensor.detach().cpu().contiguous().flatten()
            total = hashlib.sha256(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
        except (RuntimeError, NotImplementedError, TypeError) as error:  # sparse, quantised, or without values
            return self.unidentified(where, f"is a tensor that cannot be read: {str(error).splitlines()[0]}")
        return digest("tensor", str(tensor.dtype), str(tuple(tensor.shape)), total.digest())

    def _network(self, module: nn.Module, where: str) -> str:
        own, held = vars(module), attributes_of(module)
        parts = [self.read(type(module), where)]
        for kind in ("_parameters", "_buffers", "_modules"):
            for name, value in own[kind].items():
                parts += (kind, name, self.read(value, f"{where}.{name}"))
        for hooks, with_kwargs in _HOOKS:
            for number, hook in own[hooks].items():
                parts += (hooks, str(number in own[with_kwargs]), self.read(hook, f"a hook of {where}"))
        noted = PROVENANCE | ({"meta"} if isinstance(module, torch.fx.GraphModule) else set())
        for name in sorted(held.keys() - _KEPT_BY_TORCH - noted):
            parts += (name, self.read(held[name], f"{where}.{name}"))
        return digest("network", *parts)

    def _graph(self, graph: torch.fx.Graph, where: str) -> str:
        parts: list[str] = []
        for node in graph.nodes:
            target = node.target if isinstance(node.target, str) else self.read(node.target, f"{where}, {node.name}")
            parts += (node.op, node.name, target, str(node.args), str(node.kwargs))
        return digest("graph", *parts)

    def _script(self, script: object, where: str) -> str:
        """Return the digest of what ``torch.jit.save`` writes, without the places of source lines."""
        file = io.BytesIO()
        try:
            torch.jit.save(script, file)
        except RuntimeError as error:
            return self.unidentified(where, f"is a script that cannot be saved: {str(error).splitlines()[0]}")
        with zipfile.ZipFile(file) as archive:
            names = [name.partition("/") for name in archive.namelist() if not name.endswith(".debug_pkl")]
            parts = [
                digest(_MANGLED.sub(b"", inside.encode()), _MANGLED.sub(b"", archive.read(f"{top}/{inside}")))
                for top, _, inside in names
                if not inside.startswith(".data/")
            ]
        self.versions["torch"] = installed_version("torch")
        return digest("script", *sorted(parts))

    def _operation(self, value: object, where: str) -> str:
        name = str(value)
        if name.partition(".")[0] not in _OF_TORCH:
            return self.unidentified(where, f"calls the operation {name}, whose code is not known to torch")
        return digest("operation", name)

    def _component(self, one: Configured | Preprocessing, where: str) -> str:
        parts = [self.read(type(one), where)]
        if isinstance(one, Preprocessing):
            held = (self.read(each, where) for each in (vars(one), one.__pydantic_private__))
            return digest("recipe", one.fingerprint(), *parts, *held)
        if isinstance(one, Dataset):
            parts += (one.decoding(), *self._decoders(one))
        else:
            parts.append(one.fingerprint())
        if isinstance(one, Dissector):
            parts.append(self.read(one.module, f"{where}.module"))
        for name, value in sorted(attributes_of(one).items()):
            if name in _PARTS or isinstance(getattr(type(one), name, None), functools.cached_property):
                continue  # said above, or made of the rest when it is first asked for
            if _says_all(one):
                parts += self._code_in(name, value, where)
            else:
                parts += (name, self.read(value, f"{where}.{name}"))
        return digest("component", *parts)

    def _decoders(self, one: Dataset) -> Iterator[str]:
        for name in one.decoders:
            found = installed_version(name)
            if found:
                self.versions[name] = found
        yield digest(*sorted(one.decoders))

    def _code_in(self, name: str, value: object, where: str) -> Iterator[str]:
        """Yield the code that an attribute brings; its content is the component's to say."""
        held = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else (value,)
        for one in held:
            if isinstance(one, (Configured, Preprocessing, *_FUNCTIONS)):
                yield self.read(one, f"{where}.{name}")
            elif type(one).__module__ != "builtins":
                yield self.read(type(one), f"{where}.{name}")


def _says_all(one: Configured) -> bool:
    """Whether a component says by itself what decides its numbers; else all that it holds does."""
    says = type(one).fingerprint is not Configured.fingerprint
    return says or (isinstance(one, Dataset) and type(one).decoding is not Dataset.decoding)
