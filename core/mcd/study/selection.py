"""Which images of a data set are shown: filtered, thinned out by patient, drawn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pydantic

from mcd.api.closed import CLOSED
from mcd.errors import DataError, amount, nearest
from mcd.options import Seed, Settings
from mcd.study.labels import any_row
from mcd.study.where import Field, Where, parse

if TYPE_CHECKING:
    from mcd.api.dataset import Sample

__all__ = ["MOST_IMAGES", "Selection"]

MOST_IMAGES = 1_000_000_000
"""More than any data set has."""

_IDENTIFYING = ("id", "patient", "exam")
_VALUES_SHOWN = 12


class Selection(Settings):
    """Chooses among the samples of a data set, in this order: `where`, `per_patient`, `limit`.

    Without a seed the first ones in data-set order are taken. With one they are drawn by their ids, so that a data set
    in another order gives the same images. Either way they come back in data-set order.
    """

    where: str | None = pydantic.Field(
        default=None, description='which images, such as: split == "test" and view == "MLO"'
    )
    limit: int | None = pydantic.Field(default=None, ge=1, le=MOST_IMAGES, description="at most so many images")
    per_patient: int | None = pydantic.Field(
        default=None, ge=1, le=MOST_IMAGES, description="at most so many images of each patient"
    )
    seed: Seed | None = pydantic.Field(default=None, description="draws at random; None takes the first ones")

    @pydantic.field_validator("where")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            parse(text)
        return text

    def choose(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the chosen samples, in the order in which they are given.

        Raises
        ------
        DataError
            When no image fits ``where``, no image has a label, or says anything of a finding, that it names, it asks
            for a value in another spelling, or ``per_patient`` meets an image whose patient is not known.
        """
        chosen = list(samples)
        if self.where is not None and chosen:
            chosen = _fitting(parse(self.where), chosen)
        # Two draws: images of patients with many would else come first in both.
        patients, images = self._orders(chosen)
        if self.per_patient is not None:
            kept = _of_each_patient(chosen, self.per_patient, patients)
            images = [row for row in images if row in kept]
        taken = set(images[: self.limit])
        return [sample for row, sample in enumerate(chosen) if row in taken]

    def _orders(self, samples: Sequence[Sample]) -> tuple[list[int], list[int]]:
        """Return the rows in the order in which they are taken, for each patient's share and for the limit."""
        rows = list(range(len(samples)))
        if self.seed is None:
            return rows, rows
        import numpy as np

        rng = np.random.default_rng(self.seed)
        by_id = np.asarray(sorted(rows, key=lambda row: (samples[row].id, row)), dtype=np.int64)
        one, two = (by_id[rng.permutation(len(rows))].tolist() for _ in range(2))
        return one, two


def _fitting(where: Where, samples: Sequence[Sample]) -> list[Sample]:
    for asked in where.fields:
        if asked.name == "findings":
            _check_finding(asked.key, samples)
        known = _keys(asked, samples)
        if asked.name == "label" and asked.key not in known:  # files differ in the facts they have, tables in no column
            raise DataError(
                f"no image has {asked}, which --where asks for", nearest(asked.key, known, limit=_VALUES_SHOWN)
            )
    for asked, text in where.texts:
        _check_text(asked, text, samples)
    chosen = [sample for sample in samples if where(sample)]
    if not chosen:
        raise DataError(
            f"none of {amount(len(samples), 'image')} fits {where.text.strip()}",
            "compare with what there is; what is unknown fits only '== unknown'",
            [f"{asked}: {_values(asked, samples)}" for asked in where.fields],
        )
    return chosen


def _check_finding(name: str, samples: Sequence[Sample]) -> None:
    """Refuse a finding of which no image says anything: it may be there under another name."""
    distinct = {id(one.findings): one.findings for one in samples}.values()  # many images share one mapping
    known = {concept for findings in distinct for concept in findings}
    if name in known:
        return
    same = next((one for one in sorted(known) if one.lower() == name.lower()), "")
    column, own = ("", same) if same else _own_word(name, samples)
    why = f", which is present where label[\"{column}\"] says '{name}'" if column else ""
    hint = f"did you mean '{own}'{why}?" if own else nearest(name, known, limit=_VALUES_SHOWN)
    raise DataError(f"no image says whether '{name}' is present or absent, which --where asks for", hint)


def _own_word(word: str, samples: Sequence[Sample]) -> tuple[str, str]:
    """Return the label that has a word, and the finding that is present where it has; empty where there is none."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    present = Counter(concept for one in samples for concept, there in one.findings.items() if there)
    for column in dict.fromkeys(column for one in samples for column in one.labels):
        saying = [one for one in samples if pattern.search(one.labels.get(column, ""))]
        shared = Counter(concept for one in saying for concept, there in one.findings.items() if there)
        always = [concept for concept, count in shared.items() if count == len(saying)]
        if always:  # of several, the one that is least often present elsewhere
            return column, min(always, key=lambda concept: (present[concept], concept))
    return "", ""


def _check_text(asked: Field, text: str, samples: Sequence[Sample]) -> None:
    """Refuse a text that a field never has, if it is another spelling of one that it has."""
    closed = CLOSED.get(asked.name, ())
    if closed and text not in closed:
        close = [one for one in closed if text and text.lower() in (one.lower(), f"bi-rads {one}", f"density {one}")]
        close = close or [one for one in closed if text[:1].upper() == one and text.lower() in ("left", "right")]
        raise DataError(
            f"{asked} is never '{text}', which --where compares it with",
            (f"did you mean '{close[0]}'? " if close else "") + f"It is one of {', '.join(closed)}",
        )
    values = {str(value) for one in samples if (value := asked.value(one)) is not None}
    if asked.name == "label":
        values |= {row for value in values for row in any_row(value)}
    other = next((value for value in sorted(values) if value.lower() == text.lower()), text)
    if text not in values and other != text and asked.name not in _IDENTIFYING:
        raise DataError(f"{asked} is never '{text}', which --where compares it with", f"did you mean '{other}'?")


def _keys(asked: Field, samples: Sequence[Sample]) -> set[str]:
    return {key for sample in samples for key in asked.mapping(sample)}


def _values(asked: Field, samples: Sequence[Sample]) -> str:
    """Return the values of a field in the samples, with counts; never what may identify a person."""
    yes, no = ("present", "absent") if asked.name == "findings" else ("true", "false")
    counts = Counter(asked.value(sample) for sample in samples)
    unknown = counts.pop(None, 0)
    if asked.name in _IDENTIFYING or len(counts) > _VALUES_SHOWN:
        parts = [f"{len(counts)} different values"]
    else:
        words = {True: yes, False: no}
        parts = [f"{words[value] if isinstance(value, bool) else value} {n}" for value, n in counts.most_common()]
    shown = ", ".join([*parts, f"unknown {unknown}"] if unknown else parts)
    facts = sorted(_keys(asked, samples)) if asked.name == "fact" and not counts else []
    return f"{shown}; there is {', '.join(facts)}" if facts else shown


def _of_each_patient(samples: Sequence[Sample], count: int, order: Sequence[int]) -> set[int]:
    lacking = sum(not sample.patient for sample in samples)
    if lacking:
        raise DataError(
            f"at most {amount(count, 'image')} a patient is asked for, but {lacking} of {len(samples)} images do not "
            "say whose they are",
            "leave --per-patient out, or take only images of known patients: --where 'patient != unknown'",
        )
    seen: Counter[tuple[str, str]] = Counter()
    kept = set()
    for row in order:
        patient = (samples[row].collection, samples[row].patient)  # two collections may give out the same key
        seen[patient] += 1
        if seen[patient] <= count:
            kept.add(row)
    return kept
