"""``mcd dictionary``: a file for each of its commands, which imports what it needs when it is called."""

from __future__ import annotations

import click

from mcd_plugins.dictionary.import_command import import_saved
from mcd_plugins.dictionary.stability_command import stability
from mcd_plugins.dictionary.train_command import train

__all__ = ["dictionary"]


@click.group()
def dictionary() -> None:
    """Dictionaries of a layer, such as sparse autoencoders.

    The files are what a layer is seen through: mcd dissect … --units dictionary:FILE
    """


dictionary.add_command(train)
dictionary.add_command(stability)
dictionary.add_command(import_saved)
