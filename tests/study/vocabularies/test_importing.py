"""Vocabularies in other formats become concept sets, and every decision is told."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from mcd.api.concepts import ConceptSet
from mcd.errors import ConfigError, DataError, MCDError, UsageError
from mcd.study.vocabularies.importing import Imported, import_files

Sheets = dict[str, list[list[str | None]]]
SHEETS: Sheets = {
    " Findings": [
        ["Mass", "Asymmetry "],
        ["mass", "asymmetry"],
        ["odd mass ", "unilateral"],
        ["odd mass", None],
        ["membrane", None],
        ["stable", None],
        ["stable", None],
    ],
    "Nature": [["Materials", "Colours"], ["membrane", "red"], ["left out", None]],
}
LIST = "asymmetry\nlonely\nmass\nmembrane\nodd mass\nred\nstable\nunilateral\n"


def workbook(path: Path, sheets: Sheets = SHEETS) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [written(tmp_path / "list.txt", LIST), workbook(tmp_path / "groups.xlsx")]


def places(made: Imported) -> dict[str, tuple[str, str]]:
    return {one.term: (one.broad_category, one.category) for one in made.concepts.concepts}


def test_of_the_published_pair_the_last_cell_counts(pair: list[Path]) -> None:
    made = import_files(pair, "x", licence="CC0-1.0", controls=["nature"])
    assert places(made) == {
        "mass": ("Findings", "Mass"),
        "odd mass": ("Findings", "Mass"),
        "stable": ("Findings", "Mass"),
        "asymmetry": ("Findings", "Asymmetry"),
        "unilateral": ("Findings", "Asymmetry"),
        "membrane": ("Nature", "Materials"),
        "red": ("Nature", "Colours"),
        "lonely": ("uncategorised", "uncategorised"),
    }
    assert [one.term for one in made.concepts.concepts if not one.mammographic] == ["membrane", "red"]
    assert made.groups == {"Findings": (6, 5), "Nature": (2, 2), "uncategorised": (1, 1)}


def test_the_first_cell_counts_where_that_is_asked_for(pair: list[Path]) -> None:
    made = import_files(pair, "x", precedence="first")
    assert places(made)["membrane"] == ("Findings", "Mass")
    assert made.groups["Nature"] == (2, 1)
    assert made.several["membrane"] == (
        "groups.xlsx, sheet 'Findings', column 'Mass', row 5",
        "groups.xlsx, sheet 'Nature', column 'Materials', row 2",
    )


def test_the_counts_are_those_of_the_published_kind(pair: list[Path]) -> None:
    made = import_files(pair, "x")
    assert list(made.counts.values()) == [8, 11, 9, 8, 3, 1, 1, 8]
    assert made.counts["places of terms"] == 11
    assert made.counts["distinct as written"] == 9  # "odd mass" with a trailing blank, and without
    assert made.counts["distinct but for blanks and capitals"] == 8
    assert list(made.several) == ["odd mass", "stable", "membrane"]
    assert (made.without_category, made.not_listed) == (("lonely",), ("left out",))


def test_what_is_written_is_the_set_and_says_where_it_is_from(pair: list[Path], tmp_path: Path) -> None:
    made = import_files(pair, "mine", licence="CC-BY-NC-4.0", language="de")
    found = ConceptSet.from_file(written(tmp_path / "out.yaml", made.document))
    assert found == made.concepts
    assert (found.name, found.licence, found.language) == ("mine", "CC-BY-NC-4.0", "de")
    assert found.sources == tuple(f"{one.name}, sha256 {hashlib.sha256(one.read_bytes()).hexdigest()}" for one in pair)
    assert str(tmp_path) not in made.document


def test_a_workbook_alone_gives_all_its_terms(tmp_path: Path) -> None:
    made = import_files([workbook(tmp_path / "b.xlsx")], "x")
    assert "left out" in places(made)
    assert len(made.concepts.concepts) == 8
    assert made.counts["terms found"] == 11


def test_words_that_yaml_would_take_for_something_else_stay_words(tmp_path: Path) -> None:
    words = ["no", "on", "1:30", "12", "- x", "# y", "a: b", "null", "{z}", "größe", "'q'", "0x1", "~"]
    made = import_files([written(tmp_path / "w.txt", "\n".join(words))], "x")
    found = ConceptSet.from_file(written(tmp_path / "o.yaml", made.document))
    assert [one.term for one in found.concepts] == words
    assert made.without_category == tuple(words)


def test_a_table_tells_more(tmp_path: Path) -> None:
    text = (
        "Concept;Category;broad_category;Synonyms;opposite;mammographic;prompt\n"
        'mass;Mass;Findings;lump| bump |Mass;no mass;;"a mass; seen"\n'
        "hat;;;;;false;\n"
        "mass;;;node;;;\n"
    )
    made = import_files([written(tmp_path / "t.csv", text)], "x")
    mass, hat = made.concepts.concepts
    assert (mass.broad_category, mass.category, mass.prompt) == ("Findings", "Mass", "a mass; seen")
    assert mass.synonyms == ("node", "lump", "bump")
    assert mass.opposite == "no mass"
    assert (hat.category, hat.mammographic) == ("uncategorised", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["mass", "cyst"]', {"mass": ("uncategorised",) * 2, "cyst": ("uncategorised",) * 2}),
        ('{"Mass": ["mass", "cyst"]}', {"mass": ("Mass", "Mass"), "cyst": ("Mass", "Mass")}),
        ('{"F": {"Mass": ["mass"], "Skin": [{"term": "fold"}]}}', {"mass": ("F", "Mass"), "fold": ("F", "Skin")}),
        ('{"A": ["mass", "mass"], "B": ["mass "]}', {"mass": ("B", "B")}),
    ],
)
def test_json_is_lists_below_no_one_or_two_names(
    tmp_path: Path, text: str, expected: dict[str, tuple[str, str]]
) -> None:
    assert places(import_files([written(tmp_path / "j.json", text)], "x")) == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("w.txt", "\n \n", "w.txt: there is no term in it"),
        ("w.txt", "mass\na\x1b[31m\n", "w.txt:2: has a character that cannot be printed"),
        ("t.csv", "word,category\nmass,Mass\n", "t.csv:1: there is no column 'term'"),
        ("t.csv", "term,mammographic\nmass,\ncyst,maybe\n", "t.csv:3: mammographic is 'maybe'"),
        ("j.json", '["mass"', "j.json:1: not valid JSON"),
        ("j.json", '{"a": {"b": {"c": ["x"]}}}', "j.json › a › b: neither a list of terms nor names"),
        ("j.json", '{"a": ["x", 3]}', "j.json › a, item 2: neither a term nor an object with a term"),
        ("j.json", '[{"term": "x", "synonyms": [1]}]', "j.json, item 1: [1] is not a text"),
        ("s.yaml", "name: x\n", "s.yaml: not a kind of vocabulary that is imported"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        import_files([written(tmp_path / name, text)], "x")
    assert caught.value.message.replace(f"{tmp_path}/", "").startswith(said)


def test_a_damaged_workbook_and_a_missing_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no workbook"):
        import_files([written(tmp_path / "b.xlsx", "mass")], "x")
    for name in ("gone.xlsx", "gone.txt", "gone.json"):
        with pytest.raises(ConfigError, match="there is no file"):
            import_files([tmp_path / name], "x")


def test_an_unknown_control_gets_the_nearest(pair: list[Path]) -> None:
    with pytest.raises(ConfigError) as caught:
        import_files(pair, "x", controls=["Natur"])
    assert "did you mean 'Nature'?" in caught.value.hint


def test_a_workbook_without_openpyxl_says_what_to_type(tmp_path: Path) -> None:
    workbook(tmp_path / "b.xlsx")
    code = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "from pathlib import Path\nfrom mcd.errors import MCDError\n"
        "from mcd.study.vocabularies.importing import import_files\n"
        "try:\n    import_files([Path('b.xlsx')], 'x')\nexcept MCDError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == 'b.xlsx is a workbook, which needs openpyxl\nhint: pip install "mammo-clip-dissect[tables]"\n'


def test_the_command_writes_a_set_reports_and_warns(
    run: Callable[..., str], pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.yaml"
    said = run("import", *map(str, pair), "-o", str(output), "--controls", "Nature", "--licence", "CC0-1.0")
    assert "distinct as written                       9" in said
    assert "membrane: groups.xlsx, sheet 'Nature'" in said
    assert "warning" not in said
    assert max(map(len, said.replace(str(tmp_path), "").splitlines())) <= 80
    assert len(ConceptSet.from_file(output).concepts) == 8
    with pytest.raises(UsageError, match="exists already"):
        run("import", str(pair[0]), "-o", str(output))
    assert "no licence is given" in run("import", str(pair[0]), "-o", str(output), "--overwrite")
    assert ConceptSet.from_file(output).name == "out"
    with pytest.raises(MCDError, match="does not end in"):
        run("import", str(pair[0]), "-o", str(tmp_path / "out.json"))
