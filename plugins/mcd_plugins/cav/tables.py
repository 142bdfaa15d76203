"""The table of what was found, and the sentences about it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcd.errors import amount
from mcd_plugins.cav.asked import Settings
from mcd_plugins.cav.measuring import TEXT, Direction, Found, Row

__all__ = ["COLUMNS", "NULL", "SHOWN", "best_first", "intervals", "null_of", "said", "shown_rows", "table_of"]

NULL = "labels of whole patients exchanged"
"""What random concept sets are."""
NULL_OF_TEXTS = "embeddings of whole patients exchanged"

COLUMNS: Mapping[str, str] = {
    "layer": "where the direction lies",
    "concept": "of what",
    "without": "nuisances that were taken out of features before",
    "method": "how the direction was fitted: pattern, ridge, logistic, or text",
    "class": "the output, or the unit of a later layer",
    "auroc": "how well the direction separates held-out images with the concept from those without",
    "auroc_low": "lower end of its 95 % interval, over patients",
    "auroc_high": "upper end",
    "r2": "of a text: share of the embeddings' variance that the map explains in held-out patients",
    "r2_low": "what that is at least, with 95 % confidence; where it is not above 0 there is no direction",
    "linear": "whether gradients of all images have one direction: a class linear in the layer, or the sigmoid of one",
    "tcav": "TCAV score, the share of images whose sensitivity is positive; empty where linear",
    "p_tcav": "its p",
    "magnitude": "share of all sensitivity that is positive; empty where linear",
    "sensitivity": "mean sensitivity, as a share of the length of gradients, -1 to 1",
    "p": "of the sensitivity: how often random concept sets have one as far from 0",
    "q": "of p, over all rows",
    "verdict": "significant, not significant, or why there is no test",
    "present": "images with the concept",
    "absent": "images without it",
    "unknown": "images of which it is not known",
    "patients": "patients of those with and without it",
    "patients_fitted": "of these, those that the direction was fitted on",
    "patients_held_out": "and those that it was tried on",
    "images": "images over which sensitivities were taken; those whose gradient is zero are left out",
    "images_of": "which these are",
    "null": "what random concept sets are",
    "staying": "share of the images with the concept (of a text: of all) that keep their patient in a random set",
    "p_smallest": "about the smallest p that there can be: 1 in sets + 1, more where there are few different sets",
    "sets": "how many random sets there are",
    "seed": "of all draws",
}
"""Columns of ``cav.csv``, and what they say."""
_ABOVE = 1.0001
"""What is larger by more than this factor is no rounding error."""
_FIXED = 0.25
"""Of images that keep their patient: the share above which it is said."""
SHOWN = ("layer", "concept", "class", "AUROC", "TCAV", "sens.", "p", "q")
"""Heads of what is printed."""


def table_of(found: Found) -> pd.DataFrame:
    """Return a row a layer, concept, version, method and class; see `COLUMNS`."""
    rows = [_cells(found, row, q) for row, q in zip(found.rows, found.q.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"linear": "boolean"})


def _cells(found: Found, row: Row, q: float) -> dict[str, object]:
    asked, one, judged = found.asked, row.direction, row.judged
    tested, area = asked.classes[row.at], one.area
    curved = judged if judged is not None and not judged.linear else None
    return {
        "layer": one.layer,
        "concept": one.concept,
        "without": ", ".join(one.without),
        "method": one.method,
        "class": tested.name,
        "auroc": _number(area.value if area else None),
        "auroc_low": _number(area.low if area else None),
        "auroc_high": _number(area.high if area else None),
        "r2": one.r2[0],
        "r2_low": one.r2[1],
        "linear": None if judged is None else judged.linear,
        "tcav": _number(curved.tcav if curved else None),
        "p_tcav": _number(curved.p_tcav if curved else None),
        "magnitude": _number(curved.magnitude if curved else None),
        "sensitivity": _number(judged.mean_sensitivity if judged else None),
        "p": row.p,
        "q": q,
        "verdict": _verdict(found, row, q),
        **one.counts,
        "images": judged.images if judged else int(tested.rows.sum()),
        "images_of": tested.images,
        "null": null_of(one),
        "staying": one.staying,
        "p_smallest": max(one.smallest, 1 / (asked.settings.sets + 1)),
        "sets": asked.settings.sets,
        "seed": asked.settings.seed,
    }


def null_of(direction: Direction) -> str:
    """Return what the random counterparts of a direction are."""
    return NULL_OF_TEXTS if direction.method == TEXT else NULL


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _verdict(found: Found, row: Row, q: float) -> str:
    if row.direction.problem:
        return f"no direction: {row.direction.problem}"
    if row.judged is None:
        return "no gradient"
    return "significant" if q <= found.asked.settings.q else "not significant"


def best_first(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by q, then by p, then by how far the sensitivity is from 0; those without a test last."""
    keys = pd.DataFrame({"q": table["q"], "p": table["p"], "far": -table["sensitivity"].abs()})
    return table.loc[keys.sort_values(["q", "p", "far"], kind="stable", na_position="last").index]


def shown_rows(table: pd.DataFrame) -> list[list[str]]:
    """Return the cells of rows as people read them; see `SHOWN`. Methods are named where there are several."""
    several = table["method"].nunique() > 1
    found = []
    for row in table.to_dict("records"):
        concept = f"{row['concept']} without {row['without']}" if row["without"] else row["concept"]
        found.append(
            [
                row["layer"],
                f"{concept} ({row['method']})" if several else concept,
                row["class"],
                _short(row["auroc"], ".2f"),
                "linear" if row["linear"] is True else _short(row["tcav"], ".2f"),
                _short(row["sensitivity"], "+.2f"),
                _short(row["p"], ".3g"),
                _short(row["q"], ".3g"),
            ]
        )
    return found


def intervals(table: pd.DataFrame) -> list[str]:
    """Return the 95 % intervals of AUROC as people read them."""
    ends = zip(table["auroc_low"].tolist(), table["auroc_high"].tolist(), strict=True)
    return ["–" if np.isnan(low) else f"{low:.2f} to {high:.2f}" for low, high in ends]


def _short(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)


def said(found: Found, table: pd.DataFrame) -> list[str]:
    """Return what was found in sentences: how much is above chance, against which null, of how many."""
    asked, settings = found.asked, found.asked.settings
    held = table["p"].notna()
    above = int((table["verdict"] == "significant").sum())
    (images, patients), (others, other_patients) = asked.fitted_on, asked.tried_on
    of = (
        f"{amount(int(held.sum()), 'test')} of {_count(table, 'concept')} × {_count(table, 'layer')} × "
        f"{_count(table, 'class')}"
    )
    sentences = [
        f"{above:,} of {of} {'is' if above == 1 else 'are'} significant at q ≤ {settings.q:g}."
        if above
        else f"Nothing above chance: none of {of} is significant at q ≤ {settings.q:g}.",
        f"Directions were fitted on {amount(images, 'image')} of {amount(patients, 'patient')}; AUROC is of "
        f"{amount(others, 'image')} of {amount(other_patients, 'other')}. p is against {settings.sets:,} random "
        f"concepts, {', '.join(table['null'].unique())}, seed {settings.seed}.",
    ]
    sentences += _limits(table[held], settings)
    untested = table.loc[~held, "verdict"].value_counts()
    sentences += [
        f"{count:,} {'row has' if count == 1 else 'rows have'} no test: {why}." for why, count in untested.items()
    ]
    maps = table.loc[table["method"] == TEXT, ["layer", "r2", "r2_low"]].drop_duplicates("layer")
    if len(maps):
        each = ", ".join(f"{one.r2:.2f} in {one.layer} (at least {one.r2_low:.2f})" for one in maps.itertuples())
        sentences.append(
            f"Texts go through a ridge map from features to embeddings, which explains of held-out patients: R² {each}."
        )
    if asked.lost:
        are = "is" if asked.lost == 1 else "are"
        sentences.append(f"{amount(asked.lost, 'image')} could not be decoded and {are} left out.")
    if asked.groups.unknown:
        sentences.append(
            f"The patient of {amount(asked.groups.unknown, 'image')} is not known: each counts as a patient of its "
            "own, and p is too small where several show one patient."
        )
    linear = table.loc[table["linear"].fillna(False), ["layer", "class"]].drop_duplicates()
    if len(linear):
        first = linear.iloc[0]
        more = f" and {amount(len(linear) - 1, 'more pair')} of layer and class" if len(linear) > 1 else ""
        sentences.append(
            f"{first['class']} is linear in {first['layer']}{more}: gradients of all images have one direction, so "
            "that every TCAV score would be 0 or 1. The sensitivity says how much, and p whether that is chance."
        )
    if asked.labels.left_out:
        sentences.append(f"Not tested: {amount(len(asked.labels.left_out), 'concept')}, and why is in cav.json.")
    return sentences


def _limits(tested: pd.DataFrame, settings: Settings) -> list[str]:
    """Return in sentences why p cannot be small: too few random concepts, or too few patients who can be exchanged."""
    sentences = []
    tests, floor = len(tested), 1 / (settings.sets + 1)
    at_floor = int((tested["p"] <= floor * _ABOVE).sum())
    if tests * floor > settings.q * max(1, at_floor):
        needed = math.ceil(tests / settings.q / max(1, at_floor) / 1000) * 1000
        sentences.append(
            f"{settings.sets:,} random concepts give no p below {floor:.2g}, which is not small enough among "
            f"{tests:,} tests: take --sets {needed}, or fewer concepts or classes."
        )
    few = tested[tested["p_smallest"] > floor * _ABOVE]
    if len(few):
        sentences.append(
            f"Of {_count(few, 'concept')} the labels can be given to other patients in few ways: no p is below about "
            f"{few['p_smallest'].min():.2g}, however many --sets there are. More patients help."
        )
    fixed = tested[tested["staying"] > _FIXED]
    if len(fixed):
        sentences.append(
            f"Of {_count(fixed, 'concept')} more than {_FIXED:.0%} of the images keep their patient in a random set: "
            "few patients have as many images of the same kind, so that p can hardly be small."
        )
    return sentences


def _count(table: pd.DataFrame, column: str) -> str:
    return amount(table[column].nunique(), column)
