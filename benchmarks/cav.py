"""Concept activation vectors: are random concepts called significant, and planted ones?

A random concept is the label of whole patients and has nothing to do with the features, which are normal, 64 wide; the
class logit is a network with one hidden layer of ReLU. *Independent*: 50 images with the concept, 50 without, each of
another patient. *Patients*: 40 of four images, which share half of their variance; a fifth of them have the concept, in
about two images of three. *Unequal*: 60 patients of one, two or four such images, a sixth of whom have it. *Images
permuted* is the second, analysed as if each image were a patient: what the null would say if it forgot patients. *Few
directions*: as the second, but nine tenths of the variance lie in four directions. A planted concept moves features
along the mean gradient, so that the AUROC of that direction, were it known, is .8.

Beside it the t-test of Kim et al. 2018, as it is usually run: one concept, negatives drawn anew for each vector,
against as many random vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from benchmarks.report import Line, Report, Table
from mcd_plugins.cav.null import ConceptSets, NullVectors
from mcd_plugins.cav.scores import area
from mcd_plugins.cav.vectors import Fitter, Method
from mcd_plugins.reproduce.derivations.tcav import share_rejected

WIDTH, CLASS_IMAGES = 64, 200
DESIGNS = ("independent", "patients", "unequal", "images permuted", "few directions")
WRONG = "images permuted"
EFFECT = sqrt(2) * float(norm.ppf(0.8))

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """Images with and without a concept."""

    features: torch.Tensor
    present: NDArray[np.bool_]
    patients: Sequence[str]


def spread_of(design: str) -> Values:
    """Return the deviation of each feature; the mean variance is 1."""
    spread = np.ones(WIDTH)
    if design == "few directions":
        spread[:] = sqrt(0.1 * WIDTH / (WIDTH - 4))
        spread[:4] = sqrt(0.9 * WIDTH / 4)
    return spread


def drawn(rng: np.random.Generator, design: str, moved: Values | float = 0.0) -> Drawn:
    """Draw images; the concept adds ``moved`` to their features."""
    sizes, having, shown = _composition(rng, design)
    people = np.repeat(np.arange(len(sizes)), sizes)
    present = (people < having) & (rng.random(len(people)) < shown)
    shared = 0.0 if design == "independent" else 0.5
    own, each = rng.normal(size=(len(sizes), WIDTH))[people], rng.normal(size=(len(people), WIDTH))
    features = (sqrt(shared) * own + sqrt(1 - shared) * each) * spread_of(design) + present[:, None] * moved
    return Drawn(torch.from_numpy(features), present, ["" if design == WRONG else f"{one}" for one in people])


def gradients_of(rng: np.random.Generator, design: str) -> Values:
    """Return the gradients of a network with one hidden layer of ReLU in the images of a class."""
    first, second = rng.normal(size=(WIDTH, WIDTH)) / sqrt(WIDTH), rng.normal(size=WIDTH)
    images = rng.normal(size=(CLASS_IMAGES, WIDTH)) * spread_of(design)
    found: Values = ((images @ first.T > 0) * second) @ first
    return found


def _composition(rng: np.random.Generator, design: str) -> tuple[NDArray[np.int64], int, float]:
    """Return images of each patient, how many patients have the concept, and in which share of their images."""
    if design == "independent":
        return np.ones(100, dtype=np.int64), 50, 1.0
    if design == "unequal":
        return rng.permutation(np.repeat([1, 2, 4], 20)), 10, 1.0
    return np.full(40, 4), 8, 2 / 3


def p_of(seed: int, design: str, method: Method, sets: int, planted: bool = False) -> Values:
    """Return p of the TCAV score and of the mean sensitivity; of a planted concept AUROC, and whether it is covered.

    The AUROC is that of the vector on very many images; the interval from other patients should cover it.
    """
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, DESIGNS.index(design)])
    gradients, spread = gradients_of(rng, design), spread_of(design)
    along = gradients.mean(axis=0)
    moved = EFFECT * sqrt(float(along**2 @ spread**2)) * along / float(along @ along)
    one = drawn(rng, design, moved if planted else 0.0)
    random = ConceptSets(one.patients, one.present, ~one.present, seed, sets)
    vectors = NullVectors.of(Fitter(one.features[torch.from_numpy(random.known)], method), random)
    found = vectors.judged(torch.from_numpy(gradients))
    assert found is not None
    assert found.p_tcav is not None
    p = [found.p_tcav, found.p_sensitivity]
    if planted:
        vector = vectors.vectors[0]
        true = float(norm.cdf(vector.numpy() @ moved / sqrt(2 * float(vector.numpy() ** 2 @ spread**2))))
        others = drawn(rng, design, moved)
        held_out = area(others.features @ vector, others.present, ~others.present, others.patients)
        p += [true, float(held_out.low <= true <= held_out.high)]
    return np.array(p)


def uniform(p: Values, sets: int) -> float:
    """Return p of a Kolmogorov-Smirnov test that p, which has steps of 1 / (sets + 1), is uniform."""
    below = np.random.default_rng(0).random(len(p)) / (sets + 1)
    return float(kstest(p - below, "uniform").pvalue)


@dataclass(frozen=True)
class Settings:
    """Random concepts and planted ones, random sets of each, and vectors of the t-test."""

    concepts: int = 1000
    planted: int = 200
    sets: int = 199
    vectors: tuple[int, ...] = (10, 30, 100)


TOY = Settings(concepts=3, planted=2, sets=9, vectors=())


def measure(settings: Settings) -> Report:
    """Return how often random and planted concepts have p ≤ .05."""
    both: tuple[Method, Method] = ("pattern", "ridge")
    ways: list[tuple[str, Method]] = [(design, method) for design in DESIGNS for method in both]
    ways.append(("independent", "logistic"))
    chance: list[tuple[str | float, ...]] = []
    power: list[tuple[str | float, ...]] = []
    most, least = [], []
    for design, method in ways:
        name = f"{design}, {method}"
        p = p_of_all(design, method, settings)
        chance.append((name, *(rates := rejected(p)), *(uniform(one, settings.sets) for one in p.T[:2])))
        if design != WRONG:
            most.append(max(rates))
            p = p_of_all(design, method, settings, planted=True)
            power.append((name, *p[:, 2:].mean(axis=0).tolist(), *rejected(p)))
            least.append(rejected(p)[1])
    usual = [(f"{vectors} vectors", share_rejected(vectors)) for vectors in settings.vectors]
    shown = ("p ≤ .05: TCAV score", "p ≤ .05: mean sensitivity")
    ks = ("KS p: TCAV score", "KS p: mean sensitivity")
    tables = [
        Table(f"{settings.concepts:,} random concepts, {settings.sets} random sets each", ("", *shown, *ks), chance),
        Table(f"{settings.planted} planted concepts", ("", "AUROC of the vector", "interval covers", *shown), power),
    ]
    if usual:
        tables.append(Table("The usual t-test, ridge: 200 random concepts, independent", ("", "p ≤ .05"), usual))
    theirs = dict(usual).get("30 vectors")
    return Report(
        tables,
        [
            Line(
                "random concepts with p ≤ .05, worst case",
                max(most),
                "the usual t-test, 30 vectors",
                theirs,
                "",
                "≤ 0.07",
                max(most) <= 0.07,
            ),
            Line(
                "planted concepts of AUROC .8 with p ≤ .05, worst case",
                min(least),
                "",
                "",
                "",
                "≥ 0.9",
                min(least) >= 0.9,
            ),
        ],
    )


def p_of_all(design: str, method: Method, settings: Settings, planted: bool = False) -> Values:
    seeds = range(settings.planted if planted else settings.concepts)
    return np.array([p_of(seed, design, method, settings.sets, planted) for seed in seeds])


def rejected(p: Values) -> tuple[float, float]:
    """Return which share of both p is ≤ .05."""
    shares = (p[:, :2] <= 0.05 + 1e-9).mean(axis=0)
    return float(shares[0]), float(shares[1])
