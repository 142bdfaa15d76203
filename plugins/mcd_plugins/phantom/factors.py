"""What a phantom patient has: every factor is drawn first and known, the images are rendered from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "CALCIFICATION_DISTRIBUTIONS",
    "CALCIFICATION_MORPHOLOGIES",
    "DENSITIES",
    "HEIGHT",
    "LATERALITIES",
    "MASS_DENSITIES",
    "MASS_MARGINS",
    "MASS_SHAPES",
    "SCANNERS",
    "VIEWS",
    "WIDTH",
    "Calcifications",
    "Lesions",
    "Mass",
    "Patient",
    "View",
    "draw_patient",
]

HEIGHT, WIDTH = 320, 192

LATERALITIES = ("L", "R")
VIEWS = ("CC", "MLO")
DENSITIES = ("a", "b", "c", "d")
SCANNERS = ("digital", "film", "high-contrast")
MASS_SHAPES = ("oval", "round", "irregular")
MASS_MARGINS = ("circumscribed", "obscured", "microlobulated", "indistinct", "spiculated")
MASS_DENSITIES = ("low", "equal", "high", "fat-containing")
CALCIFICATION_MORPHOLOGIES = ("round", "rim", "coarse", "amorphous", "pleomorphic", "linear")
CALCIFICATION_DISTRIBUTIONS = ("diffuse", "regional", "grouped", "linear", "segmental")

# An irregular mass with a sharp margin, or an oval one with spicules, is not what radiologists see.
_MARGINS_OF = {
    "oval": ("circumscribed", "obscured", "microlobulated", "indistinct"),
    "round": ("circumscribed", "obscured", "microlobulated", "indistinct"),
    "irregular": ("microlobulated", "indistinct", "spiculated", "spiculated"),
}


@dataclass(frozen=True)
class Mass:
    """A mass: its descriptors, and its radius in pixels."""

    shape: str
    margin: str
    density: str
    radius: float


@dataclass(frozen=True)
class Calcifications:
    """A group of calcifications."""

    morphology: str
    distribution: str


@dataclass(frozen=True)
class Lesions:
    """What one breast has; both of its views show it. None or False: absent."""

    mass: Mass | None = None
    calcifications: Calcifications | None = None
    distortion: bool = False
    asymmetry: bool = False
    skin_thickening: bool = False
    lymph_node: bool = False
    clip: bool = False


@dataclass(frozen=True)
class Patient:
    """A phantom patient: what her two breasts share, and what each has."""

    seed: int
    number: int
    density: str
    scanner: str
    implant: bool
    left: Lesions
    right: Lesions
    markers: tuple[bool, bool, bool, bool]

    @property
    def views(self) -> tuple[View, ...]:
        """Her four views: L-CC, R-CC, L-MLO, R-MLO."""
        order = [(side, view) for view in VIEWS for side in LATERALITIES]
        return tuple(View(self, side, view, marker) for (side, view), marker in zip(order, self.markers, strict=True))


@dataclass(frozen=True)
class View:
    """One image of a patient."""

    patient: Patient
    laterality: str
    view: str
    marker: bool

    @property
    def id(self) -> str:
        """Seed, patient, side and view."""
        return f"phantom-{self.patient.seed}-{self.patient.number:05d}-{self.laterality}-{self.view}"

    @property
    def lesions(self) -> Lesions:
        """What the breast in this view has."""
        return self.patient.left if self.laterality == "L" else self.patient.right

    @property
    def findings(self) -> tuple[str, ...]:
        """What the image shows, in words."""
        lesions, found = self.lesions, []
        if lesions.mass:
            mass = lesions.mass
            density = mass.density if mass.density == "fat-containing" else f"{mass.density} density"
            found.append(f"{mass.shape} {mass.margin} {density} mass")
        if lesions.calcifications:
            found.append(f"{lesions.calcifications.morphology} calcifications, {lesions.calcifications.distribution}")
        flags = {
            "architectural distortion": lesions.distortion,
            "asymmetry": lesions.asymmetry,
            "skin thickening": lesions.skin_thickening,
            "intramammary lymph node": lesions.lymph_node,
            "biopsy clip": lesions.clip,
            "implant": self.patient.implant,
        }
        return tuple(found + [name for name, there in flags.items() if there])


def draw_patient(seed: int, number: int) -> Patient:
    """Draw a patient; the same seed and number give the same one, however many there are."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, number, 0]))

    def one(values: tuple[str, ...]) -> str:
        return values[int(rng.integers(len(values)))]

    return Patient(
        seed=seed,
        number=number,
        density=one(DENSITIES),
        scanner=one(SCANNERS),
        implant=bool(rng.random() < 0.15),
        left=_draw_lesions(rng),
        right=_draw_lesions(rng),
        markers=(
            bool(rng.random() < 0.7),
            bool(rng.random() < 0.7),
            bool(rng.random() < 0.7),
            bool(rng.random() < 0.7),
        ),
    )


def _draw_lesions(rng: np.random.Generator) -> Lesions:
    chance = rng.random(7)
    return Lesions(
        mass=_draw_mass(rng) if chance[0] < 0.60 else None,
        calcifications=_draw_calcifications(rng) if chance[1] < 0.40 else None,
        distortion=bool(chance[2] < 0.20),
        asymmetry=bool(chance[3] < 0.20),
        skin_thickening=bool(chance[4] < 0.20),
        lymph_node=bool(chance[5] < 0.20),
        clip=bool(chance[6] < 0.20),
    )


def _draw_mass(rng: np.random.Generator) -> Mass:
    shape = MASS_SHAPES[int(rng.integers(3))]
    margins = _MARGINS_OF[shape]
    return Mass(
        shape=shape,
        margin=margins[int(rng.integers(len(margins)))],
        density=MASS_DENSITIES[int(rng.integers(4))],
        radius=float(rng.uniform(16, 23)),
    )


def _draw_calcifications(rng: np.random.Generator) -> Calcifications:
    return Calcifications(
        morphology=CALCIFICATION_MORPHOLOGIES[int(rng.integers(6))],
        distribution=CALCIFICATION_DISTRIBUTIONS[int(rng.integers(5))],
    )
