"""The paper's claims, and what decides each: a difference of two runs, or what no neuron carries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

import pandas as pd
import pydantic
import yaml

import mcd
from mcd.plugins import ANSWERS, RUNGS, concepts_of

__all__ = [
    "FAILS",
    "HOLDS",
    "UNKNOWN",
    "Answer",
    "Claim",
    "Pair",
    "answer",
    "answer_about_one",
    "claims",
    "highest_rung",
    "judged",
    "reached",
    "unanswered",
]

Verdict = Literal["holds", "does not hold", "cannot be told"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "does not hold"
UNKNOWN: Verdict = "cannot be told"

FIRST = next(iter(RUNGS))
_SCORERS = ("soft-wpmi", "wpmi")
"""Of which the paper's threshold is: the highest score is best."""
_NAN = float("nan")

Chosen = Callable[[pd.DataFrame], "pd.Series[bool]"]
"""Says of first labels which ones count."""


class Claim(pydantic.BaseModel):
    """One claim.

    Attributes
    ----------
    question
        Of the paper's three.
    statement, place
        In our words, and where it stands.
    measure
        What decides it. mammographic: neurons with a significant mammographic label. stages: the same in each broad
        category. mean: z of first labels. category: neurons with a label of it. both: other claims together.
        under-represented: concepts that no neuron carries although one could have been detected.
    categories
        Names of the category, in the paper's concepts and in ours.
    of
        Ids of the other claims.
    expected
        Whether the other run has more of it than the reference.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    id: str
    question: Literal[1, 2, 3]
    statement: str
    place: str
    measure: Literal["mammographic", "stages", "mean", "category", "both", "under-represented"]
    categories: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    expected: Literal["more", "fewer"]


@cache
def claims() -> tuple[Claim, ...]:
    """Return the claims, in their order."""
    text = files("mcd_plugins.paper").joinpath("claims.yaml").read_text(encoding="utf-8")
    return tuple(Claim.model_validate(one) for one in yaml.safe_load(text)["claims"])


@dataclass(frozen=True)
class Answer:
    """What the runs say about a claim.

    Parameters
    ----------
    claim, probe_set
        Which, and on which images.
    reference, run
        What is compared with what; no reference where a run answers by itself.
    quantity
        What was measured.
    before, after, low, high
        Of the reference, of the run, and the 95 % interval of the difference over patients; NaN where there is none.
    answer, reason
        By significance, and why.
    rung
        The highest rung of significance at which the answer is the same; empty where labels do not decide it.
    by_threshold
        What the paper's mean-score threshold answers, without any null.
    """

    claim: Claim
    probe_set: str
    reference: str = ""
    run: str = ""
    quantity: str = ""
    before: float = _NAN
    after: float = _NAN
    low: float = _NAN
    high: float = _NAN
    answer: Verdict = UNKNOWN
    reason: str = ""
    rung: str = ""
    by_threshold: Verdict = UNKNOWN

    def record(self) -> dict[str, str | int | float | None]:
        """Return it as a flat record; numbers that there are none of are None."""
        found: dict[str, str | int | float | None] = {
            "claim": self.claim.id,
            "question": self.claim.question,
            "statement": self.claim.statement,
            "place": self.claim.place,
            "expected": self.claim.expected,
        }
        for name in ("probe_set", "reference", "run", "quantity", "before", "after", "low", "high", "answer"):
            value = getattr(self, name)
            found[name] = None if isinstance(value, float) and math.isnan(value) else value
        return found | {"rung": self.rung, "by_threshold": self.by_threshold, "reason": self.reason}


@dataclass(frozen=True)
class Pair:
    """Two runs of a comparison: the reference, and another.

    Parameters
    ----------
    reference, run
        Their names in it.
    data
        What the comparison was made of.
    """

    reference: str
    run: str
    data: mcd.figures.FigureData

    def difference(self, level: str, name: str) -> pd.DataFrame:
        """Return the rows of differences over all layers at a level, of one name where it is given."""
        table = self.data.comparison.differences
        rows = table[(table["run"] == self.run) & (table["place"] == "(all)") & (table["level"] == level)]
        return rows[rows["name"] == name] if name else rows

    @cached_property
    def first(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The first labels of both, ``kept`` where the score reaches the higher mean of the two runs at that layer."""
        mean = self.data.comparison.thresholds.set_index(["run", "place"])["mean_score"]
        strictest = mean.loc[self.reference].to_frame("one").join(mean.loc[self.run].rename("other"), how="inner")
        threshold = strictest.max(axis=1)
        return _first(self.data.runs[self.reference], threshold), _first(self.data.runs[self.run], threshold)

    @cached_property
    def mammographic(self) -> frozenset[str]:
        """The concepts that are about the breast."""
        concepts = concepts_of(self.data.runs[self.run]).concepts
        return frozenset(one.term for one in concepts if one.mammographic)

    def counts(self, chosen: Chosen, rung: str = "") -> tuple[int, int]:
        """Return how many first labels of both count: significant up to a rung, or by the paper's threshold."""
        found = []
        for table in self.first:
            passed = reached(table, rung) if rung else table["kept"]
            found.append(int((passed & chosen(table)).sum()))
        return found[0], found[1]


def _first(run: mcd.Dissection, threshold: pd.Series[float]) -> pd.DataFrame:
    table = run.labels[(run.labels["rank"] == 1) & run.labels["layer"].isin(threshold.index)]
    return table.assign(kept=table["score"] >= table["layer"].map(threshold))


def _has_threshold(data: mcd.figures.FigureData) -> bool:
    """Whether the paper's threshold is defined for what scored the runs."""
    return set(data.comparison.heading.runs["scorer"]) <= set(_SCORERS)


def reached(table: pd.DataFrame, rung: str) -> pd.Series[bool]:
    """Return which labels are significant up to a rung."""
    order = {name: at for at, name in enumerate(("", *RUNGS))}
    return table["rung"].map(order) >= order[rung]


def unanswered(claim: Claim, probe_set: str, reason: str) -> Answer:
    """Return that a claim cannot be told, and why."""
    return Answer(claim, probe_set, reason=reason)


def answer(claim: Claim, probe_set: str, pair: Pair, others: Mapping[str, Answer]) -> Answer:
    """Return what a pair of runs says about a claim of question 1 or 2.

    Parameters
    ----------
    others
        What the pair says about the claims before it, by id.
    """
    blank = Answer(claim, probe_set, pair.reference, pair.run)
    if claim.measure == "mammographic":
        return _by_share(blank, pair, "layer", "mammographic", lambda table: table["concept"].isin(pair.mammographic))
    if claim.measure == "category":
        names = [name for name in claim.categories if len(pair.difference("category", name))]
        if not names:
            return replace(blank, reason=f"the concepts have no category {' or '.join(claim.categories)}")
        return _by_share(blank, pair, "category", names[0], lambda table: table["category"] == names[0])
    if claim.measure == "stages":
        return _by_stages(blank, pair)
    if claim.measure == "mean":
        return _by_mean(blank, pair)
    return _both(blank, [others[name] for name in claim.of])


def judged(expected: str, low: float, high: float) -> tuple[Verdict, str]:
    """Return what an interval of a difference says."""
    if math.isnan(low):
        return UNKNOWN, "there is no interval: the patients are too few, or not known"
    if expected == "fewer":
        low, high = -high, -low
    if low > 0:
        return HOLDS, "the 95 % interval of the difference is on the claimed side of 0"
    if high < 0:
        return FAILS, "the 95 % interval of the difference is on the other side of 0"
    return UNKNOWN, "the 95 % interval of the difference includes 0"


def _by_share(blank: Answer, pair: Pair, level: str, name: str, chosen: Chosen) -> Answer:
    row = pair.difference(level, name).iloc[0]
    low, high = float(row["difference_low"]), float(row["difference_high"])
    verdict, reason = judged(blank.claim.expected, low, high)
    if not row["reference"] and not row["other"]:
        reason = "no neuron of either has such a significant label"
    found = replace(blank, quantity=f"share of neurons: {name}", answer=verdict, reason=reason, low=low, high=high)
    return replace(
        found,
        before=float(row["reference"]),
        after=float(row["other"]),
        rung=_rung(found, pair, [chosen]),
        by_threshold=_by_threshold(found, pair, [chosen]),
    )


def _lead(claim: Claim, pair: Pair, chosen: Sequence[Chosen], rung: str = "") -> int:
    """Return in how many groups of labels the claim's side is ahead, less those in which the other is."""
    sign = 1 if claim.expected == "more" else -1
    ahead = 0
    for one in chosen:
        before, after = pair.counts(one, rung)
        ahead += sign * ((after > before) - (after < before))
    return ahead


def _rung(found: Answer, pair: Pair, chosen: Sequence[Chosen]) -> str:
    return highest_rung(found.answer, {rung: _lead(found.claim, pair, chosen, rung) for rung in list(RUNGS)[1:]})


def highest_rung(verdict: Verdict, leads: Mapping[str, int]) -> str:
    """Return the highest rung up to which counts go the way of a verdict; of the first rung there is the interval.

    Parameters
    ----------
    leads
        Rung above the first → in how many groups of labels the claimed side is ahead, less those in which it is behind.
    """
    if verdict == UNKNOWN:
        return ""
    side = 1 if verdict == HOLDS else -1
    highest = FIRST
    for rung, lead in leads.items():
        if lead * side <= 0:
            break
        highest = rung
    return highest


def _by_threshold(found: Answer, pair: Pair, chosen: Sequence[Chosen]) -> Verdict:
    if not _has_threshold(pair.data):
        return UNKNOWN
    ahead = _lead(found.claim, pair, chosen)
    return HOLDS if ahead > 0 else FAILS if ahead < 0 else UNKNOWN


def _by_stages(blank: Answer, pair: Pair) -> Answer:
    """Decide by each broad category of the workflow: one has to be ahead in some, and behind in none."""
    rows = pair.difference("broad_category", "")
    about = concepts_of(pair.data.runs[pair.run]).concepts
    names = {one.broad_category for one in about if one.mammographic}
    rows = rows[rows["name"].isin(names)]
    bounds = zip(rows["difference_low"], rows["difference_high"], strict=True)
    verdicts = [judged(blank.claim.expected, float(low), float(high))[0] for low, high in bounds]
    ahead, behind = verdicts.count(HOLDS), verdicts.count(FAILS)
    verdict = HOLDS if ahead and not behind else FAILS if behind and not ahead else UNKNOWN
    found = replace(
        blank,
        quantity="broad categories with more neurons",
        answer=verdict,
        before=float(behind),
        after=float(ahead),
        reason=f"of {len(rows)} broad categories {pair.run} is ahead in {ahead} and behind in {behind}; the 95 % "
        f"intervals of the others include 0",
    )
    chosen = [_of_broad(name) for name in rows["name"]]
    return replace(found, rung=_rung(found, pair, chosen), by_threshold=_by_threshold(found, pair, chosen))


def _of_broad(name: str) -> Chosen:
    return lambda table: table["broad_category"] == name


def _by_mean(blank: Answer, pair: Pair) -> Answer:
    """Decide by z, which is on one scale in both; the paper compares means of scores, which are not."""
    row = pair.difference("layer", "mean z").iloc[0]
    low, high = float(row["difference_low"]), float(row["difference_high"])
    verdict, reason = judged(blank.claim.expected, low, high)
    table = pair.data.comparison.thresholds.pivot(index="place", columns="run", values="mean_score")
    higher = int((table[pair.run] > table[pair.reference]).sum())
    said = f"{reason}; the mean score is higher in {higher} of {len(table)} layers"
    by_threshold = UNKNOWN if not _has_threshold(pair.data) else HOLDS if 2 * higher > len(table) else FAILS
    return replace(
        blank,
        quantity="mean z of first labels",
        before=float(row["reference"]),
        after=float(row["other"]),
        low=low,
        high=high,
        answer=verdict,
        reason=said,
        by_threshold=by_threshold,
    )


def _both(blank: Answer, others: Sequence[Answer]) -> Answer:
    """Decide by other claims: all of them hold, or one does not."""
    order = ["", *RUNGS]
    verdicts = [one.answer for one in others]
    thresholds = [one.by_threshold for one in others]
    return replace(
        blank,
        quantity=" and ".join(one.claim.id for one in others),
        answer=_together(verdicts),
        by_threshold=_together(thresholds),
        rung=min((one.rung for one in others), key=order.index),
        reason="; ".join(f"{one.claim.id}: {one.answer}" for one in others),
    )


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    if all(one == HOLDS for one in verdicts):
        return HOLDS
    return FAILS if FAILS in verdicts else UNKNOWN


def answer_about_one(claim: Claim, probe_set: str, data: mcd.figures.FigureData, run: str) -> Answer:
    """Return what one run says about a claim of question 3."""
    table = data.comparison.concepts
    counts = table[table["run"] == run]["answer"].value_counts()
    under = int(counts.get("under-represented", 0))
    open_ = int(counts.get("could not be shown", 0) + counts.get("not known", 0))
    verdict = HOLDS if under else UNKNOWN if open_ else FAILS
    return Answer(
        claim,
        probe_set,
        run=run,
        quantity="mammographic concepts that no neuron carries although one could have been detected",
        after=float(under),
        answer=verdict,
        rung=FIRST if verdict != UNKNOWN else "",
        by_threshold=_without_neuron(data, run),
        reason="; ".join(f"{name}: {int(counts.get(name, 0))}" for name in ANSWERS),
    )


def _without_neuron(data: mcd.figures.FigureData, run: str) -> Verdict:
    """Return whether some mammographic concept is the first label of no neuron that reaches its layer's mean score."""
    if not _has_threshold(data):
        return UNKNOWN
    one = data.runs[run]
    table = one.labels[one.labels["rank"] == 1]
    kept = table[table["score"] >= table.groupby("layer")["score"].transform("mean")]
    about = {each.term for each in concepts_of(one).concepts if each.mammographic}
    return HOLDS if about - set(kept["concept"]) else FAILS
