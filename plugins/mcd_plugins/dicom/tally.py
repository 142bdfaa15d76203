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

    def remarks(self) -> list[str]:
        """Return the counts as sentences; no sentence about what is as it should be."""
        return [*self._left_out(), *self._not_known(), *self._roundabout(), *self._unusual(), *self._contradictory()]

    def _left_out(self) -> Iterator[str]:
        if self._objects:
            number = _count(self._objects.total(), "DICOM object")
            yield f"{number} without an image passed over: {_list(self._objects)}"
        if self._special:
            yield (
                f"{_count(self._special.total(), 'special view')} left out: {_list(self._special)}; "
                "special_views=keep takes them"
            )

    def _not_known(self) -> Iterator[str]:
        for what, why in (("view", ""), ("laterality", ""), ("patient", ": whose images belong together is not known")):
            if self._unknown[what]:
                yield f"{what} unknown in {self._unknown[what]} of {_count(self._images, 'image')}{why}"

    def _roundabout(self) -> Iterator[str]:
        for what, usual in (("view", "ViewPosition"), ("laterality", "ImageLaterality")):
            found = Counter({value: n for (key, value), n in self._facts.items() if key == f"{what} from"})
            if set(found) - {usual}:
                yield f"{what} was found in: {_list(found)}"

    def _unusual(self) -> Iterator[str]:
        for (key, value), text in _UNUSUAL.items():
            if self._facts[key, value]:
                yield f"{_count(self._facts[key, value], 'image')} {text}"
        others = Counter({value: n for (key, value), n in self._facts.items() if key == "modality" and value in OTHER})
        if others:
            yield f"{_count(others.total(), 'image')} of another modality than mammography: {_list(others)}"

    def _contradictory(self) -> Iterator[str]:
        for what in ("view", "laterality", "implant"):
            found = Counter({value: n for (key, value), n in self._facts.items() if key == f"{what} contradiction"})
            if found:
                headers = _count(found.total(), "header")
                yield f"{headers} with contradictory attributes for {what}: {_list(found)}; the first one is believed"
        differing: Counter[str] = Counter()
        for (key, value), number in self._facts.items():
            if key == "contradicts":
                differing.update(dict.fromkeys(value.split(", "), number))
        for what, number in sorted(differing.items()):
            yield f"{_count(number, 'header')} contradicting the data set about {what}; the data set is believed"


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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _list(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counted.items(), key=lambda one: (-one[1], one[0])))
