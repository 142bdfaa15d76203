"""Do p-values mean what they say? Noise, planted neurons, and noise that patients share; prints tables.

python benchmarks/calibration.py [--seeds 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from mcd.api.concepts import Concept
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.labelling import Labeller
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

CONCEPTS = [Concept(f"c{at}", f"category {at}", "broad") for at in range(200)]


def cosines(rng: np.random.Generator, images: int, spread: float, patients: np.ndarray, shared: float) -> torch.Tensor:
    """Draw P of rank 32, as a dissector's is, part of it shared by the images of a patient."""
    own = rng.standard_normal((images, 32))
    hers = rng.standard_normal((patients.max() + 1, 32))[patients]
    words = rng.standard_normal((32, len(CONCEPTS)))
    raw = (np.sqrt(1 - shared) * own + np.sqrt(shared) * hers) @ words
    return torch.from_numpy((0.1 + spread * (raw - raw.mean()) / raw.std()).astype(np.float32))


def noise(rng: np.random.Generator, neurons: int, patients: np.ndarray, shared: float) -> np.ndarray:
    """Draw activations that know nothing, part of them shared by the images of a patient."""
    own = rng.standard_normal((len(patients), neurons))
    hers = rng.standard_normal((patients.max() + 1, neurons))[patients]
    return np.sqrt(1 - shared) * own + np.sqrt(shared) * hers


def judged(
    activations: np.ndarray, similarity: torch.Tensor, patients: np.ndarray, scorer: object, **settings: object
) -> tuple[Judged, torch.Tensor]:
    """Return what is said of one layer, and each neuron's first concept."""
    keys = [str(one) for one in patients]
    labeller = Labeller(scorer, Matrix(similarity), CONCEPTS, Calibration.model_validate(settings), keys, 1)  # type: ignore[arg-type]
    (found,) = labeller.scored({"layer": lambda: torch.from_numpy(activations.astype(np.float32))})
    assert found.judged is not None
    return found.judged, found.order[:, 0]


def uniformity(p: Sequence[float]) -> float:
    """Return the Kolmogorov–Smirnov distance of p-values from the uniform distribution."""
    ordered = np.sort(p)
    steps = np.arange(1, len(ordered) + 1) / len(ordered)
    return float(max((steps - ordered).max(), (ordered - steps + 1 / len(ordered)).max()))


def structure(images: int, a_patient: int) -> np.ndarray:
    return np.arange(images) // a_patient


def on_noise(seeds: int) -> None:
    print("\nnoise: one p-value a seed and neuron; KS distance beside its 5 % bound for that many independent ones")
    print(
        f"{'scorer':<14}{'cosine sd':>10}{'neurons':>9}{'a patient':>10}{'KS':>8}{'bound':>8}{'p<.05':>8}{'found':>8}"
    )
    for scorer, spreads in ((SoftWPMI(), (0.02, 0.05, 0.1)), (CosineCubed(), (0.05,))):
        for spread in spreads:
            for neurons, a_patient in ((32, 1), (256, 1), (32, 4), (256, 4)):
                first, found = [], 0
                for seed in range(seeds):
                    rng = np.random.default_rng([seed, neurons, a_patient])
                    patients = structure(800, a_patient)
                    shared = 0.0 if a_patient == 1 else 0.4
                    similarity = cosines(rng, 800, spread, patients, shared)
                    one, _ = judged(
                        noise(rng, neurons, patients, shared),
                        similarity,
                        patients,
                        scorer,
                        most_draws=4000,
                        null_seed=seed,
                    )
                    first.append(one.p_any)
                    found += one.significant > 0
                p = np.concatenate(first)
                print(
                    f"{scorer.name:<14}{spread:>10}{neurons:>9}{a_patient:>10}{uniformity(p):>8.3f}"
                    f"{1.36 / np.sqrt(len(p)):>8.3f}{(p < 0.05).mean():>8.3f}{found / seeds:>8.2f}"
                )


def on_shared_noise(seeds: int) -> None:
    print("\nnoise that patients share (0.6 of the variance, 4 images each): share of neurons with p < 0.05")
    for unit in ("image", "patient"):
        rates = []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, 9])
            patients = structure(800, 4)
            similarity = cosines(rng, 800, 0.05, patients, 0.6)
            one, _ = judged(
                noise(rng, 128, patients, 0.6), similarity, patients, SoftWPMI(), exchangeable=unit, null_seed=seed
            )
            rates.append((one.p_any < 0.05).mean())
        print(f"  exchangeable={unit:<8} {np.mean(rates):.3f}")


def on_planted(seeds: int) -> None:
    print("\n64 of 512 neurons planted on one concept each; the published rule keeps scores above the layer's mean")
    print(f"{'SNR':>6}{'precision':>11}{'recall':>9}{'FDR':>7}{'published: precision':>22}{'recall':>9}{'right':>8}")
    for snr in (1.0, 0.5, 0.25):
        rows = []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, int(100 * snr)])
            patients = structure(2000, 1)
            similarity = cosines(rng, 2000, 0.05, patients, 0.0)
            activations = noise(rng, 512, patients, 0.0)
            own = rng.integers(0, len(CONCEPTS), 64)
            column = similarity[:, own].numpy()
            activations[:, :64] += snr * (column - column.mean(0)) / column.std(0)
            one, order = judged(activations, similarity, patients, SoftWPMI(), null_seed=seed)
            above = one.q[:, 0] <= 0.05
            scores = SoftWPMI().score(torch.from_numpy(activations.astype(np.float32)), similarity).amax(1).numpy()
            rule = scores >= scores.mean()
            right = (order[:64].numpy() == own)[above[:64]].mean() if above[:64].any() else np.nan
            hits, kept = above[:64].sum(), max(1, above.sum())
            rows.append(
                [hits / kept, hits / 64, 1 - hits / kept, rule[:64].sum() / rule.sum(), rule[:64].mean(), right]
            )
        mean = np.nanmean(rows, axis=0)
        print(f"{snr:>6}{mean[0]:>11.3f}{mean[1]:>9.3f}{mean[2]:>7.3f}{mean[3]:>22.3f}{mean[4]:>9.3f}{mean[5]:>8.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    on_noise(chosen.seeds)
    on_shared_noise(chosen.seeds)
    on_planted(max(3, chosen.seeds // 2))
