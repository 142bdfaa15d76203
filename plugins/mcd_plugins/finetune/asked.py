"""What is asked of a fine-tuning: all that goes in, made and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import UsageError
from mcd.plugins import TargetImages, check_writable, digest, write_atomically
from mcd_plugins.finetune.probing import class_weights, correction
from mcd_plugins.finetune.recipe import Recipe
from mcd_plugins.finetune.splits import Parts
from mcd_plugins.finetune.tasks import Task

__all__ = ["CARD", "SETTINGS", "Asked", "check_folder", "json_bytes", "main_process", "read_json"]

Json = pydantic.JsonValue

SETTINGS, CARD = "settings.json", "card.json"
"""In the folder: what is asked for, written first, which makes the folder ours; and the card, written last."""


@dataclass(frozen=True, eq=False)
class Asked:
    """All that goes into a fine-tuning.

    Parameters
    ----------
    images
        The target and its images.
    task, parts
        What is learned, and on which images.
    recipe
        How.
    network, head
        The target's network with the identity in the place of its head, and the head's name.
    output
        The folder.
    column
        Of the labels, where one was named.
    """

    images: TargetImages
    task: Task
    parts: Parts
    recipe: Recipe
    network: nn.Module
    head: str
    output: Path
    column: str | None

    @property
    def shift(self) -> torch.Tensor:
        """What is added to the biases of the head after training; see `mcd_plugins.finetune.probing.correction`."""
        weights = class_weights(self.task, self.parts.rows("training"), self.recipe.balance)
        return correction(self.task, weights, self.recipe.balance)

    def settings(self) -> dict[str, Json]:
        """Return all that decides the result, as plain data."""
        images, task = self.images, self.task
        return {
            "schema": "mcd.finetuning/1",
            "mcd": mcd.__version__,
            "torch": str(torch.__version__),
            "model": dict(images.model),
            "network": images.network,
            "dataset": dict(images.dataset),
            "images": images.fingerprint,
            "task": task.name,
            "column": self.column,
            "classes": list(task.classes),
            "labels": digest(*(str(one) for one in task.labels)),
            "split": self.parts.source,
            "split digest": self.parts.digest,
            "device": images.device.type,
            **self.recipe.said(),
        }

    def claim(self) -> None:
        """Write down what is asked for, or make sure that the folder is of the very same.

        Raises
        ------
        UsageError
            When it is of something else: the message names the first difference.
        """
        path, settings = self.output / SETTINGS, self.settings()
        if not path.exists():
            write_atomically(path, json_bytes(settings))
            return
        before = read_json(path)
        for name, value in settings.items():
            if before.get(name) != value:
                was, now = _short(before.get(name)), _short(value)
                raise UsageError(
                    f"{self.output} is of another fine-tuning: its {name} is {was}, and {now} is asked for",
                    "choose another --output",
                )


def check_folder(folder: Path) -> None:
    """Refuse a folder of something else, before anything is computed.

    Raises
    ------
    UsageError
        When it holds anything, and is of no fine-tuning.
    """
    check_writable(folder / SETTINGS, overwrite=True)
    there = sorted(one.name for one in folder.glob("*") if not one.name.startswith(".mcd-"))
    if there and SETTINGS not in there:
        raise UsageError(
            f"{folder} is not empty and is no folder of mcd finetune: it holds {', '.join(there[:3])}",
            "choose another --output",
        )


def read_json(path: Path) -> dict[str, Json]:
    """Return an object of a file that a fine-tuning wrote.

    Raises
    ------
    UsageError
        When it is none.
    """
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path} is damaged", "remove its folder, or choose another --output")
    return found


def json_bytes(record: Mapping[str, Json]) -> bytes:
    """Return an object as it is written."""
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


def main_process() -> bool:
    """Whether this is the process that prints and writes: the first of several that train together."""
    return all(os.environ.get(name, "0") in ("", "0") for name in ("LOCAL_RANK", "NODE_RANK"))
