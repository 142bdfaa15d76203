"""What the letters in EMBED's clinical table stand for, and what they leave open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mcd_plugins.cohorts.base import Cohort
from mcd_plugins.cohorts.tables import Row

__all__ = ["ASSESSED", "COLUMNS", "DENSITY", "HEADLINES", "Described", "absent", "code", "described"]

_Codes = Mapping[str, tuple[str, ...]]

_SHAPES: _Codes = {
    "G": ("mass",),
    "R": ("mass", "round shape"),
    "O": ("mass", "oval shape"),
    "X": ("mass", "irregular shape"),
    "A": ("architectural distortion",),
    "T": ("solitary dilated duct",),
    "N": ("intramammary lymph node",),
    "B": ("asymmetry", "global asymmetry"),
    "F": ("asymmetry", "focal asymmetry"),
    "S": ("asymmetry", "asymmetry in one view"),
    "V": ("asymmetry", "developing asymmetry"),
}
_MARGINS: _Codes = {
    "D": ("mass", "circumscribed margin"),
    "U": ("mass", "obscured margin"),
    "M": ("mass", "microlobulated margin"),
    "I": ("mass", "indistinct margin"),
    "S": ("mass", "spiculated margin"),
}
_DENSITIES: _Codes = {
    "+": ("mass", "high-density mass"),
    "=": ("mass", "equal-density mass"),
    "-": ("mass", "low-density mass"),
    "0": ("mass", "fat-containing mass"),
}
_SUSPICIOUS = ("calcifications", "suspicious calcifications")
_BENIGN = ("calcifications", "typically benign calcifications")
_CALCIFICATIONS: _Codes = {
    "A": (*_SUSPICIOUS, "amorphous calcifications"),
    "H": (*_SUSPICIOUS, "coarse heterogeneous calcifications"),
    "F": (*_SUSPICIOUS, "fine linear calcifications"),
    "B": (*_SUSPICIOUS, "fine-linear branching calcifications"),
    "I": (*_SUSPICIOUS, "fine pleomorphic calcifications"),
    "K": _SUSPICIOUS,
    "9": _BENIGN,
    "C": (*_BENIGN, "popcorn calcifications"),
    "D": (*_BENIGN, "dystrophic calcifications"),
    "E": (*_BENIGN, "rim calcifications"),
    "O": (*_BENIGN, "rim calcifications"),
    "L": (*_BENIGN, "large rod-like calcifications"),
    "M": (*_BENIGN, "milk of calcium"),
    "J": (*_BENIGN, "oil cyst"),
    "R": (*_BENIGN, "round calcifications"),
    "S": (*_BENIGN, "skin calcifications"),
    "U": (*_BENIGN, "suture calcifications"),
    "V": (*_BENIGN, "vascular calcifications"),
    "P": ("calcifications", "punctate calcifications"),
    "G": ("calcifications",),
}
_DISTRIBUTIONS: _Codes = {
    "G": ("grouped distribution",),
    "C": ("grouped distribution",),
    "S": ("segmental distribution",),
    "R": ("regional distribution",),
    "D": ("diffuse distribution",),
    "L": ("linear distribution",),
}
_OTHERS: _Codes = {
    "!": ("reconstructed breast",),
    "X": ("reconstructed breast",),
    "%": (*_BENIGN, "oil cyst"),
    "1": ("lumpectomy bed", "radiotherapy changes"),
    "U": ("lumpectomy bed",),
    "P": ("surgical scar",),
    "3": ("reduction mammoplasty changes",),
    "C": ("reduction mammoplasty changes",),
    **dict.fromkeys("BFKMW", ("biopsy marker clip",)),
    "4": ("asymmetry",),
    "5": ("asymmetry", "asymmetry in one view"),
    "I": ("asymmetry",),
    "Q": ("asymmetry", "focal asymmetry"),
    "Y": ("asymmetry", "global asymmetry"),
    "D": ("architectural distortion",),
    "A": ("axillary lymphadenopathy",),
    "Z": ("axillary lymphadenopathy",),
    "E": ("duct ectasia",),
    "O": ("solitary dilated duct",),
    "G": ("gynaecomastia",),
    "H": ("haematoma",),
    "J": ("skin thickening",),
    "S": ("skin thickening",),
    "L": ("skin lesion",),
    "R": ("skin retraction",),
    "N": ("nipple retraction",),
    "T": ("trabecular thickening",),
}
_IMPLANTS: _Codes = {
    "N": (),
    "A": (),
    "C": ("implant capsule calcification",),
    "K": ("implant capsule calcification",),
    "D": ("implant contour bulge",),
    "H": ("implant contour bulge",),
    "R": ("implant rupture",),
    "S": ("free silicone",),
}

COLUMNS: Mapping[str, _Codes] = {
    "massshape": _SHAPES,
    "massmargin": _MARGINS,
    "massdens": _DENSITIES,
    "calcfind": _CALCIFICATIONS,
    "calcdistri": _DISTRIBUTIONS,
    "otherfind": _OTHERS,
    "implanfind": _IMPLANTS,
}
"""Column of descriptors → code → concepts; legend of the release, wording of the fifth edition."""

_QUESTIONED: Mapping[tuple[str, str], str] = {("massshape", "Q"): "architectural distortion"}
_OF_CALCIFICATIONS = ("calcfind", "calcdistri", "calcnumber")

_KINDS: Mapping[str, frozenset[str]] = {
    "mass": frozenset(
        one
        for codes in (_SHAPES, _MARGINS, _DENSITIES)
        for names in codes.values()
        for one in names
        if names[0] == "mass"
    )
    - {"mass"},
    "calcifications": frozenset(
        one for codes in (_CALCIFICATIONS, _DISTRIBUTIONS) for names in codes.values() for one in names
    )
    - {"calcifications", "oil cyst"},
    "asymmetry": frozenset(one for names in _SHAPES.values() for one in names if names[0] == "asymmetry")
    - {"asymmetry"},
}
"""Concept → the concepts that are kinds or features of it."""

HEADLINES = (
    "mass",
    "calcifications",
    "architectural distortion",
    "asymmetry",
    "intramammary lymph node",
    "solitary dilated duct",
)
"""What a region of interest can show."""

ASSESSED: Mapping[str, str] = {"K": "6", "M": "5", "S": "4", "A": "0", "P": "3", "B": "2", "N": "1", "X": ""}
"""Code → BI-RADS category, the gravest first: of several findings in a breast the first of these counts."""

DENSITY: Mapping[str, str] = {"1": "a", "2": "b", "3": "c", "4": "d"}

_ALL = frozenset(one for codes in COLUMNS.values() for names in codes.values() for one in names)
_RULED_OUT = frozenset(
    {
        "mass",
        *_KINDS["mass"],
        "asymmetry",
        *_KINDS["asymmetry"],
        "architectural distortion",
        *(one for names in _CALCIFICATIONS.values() if "suspicious calcifications" in names for one in names),
        "axillary lymphadenopathy",
        "skin thickening",
        "skin retraction",
        "nipple retraction",
        "trabecular thickening",
    }
) - {"calcifications"}
"""What there is none of in a negative breast (BI-RADS 1). Benign calcifications, scars and clips need no mention."""


@dataclass(frozen=True)
class Described:
    """A row of the clinical table: concepts that are present in a breast, and those that are questioned."""

    present: frozenset[str]
    questioned: frozenset[str]
    implant: bool


def code(text: str) -> str:
    """Return a code as the legend spells it: columns that hold numbers and letters make ``9`` a ``9.0``."""
    return text.removesuffix(".0")


def described(cohort: Cohort, row: Row) -> Described:
    """Return what a row names; codes without a counterpart are noted with the cohort."""
    present: set[str] = set()
    questioned: set[str] = set()
    for column, known in COLUMNS.items():
        for one in _codes(row, column):
            if (column, one) in _QUESTIONED:
                questioned.add(_QUESTIONED[column, one])
            present.update(known.get(one, ()))
            cohort.mapped(Row(row.file, row.number, {column: one}), column, dict.fromkeys(known, ""))
    if any(_codes(row, column) for column in _OF_CALCIFICATIONS):
        present.add("calcifications")
    implant = bool(_codes(row, "implanfind")) or "X" in _codes(row, "otherfind")
    return Described(frozenset(present), frozenset(questioned - present), implant)


def absent(present: Iterable[str], questioned: Iterable[str], *, negative: bool) -> frozenset[str]:
    """Return what a breast does not show, whose rows name some concepts and only question others.

    A mass without a recorded shape still has one, so shapes are not absent where there is a mass.

    Parameters
    ----------
    negative
        Whether only what an assessment of BI-RADS 1 excludes counts, or all that no row names.
    """
    named = {*present, *questioned}
    return (_RULED_OUT if negative else _ALL) - named - {kind for one in named for kind in _KINDS.get(one, ())}


def _codes(row: Row, column: str) -> list[str]:
    """Return the codes of a cell; a zero in the columns of calcifications stands for none."""
    codes = [code(one.strip()) for one in row.get(column).split(",") if one.strip()]
    return [one for one in codes if one != "0" or column not in _OF_CALCIFICATIONS]
