"""A network of transformers, from a folder or the hub."""

from __future__ import annotations

import torch
import transformers
from torch import nn

from mcd.errors import CheckpointError
from mcd_plugins.transformers.foreign import check_folder, check_settings
from mcd_plugins.transformers.patches import accept_images
from mcd_plugins.transformers.sources import Source

__all__ = ["Auto", "built"]

Auto = type[transformers.AutoModel] | type[transformers.AutoModelForImageClassification]


def built(source: Source, auto: Auto) -> nn.Module:
    """Return the network with all of its weights, made to take images.

    A layer for which there are no weights would be random: the pooler of a vision model is left out then, and
    anything else is refused.

    Raises
    ------
    CheckpointError
        When the model cannot be read, or weights are missing.
    """
    network, missing = _read(source, auto)
    if missing and all(".pooler." in f".{one}" for one in missing) and not hasattr(network, "get_text_features"):
        network, missing = _read(source, auto, add_pooling_layer=False)
    if missing:
        raise CheckpointError(
            f"{source.name} lacks weights, which would be random: {', '.join(sorted(missing)[:5])}",
            "give the model with its weights; for one that was saved as a classifier, set head=true",
        )
    network.train(False)
    accept_images(network)
    return network


def _read(source: Source, auto: Auto, **more: object) -> tuple[transformers.PreTrainedModel, list[str]]:
    if source.folder is not None:
        check_folder(source.folder)
    settings, _ = source.read(transformers.PreTrainedConfig.get_config_dict, "configuration")
    check_settings(settings, source.name)
    network, report = source.read(auto.from_pretrained, "model", output_loading_info=True, dtype=torch.float32, **more)
    return network, [*report["missing_keys"], *(str(one[0]) for one in report["mismatched_keys"])]
