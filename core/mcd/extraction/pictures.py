"""Images written once as a recipe makes them, so that a run need not make them again."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngInfo

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample
from mcd.api.image import Image, Preprocessing
from mcd.errors import ImageError, MCDError, UsageError
from mcd.extraction.parallel import in_processes
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import LITTLE_RANGE, Reader, read_checked
from mcd.files import check_name, write_atomically
from mcd.study.outputs import clear_leftovers

__all__ = ["Written", "places", "write_pictures"]

_KEY = "mcd"
"""Name of the PNG's text entry that says from what, and by which recipe, it was made."""
_REMARK = "mcd remark"
"""Name of the entry with what the recipe remarked, if anything."""
_LITTLE = "written, little range"


@dataclass(frozen=True)
class Written:
    """How it went: pictures written now, pictures that were there already, images left out with the reason.

    ``little_range`` counts the images written now that use little of the range from black to white; ``remarks`` are
    what the recipe remarked on pictures → the images, in the order of their sources.
    """

    written: int
    kept: int
    failed: tuple[tuple[Sample, str], ...] = ()
    little_range: int = 0
    remarks: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)


def places(probe: ProbeSet, folder: Path, output: Path, *, by_id: bool) -> list[Path]:
    """Return where each picture goes: under its path below ``folder`` with the ending ``.png``, or under its id.

    Raises
    ------
    UsageError
        When two images would have one name.
    """
    found: dict[Path, Sample] = {}
    for row, sample in zip(probe.rows, probe.shown, strict=True):
        name = Path(f"{probe.ids[row]}.png") if by_id else _relative(sample, folder).with_suffix(".png")
        if name in found:
            raise UsageError(
                f"{found[name].source} and {sample.source} would both become {name}", "name them by id: --names id"
            )
        check_name(name, "name, such as the id: --names id")
        found[name] = sample
    return [output / name for name in found]


def _relative(sample: Sample, folder: Path) -> Path:
    source = Path(sample.source)
    if source.is_relative_to(folder) and source != folder:
        return source.relative_to(folder)
    return Path(source.name if source.is_absolute() or source == folder else f"{sample.id}.png")


def write_pictures(
    dataset: Dataset,
    recipe: Preprocessing,
    work: Mapping[Path, Sample],
    *,
    workers: int | None,
    stop: bool,
    advanced: Callable[[int], None],
) -> Written:
    """Write each sample's picture as PNG, in processes of their own; files that are up to date are kept.

    Parameters
    ----------
    work
        Where each picture goes.
    workers
        How many processes; None takes one a core, 0 works in this one.
    stop
        Refuse the first image that cannot be used, instead of leaving such images out.

    Raises
    ------
    ImageError
        For that image.
    UsageError
        When a file in the way was not written by this function.
    """
    counts = {"written": 0, _LITTLE: 0, "kept": 0}
    reading = Reader(dataset, recipe).fingerprint()
    for folder in {path.parent for path in work}:
        clear_leftovers(folder)
    failed: list[tuple[Sample, str]] = []
    remarked: dict[str, list[Sample]] = defaultdict(list)
    for (_, sample), (outcome, remark) in in_processes(_made, (dataset, recipe, reading), work.items(), workers):
        if remark:
            remarked[remark].append(sample)
        if outcome in counts:
            counts[outcome] += 1
        elif stop:
            raise ImageError(
                f"{sample.source or sample.id}: {outcome}",
                "remove it, or leave such images out with --on-error skip; what is written so far is kept",
            )
        else:
            failed.append((sample, outcome))
        advanced(1)
    failed.sort(key=lambda one: one[0].source)
    little = counts[_LITTLE]
    remarks = {text: tuple(sorted(of, key=lambda one: one.source)) for text, of in sorted(remarked.items())}
    return Written(counts["written"] + little, counts["kept"], tuple(failed), little, remarks)


def _made(shared: tuple[Dataset, Preprocessing, str], item: tuple[Path, Sample]) -> tuple[str, str]:
    return _one(*shared, *item)


def _one(dataset: Dataset, recipe: Preprocessing, reading: str, path: Path, sample: Sample) -> tuple[str, str]:
    """Write one picture; return how it went, and what the recipe remarked.

    It went ``written``, ``written, little range``, ``kept``, or as the reason why it cannot be written says.
    """
    key = digest(sample.digest, reading)
    try:
        if path.exists():
            before, remark = _entries_of(path)
            if before == key:
                return "kept", remark
            if not before:
                raise UsageError(f"{path} is in the way: mcd did not write it", "choose another OUT")
        image = read_checked(dataset, sample, recipe.values)
        picture = recipe.picture(image)
        picture.check()
        write_atomically(path, _png(picture, key))
    except ImageError as error:
        return error.message, ""
    except MCDError:
        raise
    except (OSError, ValueError, MemoryError) as error:
        return f"{type(error).__name__}: {error}", ""
    return _LITTLE if image.range_used < LITTLE_RANGE else "written", picture.remark


def _entries_of(path: Path) -> tuple[str, str]:
    """Return from what a picture was made, and what the recipe remarked."""
    try:
        with PIL.Image.open(path, formats=("PNG",)) as picture:
            return str(picture.info.get(_KEY, "")), str(picture.info.get(_REMARK, ""))
    except (OSError, ValueError, SyntaxError):
        return "", ""


def _png(picture: Image, key: str) -> bytes:
    pixels = picture.pixels
    if pixels.dtype == np.float32:
        raise ImageError("floating-point values cannot be written as PNG", "let the recipe reduce them to 8 bit")
    if pixels.dtype == np.uint16:  # white must be white to whoever reads the file
        pixels = np.rint(pixels * (65535.0 / picture.maximum)).astype(np.uint16)
    entry = PngInfo()
    entry.add_text(_KEY, key)
    if picture.remark:
        entry.add_text(_REMARK, picture.remark)
    out = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", pnginfo=entry)
    return out.getvalue()
