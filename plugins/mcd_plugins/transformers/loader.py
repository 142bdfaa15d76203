"""The model loader ``transformers``."""

from __future__ import annotations

import pydantic
import transformers

import mcd
from mcd.plugins import NameOrPath, prefix_tokens
from mcd_plugins.transformers.building import built
from mcd_plugins.transformers.preprocessing import Resize, recipe
from mcd_plugins.transformers.sources import Source

__all__ = ["TransformersLoader"]


class TransformersLoader(mcd.ModelLoader):
    """A vision model of transformers, or the vision tower of a CLIP-like, with its own image processor.

    A folder is read here; ``hub:OWNER/NAME`` is fetched. SigLIP 2 with NaFlex sees squares of the size that its number
    of patches allows.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        name: NameOrPath = pydantic.Field(
            description="a folder with config.json and weights, or hub:OWNER/NAME, hub:OWNER/NAME@REVISION"
        )
        head: bool = pydantic.Field(default=False, description="build it as a classifier, head included")
        resize: Resize = pydantic.Field(
            default="own", description="own is the model's; where that crops, letterbox shows whole mammograms"
        )

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own, source = self.options, Source(self.options.name)
        auto = transformers.AutoModelForImageClassification if own.head else transformers.AutoModel
        network = built(source, auto)
        tower = network
        if not own.head and hasattr(network, "vision_model"):
            tower = network.get_submodule("vision_model")
        return mcd.Target(
            source.title + (" image tower" if tower is not network else ""),
            tower,
            recipe(source, own.resize),
            prefix_tokens=prefix_tokens(tower),
            revision=source.revision,
        )
