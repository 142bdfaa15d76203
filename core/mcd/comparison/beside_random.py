"""Units beside random units of the same kind: what the difference is, and whether it may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.comparison.loaded import LoadedRun, load_runs
from mcd.comparison.outcomes import NOTHING, Codes
from mcd.comparison.resampling import Replicated
from mcd.networks.controls import RANDOM_UNITS
from mcd.networks.process import process_state_kept
from mcd.runs.dissection import Dissection
from mcd.runs.limits import has_probe_map
from mcd.runs.loading import load
from mcd.runs.plan import control_folder
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.resamples import interval

__all__ = ["COLUMNS", "BesideRandom", "beside_random"]

COLUMNS = (
    "layer",
    "of",
    "units",
    "significant",
    "random_significant",
    "difference",
    "difference_low",
    "difference_high",
    "concepts",
    "neuron_concepts",
    "random_concepts",
    "gain",
    "gain_low",
    "gain_high",
)
"""Columns of the table of layers that are seen through units. ``of`` is the layer itself, where the run keeps its
neurons too; ``units`` how many there are. ``significant`` and ``random_significant``: how many of them, and of as many
random units, have a significant first concept; ``difference`` of these shares, with its interval over patients and
draws of random units (NaN where there is none). ``concepts``, ``neuron_concepts`` and ``random_concepts``: how many
distinct concepts are the significant first concept of some unit, some neuron of the layer (-1 where the run does not
keep them), some random unit; ``gain`` is the superposition gain, with its interval."""

AFFORDABLE = 100_000_000
"""Units, and neurons, times images times resamples that are computed for a report: about ten seconds."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class BesideRandom:
    """Units beside random units, and what it rests on.

    Parameters
    ----------
    table
        A row for each layer that is seen through units; see `COLUMNS`.
    images, patients
        Of how many images it is, and of how many patients where these are known.
    seed
        That the random units were drawn from.
    resamples
        Over how many resamples of the patients the intervals are; 0 where there are none.
    reason
        Why there are none.
    null
        What significance was held against, in words: ``q ≤ 0.05, patients permuted``.
    """

    table: pd.DataFrame
    images: int
    patients: int | None
    seed: int
    resamples: int = 0
    reason: str = ""
    null: str = ""


@process_state_kept()  # the nulls that it draws are kept for other runs
def beside_random(run: Dissection, resamples: int = 200) -> BesideRandom | None:
    r"""Return what units of a run have more than random units of the same kind, number and sparsity.

    The superposition gain of units :math:`L` of a layer with neurons :math:`N` is

    .. math:: (C_L - C_N) - (C_R - C_N) = C_L - C_R

    where :math:`C` counts the distinct concepts that are above chance, each the significant first concept of at least
    one unit, and :math:`R` are the random units. More units have more concepts by chance alone, and random features of
    a layer gain over its neurons too: what random units gain is subtracted. Source: ours.

    Parameters
    ----------
    run
        Made with units and controls.
    resamples
        Over how many resamples of the patients intervals are computed; 0 for none. Units and random units are resampled
        with the same patients. Above `AFFORDABLE` none are computed.

    Intervals are of the difference from what random units have on average. They add two variances. That over patients
    is of the resamples. The units are as they are, but the random ones are one draw of many: their share varies by
    :math:`p (1 - p) / U` with :math:`p = (k + 1) / (U + 2)` for :math:`k` of :math:`U`, and their number of concepts by
    what as many other units would add, at most the concepts that one unit alone has, and at least one (Good & Toulmin
    1956, Biometrika 43).

    Returns
    -------
    BesideRandom
        None where the run has no units, or no random units beside them.

    Raises
    ------
    mcd.errors.MCDError
        When there are resamples and the control is not as the run left it, or cannot be scored again.
    """
    controls = run.results.controls
    seen = [one.name for one in run.manifest.layers if one.through is not None or one.units]
    if not len(controls) or not seen or RANDOM_UNITS not in set(controls["control"]):
        return None
    rows = _counts(controls)
    own = [one.name for one in run.manifest.layers if one.name not in seen]
    layers = [layer for layer in seen if (RANDOM_UNITS, layer) in rows]
    found = [_row(rows, layer, own) for layer in layers]
    people = {one for one in run.patients if one} if has_probe_map(run) else set()
    seed, images = run.manifest.null_seed, run.manifest.images
    null = ", ".join([f"q ≤ {run.manifest.q:g}", *_permuted(run)])
    made = BesideRandom(pd.DataFrame(found, columns=list(COLUMNS)), images, len(people) or None, seed, null=null)
    if not resamples or run.manifest.control:
        return made
    units = sum(one.neurons for one in run.manifest.layers)
    if 2 * units * images * resamples > AFFORDABLE:
        return _without(made, f"{units:,} units and neurons are too many to be resampled on {images:,} images")
    folder = control_folder(run.folder, RANDOM_UNITS)
    if not folder.is_dir():
        return _without(made, "the folder of the random units was not kept")
    stored = [StoredScores(run), StoredScores(load(folder, run.host, trust=run.trust, scorer=run.given.scorer))]
    loaded, notes = load_runs(stored, ["units", "random units"], resamples, seed)
    again = [_replicated(one) for one in loaded]
    if not all(layer in each for layer in seen for each in again):
        return _without(made, next((one.removeprefix("no intervals: ") for one in notes), "they cannot be resampled"))
    drawn = {name: one.concept[0] for name, one in loaded[1].outcomes.items()}
    wide = [
        _with_intervals(row, again[0][layer], again[1][layer], drawn[layer])
        for row, layer in zip(found, layers, strict=True)
    ]
    return replace(made, table=pd.DataFrame(wide, columns=list(COLUMNS)), resamples=resamples)


def _without(made: BesideRandom, reason: str) -> BesideRandom:
    return replace(made, reason=reason)


def _permuted(run: Dissection) -> list[str]:
    """Return what the nulls permute, in words."""
    units = dict.fromkeys(one.permutation_unit for one in run.manifest.summary if one.permutation_unit)
    return [f"{one}s permuted" for one in units]


_Counts = Mapping[tuple[str, str], Mapping[str, int]]
"""What is counted of a control and a layer."""


def _counts(controls: pd.DataFrame) -> _Counts:
    places = zip(controls["control"].astype(str), controls["layer"].astype(str), strict=True)
    columns = {name: controls[name].astype(int).tolist() for name in ("neurons", "significant", "concepts")}
    return {place: {name: each[at] for name, each in columns.items()} for at, place in enumerate(places)}


def _row(rows: _Counts, layer: str, own: list[str]) -> dict[str, object]:
    of = max((one for one in own if layer.startswith(f"{one}/")), key=len, default="")
    mine, random = rows["none", layer], rows[RANDOM_UNITS, layer]
    units = mine["neurons"]
    return {
        "layer": layer,
        "of": of,
        "units": units,
        "significant": mine["significant"],
        "random_significant": random["significant"],
        "difference": (mine["significant"] - random["significant"]) / max(1, units),
        "difference_low": np.nan,
        "difference_high": np.nan,
        "concepts": mine["concepts"],
        "neuron_concepts": rows["none", of]["concepts"] if of else -1,
        "random_concepts": random["concepts"],
        "gain": mine["concepts"] - random["concepts"],
        "gain_low": np.nan,
        "gain_high": np.nan,
    }


def _replicated(run: LoadedRun) -> Mapping[str, Replicated]:
    return {layer: one.replicated for layer, one in run.examined.items() if one.replicated is not None}


def _with_intervals(row: dict[str, object], own: Replicated, random: Replicated, drawn: Codes) -> dict[str, object]:
    """Return a row with intervals; ``drawn`` has the concept of each random unit, ``(units,)``."""

    def share(one: Replicated) -> Values:
        found: Values = (one.concept != NOTHING).mean(axis=1)
        return found

    def distinct(one: Replicated) -> Values:
        return np.array([len(set(codes[codes != NOTHING].tolist())) for codes in one.concept], dtype=np.float64)

    likely = ((drawn != NOTHING).sum() + 1) / (len(drawn) + 2)
    alone = (np.unique(drawn[drawn != NOTHING], return_counts=True)[1] == 1).sum()
    found = dict(row)
    for name, of, within, variance in (
        ("difference", share, (-1.0, 1.0), likely * (1 - likely) / len(drawn)),
        ("gain", distinct, (-np.inf, np.inf), max(1, alone)),
    ):
        estimate = np.array(row[name], dtype=np.float64)
        around = interval(estimate, of(own) - of(random), own.factor, within, besides=variance)
        found |= {f"{name}_low": float(around.low), f"{name}_high": float(around.high)}
    return found
