"""mcd's own labels at each rung, and the null of mcd under any scorer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

import mcd
from mcd.plugins import RUNG_COLUMNS, RUNGS
from mcd_plugins.bench.contract import FOLLOWING, SINGLE, TIED, Case, Decision, Method, Needs

__all__ = ["OURS", "labelled", "of_scorer", "top_k"]

Function = Callable[[torch.Tensor, torch.Tensor], object]
LEVEL = 0.05
_CALIBRATION = {"q": LEVEL}
_UNTESTED = {
    "q_nuisance": "more images of each view, side and scanner",
    "q_untrained": "more networks with random weights",
    "q_right": "annotated concepts that more held-out patients have, and lack",
}
"""What a case needs in which a rung cannot be tested of any unit."""


def top_k(case: Case) -> int:
    """Return how many top images soft WPMI sees a unit through: 100, or a fifth of fewer than 500 images."""
    return min(100, max(1, len(case.activations) // 5))


def labelled(case: Case, scorer: Mapping[str, object] | Function, **given: object) -> pd.DataFrame:
    """Return the label table of a case, see `mcd.label`; what it warns of is said by the rungs that are empty."""
    facts = {name: list(case.facts[name]) for name in ("view", "laterality", "vendor") if name in case.facts}
    calibration = {"null_seed": case.seed, **_CALIBRATION, **_settings(given.pop("calibration", {}))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return mcd.label(
            case.activations,
            case.similarity,
            list(case.concepts),
            scorer=scorer,
            patients=list(case.patients),
            facts={"patient": list(case.patients), **facts},
            calibration=calibration,
            **given,  # type: ignore[arg-type]  # each has its own type
        )


def _settings(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _decision(case: Case, table: pd.DataFrame, column: str, *, with_p: bool) -> Decision:
    """Return what a label table says, claimed where a q of first labels, and those of all rungs below, is small."""
    number = {concept.term: at for at, concept in enumerate(case.concepts)}
    first, score = np.full(case.units, -1, dtype=np.int64), np.full(case.units, np.nan)
    p, claimed = np.full(case.units, np.nan), np.zeros(case.units, dtype=bool)
    more: list[tuple[int, ...]] = [()] * case.units
    below = [one for one in list(RUNG_COLUMNS.values()) if one in table]
    wanted = below[: below.index(column) + 1] if column else []
    for neuron, rows in table[table["rank"].notna()].groupby("neuron"):
        at, best = int(str(neuron)), rows.iloc[0]
        first[at], score[at] = number[best["concept"]], best["score"]
        claimed[at] = not column or all(float(best[name]) <= LEVEL for name in wanted)
        p[at] = float(best["p_any"]) if with_p else np.nan
        further = rows.iloc[1:]
        if column:
            more[at] = tuple(number[name] for name in further.loc[further["q"] <= LEVEL, "concept"])
    return Decision(first, score, claimed, p if with_p else None, tuple(more))


def _soft_wpmi(case: Case) -> Mapping[str, object]:
    return {"plugin": "soft-wpmi", "options": {"top_k": top_k(case)}}


def _significant(case: Case) -> Decision:
    return _decision(case, labelled(case, _soft_wpmi(case)), "q", with_p=True)


def _beyond_nuisances(case: Case) -> Decision:
    return _climbed(case, "q_nuisance")


def _beyond_untrained(case: Case) -> Decision:
    return _climbed(case, "q_untrained")


def _right(case: Case) -> Decision:
    return _climbed(case, "q_right")


def _climbed(case: Case, column: str) -> Decision:
    """Return the labels that get to a rung; one below it that cannot be tested in this case is passed over."""
    order = list(RUNG_COLUMNS.values())
    upto = order[: order.index(column) + 1]
    given: dict[str, object] = {}
    if "q_nuisance" in upto:
        given["nuisances"] = np.zeros((len(case.activations), 0)) if case.statistics is None else case.statistics
    if "q_untrained" in upto and case.untrained:
        given["untrained"] = list(case.untrained)
    if "q_right" in upto:
        given["annotations"] = case.annotations
    table = labelled(case, _soft_wpmi(case), **given)
    silent = [one for one in upto if one in table and table[one].isna().all()]
    found = _decision(case, table.drop(columns=[one for one in silent if one != column]), column, with_p=False)
    return replace(found, lacking=_UNTESTED[column] if column in silent else "")


_SOURCE = "mcd 2026, docs/explanation/significance.md"
_NEEDS: tuple[Needs, ...] = ("similarity",)

OURS = (
    Method("mcd significant", _SOURCE, _NEEDS, FOLLOWING, _significant, f"q ≤ {LEVEL}: {next(iter(RUNGS.values()))}"),
    Method("mcd beyond nuisances", _SOURCE, _NEEDS, FOLLOWING, _beyond_nuisances, RUNGS["beyond nuisances"]),
    Method(
        "mcd beyond untrained",
        _SOURCE,
        ("similarity", "untrained"),
        FOLLOWING,
        _beyond_untrained,
        RUNGS["beyond untrained"],
    ),
    Method("mcd right", _SOURCE, ("similarity", "annotations"), FOLLOWING, _right, RUNGS["right"]),
)
"""soft WPMI with the prior of random images, at each rung."""


def of_scorer(name: str, scorer: Function) -> tuple[Method, Method]:
    """Return the rows of a user's scorer: its best concept as it is, and those that are significant by mcd's null.

    Parameters
    ----------
    name
        What tables call it; as much as fits is shown.
    scorer
        ``(A, P) -> S``, see `mcd.Scorer.score`.
    """

    def named(case: Case) -> Decision:
        return _decision(case, labelled(case, scorer, calibration={"draws": 0}), "", with_p=False)

    def judged(case: Case) -> Decision:
        return _decision(case, labelled(case, scorer), "q", with_p=True)

    made_for, source = (SINGLE, TIED), f"{name}, given on the command line"
    short = name if len(name) <= 17 else "…" + name[-16:]
    return (
        Method(short, source, _NEEDS, made_for, named),
        Method(f"{short} null", f"{source}, with the null of mcd", _NEEDS, made_for, judged, f"q ≤ {LEVEL}"),
    )
