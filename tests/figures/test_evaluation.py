"""The figure of an evaluation: its marks are the means, its lines the intervals; refused where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.evaluations import drawn_evaluation
from tests.figures.test_drawn import caption

import mcd
from mcd.errors import StoreError, UnknownNameError, UsageError
from mcd.figures import Drawn, FigureData, Refused, draw
from mcd.runs.evaluated import AGAINST, EVALUATION, MEASURES, Evaluation
from mcd.scoring.results import LABELS

figures = mcd.figures
MAD = "mad (annotated positives)"
Judge = Callable[..., tuple[FigureData, Evaluation]]


@pytest.fixture
def judge(alone: FigureData, tmp_path: Path) -> Judge:
    """Give the single run an evaluation, changed by a function where one is given."""

    def judged(change: Callable[[Evaluation], Evaluation] = lambda one: one, **settings: object) -> tuple:
        run = alone.runs["alone"]
        manifest = run.manifest.model_copy(update={"digests": {LABELS: "5" * 64}})
        own = mcd.Dissection(tmp_path, manifest, run.results)
        found = change(drawn_evaluation(own, **settings))  # type: ignore[arg-type]  # settings that it takes
        found.write(tmp_path / EVALUATION)
        return replace(alone, runs={"alone": own}), found

    return judged


def marks(figure: Figure, kind: str) -> list[float]:
    """Return where the marks of a kind of labels lie, panel by panel, from top to bottom."""
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_label() == kind]
    return [float(value) for line in lines for value in line.get_xdata()]


def test_marks_are_means_and_lines_their_intervals(judge: Judge) -> None:
    data, found = judge()
    figure = figures.evaluation(data)
    assert [axes.get_title("left") for axes in figure.axes[:2]] == ["against annotations", "against held-out"]
    names = [label.get_text().replace("\n", " ") for axes in figure.axes[::2] for label in axes.get_yticklabels()]
    assert names == ["Pearson correlation", "AUPRC", "MAD (annotated positives)"]  # the last on a scale of its own
    whole = found.summary[found.summary["layer"] == ""]
    for kind in ("first", "runner-up", "random", "constant", "untrained"):
        rows = whole[whole["labels"] == kind].set_index(["against", "measure"])
        order = [(judge, one) for group in (["pearson", "auprc"], [MAD]) for judge in AGAINST for one in group]
        assert marks(figure, kind) == pytest.approx([rows.loc[at, "value"] for at in order if at in rows.index])
    segments = np.concatenate([np.array(one.get_segments())[:, :, 0] for one in figure.axes[0].collections])
    own = whole[(whole["against"] == "annotations") & whole["measure"].ne(MAD) & ~whole["labels"].str.contains(" - ")]
    assert {*map(tuple, segments)} == {*map(tuple, own[["low", "high"]].to_numpy())}
    for left, right in (figure.axes[:2], figure.axes[2:]):
        assert left.get_xlim() == right.get_xlim()
    assert "12 held-out patients; lines: 95 % intervals over patients" in caption(figure)
    assert "Random: a random other concept of the same category" in caption(figure)
    assert "The other dissector judges nothing: no run of it was given" in caption(figure)


def test_a_layer_is_drawn_on_request(judge: Judge) -> None:
    data, found = judge(measures=["pearson"], against=["annotations"])
    figure = figures.evaluation(data, layer="blocks.3")
    rows = found.summary[(found.summary["layer"] == "blocks.3") & (found.summary["labels"] == "first")]
    assert marks(figure, "first") == rows["value"].tolist()
    assert "blocks.3" in str(figure.get_label())
    with pytest.raises(UnknownNameError, match=r"no layer 'blocks\.99'"):
        figures.evaluation(data, layer="blocks.99")


def test_one_measure_of_one_kind_without_intervals_is_enough(judge: Judge) -> None:
    def bare(found: Evaluation) -> Evaluation:
        table = found.summary[found.summary["labels"] == "first"]
        return replace(found, summary=table.assign(low=float("nan"), high=float("nan")))

    data, _ = judge(bare, measures=[MAD], against=["truth"], patients=None)
    figure = figures.evaluation(data)
    figure.draw_without_rendering()
    assert len(marks(figure, "first")) == 1
    assert marks(figure, "random") == []
    assert "48 held-out images, no intervals" in caption(figure)


def test_a_run_without_an_evaluation_has_none_drawn(alone: FigureData, judge: Judge, tmp_path: Path) -> None:
    data, _ = judge()
    shutil.rmtree(tmp_path / EVALUATION)
    with pytest.raises(UsageError, match="alone has no evaluation") as caught:
        figures.evaluation(data)
    assert "mcd evaluate RUN" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, summary=pd.DataFrame()),
        lambda one: replace(one, summary=one.summary.assign(value=float("nan"))),
        lambda one: replace(one, summary=one.summary.assign(measure="<b>$x$</b>" + one.summary["measure"])),
    ],
)
def test_where_no_label_was_judged_nothing_is_drawn(judge: Judge, change: Callable[[Evaluation], Evaluation]) -> None:
    data, _ = judge(change)
    with pytest.raises(UsageError, match="no label could be judged"):
        figures.evaluation(data)


def test_a_damaged_evaluation_is_a_reason_and_other_figures_are_drawn(judge: Judge, tmp_path: Path) -> None:
    data, _ = judge()
    (tmp_path / EVALUATION / "summary.parquet").write_bytes(b"PAR1")
    found = {one.name: one for one in draw(data, only=("depth", "evaluation"))}
    assert isinstance(found["depth"], Drawn)
    refused = found["evaluation"]
    assert isinstance(refused, Refused)
    assert isinstance(refused.reason, StoreError)


def test_everything_at_once_can_be_read(judge: Judge) -> None:
    data, _ = judge(against=list(AGAINST), measures=list(MEASURES))
    figure = figures.evaluation(data)
    figure.draw_without_rendering()
    for text in figure.findobj(Text):
        if text.get_text():
            assert text.get_fontsize() >= 7
    titles = [one for one in figure.findobj(Text) if one.get_text().startswith("against ")]
    beside = [label for axes in figure.axes for label in axes.get_yticklabels() if label.get_text()]
    boxes = [text.get_window_extent() for text in (*titles, *beside)]
    assert all(box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
    edges = sorted((one.x0, one.x1) for one in boxes[: len(titles)])
    assert len(edges) == len(AGAINST)
    assert all(one[1] <= other[0] for one, other in pairwise(edges))
