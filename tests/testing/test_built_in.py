"""All that is built in passes the kit that is offered to others, as far as it needs neither weights nor data."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from mcd import testing
from mcd.api.base import Configured
from mcd.components import Kind
from mcd.plugins import PluginHost

_HOST = PluginHost.discover((), {name: value for name, value in os.environ.items() if not name.startswith("MCD_")})
_CHECKS = {
    Kind.MODEL: testing.check_model_loader,
    Kind.DISSECTOR: testing.check_dissector,
    Kind.DATASET: testing.check_dataset,
    Kind.PREPROCESSING: testing.check_preprocessing,
    Kind.SCORER: testing.check_scorer,
    Kind.CONCEPTS: testing.check_concepts,
    Kind.COMMAND: testing.check_command,
}
_WITHOUT_WEIGHTS = ("mammo-clip/mammo-clip-imagenet",)
"""It fetches or reads some."""


def _offers() -> Iterator[tuple[Kind, str]]:
    for kind in _CHECKS:
        for offer in _HOST.offers(kind):
            if offer.qualified not in _WITHOUT_WEIGHTS:
                yield kind, offer.qualified


@pytest.mark.parametrize(("kind", "name"), list(_offers()), ids=lambda one: getattr(one, "label", one))
def test_what_is_built_in_passes_the_kit(kind: Kind, name: str) -> None:
    found = _HOST.load(kind, name)
    if isinstance(found, type) and issubclass(found, Configured):
        try:
            found()
        except ValidationError:
            return  # it needs a setting: a file, a folder, or the name of a network
    _CHECKS[kind](found)  # type: ignore[operator]  # what an author may write
