"""General versus trained: what the layers of several runs are made of, with intervals and differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.comparison.outcomes import NOTHING, Codes, Outcome, Vocabulary, level_of
from mcd.comparison.resampling import Replicated
from mcd.scoring.calibration.resamples import interval
from mcd.scoring.calibration.thresholds import MeanScoreThreshold, global_threshold, local_threshold, reaches

__all__ = [
    "ALL",
    "LEVELS",
    "AlignedLayer",
    "category_table",
    "difference_table",
    "emergence",
    "joined",
    "layer_table",
    "threshold_table",
]

Values = NDArray[np.float64]

ALL = "(all)"
"""Name of all compared layers together in tables."""
LEVELS = ("broad_category", "category", "concept")


@dataclass(frozen=True)
class AlignedLayer:
    """A layer of one run, aligned with a layer of the reference run.

    Parameters
    ----------
    run
        The name of the run in the comparison.
    place
        The layer of the reference run that it is compared with: the key that joins rows of several runs.
    depth
        0 for the first dissected layer of its run, 1 for the last; NaN for all layers together.
    outcome
        Its first labels.
    replicated
        The same under resamples; None where there are none.
    """

    run: str
    place: str
    depth: float
    outcome: Outcome
    replicated: Replicated | None = None


def joined(aligned: Sequence[AlignedLayer]) -> AlignedLayer:
    """Return the layers of one run as if they were one layer."""
    outcomes = [one.outcome for one in aligned]
    whole = Outcome(
        ALL,
        *(np.concatenate([getattr(one, name) for one in outcomes]) for name in ("first", "significant", "z", "score")),
    )
    parts = [one.replicated for one in aligned if one.replicated is not None]
    both = None
    if len(parts) == len(aligned):
        both = Replicated(
            np.concatenate([one.concept for one in parts], axis=1),
            np.concatenate([one.z for one in parts], axis=1),
            parts[0].factor,
        )
    return AlignedLayer(aligned[0].run, ALL, float("nan"), whole, both)


def _mean_z(z: Values) -> Values:
    """Return the mean over neurons of z ``(resamples, neurons)``; NaN where none has a label."""
    known = (~np.isnan(z)).sum(axis=1)
    return np.where(known, np.nansum(z, axis=1) / np.maximum(known, 1), np.nan)


def _shares(codes: Codes, vocabulary: Vocabulary) -> Values:
    """Return the share of neurons that are significant, mammographic, and not mammographic, ``(resamples, 3)``."""
    counts = vocabulary.counts(codes)
    breast = counts[:, vocabulary.mammographic].sum(axis=1)
    total = counts.sum(axis=1)
    found: Values = np.stack([total, breast, total - breast], axis=1) / max(1, codes.shape[1])
    return found


_Again = tuple[Values, float]
"""Values under resamples, and the factor of their deviations."""


_ANY, _SHARE, _DIFFERENCE = (-np.inf, np.inf), (0.0, 1.0), (-1.0, 1.0)
"""What an estimate can be: any number, a share, a difference of shares."""


def _bounds(name: str, estimate: float, again: _Again | None, within: tuple[float, float]) -> dict[str, float]:
    found = {name: estimate, f"{name}_low": np.nan, f"{name}_high": np.nan}
    if again is not None:
        around = interval(np.array(estimate), *again, within)
        found |= {f"{name}_low": float(around.low), f"{name}_high": float(around.high)}
    return found


_PARTS = ("share", "mammographic_share", "other_share")


def layer_table(aligned: Sequence[AlignedLayer], vocabulary: Vocabulary, *, scores_comparable: bool) -> pd.DataFrame:
    """Return a row for each layer of each run.

    Columns: ``run``, ``layer``, ``place`` (see `AlignedLayer`), ``depth``, ``neurons``, ``labelled``; ``mean_z`` of
    first labels; ``mean_score`` (NaN where the scorer's scores are not comparable across layers and models);
    ``significant``, ``mammographic`` and ``other``: neurons whose first label is significant, in all, mammographic or
    not, each with its ``share`` of all neurons; ``concepts``: how many different ones;
    ``vocabulary_mammographic``: the share of mammographic concepts in the vocabulary. Estimates have ``_low`` and
    ``_high``, NaN where there are no resamples.
    """
    rows = []
    for one in aligned:
        outcome, again = one.outcome, one.replicated
        share = _shares(outcome.concept, vocabulary)[0]
        resampled = None if again is None else _shares(again.concept, vocabulary)
        counts = vocabulary.counts(outcome.concept)[0]
        breast = int(counts[vocabulary.mammographic].sum())
        row: dict[str, object] = {
            "run": one.run,
            "layer": outcome.layer,
            "place": one.place,
            "depth": one.depth,
            "neurons": outcome.neurons,
            "labelled": outcome.labelled,
        }
        z = _mean_z(outcome.z[None])[0]
        row |= _bounds("mean_z", float(z), None if again is None else (_mean_z(again.z), again.factor), _ANY)
        row["mean_score"] = local_threshold(outcome.score) if scores_comparable else np.nan
        row |= {"significant": int(counts.sum()), "mammographic": breast, "other": int(counts.sum()) - breast}
        for at, name in enumerate(_PARTS):
            others = None if resampled is None or again is None else (resampled[:, at], again.factor)
            row |= _bounds(name, float(share[at]), others, _SHARE)
        row |= {"concepts": int((counts > 0).sum()), "vocabulary_mammographic": float(vocabulary.mammographic.mean())}
        rows.append(row)
    return pd.DataFrame(rows)


def category_table(aligned: Sequence[AlignedLayer], vocabulary: Vocabulary) -> pd.DataFrame:
    """Return a row for each layer of each run and each name of each level of the vocabulary.

    Columns: ``run``, ``layer``, ``place``, ``depth``, ``level`` (broad_category, category, concept), ``name``,
    ``neurons`` whose first label is significant and of it, ``share`` of all neurons with its interval,
    ``share_of_above``, ``concepts`` of the vocabulary in it, ``share_of_vocabulary``.
    """
    rows: list[dict[str, object]] = []
    for one in aligned:
        outcome, again = one.outcome, one.replicated
        counts = vocabulary.counts(outcome.concept)
        resampled = None if again is None else vocabulary.counts(again.concept)
        total = max(1, int(counts.sum()))
        for level in LEVELS:
            mine = vocabulary.summed(counts, level)[0]
            others = None if resampled is None else vocabulary.summed(resampled, level) / max(1, outcome.neurons)
            for at, (name, size) in enumerate(level_of(vocabulary, level)):
                row: dict[str, object] = {
                    "run": one.run,
                    "layer": outcome.layer,
                    "place": one.place,
                    "depth": one.depth,
                    "level": level,
                    "name": name,
                    "neurons": int(mine[at]),
                }
                share = float(mine[at]) / max(1, outcome.neurons)
                around = None if others is None or again is None else (others[:, at], again.factor)
                row |= _bounds("share", share, around, _SHARE)
                row |= {
                    "share_of_above": float(mine[at]) / total,
                    "concepts": size,
                    "share_of_vocabulary": size / len(vocabulary.concepts),
                }
                rows.append(row)
    return pd.DataFrame(rows)


def emergence(layers: pd.DataFrame, categories: pd.DataFrame, level: str = "broad_category") -> pd.DataFrame:
    """Return how concepts come up over depth: a row for each layer of each run.

    Columns: ``run``, ``layer``, ``depth``, ``neurons``, ``concepts`` (different significant ones), and for each name
    of the level the share of all neurons whose first label is of it.

    Parameters
    ----------
    layers, categories
        As `layer_table` and `category_table` return them.
    """
    each = categories[(categories["level"] == level) & (categories["layer"] != ALL)]
    wide = each.pivot(index=["run", "layer"], columns="name", values="share")[list(dict.fromkeys(each["name"]))]
    described = layers.loc[layers["layer"] != ALL, ["run", "layer", "depth", "neurons", "concepts"]]
    return described.merge(wide.reset_index(), on=["run", "layer"], how="left")


def difference_table(
    reference: Sequence[AlignedLayer], other: Sequence[AlignedLayer], vocabulary: Vocabulary
) -> pd.DataFrame:
    """Return what another run has more, or less, of than the reference, layer by layer.

    Both were resampled alike, so what the two have in common by the choice of patients drops out. Columns: ``run``,
    ``place``, ``layer`` of the other, ``level`` (layer, broad_category, category; for all layers together concept too),
    ``name``, ``reference``, ``other``, ``difference`` with its interval, ``reference_neurons``, ``other_neurons``: how
    many neurons the shares are of.
    """
    rows: list[dict[str, object]] = []
    for mine, theirs in zip(reference, other, strict=True):
        levels = LEVELS if mine.outcome.layer == ALL else LEVELS[:2]
        estimates = [_measures(one.outcome.concept, one.outcome.z[None], vocabulary, levels) for one in (mine, theirs)]
        resampled, factor = None, 1.0
        if mine.replicated is not None and theirs.replicated is not None:
            again = [_measures(one.concept, one.z, vocabulary, levels) for one in (mine.replicated, theirs.replicated)]
            resampled = again[1] - again[0]
            factor = theirs.replicated.factor
        for at, (level, name) in enumerate(_measured(vocabulary, levels)):
            before, after = float(estimates[0][0, at]), float(estimates[1][0, at])
            row: dict[str, object] = {
                "run": theirs.run,
                "place": theirs.place,
                "layer": theirs.outcome.layer,
                "level": level,
                "name": name,
                "reference": before,
                "other": after,
            }
            more = None if resampled is None else (resampled[:, at], factor)
            row |= _bounds("difference", after - before, more, _ANY if name == "mean z" else _DIFFERENCE)
            row |= {"reference_neurons": mine.outcome.neurons, "other_neurons": theirs.outcome.neurons}
            rows.append(row)
    return pd.DataFrame(rows)


def _measured(vocabulary: Vocabulary, levels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield level and name of every column of `_measures`."""
    yield from (("layer", name) for name in ("mean z", "significant", "mammographic", "not mammographic"))
    for level in levels:
        yield from ((level, name) for name in vocabulary.names(level))


def _measures(codes: Codes, z: Values, vocabulary: Vocabulary, levels: Sequence[str]) -> Values:
    counts = vocabulary.counts(codes)
    neurons = max(1, codes.shape[1])
    parts = [_mean_z(z)[:, None], _shares(codes, vocabulary)]
    parts += [vocabulary.summed(counts, level) / neurons for level in levels]
    return np.concatenate(parts, axis=1)


def threshold_table(
    places: Sequence[Sequence[AlignedLayer]],
    vocabulary: Vocabulary,
    kind: MeanScoreThreshold,
    *,
    higher_is_better: bool = True,
) -> pd.DataFrame:
    """Return how many neurons pass the mean-score threshold. It is not a test.

    See `mcd.scoring.calibration.thresholds`.

    Columns: ``run``, ``layer``, ``place``, ``kind``, ``mean_score`` of first labels, ``threshold``, ``neurons``,
    ``kept``, ``kept_share``, ``kept_mammographic``, ``kept_other``.

    Parameters
    ----------
    places
        For each place the layers of the runs that are compared there: the global threshold is the strictest of theirs.
    """
    rows = []
    for group in places:
        strictest = global_threshold(*(one.outcome.score for one in group), higher_is_better=higher_is_better)
        for one in group:
            own = local_threshold(one.outcome.score)
            threshold = own if kind == "local" else strictest
            kept = reaches(one.outcome.score, threshold, higher_is_better=higher_is_better)
            counts = vocabulary.counts(np.where(kept, one.outcome.first, NOTHING)[None])[0]
            breast = int(counts[vocabulary.mammographic].sum())
            rows.append(
                {
                    "run": one.run,
                    "layer": one.outcome.layer,
                    "place": one.place,
                    "kind": kind,
                    "mean_score": own,
                    "threshold": threshold,
                    "neurons": one.outcome.neurons,
                    "kept": int(kept.sum()),
                    "kept_share": float(kept.mean()) if len(kept) else np.nan,
                    "kept_mammographic": breast,
                    "kept_other": int(counts.sum()) - breast,
                }
            )
    return pd.DataFrame(rows)
