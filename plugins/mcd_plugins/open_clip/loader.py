"""The model loader ``open-clip``."""

from __future__ import annotations

import pydantic

import mcd
from mcd_plugins.open_clip.building import ClipOptions, built, context, recipe

__all__ = ["OpenClipTower"]


class OpenClipTower(mcd.ModelLoader):
    """The image tower of a CLIP that open_clip can build. Without weights it is random, and its name says so."""

    class Options(ClipOptions):
        """Settings of the loader."""

        seed: int = pydantic.Field(default=0, ge=0, description="decides random weights")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        network = built(own, own.seed)
        known = own.checkpoint or own.pretrained or context(own) or own.name.startswith("hf-hub:")
        folder = context(own)
        name = f"{folder.resolve().name if folder else own.name} image tower" + ("" if known else " (random weights)")
        tower = network.get_submodule("visual")
        return mcd.Target(name, tower, recipe(network, own.resize), prefix_tokens=mcd.prefix_tokens(tower))
