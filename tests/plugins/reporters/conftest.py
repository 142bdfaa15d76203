"""Runs that summaries are made of: the phantom's, one of another model, and one full of hostile names."""

from __future__ import annotations

import pytest
from tests.plugins.explorer.conftest import hostile, judged, phantom

import mcd

__all__ = ["hostile", "judged", "phantom"]


def small_run(model: str, place: pytest.TempPathFactory, **settings: object) -> mcd.Dissection:
    options: dict[str, object] = {
        "layers": ["stages.3"],
        "concepts": "phantom",
        "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 30}},
        **settings,
    }
    return mcd.dissect(
        model,
        dataset={"plugin": "phantom", "options": {"patients": 25}},
        dissector="phantom-clip",
        output=place.mktemp("small") / "run",
        progress=False,
        workers=0,
        **options,
    )


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> list[mcd.Dissection]:
    return [small_run("phantom-mammo", tmp_path_factory), small_run("phantom-clip", tmp_path_factory)]
