"""What can truly be said about a phantom: short terms, and report-like captions made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mcd_plugins.phantom.factors import (
    CALCIFICATION_DISTRIBUTIONS,
    CALCIFICATION_MORPHOLOGIES,
    DENSITIES,
    LATERALITIES,
    MASS_DENSITIES,
    MASS_MARGINS,
    MASS_SHAPES,
    SCANNERS,
    VIEWS,
    View,
)

__all__ = ["FACTORS", "Statement", "code", "report", "statements", "values_and_phrases"]

_BINARY = ("absent", "present")
FACTORS: Mapping[str, tuple[str, ...]] = {
    "laterality": LATERALITIES,
    "view": VIEWS,
    "density": DENSITIES,
    "scanner": SCANNERS,
    "mass": _BINARY,
    "mass shape": MASS_SHAPES,
    "mass margin": MASS_MARGINS,
    "mass density": MASS_DENSITIES,
    "calcifications": _BINARY,
    "calcification morphology": CALCIFICATION_MORPHOLOGIES,
    "calcification distribution": CALCIFICATION_DISTRIBUTIONS,
    "architectural distortion": _BINARY,
    "asymmetry": _BINARY,
    "skin thickening": _BINARY,
    "lymph node": _BINARY,
    "implant": _BINARY,
    "biopsy clip": _BINARY,
    "view marker": _BINARY,
}
"""Every factor and its values. A factor that does not apply (the shape of no mass) is coded -1."""

_NAMES = tuple(FACTORS)


def code(view: View) -> NDArray[np.int8]:
    """Return the value of every factor as an index, ``(factors,)`` int8; -1 where it does not apply."""
    lesions = view.lesions
    mass, calcifications = lesions.mass, lesions.calcifications
    flags = {
        "mass": mass is not None,
        "calcifications": calcifications is not None,
        "architectural distortion": lesions.distortion,
        "asymmetry": lesions.asymmetry,
        "skin thickening": lesions.skin_thickening,
        "lymph node": lesions.lymph_node,
        "implant": view.patient.implant,
        "biopsy clip": lesions.clip,
        "view marker": view.marker,
    }
    values = {
        "laterality": view.laterality,
        "view": view.view,
        "density": view.patient.density,
        "scanner": view.patient.scanner,
        "mass shape": mass.shape if mass else "",
        "mass margin": mass.margin if mass else "",
        "mass density": mass.density if mass else "",
        "calcification morphology": calcifications.morphology if calcifications else "",
        "calcification distribution": calcifications.distribution if calcifications else "",
    }
    values |= {name: _BINARY[there] for name, there in flags.items()}
    return np.array([FACTORS[name].index(values[name]) if values[name] else -1 for name in _NAMES], dtype=np.int8)


@dataclass(frozen=True)
class Statement:
    """Something that is true of some views.

    Parameters
    ----------
    needs
        For every factor the value it needs, or -1 for any; ``(factors,)``.
    phrases
        Ways to say it; the first one is used for zero-shot evaluation.
    """

    needs: tuple[int, ...]
    phrases: tuple[str, ...]

    def true_of(self, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return for which of ``codes`` ``(views, factors)`` it is true, ``(views,)``."""
        needs = np.array(self.needs, dtype=np.int8)
        met: NDArray[np.bool_] = np.all((codes == needs) | (needs < 0), axis=1)
        return met

    def applies_to(self, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return for which views all of its factors apply: those where it could have been true."""
        applies: NDArray[np.bool_] = np.all((codes >= 0) | (np.array(self.needs) < 0), axis=1)
        return applies


def _statement(conditions: Mapping[str, str], *phrases: str) -> Statement:
    needs = [FACTORS[name].index(conditions[name]) if name in conditions else -1 for name in _NAMES]
    return Statement(tuple(needs), phrases)


_SINGLE: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("laterality", "L"): ("left breast", "left", "left mammogram", "image of the left breast"),
    ("laterality", "R"): ("right breast", "right", "right mammogram", "image of the right breast"),
    ("view", "CC"): ("craniocaudal view", "CC view", "CC", "craniocaudal projection"),
    ("view", "MLO"): (
        "mediolateral oblique view",
        "MLO view",
        "MLO",
        "pectoral muscle",
        "pectoralis muscle visible",
        "mediolateral oblique projection",
    ),
    ("density", "a"): (
        "almost entirely fatty breast",
        "almost entirely fatty",
        "fatty breast",
        "density a",
        "the breasts are almost entirely fatty",
        "fatty tissue",
        "adipose tissue",
    ),
    ("density", "b"): (
        "scattered areas of fibroglandular density",
        "scattered fibroglandular densities",
        "density b",
        "scattered fibroglandular tissue",
    ),
    ("density", "c"): (
        "heterogeneously dense breast",
        "heterogeneously dense",
        "density c",
        "the breasts are heterogeneously dense",
    ),
    ("density", "d"): (
        "extremely dense breast",
        "extremely dense",
        "density d",
        "very dense breast",
        "the breasts are extremely dense",
    ),
    ("scanner", "digital"): ("digital mammogram", "full-field digital mammography", "digital detector"),
    ("scanner", "film"): ("film mammogram", "digitised film", "film grain", "screen-film mammography", "film edge"),
    ("scanner", "high-contrast"): ("high contrast mammogram", "high contrast image", "high contrast processing"),
    ("mass", "present"): ("mass", "a mass", "breast mass", "mass present", "nodule", "lesion with convex border"),
    ("mass", "absent"): ("no mass", "no mass is seen", "without mass"),
    ("mass shape", "oval"): ("oval mass", "oval shape", "mass of oval shape", "oval"),
    ("mass shape", "round"): ("round mass", "round shape", "mass of round shape"),
    ("mass shape", "irregular"): ("irregular mass", "irregular shape", "mass of irregular shape", "irregular"),
    ("mass margin", "circumscribed"): (
        "circumscribed margin",
        "circumscribed mass",
        "well-defined margin",
        "sharply defined mass",
        "circumscribed",
    ),
    ("mass margin", "obscured"): ("obscured margin", "obscured mass", "partly hidden margin", "obscured"),
    ("mass margin", "microlobulated"): (
        "microlobulated margin",
        "microlobulated mass",
        "small lobulations",
        "microlobulated",
    ),
    ("mass margin", "indistinct"): (
        "indistinct margin",
        "indistinct mass",
        "ill-defined margin",
        "ill-defined mass",
        "indistinct",
    ),
    ("mass margin", "spiculated"): (
        "spiculated margin",
        "spiculated mass",
        "stellate mass",
        "spicules",
        "spiculated",
        "radiating spiculation",
    ),
    ("mass density", "low"): ("low density mass", "mass of low density", "hypodense mass"),
    ("mass density", "equal"): ("equal density mass", "isodense mass", "mass of equal density"),
    ("mass density", "high"): ("high density mass", "mass of high density", "hyperdense mass"),
    ("mass density", "fat-containing"): (
        "fat-containing mass",
        "mass containing fat",
        "radiolucent mass",
        "lipoma",
        "oil cyst",
    ),
    ("calcifications", "present"): ("calcifications", "breast calcifications", "calcification", "calcium deposits"),
    ("calcifications", "absent"): ("no calcifications", "no calcifications are seen", "without calcifications"),
    ("calcification morphology", "round"): (
        "round calcifications",
        "punctate calcifications",
        "round and punctate calcifications",
    ),
    ("calcification morphology", "rim"): (
        "rim calcifications",
        "eggshell calcifications",
        "lucent-centred calcifications",
    ),
    ("calcification morphology", "coarse"): (
        "coarse popcorn-like calcifications",
        "coarse calcifications",
        "popcorn calcifications",
        "dystrophic calcifications",
    ),
    ("calcification morphology", "amorphous"): (
        "amorphous calcifications",
        "hazy calcifications",
        "indistinct calcifications",
    ),
    ("calcification morphology", "pleomorphic"): (
        "fine pleomorphic calcifications",
        "pleomorphic calcifications",
        "heterogeneous calcifications",
    ),
    ("calcification morphology", "linear"): (
        "fine linear branching calcifications",
        "fine linear calcifications",
        "casting calcifications",
    ),
    ("calcification distribution", "diffuse"): (
        "diffuse distribution",
        "diffuse calcifications",
        "scattered calcifications",
    ),
    ("calcification distribution", "regional"): ("regional distribution", "regional calcifications"),
    ("calcification distribution", "grouped"): (
        "grouped distribution",
        "grouped calcifications",
        "clustered calcifications",
        "cluster of calcifications",
    ),
    ("calcification distribution", "linear"): (
        "linear distribution",
        "calcifications in a line",
        "calcifications in linear distribution",
    ),
    ("calcification distribution", "segmental"): ("segmental distribution", "segmental calcifications"),
    ("architectural distortion", "present"): (
        "architectural distortion",
        "distortion",
        "distorted architecture",
        "tethered tissue",
    ),
    ("architectural distortion", "absent"): ("no architectural distortion", "no distortion"),
    ("asymmetry", "present"): ("asymmetry", "focal asymmetry", "asymmetric density", "asymmetric tissue"),
    ("asymmetry", "absent"): ("no asymmetry", "symmetric tissue"),
    ("skin thickening", "present"): ("skin thickening", "thickened skin", "thick skin line"),
    ("skin thickening", "absent"): ("no skin thickening", "normal skin"),
    ("lymph node", "present"): ("intramammary lymph node", "lymph node", "reniform lymph node with fatty hilum"),
    ("lymph node", "absent"): ("no lymph node", "no intramammary lymph node"),
    ("implant", "present"): ("breast implant", "implant", "silicone implant", "saline implant"),
    ("implant", "absent"): ("no implant", "no breast implant"),
    ("biopsy clip", "present"): ("biopsy clip", "biopsy marker clip", "metallic clip", "surgical clip", "marker clip"),
    ("biopsy clip", "absent"): ("no biopsy clip", "no clip"),
    ("view marker", "present"): ("view marker", "letters in the image", "side marker", "text label"),
    ("view marker", "absent"): ("no view marker", "no letters"),
}


def values_and_phrases() -> list[tuple[str, str, str]]:
    """Return (factor, value, first phrase) for every value of every factor, in order."""
    return [(factor, value, phrases[0]) for (factor, value), phrases in _SINGLE.items()]


@cache
def statements() -> tuple[Statement, ...]:
    """Return all statements: one for every value of every factor, then combinations that radiologists name."""
    bank = [_statement({name: value}, *phrases) for (name, value), phrases in _SINGLE.items()]
    sides, views = {"L": "left", "R": "right"}, {"CC": "craniocaudal", "MLO": "mediolateral oblique"}
    for side, side_word in sides.items():
        for view, view_word in views.items():
            said: tuple[str, ...] = (
                f"{side_word} {view_word} view",
                f"{side[0]} {view}",
                f"{side_word} {view} view",
                f"{side}{view}",
            )
            bank.append(_statement({"laterality": side, "view": view}, *said))
    for shape in MASS_SHAPES:
        for margin in MASS_MARGINS:
            said = (f"{shape} mass with {margin} margin", f"{shape} {margin} mass")
            bank.append(_statement({"mass shape": shape, "mass margin": margin}, *said))
    for distribution in CALCIFICATION_DISTRIBUTIONS:
        for morphology in CALCIFICATION_MORPHOLOGIES:
            conditions = {"calcification morphology": morphology, "calcification distribution": distribution}
            bank.append(_statement(conditions, f"{distribution} {morphology} calcifications"))
    return tuple(bank)


@cache
def _singles() -> tuple[tuple[Statement, ...], NDArray[np.int8]]:
    """Return the statements about one factor, and what they need as an array ``(statements, factors)``."""
    found = tuple(one for one in statements() if sum(need >= 0 for need in one.needs) == 1)
    return found, np.array([one.needs for one in found], dtype=np.int8)


def report(row: NDArray[np.int8], rng: np.random.Generator) -> Statement:
    """Return a report-like caption of one view: two to five sentences that are all true of it."""
    singles, needs = _singles()
    true = np.flatnonzero(((row == needs) | (needs < 0)).all(axis=1))
    chosen = [singles[int(at)] for at in rng.choice(true, size=int(rng.integers(2, 6)), replace=False)]
    sentences = [one.phrases[int(rng.integers(len(one.phrases)))] for one in chosen]
    return Statement(_combined(chosen), (". ".join(sentences) + ".",))


def _combined(chosen: Sequence[Statement]) -> tuple[int, ...]:
    return tuple(max(needs) for needs in zip(*(one.needs for one in chosen), strict=True))
