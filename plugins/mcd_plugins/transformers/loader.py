"""The model loader ``transformers``."""

from __future__ import annotations

from pathlib import Path

import pydantic
import transformers

import mcd
from mcd_plugins.transformers.building import Resize, built, recipe

__all__ = ["TransformersLoader"]


class TransformersLoader(mcd.ModelLoader):
    """A vision model of transformers, or the vision tower of a CLIP-like, with its own image processor.

    The name of a folder is read here; any other name is one on the hub, and fetched.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        name: str = pydantic.Field(description="a folder with config.json and weights, or a name on the hub")
        head: bool = pydantic.Field(default=False, description="build it as a classifier, head included")
        resize: Resize = pydantic.Field(
            default="own", description="own is the model's; where that crops, letterbox shows whole mammograms"
        )

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        auto = transformers.AutoModelForImageClassification if own.head else transformers.AutoModel
        network = built(own.name, auto)
        tower = network.get_submodule("vision_model") if hasattr(network, "vision_model") else network
        folder = Path(own.name).expanduser()
        name = folder.resolve().name if folder.is_dir() else own.name
        name += " image tower" if tower is not network else ""
        return mcd.Target(name, tower, recipe(own.name, own.resize), prefix_tokens=mcd.prefix_tokens(tower))
