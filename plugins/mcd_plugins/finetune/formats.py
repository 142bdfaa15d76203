"""What a trained network is written as, so that a loader of mcd takes it: tensor names, and how it is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pydantic
import torch
from safetensors.torch import save
from torch import nn

from mcd.plugins import TargetImages
from mcd_plugins.finetune.heads import Headed
from mcd_plugins.finetune.tasks import Task

__all__ = ["Format", "format_of"]

Json = pydantic.JsonValue


@dataclass(frozen=True)
class Format:
    """How a trained network is written and loaded.

    Parameters
    ----------
    loader
        The model loader that takes the file; empty where the model was given as an object.
    setting
        Which of its settings is the file; its primary one where ``value`` is empty.
    value
        Its primary setting where that is not the file: timm's name of the network.
    options
        Its further settings.
    renamed
        Tensor names of the network → those in the file; the same where empty.
    """

    loader: str
    setting: str = "checkpoint"
    value: str = ""
    options: Mapping[str, Json] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def flags(self, file: str) -> list[str]:
        """Return the flags of ``mcd dissect`` that load a file; none where the model was given as an object."""
        if not self.loader:
            return []
        found = ["--model-plugin", f"{self.loader}:{self.value or file}"]
        pairs = {**({self.setting: file} if self.value else {}), **self.options}
        for name, value in pairs.items():
            found += ["--model-arg", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return found

    def written(self, network: nn.Module, record: Mapping[str, Json], head: str, shift: torch.Tensor) -> bytes:
        """Return a network as the bytes of a safetensors file; the metadata entry ``mcd`` is the record as JSON.

        Parameters
        ----------
        head, shift
            The name of its head, and what is added to the biases of that: ``(outputs,)``.
        """
        tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
        tensors[f"{head}.bias"] = (tensors[f"{head}.bias"].double() + shift).float()
        state = {
            self.renamed.get(name, name): tensor.clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
        return save(state, metadata={"mcd": json.dumps(record, ensure_ascii=False, sort_keys=True)})


_MAMMO_CLIP = ("mammo-clip", "mammo-clip-classifier", "mammo-clip-imagenet")


def format_of(images: TargetImages, network: nn.Module, task: Task) -> Format:
    """Return what a network that was trained from a target is written as.

    The towers of Mammo-CLIP become what its own scripts write, for ``mammo-clip-classifier``; timm's networks what
    timm calls their tensors; all others keep their names, for ``finetuned``.
    """
    choice = images.choice
    name = choice.plugin.rpartition("/")[2] if choice is not None else ""
    options = dict(choice.options) if choice is not None else {}
    if name in _MAMMO_CLIP:
        from mcd_plugins.mammo_clip.tower import HEAD, released_names

        names = released_names(network)
        head = {f"classifier.{part}": f"{HEAD}{part}" for part in ("weight", "bias")}
        preprocessing = options.get("preprocessing")
        kept: dict[str, Json] = {"preprocessing": preprocessing} if preprocessing else {}
        return Format("mammo-clip-classifier", options=kept, renamed={**names, **head})
    if name == "timm" and not isinstance(network, Headed):
        kept = {one: options[one] for one in ("in_chans", "input_size", "resize") if options.get(one) is not None}
        defaults: dict[str, Json] = {"in_chans": 3, "resize": "letterbox"}
        kept = {one: value for one, value in kept.items() if defaults.get(one) != value}
        kept["num_classes"] = task.outputs
        return Format("timm", value=str(options["name"]), options=kept)
    return Format("finetuned", options={"base": _base(images.model)}) if choice is not None else Format("")


_OF_WEIGHTS = ("checkpoint", "pretrained", "prefix", "ema", "seed")
"""Settings that say which weights a network starts with; where it has a name, it is the same network without."""


def _base(model: Mapping[str, Json]) -> Json:
    """Return the model that was trained as ``finetuned`` takes it: what it is built from, not its first weights."""
    options = model["options"]
    assert isinstance(options, dict)
    dropped = _OF_WEIGHTS if "name" in options else ()
    kept: dict[str, Json] = {key: one for key, one in options.items() if one is not None and key not in dropped}
    if not kept:
        return model["plugin"]
    found: Json = {"plugin": model["plugin"], "options": dict(kept)}
    return found
