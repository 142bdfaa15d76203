"""The model loaders ``mammo-clip``, ``mammo-clip-classifier`` and ``mammo-clip-imagenet``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pydantic
from torch import nn

import mcd
from mcd.errors import CheckpointError, UsageError, amount
from mcd.plugins import MayFetch, averaged_beside, find_state_dict, fit_state_dict, read_checkpoint, validate_options
from mcd_plugins.mammo_clip.network import open_checkpoint
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing
from mcd_plugins.mammo_clip.tower import HEAD, Network, aliases, empty_tower, fill_tower, network_of, timm_names

__all__ = ["ImageNetTower", "MammoClipClassifier", "MammoClipTower", "Recipe", "imagenet_tower", "recipe"]

LICENCE = "CC BY-NC-SA 4.0"
"""Of the released checkpoints; what is fine-tuned from them is a derivative."""


def recipe(changes: Mapping[str, object]) -> MammoClipPreprocessing:
    """Return the published preprocessing with changes."""
    return validate_options(MammoClipPreprocessing, changes, "preprocessing 'mammo-clip'")


def _checked(changes: dict[str, pydantic.JsonValue]) -> dict[str, pydantic.JsonValue]:
    recipe(changes)
    return changes


Recipe = Annotated[dict[str, pydantic.JsonValue], pydantic.AfterValidator(_checked)]


class _Options(mcd.Options):
    """Settings that a checkpoint's loader has."""

    checkpoint: Path = pydantic.Field(description="the weights file")
    preprocessing: Recipe = pydantic.Field(
        default={}, description='changes to the preprocessing mammo-clip, such as {"crop": false}'
    )


class MammoClipTower(mcd.ModelLoader):
    """The image tower of a released checkpoint (.tar). Layers: ``blocks.*.*``, or ``image_encoder._blocks[0]``.

    With the dissector ``mammo-clip`` of the same file, one forward pass serves both.
    """

    Options = _Options
    options: _Options

    def load(self) -> mcd.Target:
        """Return the target: 39 blocks with 6,992 neurons (B5), or 23 with 2,824 (B2)."""
        opened = open_checkpoint(self.options.checkpoint)
        tower = empty_tower(opened.network)
        fill_tower(tower, opened.state, opened.path)
        name = f"Mammo-CLIP {opened.network.upper()} tower"
        kept = recipe(self.options.preprocessing)
        return mcd.Target(name, tower, kept, aliases(tower), caution=opened.caution, licence=LICENCE)


class MammoClipClassifier(mcd.ModelLoader):
    """A classifier fine-tuned by the published scripts (.pth). Network and classes are seen from the shapes.

    Layers: the tower's, and ``classifier`` with one neuron a class (density 4, mass 1, suspicious calcification
    1, BI-RADS 3 or 5).
    """

    Options = _Options
    options: _Options

    def load(self) -> mcd.Target:
        """Return the target."""
        path = self.options.checkpoint
        content = read_checkpoint(path)
        state = find_state_dict(content, path)
        network = network_of(state, path)
        head = state.get(f"{HEAD}weight")
        if head is None or head.ndim != 2:
            hint = "use --model-plugin mammo-clip:FILE" if "logit_scale" in state else "is it a fine-tuned .pth?"
            raise CheckpointError(f"{path} has no classifier ({HEAD}weight)", hint)
        left = [name for name in state if not name.startswith(("image_encoder.", HEAD))]
        if left:
            raise CheckpointError(
                f"{path} holds tensors that are no part of the classifier: {', '.join(left[:5])}",
                "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
            )
        tower = empty_tower(network, classes=len(head))
        fill_tower(tower, state, path)
        classes = amount(len(head), "class")
        name = f"Mammo-CLIP {network.upper()} classifier, {classes}"
        caution = averaged_beside(content, state)
        kept = recipe(self.options.preprocessing)
        return mcd.Target(name, tower, kept, aliases(tower), caution=caution, licence=LICENCE)


class ImageNetTower(mcd.ModelLoader):
    """The same network, padding and preprocessing with ImageNet weights: the paper's general model G.

    The weights are timm's ``tf_efficientnet_b5.aa_in1k``, from the hub or a file; the ``efficientnet-b5-….pth`` of
    the widespread PyTorch port will do as well. The name of the released configuration notwithstanding, they are
    not those of Noisy Student.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        checkpoint: Path | None = pydantic.Field(default=None, description="the weights file")
        pretrained: Annotated[bool, MayFetch()] = pydantic.Field(
            default=False, description="fetch them from the hub instead"
        )
        network: Network = pydantic.Field(default="b5", description="b2 or b5")
        preprocessing: Recipe = pydantic.Field(default={}, description="changes to the preprocessing mammo-clip")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        tower, revision, caution = imagenet_tower(own.network, own.checkpoint, own.pretrained)
        name = f"ImageNet {own.network.upper()} tower"
        return mcd.Target(name, tower, recipe(own.preprocessing), aliases(tower), revision=revision, caution=caution)


def imagenet_tower(network: Network, checkpoint: Path | None, pretrained: bool) -> tuple[nn.Module, str, str]:
    """Return the tower with ImageNet weights, where they came from when that is the hub, and what is not used of them.

    Raises
    ------
    UsageError
        When neither or both are given.
    CheckpointError
        When the weights do not fit, or cannot be fetched.
    """
    name = f"tf_efficientnet_{network}.aa_in1k"
    if (checkpoint is None) == (not pretrained):
        raise UsageError(
            f"the ImageNet tower needs weights: {name}",
            "give checkpoint=FILE, or pretrained=true to fetch them (one of the two)",
        )
    tower = empty_tower(network)
    if checkpoint is None:
        from mcd_plugins.timm.loader import TimmLoader

        loader = TimmLoader(TimmLoader.Options(name=name, pretrained=True, num_classes=0))
        fetched = loader.load()
        tower.load_state_dict(fetched.module.state_dict())
        return tower, fetched.revision, ""
    content = read_checkpoint(checkpoint)
    state = find_state_dict(content, checkpoint)
    kept = {one: tensor for one, tensor in state.items() if not one.startswith(("classifier.", "_fc."))}
    fit_state_dict(tower, kept, checkpoint, rename=lambda names: timm_names(tower, names))
    return tower, "", averaged_beside(content, state)
