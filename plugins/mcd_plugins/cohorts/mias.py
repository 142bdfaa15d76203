"""The data set ``mias``, and how the class codes of MIAS, which DMID took over, become concepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd_plugins.cohorts.base import Cohort, CohortOptions, boxes_of
from mcd_plugins.cohorts.tables import Row
from mcd_plugins.datasets.text_lines import text_lines

__all__ = ["CLASSES", "NORMAL", "Mias", "film_findings", "joined"]

NORMAL = "NORM"
CLASSES: Mapping[str, str] = {
    "CALC": "calcifications",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "mass",
    "ARCH": "architectural distortion",
    "ASYM": "asymmetry",
    NORMAL: "",
}
"""Class of abnormality → concept. MISC is called "other, ill-defined masses" in the release: a mass of any margin."""
_MARGINS: Mapping[str, str] = {"CIRC": "circumscribed margin", "SPIC": "spiculated margin"}
_CANCER: Mapping[str, bool] = {"M": True, "B": False}
_COLUMNS = ("REFNUM", "BG", "CLASS", "SEVERITY", "X", "Y", "RADIUS")
_SIZE = 1024
_FILM = re.compile(r"mdb(\d+)")


class Mias(Cohort):
    """mini-MIAS: 322 digitised films (8 bits, 1024×1024) of 161 women, MLO, with class, severity and a circle.

    One sample a film, however many rows it has. Films 1 and 2 are one woman, 3 and 4 the next. The circle's y counts
    from the bottom of the film.
    """

    collection = "mias"
    against_copies = "MIAS's agreement forbids passing its images on"
    licence = "MIAS's agreement: research only; not to be passed on"

    class Options(CohortOptions):
        """Settings of the data set."""

        odd: Literal["L", "R", "unknown"] = pydantic.Field(
            default="L",
            description="side of the films with odd numbers. The file names of the full-size release (mdb001lm, "
            "mdb002rl, …) say left, a note in mini-MIAS says right",
        )

    options: Options

    def samples(self) -> list[mcd.Sample]:
        """Return one sample a film, in the order of Info.txt."""
        films: dict[str, list[Row]] = {}
        for row in _rows(self.options.root / "Info.txt"):
            films.setdefault(row["REFNUM"], []).append(row)
        return [self._sample(film, rows) for film, rows in films.items()]

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and which side odd films were taken for."""
        odd = self.options.odd
        taken = {"L": "taken for left breasts", "R": "taken for right breasts"}.get(odd, "left unknown")
        return [
            *super().remarks(),
            f"mias: films with odd numbers are {taken} (odd={odd}): file names of the full-size release say left, a "
            "note in mini-MIAS says right",
        ]

    def _sample(self, film: str, rows: Sequence[Row]) -> mcd.Sample:
        _check(rows)
        number = int(film.removeprefix("mdb"))
        boxes = tuple(_boxes(self, rows))
        sides = {"L": "LR", "R": "RL"}.get(self.options.odd)
        return mcd.Sample(
            id=film,
            source=str(self.options.root / f"{film}.pgm"),
            patient=f"pair-{(number + 1) // 2:03d}",
            view="MLO",
            laterality=sides[(number + 1) % 2] if sides else "",
            findings=film_findings(self, [(row, "CLASS", "SEVERITY", [row["CLASS"]]) for row in rows]),
            boxes=boxes,
            facts=boxes_of(_SIZE, _SIZE) if boxes else {},
            labels={"BG": rows[0]["BG"], **joined(rows, _COLUMNS[2:])},
        )


def joined(rows: Sequence[Row], columns: Iterable[str]) -> dict[str, str]:
    """Return the values of the rows of one film in some columns, row by row; empty columns are left out."""
    return {name: "; ".join(row[name] for row in rows) for name in columns if any(row[name] for row in rows)}


def film_findings(cohort: Cohort, lesions: Iterable[tuple[Row, str, str, Sequence[str]]]) -> dict[str, bool]:
    """Return concept → present or absent of one film; what is neither is unknown and left out.

    A film that is said to be normal has none of the findings. One with an abnormality is silent about the others.

    Parameters
    ----------
    lesions
        For each row of the film: the row, the columns of class and severity, and the codes of classes.
    """
    found: dict[str, bool] = {}
    severities: list[bool | None] = []
    normal = True
    for row, class_column, severity_column, codes in lesions:
        for code in codes:
            cell = Row(row.file, row.number, {class_column: code})
            concept = cohort.mapped(cell, class_column, CLASSES)
            found |= dict.fromkeys((name for name in (concept, _MARGINS.get(code, "")) if name), True)
        if list(codes) != [NORMAL]:
            normal = False
            severities.append(_CANCER.get(cohort.mapped(row, severity_column, {name: name for name in _CANCER})))
    if normal:
        names = {*CLASSES.values(), *_MARGINS.values()} - {""}
        return dict.fromkeys([*sorted(names), "breast cancer"], False)
    if True in severities:
        found["breast cancer"] = True
    elif None not in severities:
        found["breast cancer"] = False
    return found


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows among the prose around them, those whose first word is a film's name."""
    for number, line in text_lines(path):
        words = line.partition("*")[0].split()  # *NOTE 3*: calcifications all over the film, without a circle
        if not words or not words[0].lower().startswith("mdb"):
            continue
        row = Row(path, number, dict(zip_longest(_COLUMNS, words[: len(_COLUMNS)], fillvalue="")))
        if not _FILM.fullmatch(row["REFNUM"]):
            raise row.wrong("REFNUM", f"'{row['REFNUM']}' is no name of a film such as mdb001")
        if len(words) > len(_COLUMNS):
            raise row.wrong("RADIUS", f"{len(words)} words for {len(_COLUMNS)} columns")
        row.needed("BG", "the background tissue")
        row.needed("CLASS", "the class of abnormality")
        yield row


def _check(rows: Sequence[Row]) -> None:
    """Refuse rows of one film that contradict each other, or are the same."""
    first = rows[0]
    for at, row in enumerate(rows[1:], start=1):
        if row["BG"] != first["BG"]:
            raise row.wrong("BG", f"'{row['BG']}', but row {first.number} says '{first['BG']}' of the same film")
        if NORMAL in (row["CLASS"], first["CLASS"]):
            raise row.wrong("CLASS", f"the film is {NORMAL} and not in rows {first.number} and {row.number}")
        same = next((one for one in rows[:at] if one.cells == row.cells), None)
        if same is not None:
            raise row.wrong("REFNUM", f"the row is the same as row {same.number}")


def _boxes(cohort: Cohort, rows: Iterable[Row]) -> Iterator[mcd.Box]:
    for row in rows:
        circle = [row.whole(name) for name in ("X", "Y", "RADIUS")]
        x, y, radius = circle
        if x is None or y is None or radius is None:
            if any(one is not None for one in circle):
                raise row.wrong("RADIUS", "a circle needs all of X, Y, RADIUS")
            continue
        down = _SIZE - y
        finding = CLASSES.get(row["CLASS"]) or row["CLASS"]
        circle_box = mcd.Box(finding, x - radius, down - radius, x + radius, down + radius)
        box = cohort.boxed(row, circle_box, _SIZE, _SIZE)
        if box is not None:
            yield box
