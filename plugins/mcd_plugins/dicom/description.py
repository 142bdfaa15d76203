"""The description of an image in its header, in words of fixed lists: no other text of it is kept."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import mcd
from mcd_plugins.dicom.claims import against, implants, sides, views
from mcd_plugins.dicom.header import Header

__all__ = ["MAMMOGRAPHIC", "OTHER", "described", "is_for_processing", "no_image"]

MAMMOGRAPHIC = frozenset({"MG", "CR", "DX", "RG", "OT", "SC"})
"""Modalities that mammograms are met with."""
OTHER = frozenset({"CT", "MR", "US", "PT", "NM", "XA", "RF", "IO", "PX", "BI", "XC", "GM", "SM", "ES", "OP"})
"""Modalities that no mammogram has."""

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

_NUMBER = re.compile(r"^(\d+)\.0+$")
"""An id that was taken for a number: 10006.0 is 10006."""
_YES_NO: dict[bool | None, str] = {True: "yes", False: "no"}


def no_image(header: Header) -> str:
    """Return what kind of object without an image this is, such as a structured report; empty where it may be one.

    Known by its SOP class: all that hold images are called so in the standard.
    """
    name = header.sop_class
    if header.has("DirectoryRecordSequence"):
        return "DICOMDIR"
    return name.removesuffix(" Storage") if name and "Image" not in name else ""


def is_for_processing(header: Header) -> bool:
    """Say whether this is what the detector measured, not made for the eye."""
    return header.code("PresentationIntentType") == "FOR PROCESSING" or header.sop_class.endswith("For Processing")


def described(header: Header, sample: mcd.Sample) -> mcd.Sample:
    """Return the sample with the values of the header where it had none.

    ``facts`` say from which attribute view and laterality were taken, and where the header contradicts itself or the
    sample.

    Raises
    ------
    mcd.errors.ImageError
        When an attribute is broken.
    """
    said = {"view": views(header), "laterality": sides(header), "implant": implants(header)}
    first = {what: next(iter(claims.values()), "") for what, claims in said.items()}
    known = {"view": sample.view, "laterality": sample.laterality, "implant": _YES_NO.get(sample.implant, "")}
    facts = {
        "modality": _modality(header.code("Modality")),
        "presentation": _presentation(header),
        "burned-in": {"YES": "yes", "NO": "no"}.get(header.code("BurnedInAnnotation"), "unknown"),
        "image type": _flavour(header),
    }
    for what, claims in said.items():
        if contradiction := against(claims):
            facts[f"{what} contradiction"] = contradiction
        if claims and not known[what] and what != "implant":
            facts[f"{what} from"] = next(iter(claims))
    differing = [what for what in said if first[what] and known[what] and first[what] != known[what]]
    if differing:
        facts["contradicts"] = ", ".join(differing)
    return replace(
        sample,
        patient=sample.patient or _key(_NUMBER.sub(r"\1", header.text("PatientID"))),
        exam=sample.exam or _key(header.text("StudyInstanceUID")),
        view=sample.view or first["view"],
        laterality=sample.laterality or first["laterality"],
        vendor=sample.vendor or _vendor(header.code("Manufacturer")),
        implant={"yes": True, "no": False}.get(known["implant"] or first["implant"]),
        facts={**facts, **sample.facts},
    )


def _presentation(header: Header) -> str:
    if is_for_processing(header):
        return "for processing"
    said = header.code("PresentationIntentType") == "FOR PRESENTATION"
    return "for presentation" if said or header.sop_class.endswith("For Presentation") else "unknown"


def _flavour(header: Header) -> str:
    """Return the kind in ImageType: the most specific of its later words, else derived or original."""
    words = {word.upper() for word in header.texts("ImageType")}
    special = (name for word, name in _FLAVOURS.items() if word in words)
    plain = "original" if "ORIGINAL" in words else "derived" if "DERIVED" in words else "unknown"
    return next(special, plain)


def _vendor(said: str) -> str:
    if not said:
        return ""
    known = (name for name, words in _VENDORS.items() if re.search(rf"(?<![A-Z])(?:{words})(?![A-Z])", said))
    return next(known, "other")


def _modality(said: str) -> str:
    return said if said in MAMMOGRAPHIC | OTHER else "other" if said else "unknown"


def _key(said: str) -> str:
    """Return a key that is equal for equal texts and does not disclose them."""
    return hashlib.sha256(said.encode()).hexdigest()[:12] if said else ""
