"""The one vocabulary of all data sets: concepts of the set ``birads``, and how codes are mapped to them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ASSESSMENTS", "DENSITIES", "FINDINGS", "SIDES", "VIEWS"]

SIDES: Mapping[str, str] = {"L": "L", "R": "R", "Left": "L", "Right": "R", "LEFT": "L", "RIGHT": "R"}
VIEWS: Mapping[str, str] = {
    name: name for name in ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO")
} | {"AT": "XCCL"}
DENSITIES: Mapping[str, str] = {
    **{letter.upper(): letter for letter in "abcd"},
    **{str(at): letter for at, letter in enumerate("abcd", start=1)},
}
ASSESSMENTS: Mapping[str, str] = {str(at): str(at) for at in range(7)} | {
    f"4{letter}": f"4{letter.lower()}" for letter in "abcABC"
}

FINDINGS = frozenset(
    {
        "mass",
        "oval shape",
        "round shape",
        "irregular shape",
        "circumscribed margin",
        "obscured margin",
        "microlobulated margin",
        "indistinct margin",
        "spiculated margin",
        "high-density mass",
        "equal-density mass",
        "low-density mass",
        "fat-containing mass",
        "calcifications",
        "typically benign calcifications",
        "suspicious calcifications",
        "skin calcifications",
        "vascular calcifications",
        "popcorn calcifications",
        "large rod-like calcifications",
        "round calcifications",
        "punctate calcifications",
        "rim calcifications",
        "dystrophic calcifications",
        "milk of calcium",
        "suture calcifications",
        "amorphous calcifications",
        "coarse heterogeneous calcifications",
        "fine pleomorphic calcifications",
        "fine linear calcifications",
        "fine-linear branching calcifications",
        "diffuse distribution",
        "regional distribution",
        "grouped distribution",
        "linear distribution",
        "segmental distribution",
        "architectural distortion",
        "asymmetry",
        "asymmetry in one view",
        "focal asymmetry",
        "global asymmetry",
        "developing asymmetry",
        "intramammary lymph node",
        "axillary lymphadenopathy",
        "skin thickening",
        "skin retraction",
        "skin lesion",
        "nipple retraction",
        "trabecular thickening",
        "solitary dilated duct",
        "breast cancer",
        "biopsy marker clip",
        "surgical scar",
        "lumpectomy bed",
        "reduction mammoplasty changes",
        "reconstructed breast",
        "duct ectasia",
        "haematoma",
        "oil cyst",
        "gynaecomastia",
        "implant rupture",
        "free silicone",
        "implant capsule calcification",
        "implant contour bulge",
        "radiotherapy changes",
    }
)
"""Every finding that a cohort may have."""
