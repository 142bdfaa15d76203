"""Boxes of findings compared with the files that they are to lie in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from mcd.api.dataset import Box, Sample
from mcd.api.remark import Remark

__all__ = ["BoxFit", "box_remarks"]

Size = tuple[int, int]

_SAME_SHAPE = 0.02
"""How far the shapes, height over width, of a copy and of the original may differ, as a share."""


class BoxFit:
    """Brings boxes to the size of the files, sample by sample, and counts what was wrong with them.

    Where the data set says the size that boxes are given in (the fact ``boxes``, such as ``3518×2800``), those of a
    resized copy are scaled; of a copy of another shape, which was cut or squashed, they are left out. Where it does
    not, they stay as they are. Corners that are swapped are put in order.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def fitted(self, sample: Sample, size: Size | None = None) -> Sample:
        """Return an examined sample with its boxes in pixels of its file.

        Parameters
        ----------
        size
            Rows and columns of the decoded image; by default from the facts of the sample.
        """
        if not sample.boxes:
            return sample
        boxes = [_ordered(box) for box in sample.boxes]
        self._counts["swapped"] += boxes != list(sample.boxes)
        self._counts["empty"] += any(box.x0 == box.x1 or box.y0 == box.y1 for box in boxes)
        boxes = [box for box in boxes if box.x0 < box.x1 and box.y0 < box.y1]
        file = size or _size(f"{sample.facts.get('rows', '')}×{sample.facts.get('columns', '')}")
        meant = _size(sample.facts.get("boxes", ""))
        if file and meant and file != meant:
            same = abs(file[0] * meant[1] / (file[1] * meant[0]) - 1) <= _SAME_SHAPE
            self._counts["scaled" if same else "left out"] += 1
            boxes = [_scaled(box, meant, file) for box in boxes] if same else []
        if file:
            self._counts["outside"] += any(_leaves(box, file) for box in boxes)
        return replace(sample, boxes=tuple(boxes))

    @property
    def counts(self) -> dict[str, int]:
        """What was wrong, and with the boxes of how many images."""
        return {what: count for what, count in self._counts.items() if count}


def box_remarks(counts: Mapping[str, int]) -> list[Remark]:
    """Return the counts of `BoxFit` as remarks, empty about what is as it should be."""
    said = {
        "scaled": "of another size than the data set says: boxes are scaled to the files",
        "left out": "of another shape than the data set says, cut or squashed: boxes are left out",
        "outside": "with boxes that leave the image; boxes do not fit copies that were resized or cut",
        "swapped": "with boxes whose corners are swapped: they are put in order",
        "empty": "with boxes without area: they are left out",
    }
    return [Remark(f"{{count:image}} {text}", counts.get(name, 0)) for name, text in said.items()]


def _size(text: str) -> Size | None:
    found = re.fullmatch(r"(\d+)×(\d+)", text)
    return (int(found[1]), int(found[2])) if found and int(found[1]) and int(found[2]) else None


def _ordered(box: Box) -> Box:
    (x0, x1), (y0, y1) = sorted((box.x0, box.x1)), sorted((box.y0, box.y1))
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1)


def _scaled(box: Box, meant: Size, file: Size) -> Box:
    down, across = file[0] / meant[0], file[1] / meant[1]
    x0, y0 = min(round(box.x0 * across), file[1] - 1), min(round(box.y0 * down), file[0] - 1)
    return replace(box, x0=x0, y0=y0, x1=max(x0 + 1, round(box.x1 * across)), y1=max(y0 + 1, round(box.y1 * down)))


def _leaves(box: Box, file: Size) -> bool:
    return min(box.x0, box.y0) < 0 or box.x1 > file[1] or box.y1 > file[0]
