"""The targets ``phantom-mammo`` and ``phantom-clip``."""

from __future__ import annotations

import mcd
from mcd_plugins.phantom.network import PhantomClipNetwork, PhantomMammoNetwork
from mcd_plugins.phantom.shipped import PREPROCESSING, loaded

__all__ = ["PhantomClipTower", "PhantomMammo"]


class PhantomMammo(mcd.ModelLoader):
    """A small classifier of eleven phantom findings. Layers: stem, stages.0 … stages.3, head."""

    def load(self) -> mcd.Target:
        """Return the target."""
        network = loaded(PhantomMammoNetwork(), "phantom_mammo.safetensors")
        return mcd.Target("phantom-mammo", network, PREPROCESSING)


class PhantomClipTower(mcd.ModelLoader):
    """The image tower of phantom-clip as target; with phantom-clip as dissector, one forward pass serves both."""

    def load(self) -> mcd.Target:
        """Return the target."""
        network = loaded(PhantomClipNetwork(), "phantom_clip.safetensors")
        return mcd.Target("phantom-clip tower", network.image_tower, PREPROCESSING)
