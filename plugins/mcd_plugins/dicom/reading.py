"""Reading DICOM files: what every data set of such files shares.

`header_sample` looks at a header, `examined` at a whole file, `displayed` and `stored` decode it; `Tally` counts what
is worth a remark. Nothing of a header leaves this package but words of fixed lists, numbers that describe the pixels,
and digests of the patient's and the exam's id; no error message quotes a header's text.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import mcd
from mcd.errors import ImageError
from mcd_plugins.dicom.claims import special_view
from mcd_plugins.dicom.decoding import syntax_of
from mcd_plugins.dicom.description import described, is_for_processing, no_image
from mcd_plugins.dicom.display import curve_of, padding
from mcd_plugins.dicom.header import Header, looks_like_dicom, opened
from mcd_plugins.dicom.layout import GREY, PALETTE, Layout
from mcd_plugins.dicom.luts import Lut, palette_of
from mcd_plugins.dicom.pixels import pixels_of
from mcd_plugins.dicom.rendering import admitted, displayed, stored
from mcd_plugins.dicom.settings import DicomOptions
from mcd_plugins.dicom.tally import LeftOut, Tally

__all__ = ["DicomOptions", "LeftOut", "Tally", "displayed", "examined", "header_sample", "looks_like_dicom", "stored"]


def header_sample(
    path: str | Path, sample: mcd.Sample, options: DicomOptions | None = None
) -> mcd.Sample | mcd.Unreadable:
    """Return the sample with the values of a file's header, or why the file cannot be used.

    What the sample already knows stays. ``facts`` say where view and laterality were found, and whether the header
    contradicts the sample. Objects without an image and special views come back as `LeftOut`.
    """
    path, options = Path(path), options or DicomOptions()
    try:
        header = opened(path, pixels=False)
        found = _seen(header, sample, str(path), options)
        if isinstance(found, mcd.Sample) and _too_small(header, path.stat().st_size, options):
            header = opened(path, pixels=True)  # a small file: what is wrong with it is seen at once
            pixels_of(header, admitted(header, options), options)
    except ImageError as error:
        return mcd.Unreadable(str(path), error.message)
    except OSError as error:
        return mcd.Unreadable(str(path), error.strerror or "it cannot be read")
    return found


def examined(sample: mcd.Sample, options: DicomOptions | None = None) -> mcd.Sample | mcd.Unreadable:
    """Return what `header_sample` does, with the digest of the file at the sample's source; the file is read once.

    Pixel data that are missing or cut short are found, as far as can be without decoding them.
    """
    try:
        data = Path(sample.source).read_bytes()
        if not data:
            return mcd.Unreadable(sample.source, "the file is empty")
        header, options = opened(io.BytesIO(data), pixels=True), options or DicomOptions()
        found = _seen(header, sample, sample.source, options)
        if isinstance(found, mcd.Unreadable):
            return found
        facts = pixels_of(header, admitted(header, options), options).facts()
    except ImageError as error:
        return mcd.Unreadable(sample.source, error.message)
    except OSError as error:
        return mcd.Unreadable(sample.source, error.strerror or "it cannot be read")
    return replace(found, digest=hashlib.sha256(data).hexdigest(), facts={**facts, **found.facts})


def _too_small(header: Header, size: int, options: DicomOptions) -> bool:
    """Whether pixels that are not compressed cannot all be in the file."""
    layout, syntax = admitted(header, options), syntax_of(header)
    return not syntax.is_compressed and not syntax.is_deflated and size < layout.frame_bytes * layout.frames


def _seen(header: Header, sample: mcd.Sample, source: str, options: DicomOptions) -> mcd.Sample | mcd.Unreadable:
    kind = no_image(header)
    if kind:
        return LeftOut(source, f"it holds no image: {kind}", kind=kind)
    kind = special_view(header)
    if kind and options.special_views == "leave-out":
        return LeftOut(source, f"{kind}; special_views=keep takes it", kind=kind, special=True)
    layout = admitted(header, options)
    syntax = syntax_of(header)
    facts = {
        "syntax": syntax.name,
        "rows": str(layout.rows),
        "columns": str(layout.columns),
        "frames": str(layout.frames),
        "bits": str(layout.stored),
        "photometric": layout.photometric,
        **_tone(header, layout, options),
        **({"special view": kind} if kind else {}),
    }
    return described(header, replace(sample, facts={**facts, **sample.facts}))


def _tone(header: Header, layout: Layout, options: DicomOptions) -> dict[str, str]:
    """Return what is known of grey values without pixels; what is broken or missing shows before hours are spent."""
    if layout.photometric == PALETTE:
        return _lut_facts(palette_of(header))
    if layout.photometric not in GREY or is_for_processing(header):
        return {}
    padding(header, layout)
    curve = curve_of(header, layout, options.voi, options.voi_index)
    facts = {"voi": curve.name, **_lut_facts((curve.modality, curve.voi))}
    shape = header.code("PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") is not layout.negative:
        facts["polarity"] = "contradictory"
    return facts


def _lut_facts(steps: Iterable[object]) -> dict[str, str]:
    return {"lut": "other bits"} if any(isinstance(one, Lut) and one.bits != one.declared for one in steps) else {}
