"""The targets ``phantom-mammo``, ``phantom-general``, ``phantom-calc`` and ``phantom-clip``."""

from __future__ import annotations

import mcd
from mcd_plugins.phantom.network import CALCIFICATIONS, EVERYDAY, FINDINGS, PhantomClipNetwork, PhantomMammoNetwork
from mcd_plugins.phantom.shipped import LICENCE, PREPROCESSING, loaded

__all__ = ["PhantomCalc", "PhantomClipTower", "PhantomGeneral", "PhantomMammo"]


class PhantomMammo(mcd.ModelLoader):
    """A small classifier of eleven phantom findings. Layers: stem, stages.0 … stages.3, head."""

    def load(self) -> mcd.Target:
        """Return the target."""
        network = loaded(PhantomMammoNetwork(), "phantom_mammo.safetensors")
        return mcd.Target("phantom-mammo", network, PREPROCESSING, outputs=FINDINGS, licence=LICENCE)


class PhantomGeneral(mcd.ModelLoader):
    """The architecture of phantom-mammo, trained on drawn everyday images; it has never seen a phantom."""

    def load(self) -> mcd.Target:
        """Return the target."""
        network = loaded(PhantomMammoNetwork(len(EVERYDAY)), "phantom_general.safetensors")
        return mcd.Target("phantom-general", network, PREPROCESSING, outputs=EVERYDAY, licence=LICENCE)


class PhantomCalc(mcd.ModelLoader):
    """phantom-mammo, all layers fine-tuned to detect calcifications only."""

    def load(self) -> mcd.Target:
        """Return the target."""
        network = loaded(PhantomMammoNetwork(len(CALCIFICATIONS)), "phantom_calc.safetensors")
        return mcd.Target("phantom-calc", network, PREPROCESSING, outputs=CALCIFICATIONS, licence=LICENCE)


class PhantomClipTower(mcd.ModelLoader):
    """The image tower of phantom-clip as target; with phantom-clip as dissector, one forward pass serves both."""

    def load(self) -> mcd.Target:
        """Return the target."""
        network = loaded(PhantomClipNetwork(), "phantom_clip.safetensors")
        return mcd.Target("phantom-clip tower", network.image_tower, PREPROCESSING, licence=LICENCE)
