"""``mcd cards score``: the right counts with their chance, and one clear message for sheets that are not whole."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import binom
from tests.conftest import Outcome
from tests.plugins.cards.conftest import Written, cards_of

import mcd
from mcd.study.csv_cells import guarded

Run = Callable[..., Outcome]


@pytest.fixture
def study(written: Written, tmp_path: Path) -> Written:
    shutil.copytree(written.folder, tmp_path / "study")
    return Written(tmp_path / "study")


def wrong_letter(study: Written, number: int) -> str:
    return "a" if study.key.cards[number - 1].answer != "a" else "b"


def missed(study: Written, count: int, group: str = "significant") -> dict[int, str]:
    numbers = [card.number for card in study.key.cards if card.group == group][:count]
    return {number: wrong_letter(study, number) for number in numbers}


def test_a_reader_is_held_against_guessing(mcd_command: Run, study: Written) -> None:
    sheet = study.answers("anna.csv", {**missed(study, 3), **missed(study, 4, "control")})
    done = mcd_command("cards", "score", study.folder / "cards-key", sheet, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    above, control, everything = found["correct"]
    assert (above["group"], above["cards"], above["correct"]) == ("significant", 15, 12)
    assert above["p"] == pytest.approx(binom.sf(11, 15, 0.2))
    assert (above["low"], above["high"]) == pytest.approx((0.5191, 0.9567), abs=1e-4)  # published tables: 12 of 15
    assert (control["cards"], control["correct"], control["share"]) == (5, 1, 0.2)
    assert control["p"] == pytest.approx(1 - 0.8**5)
    assert (everything["cards"], everything["correct"]) == (20, 13)
    assert found["agreement"] == []
    assert found["kappa"] is None
    assert sum(one["answers"][0]["correct"] for one in found["cards"]) == 13
    assert found["cards"][0]["answers"][0]["free_text"] == 'a, "b"\nc'


def test_two_readers_are_compared_and_all_of_it_fits_80_columns(mcd_command: Run, study: Written) -> None:
    anna = study.answers("anna.csv", missed(study, 3), confidence="5")
    ben = study.answers("ben.csv", missed(study, 5), confidence="2")
    done = mcd_command("cards", "score", study.folder / "cards-key" / "key.json", anna, ben)
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    for said in (
        "20 cards, 5 choices each; guessing is right in 20%",
        "12 of 15",
        "10 of 15",
        "mean of readers",
        "Cohen's kappa",
        "Images (n): 100",
        "Patients: 25",
        "Top images (k): 100",
        "exact binomial",
        "note: q is computed within each layer",
    ):
        assert said in done.out
    found = json.loads(mcd_command("cards", "score", study.folder / "cards-key", anna, ben, "--json").out)
    same = {one["group"]: one for one in found["agreement"]}
    assert same["significant"]["same"] == pytest.approx(13 / 15)
    assert same["control"]["kappa"] == 1.0
    assert same["all cards"]["low"] < same["all cards"]["kappa"] < 1
    mean = [one for one in found["correct"] if one["reader"] == "mean of readers"]
    assert mean[0]["share"] == pytest.approx(11 / 15)
    assert mean[0]["p"] is None
    assert found["confidence"][0] == {"reader": "anna", "correct": 5, "wrong": 5, "significant": 5, "control": 5}


def test_three_readers_have_fleiss_kappa(mcd_command: Run, study: Written) -> None:
    sheets = [study.answers(f"{name}.csv", missed(study, count)) for name, count in (("a", 0), ("b", 2), ("c", 4))]
    done = mcd_command("cards", "score", study.folder / "cards-key", *sheets)
    assert done.code == 0, done.err
    assert "Agreement of 3 readers beyond chance (Fleiss' kappa)" in done.out
    again = mcd_command("cards", "score", study.folder / "cards-key", *sheets)
    assert again.out == done.out


def spoiled(sheet: Path, change: Callable[[list[list[str]]], object]) -> Path:
    with sheet.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    change(rows)
    with sheet.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return sheet


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda rows: rows[3].__setitem__(3, "f"),
            "line 6, card 3: choice 'f' is none of a, b, c, d, e, 'none of these'",
        ),
        (lambda rows: rows[1].__setitem__(3, ""), "line 2, card 1: no choice"),
        (lambda rows: rows[2].__setitem__(4, "6"), "line 4, card 2: confidence '6' is none of 1 to 5"),
        (lambda rows: rows[1].__setitem__(4, " "), "line 2, card 1: no confidence (1 to 5)"),
        (lambda rows: rows.pop(4), "no row for card 4"),
        (lambda rows: rows.insert(2, list(rows[1])), "line 4: card 1 was answered in line 2 already"),
        (lambda rows: rows.append([rows[1][0], "99", "", "a", "1"]), "line 42: there is no card '99'"),
        (lambda rows: rows[1].__setitem__(0, "0ther"), "line 2: the answer is to set '0ther'"),
        (lambda rows: rows[0].__setitem__(3, "answer"), "line 1: no column choice"),
    ],
)
def test_what_is_wrong_with_a_sheet_is_said_with_its_line(
    mcd_command: Run, study: Written, change: Callable[[list[list[str]]], object], said: str
) -> None:
    sheet = spoiled(study.answers("anna.csv", {}), change)
    done = mcd_command("cards", "score", study.folder / "cards-key", sheet)
    assert done.code == 4
    assert f"{sheet}, {said}" in done.err or f"{sheet}: {said}" in done.err
    assert done.err.count("error:") == 1
    assert done.out == ""


def test_a_blank_sheet_is_said_in_few_lines(mcd_command: Run, study: Written) -> None:
    done = mcd_command("cards", "score", study.folder / "cards-key", study.folder / "cards" / "answers.csv")
    assert done.code == 4
    assert "is not complete:\n  line 2, card 1: no choice\n" in done.err
    assert len(done.err.splitlines()) < 15


def test_sheets_as_spreadsheets_save_them_are_read(mcd_command: Run, study: Written) -> None:
    sheet = study.answers("anna.csv", {})
    with sheet.open(newline="", encoding="utf-8") as file:
        rows = [
            [cell.upper() if at == 3 and number else cell for at, cell in enumerate(row)]
            for number, row in enumerate(csv.reader(file))
        ]
    with sheet.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=";", lineterminator="\r\n").writerows([*rows, [""] * 10])
    done = mcd_command("cards", "score", study.folder / "cards-key", sheet)
    assert done.code == 0, done.err
    assert "20 of 20" in done.out
    sheet.write_bytes("set,card,free_text,choice,confidence\nx,1,gro\xdf,a,1\n".encode("latin-1"))
    refused = mcd_command("cards", "score", study.folder / "cards-key", sheet)
    assert refused.code == 4
    assert "save the sheet as CSV UTF-8" in refused.err


def test_another_key_a_missing_one_and_one_sheet_twice_are_refused(
    mcd_command: Run, study: Written, phantom: mcd.Dissection, tmp_path: Path
) -> None:
    sheet = study.answers("anna.csv", {})
    other = cards_of(phantom, tmp_path / "other", seed=3)
    refused = mcd_command("cards", "score", other.folder / "cards-key", sheet)
    assert refused.code == 4
    assert f"the key is that of set '{other.key.name}'" in refused.err
    assert mcd_command("cards", "score", tmp_path, sheet).code == 4
    assert "is damaged: it is not a JSON object" in mcd_command("cards", "score", sheet, sheet).err
    twice = mcd_command("cards", "score", study.folder / "cards-key", sheet, sheet)
    assert twice.code == 2
    assert "given twice" in twice.err
    assert mcd_command("cards", "score", study.folder / "cards-key").code == 2


def test_cards_come_from_the_command_line(mcd_command: Run, phantom: mcd.Dissection, tmp_path: Path) -> None:
    done = mcd_command(
        "report",
        phantom.folder,
        "--reporter",
        "cards",
        "--reporter-arg",
        "count=4",
        "--reporter-arg",
        'layers=["head"]',
        "--reporter-arg",
        "controls=0",
        "-o",
        tmp_path,
    )
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"written: {tmp_path / name}"
        for name in (
            "cards/cards.html",
            "cards/answers.csv",
            "cards-choices/choices.html",
            "cards-key/key.json",
            "cards-key/key.csv",
        )
    ]
    several = mcd_command("report", phantom.folder, phantom.folder, "--reporter", "cards", "-o", tmp_path / "b")
    assert several.code == 2
    assert "cards" in mcd_command("--help").out


def test_a_key_of_version_0_1_gives_the_same_score(mcd_command: Run, study: Written) -> None:
    sheet = study.answers("anna.csv", missed(study, 3))
    path = study.folder / "cards-key" / "key.json"
    now = mcd_command("cards", "score", path, sheet, "--json")
    key = json.loads(path.read_text())
    key |= {"schema": "mcd.cards/1", "told": key.pop("conditions")}
    for card in key["cards"]:
        card["group"] = card["group"].replace("significant", "above chance")
        card["verdict"] = {"significant": "above chance", "multiple categories": "polysemantic"}.get(
            card["verdict"], card["verdict"]
        )
    path.write_text(json.dumps(key))
    then = mcd_command("cards", "score", path, sheet, "--json")
    assert (then.code, then.out) == (now.code, now.out) == (0, now.out)


OLD = ("set", "card", "free_text", "choice", "confidence", "a", "b", "c", "d", "e")


def sheet_of(study: Written, name: str, **columns: object) -> Path:
    """Write a sheet in which every card has these cells; a function is given the card."""
    path = study.folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(study.sheet[0]))
        table.writeheader()
        for row, card in zip(study.sheet, study.key.cards, strict=True):
            cells = {name: one(card) if callable(one) else one for name, one in columns.items()}
            table.writerow({**row, "confidence": "3", **cells})
    return path


def test_a_sheet_of_version_0_1_gives_the_same_score(mcd_command: Run, study: Written) -> None:
    now = study.answers("anna.csv", missed(study, 3))
    with now.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    old = study.folder / "old" / "anna.csv"
    old.parent.mkdir()
    with old.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, OLD, extrasaction="ignore")
        table.writeheader()
        table.writerows({**row, **dict.fromkeys("abcde", "x")} for row in rows)
    scores = [mcd_command("cards", "score", study.folder / "cards-key", one) for one in (now, old)]
    assert scores[0].code == 0, scores[0].err
    assert scores[0].out == scores[1].out
    assert "not recorded" in scores[0].out


def test_none_of_these_is_not_the_label_and_cannot_say_is_no_answer(mcd_command: Run, study: Written) -> None:
    """Of 15 significant cards: 9 right, 2 wrong, 3 none of these, 1 cannot say: 9 of 14, 11 of them concepts."""
    numbers = [card.number for card in study.key.cards if card.group == "significant"]
    given = dict(zip(numbers, [*["None of These"] * 3, "cannot say", "wrong", "wrong"], strict=False))
    given = {number: wrong_letter(study, number) if one == "wrong" else one for number, one in given.items()}
    sheet = sheet_of(study, "anna.csv", choice=lambda card: given.get(card.number, card.answer))
    found = json.loads(mcd_command("cards", "score", study.folder / "cards-key", sheet, "--json").out)
    one = found["correct"][0]
    assert (one["cards"], one["answered"], one["none_of_these"], one["correct"]) == (15, 14, 3, 9)
    assert one["share"] == pytest.approx(9 / 14)
    assert one["chance"] == pytest.approx(11 / 5 / 14)
    assert one["p"] == pytest.approx(binom.sf(8, 11, 0.2))
    choices = [card["answers"][0]["choice"] for card in found["cards"] if card["number"] in numbers[:4]]
    assert choices == ["none of these"] * 3 + ["cannot say"]
    said = " ".join(mcd_command("cards", "score", study.folder / "cards-key", sheet).out.split())
    assert "anna: 'none of these' on 3 of 20 cards, which counts as not the label; 'cannot say' on 1" in said


def test_who_saw_the_choices_before_describing_is_said(mcd_command: Run, study: Written) -> None:
    written = {1: "after choices", 2: "after choices", 3: ""}
    when = {
        "anna": lambda card: "before choices",
        "ben": lambda card: written.get(card.number, "before choices"),
    }
    sheets = [
        sheet_of(
            study,
            f"{number}.csv",
            choice=lambda card: card.answer,
            reader=name,
            free_text=lambda card: "" if card.number == 20 else "words",
            free_text_written=one,
        )
        for number, (name, one) in enumerate(when.items())
    ]
    found = json.loads(mcd_command("cards", "score", study.folder / "cards-key", *sheets, "--json").out)
    assert found["free_text"] == [
        {"reader": "anna", "before": 19, "after": 0, "unknown": 0, "empty": 1},
        {"reader": "ben", "before": 16, "after": 2, "unknown": 1, "empty": 1},
    ]
    said = " ".join(mcd_command("cards", "score", study.folder / "cards-key", *sheets).out.split())
    assert "1 of 2 readers described cards after they had seen the choices (ben): these texts are not blind" in said
    again = sheet_of(study, "again.csv", choice="a", reader="anna")
    twice = mcd_command("cards", "score", study.folder / "cards-key", sheets[0], again)
    assert twice.code == 2
    assert "answers of reader 'anna' are given twice: 0.csv, again.csv" in twice.err


@pytest.mark.parametrize("count", [1, 2])
def test_a_tiny_study_gives_sentences(mcd_command: Run, phantom: mcd.Dissection, tmp_path: Path, count: int) -> None:
    study = cards_of(phantom, tmp_path, count=count, controls=0, images=2)
    silent = [sheet_of(study, f"{name}.csv", choice="cannot say", confidence="") for name in ("anna", "ben")]
    certain = sheet_of(study, "carl.csv", choice=lambda card: card.answer)
    for sheets in (silent[:1], silent, [certain], [certain, *silent]):
        done = mcd_command("cards", "score", study.folder / "cards-key", *sheets)
        assert done.code == 0, done.err
        assert "nan" not in done.out.lower()
        assert max(map(len, done.out.splitlines())) <= 80
        if sheets[0] in silent:
            cards = "1 card" if count == 1 else "2 cards"
            said = f"anna could not say on any of {cards}: there is no share of correct choices"
            assert said in " ".join(done.out.split())
        if len(sheets) > 1 and count == 1:
            assert "not defined: there is one card" in done.out
        json.loads(mcd_command("cards", "score", study.folder / "cards-key", *sheets, "--json").out)


def cell(name: str, value: str) -> Callable[[list[list[str]]], object]:
    return lambda rows: rows[1].__setitem__(rows[0].index(name), value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cell("schema", "mcd.answers/3"), "line 2: it was made by a newer mcd: mcd.answers/3"),
        (cell("schema", "x" * 5000), "line 2: its schema is not mcd.answers/2"),
        (cell("free_text_written", "later"), "line 2, card 1: free_text_written is 'later', and can be"),
        (cell("free_text", "x" * 140_000), "line 2: a cell has over 131,072 characters"),
        (cell("reader", "someone"), " has answers of several readers: else, someone"),
        (lambda rows: rows[0].append("choice"), "line 1: several columns choice"),
        (lambda rows: rows.clear(), "line 1: no column set, card, free_text, choice, confidence"),
    ],
    ids=lambda one: one[:40] if isinstance(one, str) else "",
)
def test_a_hostile_sheet_is_one_clear_message(
    mcd_command: Run, study: Written, change: Callable[[list[list[str]]], object], said: str
) -> None:
    sheet = spoiled(sheet_of(study, "anna.csv", choice="a", reader="else"), change)
    done = mcd_command("cards", "score", study.folder / "cards-key", sheet)
    assert done.code == 4
    assert said in done.err
    assert len(done.err) < 1000
    assert done.err.count("error:") == 1


def test_free_text_is_kept_to_the_letter_and_harms_nobody(mcd_command: Run, study: Written) -> None:
    """Also in a sheet with tabs, other columns and another order, as spreadsheets leave it."""
    texts = ["=1+1", '"quoted"', "two\nlines\n=3", "🩻 Verkalkung; rund", "-0.5", "\x1b[31mred", "'=1"]
    sheet = sheet_of(
        study, "anna.csv", choice="a", reader="\x1b[31mAnna\x07", free_text=lambda card: texts[card.number % len(texts)]
    )
    with sheet.open(newline="", encoding="utf-8") as file:
        rows = [{name: guarded(one) for name, one in row.items()} for row in csv.DictReader(file)]
    with sheet.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, [*reversed(rows[0]), "note"], delimiter="\t")
        table.writeheader()
        table.writerows({**row, "note": "mine"} for row in reversed(rows))
    found = json.loads(mcd_command("cards", "score", study.folder / "cards-key", sheet, "--json").out)
    assert [one["answers"][0]["free_text"] for one in found["cards"]] == [
        texts[card.number % len(texts)] for card in study.key.cards
    ]
    assert "\x1b" not in mcd_command("cards", "score", study.folder / "cards-key", sheet).out
