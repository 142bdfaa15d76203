"""A linear probe: logistic regression on stored features, its penalty chosen on the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from mcd.plugins import unfilled
from mcd_plugins.finetune.measures import primary, probabilities
from mcd_plugins.finetune.tasks import Task

__all__ = ["PENALTIES", "Probed", "class_weights", "correction", "loss_of", "probe"]

PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)
"""Of the squared weights of standardised features, halved; strongest first."""
_ITERATIONS = 200
_DEAD = 1e-6
"""A feature that varies less in training, as a share of the one that varies most, is taken for a constant: scaled up it
would decide every image in which it is alive."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Probed:
    """A fitted probe.

    Parameters
    ----------
    head
        Takes features as they are: their standardisation is part of it.
    history
        For each penalty: it, the loss on the training part, and what it was chosen by on the validation part.
    best
        Which of them was chosen.
    """

    head: nn.Linear
    history: tuple[tuple[float, float, float], ...]
    best: int


def class_weights(task: Task, rows: Rows, balance: str) -> torch.Tensor:
    """Return ``(classes,)`` how much an image of each class weighs in the loss.

    ``published`` is what the released scripts do: a yes weighs as many times a no as there are rows of the release's
    table that say no for one that says yes; several classes weigh the same, whatever is asked. ``weighted`` gives every
    class the same total weight, over images.
    """
    counts = np.bincount(task.labels[rows], minlength=len(task.classes)).astype(np.float64)
    if balance == "weighted":
        return torch.from_numpy(counts.sum() / (len(counts) * counts))
    if balance == "published" and task.binary:
        said = task.rows[rows].sum(axis=0) if task.rows[rows].any() else counts
        return torch.tensor([1.0, float(said[0] / said[1])], dtype=torch.float64)
    return torch.ones(len(task.classes), dtype=torch.float64)


def correction(task: Task, weights: torch.Tensor, balance: str) -> torch.Tensor:
    """Return ``(outputs,)`` what is added to the biases after training, so that probabilities are right again.

    A class that weighs w times as much is predicted as if it were w times as frequent: log w is subtracted from its
    logit (Elkan 2001). The published procedure does not.
    """
    if balance != "weighted":
        return torch.zeros(task.outputs, dtype=torch.float64)
    logs = weights.log()
    return (logs[:1] - logs[1:]) if task.binary else -logs


def loss_of(task: Task, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean loss, each image weighing as its class: binary or multi-class cross-entropy."""
    own = weights.to(logits.dtype)
    if task.binary:
        each = functional.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction="none")
    else:
        each = functional.cross_entropy(logits, labels, reduction="none")
    return (each * own[labels]).mean()


def probe(task: Task, features: torch.Tensor, training: Rows, validation: Rows, balance: str) -> Probed:
    """Fit a probe on features ``(images, D)`` of all images.

    In float64 by L-BFGS, from the strongest penalty to the weakest, each from the weights of the one before. The one
    with the highest AUROC on the validation part is taken, of equals the strongest.
    """
    x, labels = features[training].double(), torch.from_numpy(task.labels[training])
    mean, spread = x.mean(dim=0), x.std(dim=0, unbiased=False)
    spread = torch.where(spread > _DEAD * spread.max(), spread, torch.ones_like(spread))
    x, other = (x - mean) / spread, (features[validation].double() - mean) / spread
    weights = class_weights(task, training, balance)
    shift = correction(task, weights, balance)
    weight = torch.zeros(task.outputs, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(task.outputs, dtype=torch.float64, requires_grad=True)
    history: list[tuple[float, float, float]] = []
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    for penalty in PENALTIES:
        loss = _fitted(task, (x, labels, weights), (weight, bias), penalty)
        with torch.no_grad():
            said = probabilities((other @ weight.T + bias + shift).numpy())
        history.append((penalty, loss, primary(task, said, task.labels[validation])))
        kept.append((weight.detach().clone(), bias.detach().clone()))
    best = int(np.argmax([round(one[2], 6) for one in history]))
    head = unfilled(lambda: nn.Linear(features.shape[1], task.outputs))
    with torch.no_grad():
        chosen, offset = kept[best]
        head.weight.copy_(chosen / spread)
        head.bias.copy_(offset - (chosen / spread) @ mean)
    return Probed(head, tuple(history), best)


def _fitted(
    task: Task,
    data: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    parameters: Sequence[torch.Tensor],
    penalty: float,
) -> float:
    (x, labels, weights), (weight, bias) = data, parameters
    optimizer = torch.optim.LBFGS(
        list(parameters),
        max_iter=_ITERATIONS,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        whole = loss_of(task, x @ weight.T + bias, labels, weights) + penalty / 2 * weight.square().sum()
        torch.autograd.backward(whole)
        return whole

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch does not type it
    with torch.no_grad():
        return float(loss_of(task, x @ weight.T + bias, labels, weights))
