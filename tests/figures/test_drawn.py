"""What figures show is what the tables say, in the order of the model."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from tests.figures.conftest import data_of, outcomes_of

import mcd
from mcd.comparison.layers import ALL
from mcd.errors import UnknownNameError, UsageError
from mcd.figures import Drawn, FigureData, Refused, draw

figures = mcd.figures


def texts(figure: Figure) -> list[str]:
    return [one.get_text() for one in figure.findobj(Text) if one.get_text()]


def caption(figure: Figure) -> str:
    (found,) = [one.get_text() for one in figure.texts if one.get_gid() == "caption"]
    return found.replace("\n", " ").replace("\u00a0", " ")


def named(figure: Figure, axis: str = "y") -> list[str]:
    axes = figure.axes[0]
    return [one.get_text() for one in (axes.get_yticklabels() if axis == "y" else axes.get_xticklabels())]


def in_order(blocks: dict[str, int]) -> list[str]:
    return [f"{layer} ({neurons})" for layer, neurons in blocks.items()]


def test_a_line_for_each_run_goes_through_its_layers_in_the_order_of_the_model(
    pair: FigureData, blocks: dict[str, int]
) -> None:
    figure = figures.depth(pair)
    assert named(figure, "x") == in_order(blocks)  # sorted by name, blocks.10 would come third
    table = pair.comparison.layers
    for line, run in zip(figure.axes[0].get_lines(), ("before", "after"), strict=True):
        rows = table[(table["run"] == run) & (table["layer"] != ALL)]
        assert line.get_label() == run
        assert np.array_equal(line.get_ydata(), rows["mean_z"])
        assert list(line.get_xdata()) == list(range(len(blocks)))
    band = next(one for one in figure.axes[0].collections if isinstance(one, PolyCollection))
    corners = band.get_paths()[0].vertices
    rows = table[(table["run"] == "before") & (table["layer"] == "blocks.0")]
    assert {*corners[corners[:, 0] == 0][:, 1].tolist()} == {*rows[["mean_z_low", "mean_z_high"]].values[0].tolist()}
    assert "95 % intervals over patients" in caption(figure)


def test_other_architectures_are_laid_over_depth() -> None:
    both = data_of([outcomes_of("short", {"a": 8, "b": 8, "c": 8}, 1), outcomes_of("long", {"p": 8, "q": 8}, 2)])
    figure = figures.depth(both, "share")
    assert [list(line.get_xdata()) for line in figure.axes[0].get_lines()] == [[0, 0.5, 1], [0, 1]]
    assert figure.axes[0].get_xlabel().startswith("depth")


def test_scores_that_may_not_be_compared_are_drawn_for_the_mean_score_threshold_only(blocks: dict[str, int]) -> None:
    runs = [outcomes_of("g", blocks, 1), outcomes_of("m", blocks, 2)]
    with pytest.raises(UsageError, match="may not be compared"):
        figures.depth(data_of(runs), "score")
    by_threshold = data_of(runs, threshold="global")
    figure = figures.depth(by_threshold, "score")
    threshold = by_threshold.comparison.thresholds
    for line, run in zip(figure.axes[0].get_lines(), ("g", "m"), strict=True):
        assert np.array_equal(line.get_ydata(), threshold.loc[threshold["run"] == run, "mean_score"])
    assert "differences may come from that alone" in caption(figure)


def bars(figure: Figure, panel: int) -> list[Rectangle]:
    return [one for container in figure.axes[panel].containers for one in container if isinstance(one, Rectangle)]


@pytest.mark.parametrize("threshold", [None, "global"])
def test_bars_are_shares_and_counts_stand_beside_them(blocks: dict[str, int], threshold: str | None) -> None:
    runs = [outcomes_of("g", blocks, 1), outcomes_of("m", blocks, 2)]
    data = data_of(runs, threshold="global" if threshold else None)
    figure = figures.significant(data, ["blocks.2", "blocks.10"], "published" if threshold else "q")
    assert named(figure) == ["blocks.2 (12)", "blocks.10 (28)"]
    table = data.comparison.thresholds if threshold else data.comparison.layers
    shown = table[table["layer"].isin(["blocks.2", "blocks.10"])]
    for panel, part in enumerate(("mammographic", "other")):
        counts = shown[f"kept_{part}" if threshold else part]
        expected = {(run, layer): n for run, layer, n in zip(shown["run"], shown["layer"], counts, strict=True)}
        order = [(run, layer) for run in ("g", "m") for layer in ("blocks.2", "blocks.10")]
        assert [round(one.get_width() * blocks[at[1]]) for one, at in zip(bars(figure, panel), order, strict=True)] == [
            expected[at] for at in order
        ]
        told = [one.get_text() for one in figure.axes[panel].texts]
        assert told == [*(str(expected[at]) for at in order), "n"]
    assert ("no test of significance" in caption(figure)) == bool(threshold)


def test_six_layers_from_first_to_last_are_chosen_for_bars(alone: FigureData) -> None:
    figure = figures.significant(alone)
    assert [one.split()[0] for one in named(figure)] == [f"blocks.{at}" for at in (0, 2, 5, 7, 10, 12)]
    with pytest.raises(UnknownNameError, match="no layer matches"):
        figures.significant(alone, ["stem"])
    with pytest.raises(UsageError, match="was not applied"):
        figures.significant(alone, threshold="published")


def test_stacks_add_up_to_what_is_significant(pair: FigureData, blocks: dict[str, int]) -> None:
    figure = figures.categories(pair)
    assert named(figure) == in_order(blocks)
    table = pair.comparison.layers
    for axes, run in zip(figure.axes, ("before", "after"), strict=True):
        rows = table[(table["run"] == run) & (table["layer"] != ALL)]
        widths = np.array([[one.get_width() for one in container] for container in axes.containers])
        assert np.allclose(widths.sum(axis=0), rows["share"])
        lefts = np.array([[one.get_x() for one in container] for container in axes.containers])
        assert np.allclose(lefts[1:], widths.cumsum(axis=0)[:-1])
        assert [one.get_text() for one in axes.texts if " of " in one.get_text()] == [
            f"{above} of {neurons}" for above, neurons in zip(rows["significant"], rows["neurons"], strict=True)
        ]
    findings = pair.comparison.categories
    findings = findings[(findings["run"] == "before") & (findings["name"] == "Findings") & (findings["layer"] != ALL)]
    first = next(one for one in figure.axes[0].containers if one.get_label() == "Findings")
    assert np.allclose([one.get_width() for one in first], findings["share"])


def test_categories_have_the_published_colours_and_those_not_mammographic_are_hatched(pair: FigureData) -> None:
    drawn = {one.get_label(): one[0] for one in figures.categories(pair).axes[0].containers}
    assert {name for name, bar in drawn.items() if bar.get_hatch()} == {"Everyday words"}
    published = figures.category_colours(pair.counterparts.values())
    for name, bar in drawn.items():
        assert to_hex(bar.get_facecolor()) == published[pair.counterparts[name]].light


def test_categories_beyond_the_largest_are_drawn_together(alone: FigureData) -> None:
    figure = figures.categories(alone, ["blocks.12"], "category", top=2)
    assert [one.get_label() for one in figure.axes[0].containers][-1] == "others"
    rows = alone.comparison.layers.set_index("layer")
    assert sum(one[0].get_width() for one in figure.axes[0].containers) == pytest.approx(rows.loc["blocks.12", "share"])
    assert "4 more categories" in caption(figure)


def test_a_slope_joins_before_and_after(pair: FigureData) -> None:
    figure = figures.specialisation(pair)
    (changed,) = pair.comparison.changes
    slopes = {tuple(one.get_ydata()) for one in figure.axes[0].get_lines() if list(one.get_xdata()) == [0, 1]}
    table = changed.categories
    assert slopes == set(zip(table["before"], table["after"], strict=True))
    for name, before, after in zip(table["name"], table["before"], table["after"], strict=True):
        assert f"{name}  {before}" in texts(figure)
        assert any(one.startswith(f"{after}  {name}  (") for one in texts(figure))


def test_names_of_categories_with_as_many_neurons_lie_below_each_other() -> None:
    few = data_of([outcomes_of("before", {"a": 14, "b": 14}, 1), outcomes_of("after", {"a": 14, "b": 14}, 2)])
    figure = figures.specialisation(few)
    (changed,) = few.comparison.changes
    assert changed.categories["before"].duplicated().any()
    figure.draw_without_rendering()
    for side in ("left", "right"):
        boxes = [one.get_window_extent() for one in figure.axes[0].texts if one.get_ha() == side]
        edges = sorted((box.y0, box.y1) for box in boxes)
        assert all(one[1] <= other[0] + 1 for one, other in pairwise(edges))


def test_what_changes_takes_two_models_of_the_same_widths(alone: FigureData, blocks: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="takes two runs"):
        figures.specialisation(alone)
    wider = {layer: neurons + 1 for layer, neurons in blocks.items()}
    with pytest.raises(UsageError, match="not equally wide"):
        figures.specialisation(data_of([outcomes_of("a", blocks, 1), outcomes_of("b", wider, 2)]))


def test_the_matrix_has_carriers_as_shares_and_marks_what_could_not_be_shown() -> None:
    few = {"blocks.0": 5, "blocks.1": 6, "blocks.10": 7}
    data = data_of([outcomes_of("alone", few, 0)])
    answers = data.comparison.concepts
    unseen = answers.loc[answers["answer"] == "could not be shown", "concept"].tolist()
    assert unseen
    figure = figures.coverage(data)
    axes = figure.axes[0]
    lines = [one.get_text() for one in axes.get_yticklabels()]
    assert lines[:3] == ["shape", "round", "oval"]  # a category, and its concepts
    (mesh,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
    drawn = np.ma.filled(mesh.get_array(), 0).reshape(len(lines), len(few))
    for _, layer, concept, carriers in data.comparison.carriers.itertuples(index=False):
        if concept in lines:
            assert drawn[lines.index(concept), list(few).index(layer)] == pytest.approx(carriers / few[layer])
    known = data.comparison.carriers[data.comparison.carriers["concept"].isin(lines)]
    assert (drawn > 0).sum() == len(known) > 2
    hatched = [round(one.get_y()) for one in axes.patches if one.get_hatch()]
    assert [lines[at] for at in hatched] == unseen
    by_category = figures.coverage(data, level="category")
    assert [one.get_text() for one in by_category.axes[0].get_yticklabels()] == [
        "shape",
        "margin",
        "density",
        "quadrant",
    ]


def test_observed_scores_lie_beside_what_chance_reaches(alone: FigureData, blocks: dict[str, int]) -> None:
    figure = figures.null(alone, layers=["blocks.{3,12}"])
    assert named(figure) == ["blocks.3 (14)", "blocks.12 (32)"]
    labels = alone.runs["alone"].labels
    boxes = [one for one in figure.axes[0].get_lines() if one.get_linewidth() == 5]
    for chance, observed, layer in zip(boxes[::2], boxes[1::2], ("blocks.3", "blocks.12"), strict=True):
        assert np.allclose(chance.get_xdata(), [1.5, 2.5], atol=0.02)  # the null is even between 1 and 3
        z = labels.loc[(labels["layer"] == layer) & labels["rank"].notna(), "z"]
        assert np.allclose(observed.get_xdata(), np.quantile(z, [0.25, 0.75]))
    above = (labels.loc[labels["layer"] == "blocks.12", "q"] <= 0.05).sum()
    assert f"{above} of 32" in texts(figure)


def test_controls_lie_beside_the_run(alone: FigureData, blocks: dict[str, int]) -> None:
    figure = figures.controls(alone)
    assert named(figure) == in_order(blocks)
    table = alone.runs["alone"].results.controls
    for line in [one for one in figure.axes[0].get_lines() if one.get_label() in set(table["control"])]:
        rows = table[table["control"] == line.get_label()]
        assert np.allclose(line.get_xdata(), rows["significant"] / rows["neurons"])
    own = table[table["control"] == "none"]
    assert f"alone: {own['significant'].sum()} of {own['neurons'].sum()}" in texts(figure)


def test_bars_of_higher_rungs_lie_in_those_of_lower_ones(alone: FigureData, blocks: dict[str, int]) -> None:
    figure = figures.rungs(alone)
    assert named(figure) == in_order(blocks)
    summary = alone.runs["alone"].manifest.summary
    bars = [bar.get_width() for bar in figure.axes[0].patches]
    widest = [(one.significant or 0) / one.neurons for one in summary]
    beyond = [one.rungs["beyond nuisances"].significant / one.neurons for one in summary]
    assert np.allclose(bars, widest + beyond)
    assert f"beyond nuisances: {sum(one.rungs['beyond nuisances'].significant for one in summary)}" in texts(figure)
    assert "right: nothing is annotated" in caption(figure)
    for one in summary:
        one.rungs = {}
    with pytest.raises(UsageError, match="no rung above the first was tested"):
        figures.rungs(alone)


def test_every_figure_says_what_it_rests_on_in_letters_that_can_be_read(blocks: dict[str, int]) -> None:
    runs = [outcomes_of("g", blocks, 1), outcomes_of("m", blocks, 2)]
    drawn = [one for one in draw(data_of(runs, images=60, patients=-1, threshold="local")) if isinstance(one, Drawn)]
    assert len(drawn) == 14
    for one in drawn:
        said = caption(one.figure)
        for part in (
            "vindr: 60 images",
            "patients are not known",
            "soft-wpmi (top 100 images)",
            "Null: top-k",
            "q = 0.05",
            "Scores may not be compared",
            "Only 60 images",
            "images of one woman count",
        ):
            assert part in said, one.name
        one.figure.draw_without_rendering()
        for text in one.figure.findobj(Text):
            assert not text.get_text() or text.get_fontsize() >= 7, (one.name, text)


@pytest.mark.slow
def test_thirty_nine_layers_with_long_names_stay_within_the_page_and_apart() -> None:
    depths = enumerate((3, 5, 5, 7, 7, 9, 3))
    names = [f"blocks.{stage}.{at}.conv_pwl" for stage, count in depths for at in range(count)]
    widths = dict.fromkeys(names, 24)
    data = data_of([outcomes_of("g", widths, 1), outcomes_of("m", widths, 2)])
    for one in draw(data, only=("depth", "categories", "coverage", "null", "rungs", "controls")):
        assert isinstance(one, Drawn)
        figure = one.figure
        figure.draw_without_rendering()
        across = one.name.startswith(("depth", "coverage"))
        axes = figure.axes[0]
        labels = axes.get_xticklabels() if across else axes.get_yticklabels()
        assert [label.get_text() for label in labels] == [f"{name} (24)" for name in names]
        boxes = [label.get_window_extent() for label in labels]
        edges = sorted((box.x0, box.x1) if across else (box.y0, box.y1) for box in boxes)
        assert all(one[1] <= other[0] for one, other in pairwise(edges)), one.name
        beside = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels(), axes.yaxis.label)]
        for text in filter(Text.get_text, (*figure.texts, *beside)):
            box = text.get_window_extent()
            assert box.x0 >= -1, (one.name, text.get_text())
            assert box.x1 <= figure.bbox.x1 + 1, (one.name, text.get_text())


def test_a_single_layer_has_room_between_title_and_caption() -> None:
    for one in draw(data_of([outcomes_of("g", {"head": 24}, 1)])):
        if not isinstance(one, Drawn):
            continue
        one.figure.draw_without_rendering()
        (below,) = [text.get_window_extent().y1 for text in one.figure.texts if text.get_gid() == "caption"]
        above = min([legend.get_window_extent().y0 for legend in one.figure.legends] or [one.figure.bbox.y1])
        for axes in one.figure.axes:
            box = axes.get_tightbbox()
            assert box is not None
            assert below - 1 <= box.y0 < box.y1 <= above + 1, one.name


def test_a_vocabulary_without_mammographic_concepts_has_no_matrix_of_them(alone: FigureData) -> None:
    nothing = replace(alone, comparison=replace(alone.comparison, concepts=alone.comparison.concepts.iloc[:0]))
    with pytest.raises(UsageError, match="no mammographic concept"):
        figures.coverage(nothing)


_SLOW = pytest.mark.slow


@pytest.mark.parametrize("kind", [pytest.param("png", marks=_SLOW), "svg", pytest.param("pdf", marks=_SLOW)])
def test_the_same_figure_is_the_same_bytes_whatever_the_session_is_set_to(pair: FigureData, kind: str) -> None:
    once = figures.figure_bytes(figures.categories(pair), kind)
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": "other", "axes.grid": True, "savefig.dpi": 30}):
        again = figures.figure_bytes(figures.categories(pair), kind)
    assert once == again
    assert b"vindr" in once or kind == "pdf"  # what it rests on goes along in the file


def test_all_that_apply_are_drawn_and_others_say_why(pair: FigureData, alone: FigureData) -> None:
    found = {one.name: one for one in draw(pair)}
    refused = {name: str(one.reason) for name, one in found.items() if isinstance(one, Refused)}
    assert set(refused) == {
        "scores",
        *(f"{name}-{run}" for name in ("evaluation", "top-images") for run in ("before", "after")),
    }
    assert "--threshold" in refused["scores"]
    assert {"coverage-before", "coverage-after", "specialisation", "null-after"} <= set(found)
    single = [one.name for one in draw(alone)]
    assert single == list(figures.FIGURES)
    assert [one.name for one in draw(pair, only=["null"])] == ["null-before", "null-after"]
    with pytest.raises(UnknownNameError, match="no figure is called 'nul'"):
        list(draw(pair, only=["nul"]))
