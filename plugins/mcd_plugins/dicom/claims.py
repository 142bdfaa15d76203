"""What single attributes of a header claim about view, side, implant and kind of image, in the order of belief."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Set
from dataclasses import dataclass

from mcd.errors import ImageError
from mcd_plugins.dicom.header import Header

__all__ = ["Position", "against", "implants", "position", "sides", "special_view", "views"]

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

_NAMES = {
    "CRANIOCAUDAL": "CC",
    "MEDIOLATERALOBLIQUE": "MLO",
    "MEDIOLATERAL": "ML",
    "LATEROMEDIAL": "LM",
    "LATEROMEDIALOBLIQUE": "LMO",
}
_SIDE = "LEFT|RIGHT|LT|RT|L|R"
_MODIFIER = "ID|SPOT|MAG|SM|MS|S|M"
_VIEW_WORD = re.compile(
    rf"(?P<side>{_SIDE})?(?P<before>{_MODIFIER})?(?P<view>XCCL|XCCM|LMO|MLO|SIO|ISO|CC|ML|LM|FB|AT)"
    rf"(?P<after>{_MODIFIER})?(?:R[LMIS]|TAN)?(?P<last>LEFT|RIGHT|LT|RT)?\d*"
)
"""A view as ACR's labels have it: side before it, magnified, spot, implant displaced, rolled; numbers count repeats."""
_OTHER_WORD = re.compile(rf"(?P<side>{_SIDE})?(?P<before>{_MODIFIER}|R[LMIS]|TAN)?|\d+")

_IN_DESCRIPTION = re.compile(r"(?<![A-Z0-9])([LR])?[ _-]?(XCCL|XCCM|LMO|MLO|CC)(?![A-Z0-9])")
_SIDE_IN_DESCRIPTION = re.compile(r"(?<![A-Z0-9])(L|LT|LEFT|R|RT|RIGHT)(?![A-Z0-9])")
_KINDS = {
    "specimen": re.compile(r"(?<![A-Z])SPECIMENS?(?![A-Z])"),
    "biopsy": re.compile(r"^(?!.*POST).*(?<![A-Z])(?:BIOPSY|BIOPSIES|BX|STEREOTACTIC|STEREO)(?![A-Z])", re.DOTALL),
    "magnification view": re.compile(r"(?<![A-Z])MAG(?:S|NIFICATION|NIFIED|VIEWS?)?(?![A-Z])"),
    "spot compression view": re.compile(r"(?<![A-Z])SPOT(?:S|COMP|COMPRESSION)?(?![A-Z])"),
}
"""Words for what is no whole breast; after a biopsy ("post biopsy"), an image is of one."""
_WITH_WORDS = ("PaddleDescription", "SeriesDescription", "ProtocolName", "ViewPosition", "ImageType")
_MAGNIFIED = 1.3
"""Contact views have factors of 1.0 to 1.1, magnification views of 1.5 to 2."""


@dataclass(frozen=True)
class Position:
    """What a View Position says; empty where it does not."""

    view: str = ""
    side: str = ""
    displaced: bool = False
    special: str = ""


def position(text: str) -> Position:
    """Read a View Position: one of the defined terms, or what people write there: ``LCC``, ``MLO-ID``, ``CC MAG``.

    Text that is not understood as a whole says nothing.
    """
    plain = re.sub(r"[^A-Z0-9]+", " ", text.upper()).strip()
    if plain in _VIEWS:
        return Position(plain)
    if plain.replace(" ", "") in _NAMES:
        return Position(_NAMES[plain.replace(" ", "")])
    if plain == "LAT":  # lateral, not the left axillary tail
        return Position()
    found, seen, said = set(), set(), set()
    for word in plain.split():
        match = _VIEW_WORD.fullmatch(word) or _OTHER_WORD.fullmatch(word)
        if match is None:
            return Position()
        parts = match.groupdict()
        found |= {parts.get("view")} - {None}
        seen |= {one[0] for one in (parts["side"], parts.get("last")) if one}
        said |= {one for one in (parts["before"], parts.get("after")) if one}
    if len(found) > 1 or len(seen) > 1 or (not found and not said & {"MAG", "SPOT"}):
        return Position()
    view = str(found.pop()) if found else ""
    special = "magnification view" if said & {"M", "MAG", "SM", "MS"} else ""
    special = special or ("spot compression view" if said & {"S", "SPOT"} else "")
    # an axillary tail view is an exaggerated craniocaudal one, as in the tables of data sets
    return Position("XCCL" if view == "AT" else view, "".join(seen), "ID" in said, special)


def views(header: Header) -> dict[str, str]:
    """Return which attribute says which view."""
    coded = {_VIEW_CODES[code] for code in _codes(header, "ViewCodeSequence") if code in _VIEW_CODES}
    written = {view for _, view in _IN_DESCRIPTION.findall(header.text("SeriesDescription").upper())}
    oriented = header.code("PatientOrientation")
    said = {
        "ViewPosition": position(header.text("ViewPosition")).view,
        "ViewCodeSequence": _only(coded),
        "PatientOrientation": oriented if oriented in _VIEWS else "",  # so in CBIS-DDSM
        "SeriesDescription": _only(written),
    }
    return {name: view for name, view in said.items() if view}


def sides(header: Header) -> dict[str, str]:
    """Return which attribute says which laterality."""
    description = header.text("SeriesDescription").upper()
    written = {side for side, _ in _IN_DESCRIPTION.findall(description) if side}
    written |= {side[0] for side in _SIDE_IN_DESCRIPTION.findall(description)}
    framed = {group.code("FrameLaterality") for group in header.groups("FrameAnatomySequence", 0)} & _SIDES
    said = {
        "ImageLaterality": header.code("ImageLaterality"),
        "Laterality": header.code("Laterality"),
        "FrameLaterality": _only(framed),
        "ViewPosition": position(header.text("ViewPosition")).side,
        "PatientOrientation": _oriented(header),
        "SeriesDescription": _only(written),
    }
    return {name: side for name, side in said.items() if side in _SIDES}


def _oriented(header: Header) -> str:
    towards = [one.upper() for one in header.texts("PatientOrientation")]
    if len(towards) != 2 or towards[0][:1] not in ("A", "P"):
        return ""
    # Columns of a CC or MLO view run from the breast's outer side to its inner one: to the right in a left breast.
    return {"R": "L", "L": "R"}.get(_only(_SIDES & set(towards[1])), "")


def implants(header: Header) -> dict[str, str]:
    """Return which attribute says ``yes`` or ``no`` to an implant; an implant-displaced view has one."""
    said = {
        "BreastImplantPresent": {"YES": "yes", "NO": "no"}.get(header.code("BreastImplantPresent"), ""),
        "ViewModifierCodeSequence": "yes" if _modifiers(header) & _DISPLACED else "",
        "ViewPosition": "yes" if position(header.text("ViewPosition")).displaced else "",
    }
    return {name: one for name, one in said.items() if one}


def against(said: dict[str, str]) -> str:
    """Return which attributes contradict the first one, in words; empty where all agree."""
    first = next(iter(said), "")
    others = [name for name, value in said.items() if value != said[first]]
    return f"{first} against {' and '.join(others)}" if others else ""


def special_view(header: Header) -> str:
    """Return why an image is no view of a whole breast; empty where nothing says so."""
    if header.code("QualityControlImage") == "YES":
        return "quality control image"
    if _codes(header, "ViewCodeSequence") & _SPECIMEN:
        return "specimen"
    texts = [" ".join(header.texts(name)).upper() for name in _WITH_WORDS]
    written = [kind for kind, word in _KINDS.items() if any(map(word.search, texts))]
    coded = [_SPECIAL[code] for code in sorted(_modifiers(header)) if code in _SPECIAL]
    found = [*coded, position(header.text("ViewPosition")).special, "magnification view" if _magnified(header) else ""]
    worst = [kind for kind in written if kind in ("specimen", "biopsy")]
    return next(filter(None, [*worst, *found, *written]), "")


def _magnified(header: Header) -> bool:
    with contextlib.suppress(ImageError):  # a broken factor says nothing
        return (header.number("EstimatedRadiographicMagnificationFactor") or 1) >= _MAGNIFIED
    return False


def _only(said: Set[str]) -> str:
    return next(iter(said)) if len(said) == 1 else ""


def _codes(header: Header, name: str) -> set[str]:
    """Return the SNOMED codes of a sequence."""
    return {item.code("CodeValue") for item in header.items(name) if item.code("CodingSchemeDesignator") in _SCHEMES}


def _modifiers(header: Header) -> set[str]:
    """Return the codes of view modifiers, which belong inside the view's item but are found beside it too."""
    inside = [_codes(item, "ViewModifierCodeSequence") for item in header.items("ViewCodeSequence")]
    return _codes(header, "ViewModifierCodeSequence").union(*inside)
