"""What is worth a remark about the images of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import mcd
from mcd_plugins.dicom.description import OTHER

__all__ = ["LeftOut", "Tally"]


@dataclass(frozen=True)
class LeftOut(mcd.Unreadable):
    """A file that is in order but no image to show: another kind of object, or a special view.

    Parameters
    ----------
    kind
        Which, in words: ``Comprehensive SR``, ``magnification view`` …
    special
        Whether it is an image, of a special view.
    """

    kind: str = ""
    special: bool = False
    passed_over: bool = True


class Tally:
    """Counts of values that headers have, lack, or have in an unusual place."""

    def __init__(self) -> None:
        self._images = 0
        self._objects: Counter[str] = Counter()
        self._special: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._facts: Counter[tuple[str, str]] = Counter()

    def add(self, found: mcd.Sample | mcd.Unreadable) -> None:
        """Count what `header_sample` returned for a file."""
        if isinstance(found, LeftOut):
            (self._special if found.special else self._objects)[found.kind] += 1
        elif isinstance(found, mcd.Sample):
            self._images += 1
            self._unknown.update(what for what in ("view", "laterality", "patient") if not getattr(found, what))
            self.note(found.facts)

    def note(self, facts: Mapping[str, str]) -> None:
        """Count what else became known of an image."""
        self._facts.update(facts.items())

    def remarks(self) -> list[mcd.Remark]:
        """Return the counts as remarks, empty about what is as it should be."""
        return [*self._left_out(), *self._not_known(), *self._roundabout(), *self._unusual(), *self._contradictory()]

    def _left_out(self) -> Iterator[mcd.Remark]:
        yield mcd.Remark("{count:DICOM object} without an image passed over: {kinds}", kinds=self._objects)
        special = "{count:special view} left out: {kinds}; special_views=keep takes them"
        yield mcd.Remark(special, kinds=self._special)

    def _not_known(self) -> Iterator[mcd.Remark]:
        for what, why in (("view", ""), ("laterality", ""), ("patient", ": whose images belong together is not known")):
            yield mcd.Remark(f"{what} unknown in {{count}} of {{of:image}}{why}", self._unknown[what], of=self._images)

    def _roundabout(self) -> Iterator[mcd.Remark]:
        for what, usual in (("view", "ViewPosition"), ("laterality", "ImageLaterality")):
            yield mcd.Remark(f"{what} was found in: {{kinds}}", kinds=self._values(f"{what} from"), usual=(usual,))

    def _unusual(self) -> Iterator[mcd.Remark]:
        for fact, text in _UNUSUAL.items():
            yield mcd.Remark(f"{{count:image}} {text}", self._facts[fact])
        others = {value: number for value, number in self._values("modality").items() if value in OTHER}
        yield mcd.Remark("{count:image} of another modality than mammography: {kinds}", kinds=others)

    def _contradictory(self) -> Iterator[mcd.Remark]:
        for what in ("view", "laterality", "implant"):
            text = f"{{count:header}} with contradictory attributes for {what}: {{kinds}}; the first one is believed"
            yield mcd.Remark(text, kinds=self._values(f"{what} contradiction"))
        differing: Counter[str] = Counter()
        for value, number in self._values("contradicts").items():
            differing.update(dict.fromkeys(value.split(", "), number))
        for what in ("implant", "laterality", "view"):
            text = f"{{count:header}} contradicting the data set about {what}; the data set is believed"
            yield mcd.Remark(text, differing[what])

    def _values(self, fact: str) -> dict[str, int]:
        return {value: number for (name, value), number in self._facts.items() if name == fact}


_UNUSUAL = {
    ("burned-in", "yes"): "with burned-in annotation: text in the pixels may name the patient, and neurons may see it",
    ("polarity", "contradictory"): "with PresentationLUTShape against PhotometricInterpretation, which is believed",
    ("voi", "unusable window"): "with a window that cannot be used (half of it missing, or no width): all values shown",
    ("lut", "other bits"): "with a LUT of another number of bits than it declares; white is by its entries",
    ("codestream", "more bits"): (
        "whose compressed pixels have more bits than BitsStored says; one whose pixels need them is refused on decoding"
    ),
    ("codestream", "fewer bits"): "whose compressed pixels have fewer bits than BitsStored says; theirs count",
    ("codestream", "another sign"): (
        "whose compressed pixels have another sign than PixelRepresentation says; one whose pixels depend on it is "
        "refused on decoding"
    ),
    ("high bit", "wrong"): "with HighBit against the bits of the pixels, which are believed",
    ("unused bits", "set"): (
        "with bits set beyond BitsStored, which are masked as the standard says; where BitsStored is wrong, that is "
        "wrong too (unused_bits=refuse)"
    ),
    ("sign", "not extended"): "signed by PixelRepresentation, without a sign in the unused bits: they may be unsigned",
    ("presentation", "for processing"): "FOR PROCESSING shown by a crude logarithm, not comparable with the others",
    ("image type", "synthetic 2D"): "made from tomosynthesis (synthetic 2D), another distribution than exposures",
    ("image type", "subtraction"): "that are contrast subtractions, another distribution than exposures",
}
