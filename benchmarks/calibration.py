"""Calibration of p-values.

Noise in which nothing may be found, and planted signals that must be. The acceptance holds every bound, and what was
found. With `--slice`, what continuous integration runs in a minute or two: few seeds, four scorers. The tables are in
[calibration.md](calibration.md).
"""

from __future__ import annotations

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
from scipy.stats import binom

from benchmarks.drawn import CELLS, CONCEPTS, RANK, Confounded, Drawn, Values, confounded, networks, with_plants
from benchmarks.report import Line as Bounds
from benchmarks.report import Report, Table
from mcd.api.probe import FACTS, Probe
from mcd.api.scorer import Scorer
from mcd.host import PluginHost
from mcd.scoring.calibration.nuisances import Nuisances, nuisances_of
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.rungs import IMAGE, NUISANCE, UNTRAINED
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Cosines
from mcd.study.calibration import Calibration
from mcd.study.preparer import Preparer
from mcd.study.study import Choice

DOCUMENT = "calibration.md"

DISCRETE = ("f1", "iou", "logical", "rank-reorder")
"""Scorers that take few values where few images count: only the upper bound of P(p < .05) is asked of them."""

POOLED = 0.06
"""Largest share of seeds with any false label, all together; of one cell 22 of 200 (exact binomial)."""

UNIFORM = (0.035, 0.06)
"""Bounds of the share of p below 0.05."""


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
    scorer: type[Scorer],
    drawn: Drawn,
    options: Mapping[str, object] | None = None,
    rungs: RungData | None = None,
    **settings: object,
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
    made.explain = _Quiet()  # type: ignore[method-assign, assignment]  # takes longer than all the rest
    calibration = Calibration.model_validate({"most_draws": 4000, **settings})
    labeller = Labeller(made, cosines, CONCEPTS, calibration, list(drawn.patients), 1, rungs=rungs)
    (found,) = labeller.scored({"layer": lambda: drawn.activations})
    assert found.judged is not None
    return found


@dataclass(frozen=True)
class Noise:
    """What noise gave in one seed: whether anything was found, and the p of each neuron as a whole."""

    found: bool
    p: Values


def on_noise(seed: int, name: str, cell: str, units: int = 48) -> Noise:
    """Return the results of one scorer on noise; every scorer of a cell and seed gets the same noise."""
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


def beyond_nuisances(seed: int, name: str, unit: str) -> Mapping[str, float]:
    """Return the share of units that reach the second rung, by what they follow."""
    torch.set_num_threads(1)
    made = confounded(np.random.default_rng([seed, 13]))
    facts: dict[str, Sequence[str]] = {fact: list(values) for fact, values in made.drawn.facts.items()}
    held = nuisances_of(facts, made.statistics, ("mean", "spread"))
    assert isinstance(held, Nuisances), held
    data = RungData(lambda: held)
    found = labelled(scorers()[name], made.drawn, rungs=data, null_seed=seed, exchangeable=unit, right=False)
    assert found.rungs is not None
    return passing(made, found.rungs.q[NUISANCE]) | {
        f"{one}, rung 1": share for one, share in passing(made, found.rungs.q[IMAGE]).items()
    }


def passing(made: Confounded, q: Values) -> dict[str, float]:
    follows = np.array(made.follows)
    return {one: float((q[follows == one] <= 0.05).mean()) for one in dict.fromkeys(made.follows)}


def beyond_untrained(seed: int, name: str, count: int = 10) -> Values:
    """Return how many random units, and planted ones, reach the first rung and the third: shares."""
    torch.set_num_threads(1)
    trained = 16
    drawn, untrained = networks(np.random.default_rng([seed, 17]), count, trained=trained)
    data = RungData(untrained=lambda _: untrained)
    rungs = labelled(scorers()[name], drawn, rungs=data, null_seed=seed, nuisances=False, right=False).rungs
    assert rungs is not None
    shares = [
        (rungs.q[rung][rows] <= 0.05).mean()
        for rows in (slice(trained, None), slice(trained))
        for rung in (IMAGE, UNTRAINED)
    ]
    return np.array(shares)


@dataclass(frozen=True)
class Line:
    """One line of the acceptance."""

    what: str
    asked: str
    found: str
    held: bool


def at_most(what: str, bound: float, found: float) -> Line:
    return Line(what, f"≤ {bound:.3g}", f"{found:.3g}", found <= bound)


def at_least(what: str, bound: float, found: float) -> Line:
    return Line(what, f"≥ {bound:.3g}", f"{found:.3g}", found >= bound)


Part = tuple[list[Table], list[Line]]
"""The tables of a part, and its lines of the acceptance."""


def noise_table(seeds: int, names: Sequence[str], each: Callable[..., Iterator[Noise]]) -> Part:
    rows = []
    most, rates, every = dict.fromkeys(CELLS, 0), dict[tuple[str, str], float](), list[bool]()
    for name, cell in product(names, CELLS):
        found = list(each(partial(on_noise, name=name, cell=cell), range(seeds)))
        p, false = np.concatenate([one.p for one in found]), sum(one.found for one in found)
        rates[name, cell] = float((p < 0.05).mean())
        most[cell], every = max(most[cell], false), [*every, *(one.found for one in found)]
        rows.append((name, cell, false, rates[name, cell]))
    allowed = int(binom.isf(0.0003, seeds, 0.05))
    spare = 0.0 if seeds >= 100 else 0.1 / np.sqrt(seeds)
    lowest = min([rate for (name, _), rate in rates.items() if name not in DISCRETE], default=np.nan)
    lines = [
        Line(
            f"noise, {cell}: seeds with a false label, worst scorer",
            f"≤ {allowed} of {seeds}",
            str(false),
            false <= allowed,
        )
        for cell, false in most.items()
    ]
    columns = ("scorer", "cell", "seeds with any false label", "p < .05")
    title = f"Noise: {seeds} seeds, 48 neurons, {len(CONCEPTS)} concepts of rank {RANK}"
    return [Table(title, columns, rows)], [
        *lines,
        at_most("noise: seeds with a false label, all together", POOLED + spare, float(np.mean(every))),
        at_most("noise: share of p_any < 0.05, worst cell", UNIFORM[1] + spare, max(rates.values())),
        at_least("noise: the same, lowest of scorers with many values", UNIFORM[0] - spare, lowest),
    ]


def plants_table(
    seeds: int,
    shares: Sequence[float],
    ratios: Sequence[float],
    priors: Sequence[str],
    each: Callable[..., Iterator[Values]],
) -> Part:
    columns = ["planted", "SNR", "prior", "FDR", "recall", "right name", "of its cluster", "multiple categories"]
    rows, lines, usual = [], [], scorers()["soft-wpmi"].Options.model_fields["prior"].default
    spare = 0.1 / np.sqrt(seeds)
    for share, snr, prior in product(shares, ratios, priors):
        mean = np.nanmean(list(each(partial(planted, share=share, snr=snr, prior=prior), range(seeds))), axis=0)
        rows.append((f"{share:.0%}", snr, prior, *mean.tolist()))
        false, recall, right, alike, several = mean.tolist()
        of = f"{share:.0%} planted, SNR {snr:g}"
        if prior == usual:
            lines.append(at_most(f"{of}: FDR", round(0.06 + spare * (seeds < 10), 3), false))
        if prior == usual and snr >= 0.5:
            lines.append(at_most(f"{of}: multiple categories", 0.05, several))
        if prior == usual and snr == 0.5 and share == 0.1:
            lines.append(at_least(f"{of}: recall", 0.95, recall))
            lines.append(at_least(f"{of}: right name", 0.95, right))
            lines.append(at_least(f"{of}: name of its cluster", 0.98, alike))
    title = f"Plants: {seeds} seeds, 1,000 images, 512 neurons, soft-wpmi; SNR: sd of signal over sd of noise"
    return [Table(title, columns, rows)], lines


def others(seeds: int, each: Callable[..., Iterator[float]]) -> Part:
    lines = []
    for name, snr in (("soft-wpmi", 1.0), ("pearson", 1.0), ("soft-wpmi", 1.4)):
        several = float(np.mean(list(each(partial(pairs, snr=snr, name=name), range(seeds)))))
        lines.append(at_least(f"two concepts, SNR {snr:g}, {name}: multiple categories", 0.8, several))
    for name in ("soft-wpmi", "pearson"):
        q = list(each(partial(perfect, name=name), range(seeds)))
        lines.append(at_most(f"one perfect unit among 2,048, {name}: largest q", 0.05, max(q)))
    return [], lines


def rungs_table(seeds: int, each: Callable[..., Iterator[Mapping[str, float]]]) -> Part:
    rows, untrained, lines = [], [], []
    for name, unit in (("pearson", "patient"), ("pearson", "image"), ("soft-wpmi", "patient"), ("soft-wpmi", "image")):
        mean = pd.DataFrame(list(each(partial(beyond_nuisances, name=name, unit=unit), range(seeds)))).mean()
        for one in [one for one in mean.index if "rung" not in one]:
            rows.append((name, unit, one, float(mean[f"{one}, rung 1"]), float(mean[one])))
            if one != "concept":
                lines.append(at_most(f"rung 2, {name} by {unit}: followers of {one}", 0.05, float(mean[one])))
    for name in ("pearson", "soft-wpmi"):
        found: list[object] = list(each(partial(beyond_untrained, name=name), range(seeds)))
        random, third, planted, kept = np.array(found, dtype=np.float64).mean(axis=0)
        untrained.append((name, float(random), float(third), float(planted), float(kept)))
        lines.append(at_most(f"rung 3, {name}: units of a random network", 0.05, float(third)))
    title = f"Rungs: {seeds} seeds; share of units that reach a rung, by what they follow"
    columns = ("scorer", "random units: rung 1", "rung 3", "planted: rung 1", "rung 3")
    return [
        Table(title, ("scorer", "permuted", "follows", "rung 1", "rung 2"), rows),
        Table(f"Beyond untrained: {seeds} seeds", columns, untrained),
    ], lines


PARTS = ("noise", "plants", "others", "rungs")


@dataclass(frozen=True)
class Settings:
    """Seeds, scorers, processes, parts; ``slice`` is what continuous integration runs."""

    seeds: int = 200
    scorers: tuple[str, ...] = ()
    processes: int = 1
    only: tuple[str, ...] = PARTS
    slice: bool = False


TOY = Settings(seeds=1, scorers=("pearson",), only=("noise",))
WIDE = ((0.01, 0.1, 0.5), (0.25, 0.5, 1.0), ("null", "layer"))


def measure(settings: Settings) -> Report:
    """Return the tables of all parts, and the acceptance."""
    small = settings.slice
    seeds, few = (10, 2) if small else (settings.seeds, max(3, settings.seeds // 20))
    names = ["soft-wpmi", "embedding", "pearson", "iou"] if small else list(settings.scorers or scorers())
    shares, ratios, priors = ((0.1,), (0.5,), ("null",)) if small else WIDE
    with ProcessPoolExecutor(settings.processes, get_context("spawn")) as pool:
        each = partial(pool.map, chunksize=max(1, seeds // 20)) if settings.processes > 1 else map
        parts: Mapping[str, Callable[[], Part]] = {
            "noise": lambda: noise_table(seeds, names, each),
            "plants": lambda: plants_table(few, shares, ratios, priors, each),
            "others": lambda: others(few, each),
            "rungs": lambda: rungs_table(few, each),
        }
        found = [parts[part]() for part in PARTS if part in settings.only]
    lines = [line for _, several in found for line in several]
    rows = [(one.what, one.asked, one.found, "holds" if one.held else "missed") for one in lines]
    missed = sum(not one.held for one in lines)
    tables = [table for several, _ in found for table in several]
    acceptance = Table("Acceptance", ("what", "asked", "found", ""), rows)
    summary = Bounds("bounds of calibration that are missed", missed, f"of {len(lines)}", "", "", "0", missed == 0)
    return Report([*tables, acceptance], [summary])
