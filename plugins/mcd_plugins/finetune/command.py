"""``mcd finetune``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from mcd.plugins import (
    PATH,
    SEED,
    FiniteRange,
    echo,
    echo_lines,
    images_flags,
    option_group,
    parse_pairs,
    print_table,
    say,
    with_plugin_files,
)
from mcd_plugins.finetune.recipe import Balance, Precision, Recipe

if TYPE_CHECKING:
    from mcd_plugins.finetune.finetuning import Finetuned

__all__ = ["finetune"]

_DEFAULT = Recipe()


@click.command()
@option_group(
    "Model and images",
    *images_flags(
        model="The model that is trained, such as mammo-clip:FILE.tar.",
        dataset="Images with labels, such as vindr-mammo:DIR.",
        required=True,
    ),
)
@option_group(
    "Task",
    click.option(
        "--task",
        required=True,
        metavar="NAME",
        help="What is learned: density, assessment, mass, suspicious calcification, calcification, a finding, or a "
        "label column.",
    ),
    click.option(
        "--column",
        metavar="NAME",
        help="The label column that holds the task's labels, where the data set has its own.",
    ),
    click.option(
        "--split",
        metavar="COLUMN",
        help="The column of a published split, such as split.  [default: parts are drawn by patient]",
    ),
    click.option(
        "--shares",
        default="0.7,0.15,0.15",
        show_default=True,
        metavar="X,X,X",
        help="Of patients in training, validation and test.",
    ),
)
@option_group(
    "Training",
    click.option(
        "--train",
        default=_DEFAULT.train,
        show_default=True,
        metavar="WHAT",
        help="A linear probe on stored features, the last N blocks (blocks:N), or all weights (all).",
    ),
    click.option(
        "--balance",
        type=click.Choice(get_args(Balance)),
        default=_DEFAULT.balance,
        show_default=True,
        help="Weights of classes: none; as the released scripts do; or every class the same, probabilities corrected.",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(1, 10_000),
        default=_DEFAULT.epochs,
        show_default=True,
        metavar="N",
        help="Most passes.",
    ),
    click.option(
        "--patience",
        type=click.IntRange(1, 10_000),
        default=_DEFAULT.patience,
        show_default=True,
        metavar="N",
        help="End after so many passes without a better AUROC on the validation part.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 4096),
        default=_DEFAULT.batch_size,
        show_default=True,
        metavar="N",
        help="Images a step.",
    ),
    click.option(
        "--learning-rate",
        type=FiniteRange(0, 100, min_open=True),
        default=_DEFAULT.learning_rate,
        show_default=True,
        metavar="X",
        help="The highest one.",
    ),
    click.option(
        "--weight-decay",
        type=FiniteRange(0, 100),
        default=_DEFAULT.weight_decay,
        show_default=True,
        metavar="X",
        help="Of AdamW.",
    ),
    click.option(
        "--seed", type=SEED, default=_DEFAULT.seed, show_default=True, metavar="N", help="Decides parts and all draws."
    ),
)
@option_group(
    "Speed",
    click.option("--device", default="auto", show_default=True, metavar="TEXT", help="auto, cpu, cuda, cuda:1, mps."),
    click.option(
        "--devices", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="How many GPUs."
    ),
    click.option(
        "--precision",
        type=click.Choice(get_args(Precision)),
        default=_DEFAULT.precision,
        show_default=True,
        help="bf16 and fp16 use autocast.",
    ),
    click.option("--workers", type=click.IntRange(0, 256), metavar="N", help="Decoding processes."),
    click.option(
        "--cache", type=PATH, metavar="DIR", help="Keep decoded images there, so that a pass decodes nothing."
    ),
    click.option("--store", type=PATH, metavar="DIR", help="Keep features there, or off.  [default: as mcd dissect]"),
)
@option_group(
    "Output",
    click.option(
        "--output",
        "-o",
        type=PATH,
        required=True,
        metavar="DIR",
        help="Where model and card go; interrupted, it continues.",
    ),
    click.option("--checkpoints", is_flag=True, help="Keep the weights after every pass, to dissect training."),
    click.option("--data-licence", metavar="TEXT", help="Of the images and labels, where the data set does not say."),
    click.option("--weights-licence", metavar="TEXT", help="Of the model's weights, where it does not say."),
    click.option("--json", "as_json", is_flag=True, help="Print the card as JSON."),
)
@with_plugin_files
def finetune(
    plugin_files: Sequence[Path],
    model: str,
    model_arg: tuple[str, ...],
    dataset: str,
    dataset_arg: tuple[str, ...],
    where: str | None,
    limit: int | None,
    per_patient: int | None,
    on_error: str,
    task: str,
    column: str | None,
    split: str | None,
    shares: str,
    train: str,
    balance: str,
    epochs: int,
    patience: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    device: str,
    devices: int,
    precision: str,
    workers: int | None,
    cache: Path | None,
    store: Path | None,
    output: Path,
    checkpoints: bool,
    data_licence: str | None,
    weights_licence: str | None,
    as_json: bool,
) -> None:
    """Train a model for a task on labelled images, and write it with a card.

    \b
    mcd finetune --model mammo-clip:FILE.tar --dataset vindr-mammo:DIR \\
        --task density -o density
    mcd finetune --model timm:resnet50 --model-arg pretrained=true \\
        --dataset csv:labels.csv --task cancer --train blocks:2 -o cancer

    No patient is in two parts, and nothing is chosen on the test part. The folder holds model.safetensors, card.md and
    card.json, which say how to load it, predictions.csv and history.csv.
    """
    from mcd_plugins.finetune.asked import main_process
    from mcd_plugins.finetune.finetuning import finetune as run

    recipe = {
        "train": train,
        "balance": balance,
        "epochs": epochs,
        "patience": patience,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "precision": precision,
        "seed": seed,
    }
    done = run(
        {"plugin": model, "options": parse_pairs(model_arg, "--model-arg")},
        {"plugin": dataset, "options": parse_pairs(dataset_arg, "--dataset-arg")},
        task,
        output,
        column=column,
        split=split,
        shares=_numbers(shares),
        recipe=recipe,
        checkpoints=checkpoints,
        licences={name: text for name, text in (("data", data_licence), ("weights", weights_licence)) if text},
        devices=devices,
        where=where,
        limit=limit,
        per_patient=per_patient,
        device=device,
        workers=workers,
        cache=cache,
        store=store,
        on_error="skip" if on_error == "skip" else "stop",
        plugin_files=plugin_files,
    )
    if not main_process():
        return
    if as_json:
        echo_lines(json.dumps(done.card, indent=2, ensure_ascii=False))
        return
    _print(done)


def _numbers(text: str) -> list[float]:
    from mcd.errors import UsageError

    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise UsageError(f"--shares {text}: no numbers", "write --shares 0.7,0.15,0.15") from None


def _print(done: Finetuned) -> None:
    import shlex

    from mcd_plugins.finetune.card import data_rows, measure_rows

    print_table(["part", "images", "patients", "labels"], data_rows(done.card), right={"images", "patients"})
    echo()
    print_table(["test part", "value", "95 % interval"], measure_rows(done.card, "test"), right={"value"})
    echo()
    data = done.card["data"]
    assert isinstance(data, dict)
    if data["left out"]:
        say(f"left out: {data['left out']}")
    load = done.card["load"]  # a command names its model: there is a loader
    assert isinstance(load, list)
    flags = shlex.join(str(one).replace("model.safetensors", str(done.folder / "model.safetensors")) for one in load)
    echo_lines(f"to dissect it: mcd dissect {flags}")
    say(f"written: {done.folder}; the card is card.md")
