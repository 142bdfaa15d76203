"""The model loader ``torch-export``."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import CheckpointError, UsageError, passes_through, said_by
from mcd.plugins import ChannelMean, ChannelStd
from mcd_plugins.exported.safety import clean_archive

__all__ = ["ExportLoader"]


class ExportLoader(mcd.ModelLoader):
    """A program that ``torch.export.save`` wrote; its source is not needed.

    Layers keep the names they had in the source. The batch axis must be dynamic, and the program exported in eval
    mode. Only tensors and listed operations of torch are accepted, and only they are handed to torch; a file with
    anything else is refused. Its sample inputs, guards and notes are not read.
    """

    class Options(mcd.Options):
        """Settings of the loader. Size and channels are those that the program was exported for."""

        program: Path = pydantic.Field(description="the .pt2 file")
        resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
            default="letterbox", description="how to resize"
        )
        intensity: Literal["full-range", "min-max"] = pydantic.Field(
            default="full-range", description="divide by the bit depth's white, or stretch each image"
        )
        mean: tuple[ChannelMean, ...] = pydantic.Field(
            default=(), description="subtracted per channel, such as [0.485,…]"
        )
        std: tuple[ChannelStd, ...] = pydantic.Field(default=(), description="divided by per channel")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        archive = clean_archive(own.program)
        try:
            with _quiet():
                program = torch.export.load(archive)
            channels, height, width = _input(program, own.program)
            module: nn.Module = torch.export.unflatten(program)
        except mcd.errors.MCDError:
            raise
        except BaseException as error:  # torch raises whatever it comes upon in a file
            if passes_through(error):
                raise
            reason = said_by(error, named=False)
            raise CheckpointError(f"{own.program} cannot be loaded: {reason}", "export it with this torch") from None
        _refuse_training(program, own.program)
        recipe = mcd.Preprocessing(
            height=height,
            width=width,
            channels=channels,
            resize=own.resize,
            intensity=own.intensity,
            mean=own.mean,
            std=own.std,
        )
        return mcd.Target(own.program.stem, module, recipe)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's remarks off the terminal: it logs a traceback where it then raises, and 2.9 warns of its own."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
            yield
    finally:
        logging.disable(before)


def _input(program: torch.export.ExportedProgram, path: Path) -> tuple[Literal[1, 3], int | None, int | None]:
    """Return channels, rows and columns of the one input; None for a side that may be any."""
    names = program.graph_signature.user_inputs
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (1, 3):
        found = " and ".join("×".join(map(str, shape)) for shape in shapes) or "nothing"
        raise UsageError(f"{path} takes {found}", "a target takes one batch of images: N×1×H×W or N×3×H×W")
    batch, channels, height, width = shapes[0]
    if isinstance(batch, int):
        raise UsageError(
            f"{path} was exported for batches of exactly {batch}",
            "export it with a dynamic batch: dynamic_shapes=({0: torch.export.Dim('batch')},)",
        )
    return (
        3 if channels == 3 else 1,
        height if isinstance(height, int) else None,
        width if isinstance(width, int) else None,
    )


_TRAINING = {"dropout": 2, "feature_dropout": 2, "alpha_dropout": 2, "batch_norm": 5}
"""Operations that behave otherwise in training, and which of their arguments says so."""


def _refuse_training(program: torch.export.ExportedProgram, path: Path) -> None:
    for node in program.graph.nodes:
        name = str(node.target).removeprefix("aten.").partition(".")[0]
        place = _TRAINING.get(name)
        if place is not None and len(node.args) > place and node.args[place] is True:
            raise UsageError(f"{path} was exported in training mode ({name} is active)", "call eval() before exporting")
