"""Flags that commands share."""

from __future__ import annotations

import click

from mcd.cli.numbers import RESAMPLES, SEED

__all__ = ["bootstrap_flag", "seed_flag", "trust_flag"]


trust_flag = click.option(
    "--trust",
    is_flag=True,
    help="Run, read and fetch what the study of a stored run names outside of its folder: code, images, vocabularies, "
    "weights. Only for runs of people you trust.",
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
