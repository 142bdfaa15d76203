"""The model loader ``finetuned``."""

from __future__ import annotations

import json
from pathlib import Path

import pydantic
import safetensors
from torch import nn

import mcd
from mcd.errors import CheckpointError
from mcd.plugins import example_input, load_target, load_weights, read_state_dict, unfilled
from mcd_plugins.finetune.heads import with_head

__all__ = ["FinetunedLoader"]


class FinetunedLoader(mcd.ModelLoader):
    """A model that ``mcd finetune`` trained, or one of its checkpoints: ``base`` with other weights and another head.

    What was trained from Mammo-CLIP and from timm's models is loaded by ``mammo-clip-classifier`` and ``timm``. The
    card beside the file says which, and with what settings.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        checkpoint: Path = pydantic.Field(description="model.safetensors, or a file of checkpoints/")
        base: str | dict[str, pydantic.JsonValue] = pydantic.Field(
            description='the model it was trained from: phantom-mammo, or {"plugin": …, "options": {…}}'
        )

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        state = read_state_dict(own.checkpoint)
        base = load_target(own.base)
        network, head = with_head(base.module, example_input(base))
        weight = state.get(f"{head}.weight")
        if weight is None or weight.ndim != 2:
            raise CheckpointError(
                f"{own.checkpoint} has no head of {base.name} ({head}.weight)",
                "name the model that it was trained from: base=NAME; the card beside it does",
            )
        outputs, features = weight.shape
        network.set_submodule(head, unfilled(lambda: nn.Linear(features, outputs)))
        load_weights(network, own.checkpoint)
        names = _outputs(own.checkpoint, outputs)
        return mcd.Target(
            f"{base.name}, fine-tuned",
            network.train(False),
            base.preprocessing,
            base.aliases,
            base.prefix_tokens,
            base.revision,
            outputs=names,
        )


def _outputs(path: Path, count: int) -> tuple[str, ...]:
    """Return what the outputs are called, as the metadata of the file says; nothing where it does not."""
    try:
        with safetensors.safe_open(path.expanduser(), framework="pt") as file:
            said = json.loads((file.metadata() or {})["mcd"])["outputs"]
    except (OSError, safetensors.SafetensorError, ValueError, LookupError, TypeError):
        return ()
    names = tuple(map(str, said)) if isinstance(said, list) else ()
    return names if len(names) == count else ()
