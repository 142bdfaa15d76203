"""Title and caption of a figure: one record, which pictures, their metadata and separate files are made from."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from mcd.errors import UsageError
from mcd.study.latex import latex_text, one_line

__all__ = ["Caption", "Captioned", "caption", "made_caption", "sentence", "wrapped"]


@dataclass(frozen=True)
class Caption:
    """What stands above and below a figure, each on one line.

    Parameters
    ----------
    title
        What the figure shows, without a full stop.
    text
        How it is to be read, and what it rests on: whole sentences.
    """

    title: str
    text: str

    def plain(self) -> str:
        """Return the title, an empty line and the text."""
        return f"{self.title}\n\n{self.text}\n"

    def latex(self) -> str:
        """Return a command for a ``figure`` of LaTeX; the title is also the entry of its list of figures."""
        title = latex_text(self.title)
        return f"\\caption[{title}]{{\\textbf{{{title}.}} {latex_text(self.text)}}}\n"


class Captioned(Figure):
    """A figure that knows its caption, and the inches of its title and of the lines below it."""

    caption: Caption | None = None
    title_inches: float = 0.0
    text_inches: float = 0.0


def caption(figure: Figure) -> Caption:
    """Return title and caption of a figure of mcd, to be set as text beside it.

    Raises
    ------
    UsageError
        When the figure was not drawn by mcd.
    """
    found = figure.caption if isinstance(figure, Captioned) else None
    if found is None:
        raise UsageError("the figure has no caption: mcd did not draw it", "mcd.figures.figure(data, NAME) draws one")
    return found


def made_caption(title: str, sentences: list[str]) -> Caption:
    """Return the caption that sentences without their full stops make."""
    return Caption(one_line(title), " ".join(f"{one_line(one).rstrip('.')}." for one in sentences))


def sentence(text: str) -> str:
    """Return a remark as a sentence: with a capital, but never that of a name, which has its own spelling."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    return f"{text[0].upper()}{text[1:]}" if first.isalpha() else f"Note: {text}"


_DPI = (72, 100, 110, 150, 200, 300)
"""Letters are set on whole dots, so a line has another width at each."""

Inches = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=4096)
def _inches(text: str, size: float, weight: str) -> Inches:
    """Return how wide a text is at each of the resolutions."""
    drawn = [sheet.text(0, 0, text, fontsize=size, fontweight=weight) for sheet in _sheets()]
    widths = np.asarray([one.get_window_extent().width for one in drawn]) / _DPI
    for one in drawn:
        one.remove()
    return widths


@functools.cache
def _sheets() -> list[Figure]:
    """Return a figure for each of the resolutions, to measure on."""
    return [Figure(figsize=(0.1, 0.1), dpi=dpi) for dpi in _DPI]


def wrapped(text: str, inches: float, size: float, weight: str = "normal") -> str:
    """Return a text in lines of at most so many inches, as they are drawn at usual resolutions.

    Words are measured once in a process and added up: figures share most of theirs.
    """

    def wide(piece: str) -> Inches:
        return _inches(piece, size, weight)

    space = wide("x x") - wide("xx")
    lines: list[list[str]] = [[]]
    filled = np.zeros(len(_DPI))
    for word in text.split(" "):
        for part in _parts(word, lambda piece: float(wide(piece).max()), inches):
            longer = filled + space + wide(part) if lines[-1] else wide(part)
            if lines[-1] and longer.max() > inches:
                lines.append([])
                longer = wide(part)
            lines[-1].append(part)
            filled = longer
    return "\n".join(map(" ".join, lines))


def _parts(word: str, wide: Callable[[str], float], inches: float) -> Iterator[str]:
    """Yield a word whole, or in pieces where it is longer than a line."""
    if len(word) < 2 or wide(word) <= inches:
        yield word
        return
    end = max(1, bisect.bisect_right(range(1, len(word)), inches, key=lambda at: wide(word[:at])))
    yield word[:end]
    yield from _parts(word[end:], wide, inches)
