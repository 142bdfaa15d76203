"""Title and caption of figures as text: whole sentences, nothing cut off, and beside the picture on request."""

from __future__ import annotations

import io

import PIL.Image
import pytest
from matplotlib.figure import Figure
from tests.captions import faults
from tests.figures.conftest import data_of, outcomes_of

import mcd
from mcd.errors import UsageError
from mcd.figures import FigureData, caption, figure_bytes
from mcd.figures.captions import sentence, wrapped
from mcd.plugins import latex_text


@pytest.fixture(scope="module")
def data() -> FigureData:
    return data_of([outcomes_of("phantom-mammo_50%", {"a": 6, "b": 5}, 1)])


def test_no_line_leaves_the_figure_at_any_resolution(data: FigureData) -> None:
    figure = mcd.figures.depth(data)
    for dpi in (72, 100, 110, 150, 200):
        figure.set_dpi(dpi)
        figure.draw_without_rendering()
        for text in figure.texts:
            assert text.get_window_extent().x1 <= figure.bbox.x1, (dpi, text.get_text())
    assert "".join(wrapped("x" * 300, 2.0, 7.0).split("\n")) == "x" * 300


def test_without_words_a_picture_is_lower_and_shows_the_same(data: FigureData) -> None:
    figure = mcd.figures.depth(data)
    with_words, without = (PIL.Image.open(io.BytesIO(figure_bytes(figure, words=words))) for words in (True, False))
    assert without.height < with_words.height - 100
    assert without.width == with_words.width
    said = caption(figure)
    assert without.info["Description"] == with_words.info["Description"] == said.text
    assert without.info["Title"] == said.title
    svg = figure_bytes(figure, "svg", words=False).decode()
    assert 'id="caption"' not in svg
    assert 'id="caption"' in figure_bytes(figure, "svg").decode()
    assert faults(said) == []


def test_for_latex_names_are_text(data: FigureData) -> None:
    said = caption(mcd.figures.null(data))
    assert "phantom-mammo_50%" in said.title
    assert said.latex().startswith(f"\\caption[{latex_text(said.title)}]{{\\textbf{{{latex_text(said.title)}.}} ")
    assert said.latex().endswith(f" {latex_text(said.text)}}}\n")
    with pytest.raises(UsageError, match="has no caption"):
        caption(Figure())


def test_a_sentence_does_not_change_a_name() -> None:
    assert sentence("significance was not computed") == "Significance was not computed"
    assert sentence("phantom-mammo: null") == "Note: phantom-mammo: null"
