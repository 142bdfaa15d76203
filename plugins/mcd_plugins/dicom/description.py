"""What a header tells about an image, in words of fixed lists: no other text of it is taken on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import mcd
from mcd_plugins.dicom.header import Header

__all__ = ["MAMMOGRAPHIC", "OTHER", "described", "is_for_processing", "no_image", "special_view"]

MAMMOGRAPHIC = frozenset({"MG", "CR", "DX", "RG", "OT", "SC"})
"""Modalities that mammograms are met with."""
OTHER = frozenset({"CT", "MR", "US", "PT", "NM", "XA", "RF", "IO", "PX", "BI", "XC", "GM", "SM", "ES", "OP"})
"""Modalities that no mammogram has."""

_VIEWS = frozenset({"CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO"})
_SIDES = frozenset({"L", "R"})

_VIEW_CODES = {  # CID 4014: SNOMED CT, and SNOMED RT as older files have it
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399099002": "LMO",
    "R-10230": "LMO",
    "399192008": "XCCL",
    "R-1024A": "XCCL",
    "399101009": "XCCM",
    "R-1024B": "XCCM",
    "399196006": "FB",
    "R-10244": "FB",
    "399188001": "SIO",
    "R-102D0": "SIO",
    "441555000": "ISO",
    "R-40AAA": "ISO",
}
_SPECIMEN = frozenset({"127457009", "G-8310"})
_SPECIAL = {  # CID 4015
    "399163009": "magnification view",
    "R-102D6": "magnification view",
    "399055006": "spot compression view",
    "R-102D7": "spot compression view",
}
_DISPLACED = frozenset({"399209000", "R-102D5"})
_SCHEMES = frozenset({"SCT", "SRT", "SNM3", "99SDM"})

_FLAVOURS = {
    "GENERATED_2D": "synthetic 2D",
    "TOMO_PROJ": "tomosynthesis projection",
    "VOLUME": "tomosynthesis",
    "TOMOSYNTHESIS": "tomosynthesis",
    "TOMO": "tomosynthesis",
    "SUBTRACTION": "subtraction",
    "POST_CONTRAST": "contrast",
}
_VENDORS = {
    "Hologic": r"HOLOGIC|LORAD",
    "GE": r"GE|GEMS|GENERAL ELECTRIC",
    "Siemens": r"SIEMENS",
    "Fujifilm": r"FUJI|FUJIFILM",
    "Philips": r"PHILIPS",
    "Sectra": r"SECTRA",
    "IMS": r"IMS|GIOTTO|INTERNAZIONALE MEDICO SCIENTIFICA",
    "Planmed": r"PLANMED",
    "Agfa": r"AGFA",
    "Carestream": r"CARESTREAM|KODAK",
    "Konica Minolta": r"KONICA|MINOLTA",
    "Metaltronica": r"METALTRONICA",
    "Canon": r"CANON|TOSHIBA",
    "Samsung": r"SAMSUNG",
    "Adani": r"ADANI",
    "United Imaging": r"UNITED IMAGING|UIH",
    "Lumisys": r"LUMISYS",
    "Howtek": r"HOWTEK",
}

_IN_DESCRIPTION = re.compile(r"(?<![A-Z0-9])([LR])?[ _-]?(XCCL|XCCM|LMO|MLO|CC)(?![A-Z0-9])")
_SIDE_IN_DESCRIPTION = re.compile(r"(?<![A-Z0-9])(L|LT|LEFT|R|RT|RIGHT)(?![A-Z0-9])")


def no_image(header: Header) -> str:
    """Return what kind of object without an image this is, such as a structured report; empty where it may be one.

    Known by its SOP class: all that hold images are called so in the standard.
    """
    name = header.sop_class
    if header.has("DirectoryRecordSequence"):
        return "DICOMDIR"
    return name.removesuffix(" Storage") if name and "Image" not in name else ""


def special_view(header: Header) -> str:
    """Return why an image is no view of a whole breast; empty where nothing says so."""
    if header.code("QualityControlImage") == "YES":
        return "quality control image"
    if _codes(header, "ViewCodeSequence") & _SPECIMEN:
        return "specimen"
    found = (_SPECIAL.get(code, "") for code in sorted(_modifiers(header)))
    return next(filter(None, found), "")


def is_for_processing(header: Header) -> bool:
    """Say whether this is what the detector measured, not made for the eye."""
    return header.code("PresentationIntentType") == "FOR PROCESSING" or header.sop_class.endswith("For Processing")


def described(header: Header, sample: mcd.Sample) -> mcd.Sample:
    """Return the sample with what the header tells, where the sample did not know it yet.

    ``facts`` say from which attribute view and laterality were taken, and where the header contradicts the sample.

    Raises
    ------
    mcd.errors.ImageError
        When an attribute is broken.
    """
    view, view_from = _view(header)
    side, side_from = _side(header)
    facts = {
        "modality": _modality(header.code("Modality")),
        "presentation": _presentation(header),
        "burned-in": {"YES": "yes", "NO": "no"}.get(header.code("BurnedInAnnotation"), "unknown"),
        "image type": _flavour(header),
    }
    if view and not sample.view:
        facts["view from"] = view_from
    if side and not sample.laterality:
        facts["laterality from"] = side_from
    pairs = (("view", view, sample.view), ("laterality", side, sample.laterality))
    against = [what for what, said, known in pairs if said and known and said != known]
    if against:
        facts["contradicts"] = ", ".join(against)
    return replace(
        sample,
        patient=sample.patient or _key(header.text("PatientID")),
        exam=sample.exam or _key(header.text("StudyInstanceUID")),
        view=sample.view or view,
        laterality=sample.laterality or side,
        vendor=sample.vendor or _vendor(header.code("Manufacturer")),
        implant=_implant(header) if sample.implant is None else sample.implant,
        facts={**facts, **sample.facts},
    )


def _view(header: Header) -> tuple[str, str]:
    """Return the view and the attribute that states it."""
    if header.code("ViewPosition") in _VIEWS:
        return header.code("ViewPosition"), "ViewPosition"
    coded = {_VIEW_CODES[code] for code in _codes(header, "ViewCodeSequence") if code in _VIEW_CODES}
    if len(coded) == 1:
        return coded.pop(), "ViewCodeSequence"
    if header.code("PatientOrientation") in _VIEWS:  # so in CBIS-DDSM
        return header.code("PatientOrientation"), "PatientOrientation"
    written = {view for _, view in _IN_DESCRIPTION.findall(header.text("SeriesDescription").upper())}
    return (written.pop(), "SeriesDescription") if len(written) == 1 else ("", "")


def _side(header: Header) -> tuple[str, str]:
    """Return the laterality and the attribute that states it."""
    for name in ("ImageLaterality", "Laterality"):
        if header.code(name) in _SIDES:
            return header.code(name), name
    for group in header.groups("FrameAnatomySequence", 0):
        if group.code("FrameLaterality") in _SIDES:
            return group.code("FrameLaterality"), "FrameLaterality"
    towards = [one.upper() for one in header.texts("PatientOrientation")]
    if len(towards) == 2 and towards[0][:1] in ("A", "P"):
        # Columns of a CC or MLO view run from the breast's outer side to its inner one: to the right in a left breast.
        inner = {"L", "R"} & set(towards[1])
        if len(inner) == 1:
            return {"R": "L", "L": "R"}[inner.pop()], "PatientOrientation"
    description = header.text("SeriesDescription").upper()
    written = {side for side, _ in _IN_DESCRIPTION.findall(description) if side}
    written |= {side[0] for side in _SIDE_IN_DESCRIPTION.findall(description)}
    return (written.pop(), "SeriesDescription") if len(written) == 1 else ("", "")


def _codes(header: Header, name: str) -> set[str]:
    """Return the SNOMED codes of a sequence."""
    return {item.code("CodeValue") for item in header.items(name) if item.code("CodingSchemeDesignator") in _SCHEMES}


def _modifiers(header: Header) -> set[str]:
    """Return the codes of view modifiers, which belong inside the view's item but are found beside it too."""
    inside = [_codes(item, "ViewModifierCodeSequence") for item in header.items("ViewCodeSequence")]
    return _codes(header, "ViewModifierCodeSequence").union(*inside)


def _presentation(header: Header) -> str:
    if is_for_processing(header):
        return "for processing"
    said = header.code("PresentationIntentType") == "FOR PRESENTATION"
    return "for presentation" if said or header.sop_class.endswith("For Presentation") else "unknown"


def _flavour(header: Header) -> str:
    """Return what ImageType tells: the most telling of its later words, else derived or original."""
    words = {word.upper() for word in header.texts("ImageType")}
    special = (name for word, name in _FLAVOURS.items() if word in words)
    plain = "original" if "ORIGINAL" in words else "derived" if "DERIVED" in words else "unknown"
    return next(special, plain)


def _vendor(said: str) -> str:
    if not said:
        return ""
    known = (name for name, words in _VENDORS.items() if re.search(rf"(?<![A-Z])(?:{words})(?![A-Z])", said))
    return next(known, "other")


def _implant(header: Header) -> bool | None:
    said = {"YES": True, "NO": False}.get(header.code("BreastImplantPresent"))
    return True if said is None and _modifiers(header) & _DISPLACED else said


def _modality(said: str) -> str:
    return said if said in MAMMOGRAPHIC | OTHER else "other" if said else "unknown"


def _key(said: str) -> str:
    """Return a key that tells equal from unequal, and not what was said."""
    return hashlib.sha256(said.encode()).hexdigest()[:12] if said else ""
