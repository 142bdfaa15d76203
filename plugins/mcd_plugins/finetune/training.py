"""Blocks or all weights trained: Lightning Fabric runs precision, devices and checkpoints."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pydantic
import torch
from numpy.typing import NDArray
from torch import nn

from mcd.errors import MissingDependencyError, UsageError
from mcd.plugins import digest, say, write_atomically
from mcd_plugins.finetune.asked import Asked, main_process
from mcd_plugins.finetune.formats import Format
from mcd_plugins.finetune.heads import features_in, trainable
from mcd_plugins.finetune.measures import primary, probabilities
from mcd_plugins.finetune.probing import class_weights, loss_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["HISTORY", "Trained", "check_trainer", "train"]

HISTORY = ("epoch", "training loss", "validation AUROC", "learning rate")
STATE = "training.ckpt"
"""What an interrupted training continues from; removed at the end."""
Autocast = Literal["32-true", "bf16-mixed", "16-mixed"]
_PRECISIONS: Mapping[str, Autocast] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}

Rows = NDArray[np.int64]
Json = pydantic.JsonValue


def check_trainer() -> None:
    """Make sure that the trainer is installed.

    Raises
    ------
    MissingDependencyError
        Saying how to install it.
    """
    if find_spec("lightning_fabric") is None:
        raise MissingDependencyError(
            "--train blocks:N and --train all need lightning-fabric, which is not installed",
            "python -m pip install 'mammo-clip-dissect[finetune]'",
        )


@dataclass
class Trained:
    """How far a training is.

    Parameters
    ----------
    history
        A row of numbers for each pass; see `HISTORY`.
    best
        The pass with the highest measure on the validation part, from 1; of equals the first.
    weights
        Of the network after it.
    """

    history: list[list[float]] = field(default_factory=list)
    best: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    def ended(self, epochs: int, patience: int) -> bool:
        """Whether no further pass is to be made."""
        done = len(self.history)
        return done >= epochs or (done > 0 and done - self.best >= patience)


def train(
    asked: Asked, form: Format, record: Mapping[str, Json], *, checkpoints: bool, devices: int, quiet: bool
) -> tuple[torch.Tensor, Trained]:
    """Train the network of what is asked, in place; return the outputs ``(images, outputs)`` of all, and the history.

    Every pass draws from seed and number of the pass alone, and state is kept after each: a training that was killed
    continues with the pass it was in, and ends with the same weights.

    Parameters
    ----------
    form, record
        How checkpoints are written, where ``checkpoints`` asks for them.
    devices
        How many processes train together, each with its part of every batch.
    """
    from lightning_fabric import Fabric

    size, rows = asked.recipe.batch_size, len(asked.parts.rows("training"))
    if devices > 1 and (size % devices or rows < size):
        raise UsageError(
            f"{devices} devices cannot share batches of {size} of {rows} images",
            f"take a --batch-size that is a multiple of {devices}, of fewer images than there are to train on",
        )
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # what it says is about itself
    device, recipe = asked.images.device, asked.recipe
    numbers = [device.index or 0] if device.type == "cuda" and devices == 1 else devices
    fabric = Fabric(
        accelerator=device.type,
        devices=numbers,
        strategy="ddp" if devices > 1 else "auto",
        precision=_PRECISIONS[recipe.precision],
    )
    fabric.launch()
    with _reproducible(device):
        return _Training(asked, fabric, form, record, checkpoints, quiet or not main_process()).run()


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Compute the same each time; leave the random states of torch as they were."""
    kept = torch.are_deterministic_algorithms_enabled()
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []), flags:
        if device.type == "cuda":
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(kept)


class _Training:
    def __init__(
        self,
        asked: Asked,
        fabric: Fabric,
        form: Format,
        record: Mapping[str, Json],
        checkpoints: bool,
        quiet: bool,
    ) -> None:
        self._asked, self._fabric, self._form, self._record = asked, fabric, form, record
        self._checkpoints, self._quiet = checkpoints, quiet
        self._network, recipe = asked.network, asked.recipe
        self._network.float().to(memory_format=asked.images.memory_format)
        parameters, self._frozen = trainable(self._network, asked.head, recipe.blocks)
        optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._module, self._optimizer = fabric.setup(self._network, optimizer)
        self._weights = class_weights(asked.task, asked.parts.rows("training"), recipe.balance).to(fabric.device)
        self._labels = torch.from_numpy(asked.task.labels).to(fabric.device)
        self._trained = Trained()

    def run(self) -> tuple[torch.Tensor, Trained]:
        recipe, state = self._asked.recipe, self._asked.output / STATE
        self._resume(state)
        while not self._trained.ended(recipe.epochs, recipe.patience):
            self._epoch(len(self._trained.history) + 1)
            self._keep(state)
        self._network.load_state_dict(self._trained.weights, strict=False)
        return self._outputs(self._asked.task.known), self._trained

    def _epoch(self, number: int) -> None:
        asked, fabric = self._asked, self._fabric
        groups = self._batches(number)
        torch.manual_seed(_drawn_from(asked.recipe.seed, number, fabric.global_rank))
        self._module.train()
        for one in self._frozen:
            one.training = False
        total, step, rate = 0.0, (number - 1) * len(groups), 0.0
        own = [group[fabric.global_rank :: fabric.world_size].tolist() for group in groups]
        for rows, images in asked.images.inputs(own, fabric.device):
            rate = self._rate(step, len(groups))
            for part in self._optimizer.param_groups:
                part["lr"] = rate
            self._optimizer.zero_grad()
            logits = features_in(self._module(images))
            loss = loss_of(asked.task, logits, self._labels[list(rows)], self._weights)
            fabric.backward(loss)
            self._optimizer.step()
            total, step = total + float(loss.detach()), step + 1
        whole = self._together(torch.tensor(total)) / fabric.world_size
        _refuse_diverged(whole, f"the loss of pass {number}")
        self._judge(number, float(whole) / len(groups), rate)

    def _batches(self, number: int) -> list[Rows]:
        """Return the batches of a pass: all of one size, as published; what is left over is in another pass's."""
        recipe, rows = self._asked.recipe, self._asked.parts.rows("training")
        order = np.random.default_rng(_drawn_from(recipe.seed, number, "order")).permutation(rows)
        count = max(1, len(order) // recipe.batch_size)
        return [order[at * recipe.batch_size : (at + 1) * recipe.batch_size] for at in range(count)]

    def _rate(self, step: int, per_epoch: int) -> float:
        """Return the learning rate of a step: linear over the first pass, then cos² to 0."""
        recipe = self._asked.recipe
        if step < per_epoch:
            return recipe.learning_rate * (step + 1) / per_epoch
        left = (step - per_epoch) / max(1, (recipe.epochs - 1) * per_epoch)
        return recipe.learning_rate * math.cos(math.pi / 2 * left) ** 2

    def _judge(self, number: int, loss: float, rate: float) -> None:
        task, rows = self._asked.task, self._asked.parts.rows("validation")
        said = probabilities((self._outputs(rows)[rows].double() + self._asked.shift).numpy())
        measure = primary(task, said, task.labels[rows])
        done = self._trained
        if not done.history or measure > done.history[done.best - 1][2]:
            done.best = number
            done.weights = {name: one.detach().cpu().clone() for name, one in self._network.state_dict().items()}
        done.history.append([float(number), loss, measure, rate])
        if not self._quiet:
            said_of = f"pass {number} of at most {self._asked.recipe.epochs}: loss {loss:.4f}, validation"
            say(f"{said_of} AUROC {measure:.3f}{' (best so far)' if done.best == number else ''}", err=True)

    def _outputs(self, rows: Rows) -> torch.Tensor:
        """Return the outputs ``(images, outputs)`` float32 of some images on the CPU, 0 for the others."""
        fabric, network = self._fabric, self._network
        network.train(False)
        if fabric.world_size > 1:
            for buffer in network.buffers():
                buffer.copy_(fabric.broadcast(buffer))
        size, found = self._asked.recipe.batch_size, torch.zeros(len(self._labels), self._asked.task.outputs)
        own = rows[fabric.global_rank :: fabric.world_size].tolist()
        groups = [own[at : at + size] for at in range(0, len(own), size)]
        with torch.no_grad(), fabric.autocast():
            for some, images in self._asked.images.inputs(groups, fabric.device):
                found[list(some)] = features_in(network(images)).float().cpu()
        found = self._together(found) if fabric.world_size > 1 else found
        _refuse_diverged(found, "what the network gives")
        return found

    def _together(self, own: torch.Tensor) -> torch.Tensor:
        """Return the sum of what each process has, on the CPU."""
        found = self._fabric.all_reduce(own.to(self._fabric.device), reduce_op="sum")
        assert isinstance(found, torch.Tensor)
        return found.cpu()

    def _keep(self, path: Path) -> None:
        """Keep all that the next pass needs; where asked for, the weights as a checkpoint too."""
        number, fabric = len(self._trained.history), self._fabric
        if self._checkpoints and main_process():
            file = self._asked.output / "checkpoints" / f"epoch-{number:03d}.safetensors"
            shift = self._asked.shift
            write_atomically(file, self._form.written(self._network, self._record, self._asked.head, shift))
        fresh = path.with_name(f".mcd-{STATE}")
        fabric.save(
            fresh,
            {
                "network": self._module,
                "optimizer": self._optimizer,
                "precision": fabric.strategy.precision.state_dict(),
                "history": self._trained.history,
                "best": self._trained.best,
                "weights": self._trained.weights,
            },
        )
        if main_process():
            fresh.replace(path)
        fabric.barrier()

    def _resume(self, path: Path) -> None:
        """Go on from what an interrupted training kept; nothing of the file but tensors and numbers is made.

        Raises
        ------
        UsageError
            When it is damaged.
        """
        if not path.is_file():
            return
        own: dict[str, nn.Module | torch.optim.Optimizer] = {"network": self._module, "optimizer": self._optimizer}
        try:
            rest = self._fabric.load(path, own, weights_only=True)
            self._trained = Trained(rest["history"], rest["best"], rest["weights"])
            self._fabric.strategy.precision.load_state_dict(rest["precision"])
        except Exception as error:  # torch raises whatever it comes upon
            raise UsageError(
                f"{path} cannot be read: {str(error).splitlines()[0][:200]}", "remove it to train from the beginning"
            ) from None
        if not self._quiet:
            say(f"continues after pass {len(self._trained.history)}", err=True)


def _refuse_diverged(found: torch.Tensor, what: str) -> None:
    """Refuse what is no number: it has a place among others in a sort, and so an AUROC."""
    if not bool(torch.isfinite(found).all()):
        raise UsageError(
            f"{what} is no number: training has diverged",
            "take a lower --learning-rate or --precision fp32, and another --output",
        )


def _drawn_from(seed: int, *what: object) -> int:
    """Return a number for a generator, of 63 bits."""
    return int(digest("finetune", str(seed), *(str(one) for one in what))[:15], 16)
