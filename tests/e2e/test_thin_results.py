"""Runs in which there is little or nothing to find: every figure and every reporter, alone and in a comparison."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome
from tests.signing import signed
from tests.thin import SHAPES, dissected

import mcd
from mcd.components import Kind
from mcd.errors import UsageError
from mcd.figures import Drawn, draw, figure_bytes
from mcd.host import PluginHost

Pair = tuple[mcd.Dissection, mcd.Dissection]
Mcd = Callable[..., Outcome]


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two runs of one shape."""
    return dissected(request.param, tmp_path_factory.mktemp("thin"))


def compared(*runs: mcd.Dissection) -> mcd.figures.FigureData | None:
    """Return what figures are drawn from; None where significance was not computed, which is said."""
    try:
        return mcd.figures.collect(runs, mcd.ComparisonSettings(resamples=10, threshold="local"))
    except UsageError as error:
        assert "no significance" in error.message
        assert f"mcd score {runs[0].folder} --draws 1000" in error.hint
        return None


def test_every_figure_is_drawn_or_says_in_words_why_not(pair: Pair) -> None:
    for runs in (pair[:1], pair):
        data = compared(*runs)
        found = {one.name: one for one in draw(data)} if data else {}
        for one in found.values():
            if isinstance(one, Drawn):
                assert len(runs) == 1 or figure_bytes(one.figure, dpi=20)  # what is drawn of one alone is drawn there
            else:
                assert not one.failed, one.reason
        if data and not data.comparison.layers["significant"].any():
            for name in ("emergence", "categories", "specialisation")[: 2 + (len(runs) > 1)]:
                assert "nothing to show: no neuron of" in str(found[name].reason)  # type: ignore[union-attr]


def test_every_reporter_writes_about_it(pair: Pair, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = [offer.component.name for offer in PluginHost.discover([], {}).offers(Kind.REPORTER)]
    assert {"html", "markdown", "latex", "console"} <= set(names)
    names.remove("cards")  # a reader study of so little is refused, which is said
    with pytest.raises(UsageError):
        mcd.report(pair[1], reporters="cards", output=tmp_path / "cards")
    written = mcd.report(pair[1], reporters=names, output=tmp_path / "alone")
    written += mcd.report(pair, reporters=["html", "markdown", "latex"], output=tmp_path / "both")
    assert all(path.stat().st_size for path in written)
    said = capfd.readouterr()
    assert "nan" not in said.out.lower()
    assert max(map(len, said.out.splitlines())) <= 80
    for path in tmp_path.rglob("*.md"):
        assert "nan" not in path.read_text().lower()
