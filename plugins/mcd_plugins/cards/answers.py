"""Answer sheets as readers send them back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcd.errors import DataError, UsageError
from mcd_plugins.cards.key import Key, letters
from mcd_plugins.cards.page import COLUMNS, CONFIDENCE

__all__ = ["Answer", "Reader", "read_answers"]

_LISTED = 8
"""Problems of a sheet that are said one by one."""


@dataclass(frozen=True)
class Answer:
    """What a reader wrote about a card: own words, which may be empty, a letter, and how sure."""

    text: str
    choice: str
    confidence: int


@dataclass(frozen=True)
class Reader:
    """A reader, called after the file, and the answers in the order of the key's cards."""

    name: str
    answers: tuple[Answer, ...]


def read_answers(key: Key, paths: Sequence[Path]) -> list[Reader]:
    """Return the readers of several sheets.

    Raises
    ------
    UsageError
        When a file is given twice.
    DataError
        When a sheet cannot be read, is of other cards, or not every card has one whole answer; file and line are said.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a sheet of answers is given twice", "give each reader's sheet once")
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{path.stem}" for path in paths]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return [Reader(name, _answers(key, path)) for name, path in zip(names, paths, strict=True)]


_Line = tuple[int, Mapping[str, str]]


def _answers(key: Key, path: Path) -> tuple[Answer, ...]:
    found: dict[str, tuple[int, Answer]] = {}
    problems: list[str] = []
    known = {str(one.number) for one in key.cards}
    for line, row in _rows(path):
        card = row["card"]
        at = f"line {line}"
        if row["set"] != key.name:
            raise DataError(
                f"{path}, {at}: the answer is to set '{row['set']}', and the key is that of set '{key.name}'",
                "give the key that was written together with the cards",
            )
        if card not in known:
            problems.append(f"{at}: there is no card '{card}'")
        elif card in found:
            problems.append(f"{at}: card {card} was answered in line {found[card][0]} already")
        else:
            wrong = list(_wrong(key, row))
            problems += [f"{at}, card {card}: {one}" for one in wrong]
            found[card] = (line, Answer("", "", 0) if wrong else _answer(row))
    missing = [str(one.number) for one in key.cards if str(one.number) not in found]
    if missing:
        problems.append(f"no row for card {', '.join(missing)}")
    if problems:
        more = [f"and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
        hint = "every card needs one row with a choice and a confidence"
        if len(problems) == 1:
            raise DataError(f"{path}, {problems[0]}", hint)
        raise DataError(f"{path} is not complete:", hint, [*problems[:_LISTED], *more])
    return tuple(found[str(one.number)][1] for one in key.cards)


def _wrong(key: Key, row: Mapping[str, str]) -> Iterator[str]:
    choices = letters(key.choices)
    choice, confidence = row["choice"].lower(), row["confidence"]
    if len(choice) != 1 or choice not in choices:
        yield f"choice '{row['choice']}' is none of {', '.join(choices)}" if choice else "no choice"
    if confidence not in map(str, CONFIDENCE):
        scale = f"{CONFIDENCE[0]} to {CONFIDENCE[-1]}"
        yield f"confidence '{confidence}' is none of {scale}" if confidence else f"no confidence ({scale})"


def _answer(row: Mapping[str, str]) -> Answer:
    return Answer(row["free_text"], row["choice"].lower(), int(row["confidence"]))


def _rows(path: Path) -> Iterator[_Line]:
    """Yield number and cells of every line that is not empty; semicolons, as some spreadsheets write, will do."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"answers {path} cannot be read: {error.strerror}", "check the path, and that you may read it: ls -l FILE"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8", "save the sheet as CSV UTF-8") from None
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    header = [one.strip().lower() for one in next(reader, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(f"{path}, line 1: no column {', '.join(missing)}", "keep the first line of the blank sheet")
    line = reader.line_num + 1
    for cells in reader:
        if any(one.strip() for one in cells):
            row = dict(zip(header, [*(one.strip() for one in cells), *[""] * len(header)], strict=False))
            yield line, row
        line = reader.line_num + 1
