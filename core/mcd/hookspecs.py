"""The whole extension surface of mcd.

A plugin is a module (or any object) whose functions carry ``@mcd.hookimpl``, named by an entry point
of the group ``mcd``. Registration hooks take no arguments and return records; nothing is imported
until a component is used, so a plugin's ``__init__`` must not import torch and its like.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from mcd.components import Component
from mcd.events import Event

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "mcd"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def mcd_register_models() -> Iterable[Component]:
    """Offer model loaders; each target is a subclass of `mcd.ModelLoader`."""


@hookspec
def mcd_register_dissectors() -> Iterable[Component]:
    """Offer dissectors; each target is a subclass of `mcd.Dissector`."""


@hookspec
def mcd_register_datasets() -> Iterable[Component]:
    """Offer data sets; each target is a subclass of `mcd.Dataset`."""


@hookspec
def mcd_register_preprocessings() -> Iterable[Component]:
    """Offer preprocessing recipes; each target is a subclass of `mcd.Preprocessing`."""


@hookspec
def mcd_register_units() -> Iterable[Component]:
    """Offer unit sources; each target is a subclass of `mcd.UnitSource`."""


@hookspec
def mcd_register_scorers() -> Iterable[Component]:
    """Offer scorers; each target is a subclass of `mcd.Scorer`."""


@hookspec
def mcd_register_reporters() -> Iterable[Component]:
    """Offer reporters; each target is a subclass of `mcd.Reporter`."""


@hookspec
def mcd_register_concept_sets() -> Iterable[Component]:
    """Offer concept sets; each target is a file ``package:file.yaml`` or a subclass of `mcd.ConceptSource`."""


@hookspec
def mcd_register_commands() -> Iterable[Component]:
    """Offer commands of the ``mcd`` command line; each target is a ``click.Command``."""


@hookspec
def mcd_on_event(event: Event) -> None:
    """Observe a run.

    Called for every event in order, in the main process; whatever it raises is reported once as a warning
    and harms nothing else. Match on the event's type (see `mcd.events`).
    """
