"""The model loader ``open-clip``."""

from __future__ import annotations

import pydantic

import mcd
from mcd.plugins import Seed, hub_revision, prefix_tokens
from mcd_plugins.open_clip.building import ClipOptions, built, context, recipe, repository

__all__ = ["OpenClipTower"]


class OpenClipTower(mcd.ModelLoader):
    """The image tower of a CLIP that open_clip can build. Without weights it is random, and its name says so."""

    class Options(ClipOptions):
        """Settings of the loader."""

        seed: Seed = pydantic.Field(default=0, description="decides random weights")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        network, caution = built(own, own.seed)
        folder, asked = context(own), repository(own)
        known = own.checkpoint or folder or asked
        name = f"{folder.resolve().name if folder else own.name} image tower" + ("" if known else " (random weights)")
        tower = network.get_submodule("visual")
        return mcd.Target(
            name,
            tower,
            recipe(network, own.resize),
            prefix_tokens=prefix_tokens(tower),
            revision=hub_revision(asked) if asked else "",
            caution=caution,
        )
