"""What is in a data set, before a run: counts, images that cannot be used, images that are there twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.errors import MCDError
from mcd.extraction.boxes import BoxFit, box_remarks
from mcd.extraction.breast import find_breast
from mcd.extraction.examining import examine_each
from mcd.extraction.parallel import in_processes
from mcd.extraction.probe import remarks_of
from mcd.extraction.reading import LITTLE_RANGE

__all__ = ["COUNTED", "Finding", "Inspection", "inspect"]

COUNTED = (
    "syntax",
    "modality",
    "presentation",
    "size",
    "bits",
    "view",
    "laterality",
    "vendor",
    "density",
    "assessment",
    "implant",
    "split",
    "collection",
    "burned-in",
)
"""What images are counted by, in the order of the report."""

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """An image that needs attention: which one, and what about it."""

    sample: Sample
    reason: str


@dataclass(frozen=True)
class Inspection:
    """What an inspection found.

    Parameters
    ----------
    samples
        The images that can be used, in data-set order.
    counts
        For each of `COUNTED` that anything is known of: value → how many of them.
    findings
        Concept → in how many images it is present, absent, and unknown.
    boxes
        What boxes mark → how many boxes, and in how many images.
    patients
        How many patients they are of, and how many do not say.
    unreadable
        What cannot be used: broken, blank or constant files.
    duplicates
        Groups of images whose pixels are the same, bit for bit.
    foreign
        Images that are no mammograms by their own headers.
    whole
        Images in which no breast is found: recipes that cut it out keep them whole, and so do masked poolings.
    little_range
        Images that use less than a tenth of the range from black to white.
    remarks
        Remarks of the data set.
    """

    samples: tuple[Sample, ...]
    counts: dict[str, dict[str, int]]
    patients: tuple[int, int]
    findings: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    boxes: dict[str, tuple[int, int]] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    duplicates: tuple[tuple[Sample, ...], ...] = ()
    foreign: tuple[Finding, ...] = ()
    whole: tuple[Finding, ...] = ()
    little_range: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Seen:
    """The result of decoding an image: a digest of its pixels, size, values if few; or why it cannot be used.

    ``whole`` is why no breast was found in it.
    """

    pixels: str = ""
    size: str = ""
    shape: tuple[int, int] | None = None
    values: str = ""
    problem: str = ""
    whole: str = ""


def inspect(
    dataset: Dataset,
    listed: Sequence[Sample | Unreadable],
    *,
    workers: int | None = None,
    advanced: Callable[[int], None] = lambda _count: None,
) -> Inspection:
    """Decode and check every image.

    Parameters
    ----------
    listed
        What the data set's `scan` yielded, or a choice of it.
    workers
        How many processes decode; None takes one a core, 0 works in this one.
    advanced
        Called with 1 for each image done.
    """
    unreadable = [one for one in listed if isinstance(one, Unreadable)]
    examined = list(examine_each(dataset, [one for one in listed if isinstance(one, Sample)]))
    unreadable += [one for one in examined if isinstance(one, Unreadable)]
    samples = [one for one in examined if isinstance(one, Sample)]
    seen: dict[int, _Seen] = {}
    for (row, _), found in in_processes(_seen, dataset, enumerate(samples), workers):
        seen[row] = found
        advanced(1)
    boxes = BoxFit()
    usable, by_pixels = [], defaultdict(list)
    little: list[Finding] = []
    whole: list[Finding] = []
    for row, sample in enumerate(samples):
        if seen[row].problem:
            unreadable.append(Unreadable(sample.source or sample.id, seen[row].problem))
            continue
        sized = boxes.fitted(replace(sample, facts={**sample.facts, "size": seen[row].size}), seen[row].shape)
        usable.append(sized)
        whole += [Finding(sized, seen[row].whole)] if seen[row].whole else []
        by_pixels[seen[row].pixels].append(sized)
        if seen[row].values:
            little.append(Finding(sized, f"its values run from {seen[row].values}; are bits or white to be set?"))
    keys = {(one.collection, one.patient) for one in usable if one.patient}
    return Inspection(
        samples=tuple(usable),
        counts=_counts(usable),
        patients=(len(keys), sum(not one.patient for one in usable)),
        findings=_findings(usable),
        boxes=_boxes(usable),
        unreadable=tuple(unreadable),
        duplicates=tuple(tuple(group) for group in by_pixels.values() if len(group) > 1),
        foreign=tuple(_foreign(usable)),
        whole=tuple(whole),
        little_range=tuple(little),
        remarks=tuple(filter(None, (*remarks_of(dataset), *box_remarks(boxes.counts)))),
    )


def _seen(dataset: Dataset, item: tuple[int, Sample]) -> _Seen:
    _, sample = item
    try:
        image = dataset.read(sample)
        image.check()
        # Not looked for where the data set knows the outline, nor where its images may show no breast.
        known = not dataset.has_masks or dataset.mask(sample, image) is not None
        whole = "" if known else find_breast(image.pixels, image.maximum).reason
    except MCDError as error:
        return _Seen(problem=error.message)
    except (OSError, ValueError, MemoryError) as error:
        return _Seen(problem=f"{type(error).__name__}: {error}")
    pixels = image.pixels
    rows, columns = pixels.shape[:2]
    size = f"{rows}×{columns}"
    low, high = image.span
    values = f"{low:g} to {high:g} of {image.maximum:g}" if image.range_used < LITTLE_RANGE else ""
    return _Seen(
        digest(str(pixels.dtype), str(pixels.shape), pixels.tobytes()), size, (rows, columns), values, whole=whole
    )


def _counts(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    found = {}
    for name in COUNTED:
        counts = Counter(_value(sample, name) for sample in samples)
        if set(counts) - {_UNKNOWN}:
            found[name] = dict(sorted(counts.items(), key=lambda one: (one[0] == _UNKNOWN, -one[1], one[0])))
    return found


def _findings(samples: Sequence[Sample]) -> dict[str, tuple[int, int, int]]:
    states = Counter((concept, there) for one in samples for concept, there in one.findings.items())
    found = {}
    for concept in sorted({concept for concept, _ in states}):
        present, absent = states[concept, True], states[concept, False]
        found[concept] = (present, absent, len(samples) - present - absent)
    return dict(sorted(found.items(), key=lambda one: -one[1][0]))


def _boxes(samples: Sequence[Sample]) -> dict[str, tuple[int, int]]:
    boxes = Counter(box.finding for one in samples for box in one.boxes)
    images = Counter(name for one in samples for name in {box.finding for box in one.boxes})
    return {name: (boxes[name], images[name]) for name in sorted(boxes, key=lambda name: (-boxes[name], name))}


def _value(sample: Sample, name: str) -> str:
    if name == "implant":
        return _UNKNOWN if sample.implant is None else "yes" if sample.implant else "no"
    own = getattr(sample, name, "") if name in Sample.__dataclass_fields__ else sample.facts.get(name, "")
    return str(own) or _UNKNOWN


def _foreign(samples: Sequence[Sample]) -> list[Finding]:
    """Return what says that it is something else. Old mammograms call themselves CR, RG, OT or SC: no proof."""
    breast = ("", "MG", "CR", "DX", "RG", "OT", "SC")
    return [
        Finding(one, f"its modality is {one.facts['modality']}")
        for one in samples
        if one.facts.get("modality", "") not in breast
    ]
