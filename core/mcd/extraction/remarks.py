"""What should be known about the images of a data set as a whole, whichever data set it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcd.api.dataset import Sample
from mcd.errors import amount

__all__ = ["ProbeRemarks", "remarks_on"]

_NAMED = 8
"""How many concepts a remark names."""


def remarks_on(samples: Sequence[Sample]) -> list[str]:
    """Return what looks as if a data set had been read wrongly; no id, and nothing that identifies anybody.

    Parameters
    ----------
    samples
        All images that a data set lists, before any choice among them: of a few, little can be said.
    """
    return [*_never_present(samples), *_patients(samples)]


def _never_present(samples: Sequence[Sample]) -> Iterator[str]:
    """Say which concepts are absent in some images and present in none: their column may not be understood."""
    collections: dict[str, dict[int, Mapping[str, bool]]] = defaultdict(dict)
    for one in samples:
        collections[one.collection][id(one.findings)] = one.findings  # many images share one mapping
    for name, distinct in collections.items():
        states: dict[str, set[bool]] = defaultdict(set)
        for findings in distinct.values():
            for concept, present in findings.items():
                if present is not None:  # which a plugin may write for unknown
                    states[concept].add(bool(present))
        never = sorted(concept for concept, found in states.items() if found == {False})
        if never:
            more = f" and {len(never) - _NAMED} more" if len(never) > _NAMED else ""
            yield (
                f"{name}{': ' if name else ''}absent in some images and present in none: {', '.join(never[:_NAMED])}"
                f"{more}; is the data set's word for what is present understood?"
            )


def _patients(samples: Sequence[Sample]) -> Iterator[str]:
    """Say where the keys of patients look like those of images, or of everything."""
    collections: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for one in samples:
        if one.patient:
            collections[one.collection][one.patient].append(one)
    for name, patients in collections.items():
        of = f"{name}: " if name else ""
        count = sum(len(images) for images in patients.values())
        if count < 2:
            continue
        if len(patients) == count:
            yield (
                f"{of}each of {count} images is of another patient by its key; if the key is that of the image, "
                "p values are too small, since images of one patient are not independent"
            )
        elif len(patients) == 1:
            yield (
                f"{of}all {count} images are of one patient by their key; if that is a placeholder, say that patients "
                "are not known, since nothing can be permuted between patients"
            )
        elif _name_views(patients):
            yield (
                f"{of}no patient has images of two sides or views by the keys of {len(patients)} patients; if the key "
                "names side and view too, p values are too small, since images of one patient are not independent"
            )


def _name_views(patients: dict[str, list[Sample]]) -> bool:
    """Whether each patient has one side and one view, though there are several."""
    views = [{(one.laterality, one.view) for one in images} for images in patients.values()]
    return all(len(one) == 1 for one in views) and len(set.union(*views)) > 1


@dataclass(frozen=True)
class ProbeRemarks:
    """What a reader must know of a probe set, as counts and sentences: those of parts make those of the whole.

    Parameters
    ----------
    heard
        What examining the files, the data set and its boxes have to say; see `mcd.Dataset.remarks`.
    listed
        What is to be said of all images that the data set lists.
    unreadable
        How many images cannot be used.
    unidentified
        Of how many images the data set gives no digest: whether their bytes have changed cannot be known.
    repeats
        How many images have the same bytes as an earlier one.
    """

    heard: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    unreadable: int = 0
    unidentified: int = 0
    repeats: int = 0

    def sentences(self) -> list[str]:
        """Return them as sentences; no sentence about what is as it should be."""
        found = [*filter(None, self.heard), *self.listed]
        if self.unreadable:
            those, are = amount(self.unreadable, "image"), "is" if self.unreadable == 1 else "are"
            found.append(f"{those} cannot be used and {are} left out; the probe map says which and why")
        if self.unidentified:
            found.append(
                "nothing that is stored will be used again: the data set gives "
                f"{amount(self.unidentified, 'image')} no digest to know them by"
            )
        if self.repeats:
            repeat = "image repeats" if self.repeats == 1 else "images repeat"
            found.append(f"{self.repeats} {repeat} the bytes of another one; each still counts by itself")
        return found
