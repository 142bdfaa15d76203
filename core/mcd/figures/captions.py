"""Title and caption of a figure: one record, which pictures, their metadata and separate files are made from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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


def wrapped(text: str, inches: float, size: float, weight: str = "normal") -> str:
    """Return a text in lines of at most so many inches, as they are drawn at usual resolutions."""
    drawn = [(Figure(dpi=dpi).text(0, 0, "", fontsize=size, fontweight=weight), dpi) for dpi in _DPI]

    @functools.cache
    def width(line: str) -> float:
        for one, _ in drawn:
            one.set_text(line)
        return max(float(one.get_window_extent().width) / dpi for one, dpi in drawn)

    lines = [""]
    for word in text.split(" "):
        for part in _parts(word, lambda piece: width(piece) <= inches):
            longer = f"{lines[-1]} {part}" if lines[-1] else part
            if width(longer) <= inches:
                lines[-1] = longer
            else:
                lines.append(part)
    return "\n".join(lines)


def _parts(word: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield a word whole, or in pieces where it is longer than a line."""
    while len(word) > 1 and not fits(word):
        end = max((at for at in range(1, len(word)) if fits(word[:at])), default=1)
        yield word[:end]
        word = word[end:]
    yield word
