"""Flags that commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from mcd.cli.candidates import components, settings
from mcd.cli.groups import GENERAL, option_group
from mcd.cli.numbers import RESAMPLES, SEED
from mcd.cli.paths import PATH
from mcd.components import Kind
from mcd.options import MOST_WORKERS

__all__ = [
    "bootstrap_flag",
    "dataset_arg_flag",
    "folder_dataset_flag",
    "images_flags",
    "match_flag",
    "output_flag",
    "seed_flag",
    "trust_flag",
    "workers_flag",
]

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def output_flag(
    text: str, *, metavar: str = "DIR", default: Path | None = None, required: bool = False
) -> Callable[[Decorated], Decorated]:
    """Return ``--output``, ``-o``: the file or folder that a command writes, as its help says."""
    option = partial(click.option, "--output", "-o", type=PATH, metavar=metavar, help=text)
    if required:
        return option(required=True)  # without a default: to click, None is one, and then nothing is missing
    return option(default=default, show_default=default is not None)


trust_flag = option_group(
    GENERAL,
    click.option(
        "--trust",
        is_flag=True,
        help="Run, read and fetch what the study of a stored run names outside of its folder: code, images, "
        "vocabularies, weights. Only for runs of people you trust.",
    ),
)
"""The flag of every command that reads stored runs."""

bootstrap_flag = click.option(
    "--bootstrap",
    type=RESAMPLES,
    default=200,
    show_default=True,
    metavar="N",
    help="How often patients are drawn anew for intervals; 0 leaves them out.",
)
seed_flag = click.option(
    "--seed", type=SEED, default=0, show_default=True, metavar="N", help="Decides which are drawn."
)
"""With ``bootstrap_flag``, of commands whose intervals are by resampling."""

match_flag = click.option(
    "--match",
    type=click.Choice(["identity", "hungarian"]),
    default="identity",
    show_default=True,
    help="How neurons of equally wide layers are paired: by number, or so that paired neurons respond most alike.",
)

folder_dataset_flag = click.option(
    "--dataset",
    default="dicom",
    show_default=True,
    metavar="NAME",
    shell_complete=components(Kind.DATASET),
    help="How DIR is read: dicom, images for PNG, JPEG and TIFF, or the name of a data set.",
)
"""Of commands that take the folder of a data set as an argument."""

dataset_arg_flag = click.option(
    "--dataset-arg",
    multiple=True,
    shell_complete=settings(Kind.DATASET, "--dataset"),
    metavar="KEY=VALUE",
    help="A setting of it. Repeatable.",
)
workers_flag = click.option(
    "--workers", type=click.IntRange(0, MOST_WORKERS), metavar="N", help="Decoding processes.  [default: one a core]"
)


def images_flags(*, model: str, dataset: str, required: bool = False) -> tuple[Callable[[Decorated], Decorated], ...]:
    """Return the flags that choose a target and its images, for `option_group`.

    They are ``--model-plugin``, ``--model-arg``, ``--dataset``, ``--dataset-arg``, ``--where``, ``--limit``,
    ``--per-patient`` and ``--on-error``; the command takes ``model``, ``model_arg``, and so on.

    Parameters
    ----------
    model, dataset
        The help texts of ``--model-plugin`` and ``--dataset``.
    required
        Whether both must be given.
    """
    count = click.IntRange(1, 1_000_000_000)
    named = partial(click.option, required=required, metavar="NAME[:VALUE]")
    return (
        named("--model-plugin", "--model", "model", shell_complete=components(Kind.MODEL), help=model),
        click.option(
            "--model-arg",
            multiple=True,
            shell_complete=settings(Kind.MODEL, "--model-plugin"),
            metavar="KEY=VALUE",
            help="A setting of it. Repeatable.",
        ),
        named("--dataset", shell_complete=components(Kind.DATASET), help=dataset),
        dataset_arg_flag,
        click.option("--where", metavar="EXPRESSION", help='Which images, such as: view == "MLO".'),
        click.option("--limit", type=count, metavar="N", help="Use at most so many images."),
        click.option("--per-patient", type=count, metavar="N", help="Use at most so many of a patient."),
        click.option(
            "--on-error",
            type=click.Choice(["stop", "skip"]),
            default="stop",
            show_default=True,
            help="Images that cannot be used: refuse, or leave them out.",
        ),
    )
