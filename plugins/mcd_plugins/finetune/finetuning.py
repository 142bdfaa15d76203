"""Fine-tuning in one call: what is asked for is checked, the model is trained, measured and written with its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import UsageError
from mcd.plugins import csv_text, target_images, validate_options, write_atomically
from mcd_plugins.finetune.asked import CARD, Asked, check_folder, json_bytes, main_process, read_json
from mcd_plugins.finetune.card import CURVE, LICENCES, MODEL, Fitted, bins_of, card_of, page_of
from mcd_plugins.finetune.curve import curve_of
from mcd_plugins.finetune.formats import Format, format_of
from mcd_plugins.finetune.heads import features_in, new_head, trainable, with_head
from mcd_plugins.finetune.measures import probabilities
from mcd_plugins.finetune.probing import probe
from mcd_plugins.finetune.recipe import Recipe
from mcd_plugins.finetune.splits import check_enough, check_shares, drawn, published
from mcd_plugins.finetune.tasks import task_of

__all__ = ["Finetuned", "Recipe", "finetune"]

Json = pydantic.JsonValue


@dataclass(frozen=True)
class Finetuned:
    """What `finetune` wrote.

    Parameters
    ----------
    folder
        Where.
    card
        What ``card.json`` says: data, parts, measures, calibration, licences.
    """

    folder: Path
    card: Mapping[str, Json]


def finetune(
    model: str | Mapping[str, object] | mcd.Target | nn.Module,
    dataset: str | Mapping[str, object] | mcd.Dataset,
    task: str,
    output: str | Path,
    *,
    column: str | None = None,
    split: str | None = None,
    shares: Sequence[float] = (0.7, 0.15, 0.15),
    recipe: Recipe | Mapping[str, object] | None = None,
    checkpoints: bool = False,
    licences: Mapping[str, str] | None = None,
    devices: int = 1,
    where: str | None = None,
    limit: int | None = None,
    per_patient: int | None = None,
    device: str = "auto",
    workers: int | None = None,
    cache: str | Path | None = None,
    store: str | Path | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> Finetuned:
    """Train a model for a task and write it with a card; what was interrupted continues, and ends in the same bytes.

    Parameters
    ----------
    model, dataset
        As in `mcd.dissect`.
    task, column
        As in `mcd_plugins.finetune.tasks.task_of`.
    output
        A folder that is new, or that an interrupted call with the same settings made.
    split
        The column of a published split; by default parts are drawn by patient.
    shares
        Of patients in training, validation and test.
    recipe
        How it is trained: `Recipe`, or its settings such as ``{"train": "all", "epochs": 5}``.
    checkpoints
        Keep the weights after every pass in ``checkpoints/``.
    licences
        Of ``data`` and ``weights``, where data set or model do not say.
    devices
        How many GPUs train. More than one start this script or command again, once for each.
    where, limit, per_patient, device, workers, cache, store, on_error, progress, plugin_files
        As in `mcd.dissect`.

    Raises
    ------
    mcd.errors.MCDError
        When anything asked for does not exist or does not fit: before training.
    """
    how = recipe if isinstance(recipe, Recipe) else validate_options(Recipe, dict(recipe or {}), "training")
    folder, sizes = Path(output).expanduser(), check_shares(shares)
    if how.blocks == 0 and (checkpoints or devices > 1):
        flag = "--checkpoints" if checkpoints else "--devices"
        raise UsageError(f"{flag} has no part in a probe, which is fitted at once", "take --train blocks:N or all")
    if how.blocks != 0:
        from mcd_plugins.finetune.training import check_trainer

        check_trainer()
    check_folder(folder)
    images = target_images(
        model,
        dataset,
        where=where,
        limit=limit,
        per_patient=per_patient,
        cache=cache,
        store=store,
        device=device,
        precision=how.precision,
        batch_size=how.batch_size,
        workers=workers,
        on_error=on_error,
        progress=progress and main_process(),
        plugin_files=plugin_files,
    )
    learned = task_of(task, images.samples, column)
    if split is None:
        parts = drawn(images.samples, learned, sizes, how.seed)
    else:
        parts = published(images.samples, learned, split, sizes, how.seed)
    check_enough(learned, parts)
    network, head = with_head(images.target.module, images.example())
    trainable(network, head, how.blocks)  # refuses more blocks than there are
    asked = Asked(images, learned, parts, how, network, head, folder, column)
    asked.claim()
    if (folder / CARD).is_file() and (folder / MODEL).is_file():
        return Finetuned(folder, _relicensed(folder, licences or {}))
    return _made(asked, licences or {}, checkpoints=checkpoints, devices=devices, quiet=not progress)


def _made(asked: Asked, licences: Mapping[str, str], *, checkpoints: bool, devices: int, quiet: bool) -> Finetuned:
    """Train, measure and write; the card comes last: a folder that has one is finished."""
    form, folder = format_of(asked.images, asked.network, asked.task), asked.output
    record: dict[str, Json] = {"outputs": [*asked.task.names], "task": asked.task.name}
    if asked.recipe.blocks == 0:
        fitted = _probed(asked)
    else:
        fitted = _trained(asked, form, record, checkpoints=checkpoints, devices=devices, quiet=quiet)
    card = card_of(asked, form, fitted, licences)
    if main_process():
        write_atomically(folder / MODEL, form.written(asked.network, record, asked.head, asked.shift))
        history = [[f"{one:.8g}" for one in row] for row in fitted.history]
        write_atomically(folder / "history.csv", csv_text([fitted.columns, *history]).encode())
        write_atomically(folder / "predictions.csv", csv_text(_predictions(asked, fitted)).encode())
        write_atomically(folder / CURVE, curve_of(bins_of(card)).encode())
        write_atomically(folder / "card.md", page_of(card).encode())
        write_atomically(folder / CARD, json_bytes(card))
        _forget(folder)
    return Finetuned(folder, card)


def _relicensed(folder: Path, licences: Mapping[str, str]) -> Mapping[str, Json]:
    """Return the card of a finished folder, which takes up licences that were not said before."""
    card = read_json(folder / CARD)
    said = card["licences"]
    assert isinstance(said, dict)
    now = {**said, **{LICENCES[name]: text for name, text in licences.items()}}
    if now != said and main_process():
        card["licences"] = now
        write_atomically(folder / "card.md", page_of(card).encode())
        write_atomically(folder / CARD, json_bytes(card))
    return card


def _forget(folder: Path) -> None:
    from mcd_plugins.finetune.training import STATE

    (folder / STATE).unlink(missing_ok=True)


def _probed(asked: Asked) -> Fitted:
    """Fit a head on the features of all images, which the store keeps; leave it in the network."""
    features, parts = asked.images.outputs(asked.network, asked.head), asked.parts
    found = probe(asked.task, features, parts.rows("training"), parts.rows("validation"), asked.recipe.balance)
    asked.network.set_submodule(asked.head, found.head)
    with torch.no_grad():
        logits = found.head(features).double() + asked.shift
    return Fitted(logits.numpy(), found.history, ("penalty", "training loss", "validation AUROC"), found.best + 1)


def _trained(
    asked: Asked, form: Format, record: Mapping[str, Json], *, checkpoints: bool, devices: int, quiet: bool
) -> Fitted:
    """Put a new head on the network and train it."""
    from mcd_plugins.finetune.training import HISTORY, train

    with torch.no_grad():
        features = features_in(asked.network.train(False)(asked.images.example())).shape[1]
    asked.network.set_submodule(asked.head, new_head(features, asked.task.outputs, asked.recipe.seed))
    logits, done = train(asked, form, record, checkpoints=checkpoints, devices=devices, quiet=quiet)
    return Fitted((logits.double() + asked.shift).numpy(), done.history, HISTORY, done.best)


def _predictions(asked: Asked, fitted: Fitted) -> Iterator[list[str]]:
    """Yield a row for each image with a label: what outputs call it, its part, its class, and probabilities."""
    task, said = asked.task, probabilities(fitted.logits)
    yield ["image", "part", "label", *(f"p {name}" for name in task.classes)]
    for row in task.known:
        numbers = [f"{one:.9g}" for one in said[row]]
        yield [asked.images.ids[row], str(asked.parts.part[row]), task.classes[task.labels[row]], *numbers]
