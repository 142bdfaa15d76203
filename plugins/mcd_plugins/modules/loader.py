"""The model loader ``module``: a network made by your own function."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Literal

import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import UnknownNameError, UsageError, nearest

__all__ = ["ModuleLoader"]


class ModuleLoader(mcd.ModelLoader):
    """A network made by a function of an importable module or of a file.

    ``module:package.module:factory`` or ``module:path/to/file.py:factory``. The file's code runs: give only
    files that you trust.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        factory: str = pydantic.Field(description="package.module:function or file.py:function; returns an nn.Module")
        arguments: dict[str, pydantic.JsonValue] = pydantic.Field(
            default_factory=dict, description="keyword arguments of the function, as JSON"
        )
        checkpoint: Path | None = pydantic.Field(default=None, description="a weights file (.safetensors, .pth, .pt)")
        height: int | None = pydantic.Field(default=None, ge=1, description="rows of the input; by default the image's")
        width: int | None = pydantic.Field(default=None, ge=1, description="columns of the input, likewise")
        channels: Literal[1, 3] | None = pydantic.Field(default=None, description="channels; by default the image's")
        resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
            default="letterbox", description="how to resize"
        )
        intensity: Literal["full-range", "min-max"] = pydantic.Field(
            default="full-range", description="divide by the bit depth's white, or stretch each image"
        )
        mean: tuple[float, ...] = pydantic.Field(default=(), description="subtracted per channel, such as [0.485,…]")
        std: tuple[float, ...] = pydantic.Field(default=(), description="divided by per channel")
        seed: int = pydantic.Field(default=0, ge=0, description="set before the function is called")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        where, _, name = own.factory.rpartition(":")
        if not where:
            raise UsageError(
                f"module '{own.factory}' does not say which function",
                "write module:package.module:function or module:file.py:function",
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(own.seed)
            made = _factory(_imported(where), where, name)(**own.arguments)
        if isinstance(made, mcd.Target):
            return made
        if not isinstance(made, nn.Module):
            raise UsageError(f"{own.factory} returned a {type(made).__name__}, not an nn.Module")
        if own.checkpoint is not None:
            mcd.load_weights(made, own.checkpoint)
        recipe = mcd.Preprocessing(
            height=own.height, width=own.width, channels=own.channels, resize=own.resize, intensity=own.intensity,
            mean=own.mean, std=own.std,
        )  # fmt: skip
        return mcd.Target(type(made).__name__, made, recipe)


def _imported(where: str) -> ModuleType:
    if not where.endswith(".py"):
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise UsageError(f"module '{where}' cannot be imported: {error}", "is it installed here?") from error
    path = Path(where)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "give its path from the current folder")
    name = f"_mcd_module_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise UsageError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # before it runs: dataclasses and pickling look it up
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # a user's file may raise anything; say which file it was
        del sys.modules[name]
        raise UsageError(f"{path} does not import: {type(error).__name__}: {error}") from error
    return module


def _factory(module: ModuleType, where: str, name: str) -> Callable[..., object]:
    found: object = getattr(module, name, None)
    if not callable(found):
        known = [one for one in vars(module) if not one.startswith("_") and callable(getattr(module, one))]
        raise UnknownNameError(f"{where} has no function '{name}'", nearest(name, known))
    return found
