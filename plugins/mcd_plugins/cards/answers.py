"""Answer sheets as readers send them back."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mcd.errors import DataError, UsageError
from mcd.plugins import unguarded
from mcd_plugins.cards.key import Key, letters
from mcd_plugins.cards.page import AFTER, BEFORE, CANNOT_SAY, COLUMNS, CONFIDENCE, NEEDED, NONE_OF_THESE, SHEET

__all__ = ["Answer", "Reader", "read_answers"]

_LISTED = 8
"""Problems of a sheet that are said one by one."""
_SHOWN = 40
"""Characters of a cell that are repeated, and of a reader's name."""
_ABSTAINED = {"none": NONE_OF_THESE, NONE_OF_THESE: NONE_OF_THESE, CANNOT_SAY: CANNOT_SAY}
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Answer:
    """What a reader wrote about a card.

    Parameters
    ----------
    text
        Own words; may be empty.
    choice
        A letter, *none of these* or *cannot say*.
    confidence
        How sure, 1 to 5; of *cannot say* None where none is given.
    written
        When the text was written: *before choices*, *after choices*, or empty where the sheet does not say.
    """

    text: str
    choice: str
    confidence: int | None
    written: str = ""


@dataclass(frozen=True)
class Reader:
    """A reader and the answers, in the order of the key's cards."""

    name: str
    answers: tuple[Answer, ...]


_Line = tuple[int, Mapping[str, str]]


def read_answers(key: Key, paths: Sequence[Path]) -> list[Reader]:
    """Return the readers of several sheets, called as the sheets say, or else after their files.

    Raises
    ------
    UsageError
        When a file or a reader is given twice.
    DataError
        When a sheet cannot be read, is of other cards, or not every card has one whole answer; file and line are said.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a sheet of answers is given twice", "give each reader's sheet once")
    sheets = [list(_rows(path)) for path in paths]
    own = [_reader(path, rows) for path, rows in zip(paths, sheets, strict=True)]
    names = _names(paths, own)
    return [Reader(name, _answers(key, path, rows)) for name, path, rows in zip(names, paths, sheets, strict=True)]


def _reader(path: Path, rows: Sequence[_Line]) -> str:
    """Return the name that a sheet gives its reader; empty where it gives none."""
    names = sorted({row["reader"] for _, row in rows if row.get("reader")})
    if len(names) > 1:
        raise DataError(
            f"{path} has answers of several readers: {', '.join(_short(one) for one in names[:3])}",
            "give a sheet for each reader",
        )
    return re.sub(r"\s+", " ", _short(names[0])) if names else ""


def _names(paths: Sequence[Path], own: Sequence[str]) -> list[str]:
    twice = [name for name, times in Counter(own).items() if name and times > 1]
    if twice:
        files = ", ".join(path.name for path, name in zip(paths, own, strict=True) if name == twice[0])
        raise UsageError(
            f"answers of reader '{twice[0]}' are given twice: {files}",
            "give the last sheet of a reader; if these are two people, change the column reader of one",
        )
    names = [name or path.stem for name, path in zip(own, paths, strict=True)]
    if len(set(names)) < len(names):
        names = [name or f"{path.parent.name}/{path.stem}" for name, path in zip(own, paths, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return names


def _answers(key: Key, path: Path, rows: Sequence[_Line]) -> tuple[Answer, ...]:
    found: dict[str, tuple[int, Answer]] = {}
    problems: list[str] = []
    known = {str(one.number) for one in key.cards}
    for line, row in rows:
        card = row["card"]
        at = f"line {line}"
        if row["set"] != key.name:
            raise DataError(
                f"{path}, {at}: the answer is to set '{_short(row['set'])}', and the key is that of set '{key.name}'",
                "give the key that was written together with the cards",
            )
        if card not in known:
            problems.append(f"{at}: there is no card '{_short(card)}'")
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
        _refuse(path, problems)
    return tuple(found[str(one.number)][1] for one in key.cards)


def _refuse(path: Path, problems: Sequence[str]) -> NoReturn:
    hint = "every card needs one row with a choice and a confidence"
    if len(problems) == 1:
        raise DataError(f"{path}, {problems[0]}", hint)
    more = [f"and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
    raise DataError(f"{path} is not complete:", hint, [*problems[:_LISTED], *more])


def _wrong(key: Key, row: Mapping[str, str]) -> Iterator[str]:
    choices = letters(key.choices)
    choice, confidence, written = _choice(row), row["confidence"], row.get("free_text_written", "")
    if choice not in {*choices, NONE_OF_THESE, CANNOT_SAY}:
        offered = f"{', '.join(choices)}, '{NONE_OF_THESE}', '{CANNOT_SAY}'"
        yield f"choice '{_short(row['choice'])}' is none of {offered}" if choice else "no choice"
    if confidence not in map(str, CONFIDENCE) and (confidence or choice != CANNOT_SAY):
        scale = f"{CONFIDENCE[0]} to {CONFIDENCE[-1]}"
        yield f"confidence '{_short(confidence)}' is none of {scale}" if confidence else f"no confidence ({scale})"
    if written not in {"", BEFORE, AFTER}:
        yield f"free_text_written is '{_short(written)}', and can be '{BEFORE}', '{AFTER}' or empty"


def _choice(row: Mapping[str, str]) -> str:
    choice = " ".join(row["choice"].lower().split())
    return _ABSTAINED.get(choice, choice)


def _answer(row: Mapping[str, str]) -> Answer:
    confidence = int(row["confidence"]) if row["confidence"] else None
    return Answer(row["free_text"], _choice(row), confidence, row.get("free_text_written", ""))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _rows(path: Path) -> Iterator[_Line]:
    """Yield number and cells of every line that is not empty; semicolons and tabs, as spreadsheets write, will do."""
    text = _text(path)
    head = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if header is None:
                header = _header(path, cells)
            elif any(one.strip() for one in cells):
                values = [*(unguarded(one.strip()) for one in cells), *[""] * len(header)]
                row = dict(zip(header, values, strict=False))
                _check_version(path, line, row.get("schema", ""))
                yield line, row
            line = reader.line_num + 1
    except csv.Error:
        raise DataError(
            f"{path}, line {line}: a cell has over {csv.field_size_limit():,} characters, or a quote never closes",
            "shorten the free text, or close the quote",
        ) from None
    if header is None:
        _header(path, [])


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    header = [one.strip().lower() for one in cells]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise DataError(f"{path}, line 1: no column {', '.join(missing)}", "keep the first line of the blank sheet")
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise DataError(f"{path}, line 1: several columns {', '.join(twice)}", "keep the first line of the blank sheet")
    return header


def _check_version(path: Path, line: int, schema: str) -> None:
    if not schema:  # sheets of version 1 do not say it
        return
    try:
        SHEET.version(_short(schema))
    except ValueError as error:
        said, _, hint = str(error).rpartition("; ")
        raise DataError(f"{path}, line {line}: {said}", hint) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"answers {path} cannot be read: {error.strerror}", "check the path, and that you may read it: ls -l FILE"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8", "save the sheet as CSV UTF-8") from None
