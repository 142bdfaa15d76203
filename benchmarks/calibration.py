"""Do p-values mean what they say? Noise in which nothing may be found, and plants that must be; prints tables.

python benchmarks/calibration.py [--seeds 200] [--scorers NAME …] [--processes 1] [--slice]

Exits with 1 where a bound is missed. With --slice, what CI runs in less than a minute: few seeds, four scorers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from scipy.stats import binom

from mcd.api.concepts import Concept
from mcd.api.probe import FACTS, Probe
from mcd.api.scorer import Scorer
from mcd.host import PluginHost
from mcd.scoring.labelling import Labeller, Scored
from mcd.scoring.similarity import Cosines
from mcd.study.calibration import Calibration
from mcd.study.preparer import Preparer
from mcd.study.study import Choice

Values = NDArray[np.float64]

CONCEPTS = [Concept(f"c{at}", f"category {at}", "broad") for at in range(200)]
RANK = 32
SIZES = {1: 30, 2: 5, 4: 30, 5: 3, 6: 6, 8: 3, 12: 4}
"""Patients by how many images they have, in the cell of unequal patients."""

DISCRETE = ("f1", "iou", "logical", "rank-reorder")
"""Scorers that take few values where few images count: only the upper bound of P(p < .05) is asked of them."""

ANY_FALSE, POOLED = 0.11, 0.06
"""Largest shares of seeds with any false label: of one cell (22 of 200, exact binomial), and of all together."""

UNIFORM = (0.035, 0.06)
"""Bounds of the share of p below 0.05."""


@dataclass(frozen=True)
class Drawn:
    """One drawn probe set: embeddings of images and texts, activations, patients, facts, and settings of scorers."""

    images: torch.Tensor
    texts: torch.Tensor
    activations: torch.Tensor
    patients: Sequence[str]
    facts: Mapping[str, Sequence[str]]
    top_k: int | None = None


def shared_within(rng: np.random.Generator, patient: NDArray[np.int64], columns: int, share: float) -> Values:
    """Draw columns of which a share of the variance is that of patients."""
    own = rng.standard_normal((len(patient), columns))
    hers = rng.standard_normal((int(patient.max()) + 1, columns))[patient]
    found: Values = np.sqrt(1 - share) * own + np.sqrt(share) * hers
    return found


def embedded(images: Values, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings whose cosines lie around .2 and vary by about .05, as those of a dissector do."""
    middle = np.zeros((1, RANK + 1))
    middle[0, -1] = 1.0
    spread = np.concatenate([0.5 * images / np.sqrt(RANK), np.ones((len(images), 1))], axis=1)
    words = rng.standard_normal((len(CONCEPTS), RANK))
    texts = np.concatenate(
        [words / np.linalg.norm(words, axis=1, keepdims=True), np.full((len(words), 1), 0.2)], axis=1
    )
    return torch.from_numpy(spread).float(), torch.from_numpy(texts).float()


def facts_of(rng: np.random.Generator, images: int) -> dict[str, list[str]]:
    return {
        "view": rng.choice(["CC", "MLO"], images).tolist(),
        "laterality": rng.choice(["left", "right"], images).tolist(),
    }


def unequal(rng: np.random.Generator, units: int) -> Drawn:
    """Draw noise of patients with unequal numbers of images, half of the variance theirs."""
    sizes = rng.permutation(np.repeat(list(SIZES), list(SIZES.values())))
    patient = np.repeat(np.arange(len(sizes)), sizes)
    images, texts = embedded(shared_within(rng, patient, RANK, 0.5), rng)
    noise = torch.from_numpy(shared_within(rng, patient, units, 0.5)).float()
    return Drawn(images, texts, noise, [f"p{one}" for one in patient], facts_of(rng, len(patient)))


def in_folders(rng: np.random.Generator, units: int, images: int = 400, active: float = 0.05) -> Drawn:
    """Draw neurons that respond to few images at random; rows lie in folders that the dissector tells apart."""
    folder = np.arange(images) // (images // 8)
    seen = shared_within(rng, folder, RANK, 0.5)
    noise = np.zeros((images, units))
    for unit in range(units):
        rows = rng.choice(images, round(active * images), replace=False)
        noise[rows, unit] = rng.exponential(size=len(rows)) + 0.1
    return Drawn(*embedded(seen, rng), torch.from_numpy(noise).float(), [""] * images, facts_of(rng, images))


def few(rng: np.random.Generator, units: int, images: int = 60) -> Drawn:
    """Draw noise on few images, of which scorers take few."""
    noise = torch.from_numpy(rng.standard_normal((images, units))).float()
    seen = embedded(rng.standard_normal((images, RANK)), rng)
    return Drawn(*seen, noise, [""] * images, facts_of(rng, images), top_k=12)


CELLS: Mapping[str, Callable[[np.random.Generator, int], Drawn]] = {
    "unequal patients": unequal,
    "5 % active": in_folders,
    "60 images": few,
}


@cache
def scorers() -> dict[str, type[Scorer]]:
    """Return every scorer that is built in."""
    preparer = Preparer(PluginHost.discover())
    top = ["soft-wpmi", "wpmi", "embedding", "contrastive", "normalised-wpmi", "adaptive-cosine", "rank-reorder"]
    whole = ["cosine", "cosine-cubed", "pearson", "spearman", "auroc", "auprc", "f1", "iou"]
    names = [*top, *whole, "sparse", "logical", "partial-correlation"]
    return {name: type(preparer.scorer(Choice(plugin=name))[0]) for name in names}


class _Quiet:
    """What takes the place of `Scorer.explain`: forms and sums have p of their own."""

    def __call__(self, *_: object) -> tuple[()]:
        return ()


def labelled(
    scorer: type[Scorer], drawn: Drawn, options: Mapping[str, object] | None = None, **settings: object
) -> Scored:
    """Return the labels and significance of drawn neurons."""
    given = dict(options or {})
    if drawn.top_k is not None and "top_k" in scorer.Options.model_fields:
        given["top_k"] = drawn.top_k
    images = len(drawn.images)
    cosines = Cosines(drawn.images, drawn.texts, [""] * images, [""] * len(CONCEPTS))
    table = pd.DataFrame(
        {name: [""] * images for name in FACTS} | dict(drawn.facts) | {"patient": list(drawn.patients)}
    )
    probe = Probe(CONCEPTS, cosines.unit_images, functional.normalize(drawn.texts, dim=1), lambda: table, None)
    made = scorer(scorer.Options.model_validate(given)).for_probe(probe)
    made.explain = _Quiet()  # type: ignore[method-assign]  # takes longer than all the rest
    calibration = Calibration.model_validate({"most_draws": 4000, **settings})
    labeller = Labeller(made, cosines, CONCEPTS, calibration, list(drawn.patients), 1)
    (found,) = labeller.scored({"layer": lambda: drawn.activations})
    assert found.judged is not None
    return found


@dataclass(frozen=True)
class Noise:
    """What noise gave in one seed: whether anything was found, and the p of each neuron as a whole."""

    found: bool
    p: Values


def on_noise(seed: int, name: str, cell: str, units: int = 48) -> Noise:
    """Return what one scorer says of noise; the same for every scorer of a cell and seed."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, *cell.encode()])
    judged = labelled(scorers()[name], CELLS[cell](rng, units), null_seed=seed).judged
    assert judged is not None
    return Noise(judged.significant > 0, judged.p_any)


def planted(seed: int, share: float, snr: float, units: int = 512, images: int = 1000, **options: object) -> Values:
    """Return FDR, recall, right names, names of the cluster, and multiple categories among plants of one concept.

    The cluster of a concept is what correlates with it by more than .5.
    """
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, round(1000 * share), round(100 * snr)])
    drawn, own = with_plants(rng, units, images, share, snr)
    found = labelled(scorers()["soft-wpmi"], drawn, options, null_seed=seed)
    assert found.judged is not None
    significant, count = found.judged.q[:, 0] <= 0.05, len(own)
    named = found.order[:count, 0].numpy()
    cosine = functional.normalize(drawn.images, dim=1) @ functional.normalize(drawn.texts, dim=1).T
    alike = np.corrcoef(cosine.T.numpy())[named, own[:, 0]] > 0.5
    hits = significant[:count]
    verdict = np.array(found.judged.verdict)[:count][hits]
    return np.array(
        [
            significant[count:].sum() / max(1, significant.sum()),
            hits.mean(),
            (named == own[:, 0])[hits].mean() if hits.any() else np.nan,
            alike[hits].mean() if hits.any() else np.nan,
            (verdict == "multiple categories").mean() if hits.any() else np.nan,
        ]
    )


def with_plants(
    rng: np.random.Generator, units: int, images: int, share: float, snr: float, concepts: int = 1
) -> tuple[Drawn, NDArray[np.int64]]:
    """Draw a layer whose first units follow concepts, and which: ``(planted, concepts)``."""
    seen = embedded(rng.standard_normal((images, RANK)), rng)
    cosine = functional.normalize(seen[0], dim=1) @ functional.normalize(seen[1], dim=1).T
    standard = ((cosine - cosine.mean(dim=0)) / cosine.std(dim=0)).double().numpy()
    noise, count = rng.standard_normal((images, units)), max(1, round(share * units))
    own = np.stack([rng.choice(len(CONCEPTS), concepts, replace=False) for _ in range(count)])
    signal = standard[:, own].sum(axis=2)
    noise[:, :count] += snr * signal / signal.std(axis=0)
    return Drawn(*seen, torch.from_numpy(noise).float(), [""] * images, facts_of(rng, images)), own


def pairs(seed: int, snr: float, name: str = "soft-wpmi") -> float:
    """Return the share of multiple categories among units that follow two concepts alike."""
    torch.set_num_threads(1)
    drawn, own = with_plants(np.random.default_rng([seed, 7]), 256, 1000, 0.2, snr, concepts=2)
    found = labelled(scorers()[name], drawn, null_seed=seed)
    assert found.judged is not None
    return float((np.array(found.judged.verdict)[: len(own)] == "multiple categories").mean())


def perfect(seed: int, name: str, units: int = 2048) -> float:
    """Return q of the one unit of a wide layer that is its concept."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, 11])
    drawn, _ = with_plants(rng, units, 1000, 1 / units, 100.0)
    found = labelled(scorers()[name], drawn, null_seed=seed)
    assert found.judged is not None
    return float(found.judged.q[0, 0])


def noise_table(seeds: int, names: Sequence[str], each: Callable[..., Iterator[Noise]]) -> bool:
    print(f"\n## Noise\n\n{seeds} seeds, 48 neurons, 200 concepts of rank {RANK}.\n")
    print("| scorer | cell | seeds with any false label | p < .05 |\n|---|---|---|---|", flush=True)
    held, every = True, []
    spare = 0.0 if seeds >= 100 else 0.1 / np.sqrt(seeds)
    for name in names:
        for cell in CELLS:
            found = list(each(partial(on_noise, name=name, cell=cell), range(seeds)))
            p, false = np.concatenate([one.p for one in found]), sum(one.found for one in found)
            rate = float((p < 0.05).mean())
            low = 0.0 if name in DISCRETE else UNIFORM[0] - spare
            ok = binom.sf(false - 1, seeds, 0.05) > 0.0005 and low <= rate <= UNIFORM[1] + spare
            held, every = held and bool(ok), [*every, *(one.found for one in found)]
            print(f"| {name} | {cell} | {false} | {rate:.3f}{'' if ok else ' (missed)'} |", flush=True)
    pooled = float(np.mean(every))
    print(f"\nAny false label, pooled: {pooled:.3f}.", flush=True)
    return held and (seeds < 100 or pooled <= POOLED)


def plants_table(
    seeds: int,
    shares: Sequence[float],
    ratios: Sequence[float],
    priors: Sequence[str],
    each: Callable[..., Iterator[Values]],
) -> bool:
    print(f"\n## Plants\n\n{seeds} seeds, 1,000 images, 512 neurons, soft-wpmi; SNR: sd of signal over sd of noise.\n")
    columns = ["planted", "SNR", "prior", "FDR", "recall", "right name", "of its cluster", "multiple categories"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    held = True
    for share, snr, prior in product(shares, ratios, priors):
        mean = np.nanmean(list(each(partial(planted, share=share, snr=snr, prior=prior), range(seeds))), axis=0)
        print(f"| {share:.0%} | {snr} | {prior} | {' | '.join(f'{one:.3f}' for one in mean)} |", flush=True)
        false, recall, right, alike, several = mean.tolist()
        held = held and false <= 0.06 + 0.1 / np.sqrt(seeds)
        if prior == "null" and snr >= 0.5:
            held = held and several <= 0.05 and (share < 0.1 or (min(recall, right) >= 0.95 and alike >= 0.98))
    return bool(held)


def others(seeds: int, each: Callable[..., Iterator[float]]) -> bool:
    held = True
    for name, snr in (("soft-wpmi", 1.0), ("pearson", 1.0), ("soft-wpmi", 1.4)):
        several = float(np.mean(list(each(partial(pairs, snr=snr, name=name), range(seeds)))))
        print(f"\nUnits of two concepts, SNR {snr}, {name}: {several:.2f} have multiple categories.", flush=True)
        held = held and several >= 0.8
    for name in ("soft-wpmi", "pearson"):
        q = list(each(partial(perfect, name=name), range(seeds)))
        print(f"\nOne perfect unit among 2,048, {name}: largest q {max(q):.1e}.", flush=True)
        held = held and max(q) <= 0.05
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--scorers", nargs="+", default=list(scorers()), choices=list(scorers()))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--slice", action="store_true")
    chosen = parser.parse_args()
    start, small = time.perf_counter(), chosen.slice
    seeds, few_seeds = (10, 2) if small else (chosen.seeds, max(3, chosen.seeds // 20))
    names = ["soft-wpmi", "embedding", "pearson", "iou"] if small else chosen.scorers
    with ProcessPoolExecutor(chosen.processes, get_context("spawn")) as pool:
        each = partial(pool.map, chunksize=max(1, seeds // 20)) if chosen.processes > 1 else map
        held = noise_table(seeds, names, each)
        wide = (0.1,), (0.5,), ("null",)
        held &= plants_table(
            few_seeds, *(wide if small else ((0.01, 0.1, 0.5), (0.25, 0.5, 1.0), ("null", "layer"))), each
        )
        held &= others(few_seeds, each)
    print(f"\n{'All bounds hold' if held else 'A bound is missed'}; {time.perf_counter() - start:.0f} s.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
