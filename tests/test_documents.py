"""Files that people write: read plainly, and every mistake with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pydantic
import pytest

from mcd.api.schema import Schema, read_record
from mcd.documents import Document, read_document, validate_document
from mcd.errors import ConfigError, StoreError
from mcd.runs.manifest import SCHEMA as MANIFEST
from mcd.runs.manifest import Manifest
from mcd.study.study import SCHEMA as STUDY
from mcd.study.study import Study

ROOT = Path(__file__).parent.parent


class Options(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    size: int = 1
    label: str = ""


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    options: Options = Options()


class Settings(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", populate_by_name=True)
    schema_: Literal["x/1"] = pydantic.Field(default="x/1", alias="schema")
    model: Model | None = None
    models: tuple[Model, ...] = ()
    words: tuple[str, ...] = ()
    flag: bool = False

    @pydantic.field_validator("models", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return [value] if isinstance(value, dict) else value


def written(folder: Path, text: str | bytes, name: str = "study.yaml") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def read(folder: Path, text: str | bytes, name: str = "study.yaml") -> Document:
    return read_document(written(folder, text, name))


def refusal(folder: Path, text: str | bytes, name: str = "study.yaml") -> str:
    """Return what is said of a file, its path shortened to its name."""
    with pytest.raises(ConfigError) as caught:
        validate_document(read(folder, text, name), Settings)
    return caught.value.message.replace(f"{folder}/", "")


def test_json_is_yaml_too(tmp_path: Path) -> None:
    yaml = read(tmp_path, "model:\n  name: timm\n  options: {size: 3}\nwords: [a, b]\nflag: true\n")
    json = read(
        tmp_path, '{"model": {"name": "timm", "options": {"size": 3}}, "words": ["a", "b"], "flag": true}', "a.YML"
    )
    assert validate_document(yaml, Settings) == validate_document(json, Settings)


def test_a_toml_file_is_refused_with_what_to_write_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "flag = true\n", "study.toml")
    assert caught.value.message.replace(f"{tmp_path}/", "") == "study.toml: TOML is not read"
    assert caught.value.hint == "write YAML: 'name: value' in place of 'name = value'"


def test_words_stay_what_the_user_wrote(tmp_path: Path) -> None:
    words = "no, yes, on, off, y, n, 1:30, 2024-01-31, 007, 0x1F, 0o7, 1_000, .inf, null x, =, <<"
    assert read(tmp_path, f"w: [{words}]\n").data == {"w": words.split(", ")}


def test_numbers_booleans_and_null_are_still_read(tmp_path: Path) -> None:
    data = read(tmp_path, "v: [1, -2, 0, 1.5, 1e-3, .5, 1., true, FALSE, null, ~, '1', \"true\"]\ne:\n").data
    assert repr(data["v"]) == "[1, -2, 0, 1.5, 0.001, 0.5, 1.0, True, False, None, None, '1', 'true']"
    assert data["e"] is None


def test_a_number_where_text_is_wanted_is_the_text(tmp_path: Path) -> None:
    document = read(tmp_path, "models:\n  name: 0.10\n  options: {label: 1e3, size: 7}\nwords: [true, 12, x]\n")
    found = validate_document(document, Settings)
    assert (found.models[0].name, found.models[0].options) == ("0.10", Options(size=7, label="1e3"))
    assert found.words == ("true", "12", "x")


def test_null_is_no_text(tmp_path: Path) -> None:
    assert refusal(tmp_path, "words:\n  - a\n  - null\n").startswith("study.yaml:3: setting 'words.1'")


def test_keys_are_text(tmp_path: Path) -> None:
    assert read(tmp_path, "on: 1\n2: x\ntrue: y\n").data == {"on": 1, "2": "x", "true": "y"}


def test_an_unknown_setting_is_named_with_its_line_and_the_nearest_of_its_own_model(tmp_path: Path) -> None:
    assert refusal(tmp_path, "flag: true\n\nmodel:\n  name: a\n  optoins: {}\n") == (
        "study.yaml:5: unknown setting 'model.optoins': did you mean 'options'? There is: name, options"
    )
    assert refusal(tmp_path, "models:\n- name: a\n- name: b\n  options:\n    siez: 1\n") == (
        "study.yaml:5: unknown setting 'models.1.options.siez': did you mean 'size'? There is: label, size"
    )
    assert "'schema'? There is: flag, model, models, schema, words" in refusal(tmp_path, "shcema: x/1\n")


def test_a_line_is_found_where_a_validator_made_a_list(tmp_path: Path) -> None:
    assert refusal(tmp_path, "words: []\nmodels:\n  name: a\n  optoins: 1\n").startswith("study.yaml:4: ")


def test_each_problem_has_a_line_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert refusal(tmp_path, "words: 3\nflag: maybe\nmodel:\n  options: {size: big}\n").splitlines() == [
        "study.yaml has 4 problems:",
        "  study.yaml:1: setting 'words': Input should be a valid tuple (got 3)",
        "  study.yaml:2: setting 'flag': Input should be a valid boolean, unable to interpret input (got 'maybe')",
        "  study.yaml:3: setting 'model.name' is required",
        "  study.yaml:4: setting 'model.options.size': Input should be a valid integer, "
        "unable to parse string as an integer (got 'big')",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "study.yaml:3: 'a' is given twice"),
        ("m:\n  a: 1\n  'a': 3\n", "study.yaml:3: 'a' is given twice"),
        ("m: {1: x, 1: y}\n", "study.yaml:1: '1' is given twice"),
        ("", "study.yaml is empty"),
        (" \n\n", "study.yaml is empty"),
        ("# nothing\n", "study.yaml is empty"),
        ("---\n", "study.yaml is empty"),
        ("- a\n- b\n", "study.yaml:1: not a document of settings"),
        ("\njust text\n", "study.yaml:2: not a document of settings"),
        ("a: 1\nb: [1, 2\nc: 3\n", "study.yaml:3: not valid YAML: expected ',' or ']', but got ':'"),
        ("a: 1\n\tb: 2\n", "study.yaml:2: not valid YAML: found character '\\t' that cannot start any token"),
        ("a: b: c\n", "study.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("a: *x\n", "study.yaml:1: not valid YAML: found undefined alias 'x'"),
        ("a: 1\n---\nb: 2\n", "study.yaml:2: not valid YAML: but found another document"),
        ("a: 1\nb: \0\n", "study.yaml:2: not valid YAML: special characters are not allowed"),
        ("? [a]\n: 1\n", "study.yaml:1: a list or a mapping cannot be a key"),
        ("a: 1\nb: !!python/object/new:os []\n", "study.yaml:2: the tag '!!python/object/new:os' is not allowed"),
        ("a: !!python/name:os.getcwd\n", "study.yaml:1: the tag '!!python/name:os.getcwd' is not allowed"),
        ("a: !mine x\n", "study.yaml:1: the tag '!mine' is not allowed"),
        ("a: !!set {x}\n", "study.yaml:1: the tag '!!set' is not allowed"),
        ("a: !!int x\n", "study.yaml:1: 'x' cannot be read as int"),
        ("a: !!bool x\n", "study.yaml:1: 'x' cannot be read as bool"),
        ("a: " + "9" * 5000 + "\n", f"study.yaml:1: '{'9' * 40}…' cannot be read as int"),
        ("a: &a [*a]\n", "study.yaml: nested too deeply"),
        ("a: " + "[" * 5000 + "\n", "study.yaml: nested too deeply"),
        (b"a: 1\nb: \xff\xfe\n", "study.yaml:2: not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "study.yaml:1: not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "study.yaml:1: not UTF-8 text"),
    ],
)
def test_a_broken_yaml_file_is_one_clear_error(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert refusal(tmp_path, text) == said


def test_the_line_of_the_first_of_two_keys_is_in_the_hint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "x: 0\na: 1\na: 2\n")
    assert caught.value.hint == "it is in line 2 already"


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 500000 values" in refusal(tmp_path, "\n".join(["l0: &l0 [x]", *levels]))


def test_an_honest_alias_works(tmp_path: Path) -> None:
    found = validate_document(read(tmp_path, "words: &w [a]\nmodel: {name: m}\nmodels: []\n"), Settings)
    assert found.words == ("a",)
    assert read(tmp_path, "a: &x {k: 1}\nb: *x\n").data == {"a": {"k": 1}, "b": {"k": 1}}


def test_what_is_not_a_readable_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    written(tmp_path, "a: 1", "study.ini")
    for name, said in {
        "gone.yaml": "there is no file gone.yaml",
        "gone": "there is no file gone",
        "folder.yaml": "folder.yaml is a folder, not a file",
        "study.ini": "study.ini: not a kind of file that is read here",
        "study.ini/x.yaml": "study.ini/x.yaml cannot be read: Not a directory",
        "nul\0.yaml": "nul\\u0000.yaml cannot be read: embedded null byte",
    }.items():
        with pytest.raises(ConfigError) as caught:
            read_document(tmp_path / name)
        assert caught.value.message.replace(f"{tmp_path}/", "") == said


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    document = read(tmp_path, b"\xef\xbb\xbfflag: true\r\nwords: [a]\r\n")
    assert document.data == {"flag": True, "words": ["a"]}
    assert document.line(["words"]) == 2


def test_line_follows_the_path_as_far_as_it_goes(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  - x\n  - b:\n      c: 1\n")
    path: list[str | int] = ["a", 1, "b", "c"]
    assert [document.line(path[:depth]) for depth in range(5)] == [1, 1, 3, 3, 4]
    assert document.line(["a", 0]) == 2
    assert document.line(["a", 1, "gone"]) == 3
    assert document.line(["a", 7]) == 1


class Box(pydantic.BaseModel):
    """A document of the third version; the second had ``size`` under another name."""

    model_config = pydantic.ConfigDict(extra="forbid")
    schema_: Literal["mcd.box/3"] = pydantic.Field(alias="schema")
    size: int
    colour: str = "red"


def from_second(values: Mapping[str, object]) -> Mapping[str, object]:
    rest = {name: value for name, value in values.items() if name != "edge"}
    return {**rest, "size": values.get("edge")}


BOX = Schema("box", 3, {2: from_second}, remedy="pack it again")


@pytest.mark.parametrize("text", ['{"schema": "mcd.box/3", "size": 4}', '{"schema": "mcd.box/2", "edge": 4}'])
def test_a_record_of_this_version_or_an_older_one_is_read(text: str) -> None:
    found = read_record(text.encode(), BOX, Box, "box.json")
    assert (found.schema_, found.size, found.colour) == ("mcd.box/3", 4, "red")  # a field added since has its default


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (
            '{"schema": "mcd.box/1", "width": 4}',
            "cannot be read: it was made by an older mcd: mcd.box/1, and this version reads mcd.box/3",
            "pack it again",
        ),
        (
            '{"schema": "mcd.box/4", "size": 4}',
            "cannot be read: it was made by a newer mcd: mcd.box/4, and this version reads mcd.box/3",
            "upgrade mammo-clip-dissect",
        ),
        (
            '{"schema": "mcd.box/3", "size": 4, "lid": {}}',
            "was made by a newer mcd: it has the field 'lid', which is not known here",
            "upgrade mammo-clip-dissect",
        ),
        (
            '{"schema": "mcd.key/3", "size": 4}',
            "cannot be read: it holds mcd.key/3, and mcd.box/3 is expected",
            "give another file",
        ),
        ('{"size": 4}', "cannot be read: its schema is not mcd.box/3", "pack it again"),
        ('{"schema": 3, "size": 4}', "cannot be read: its schema is not mcd.box/3", "pack it again"),
        ('{"schema": "box/3", "size": 4}', "cannot be read: its schema is not mcd.box/3", "pack it again"),
        ('{"schema": "mcd.box/0", "size": 4}', "cannot be read: its schema is not mcd.box/3", "pack it again"),
        ('{"schema": "mcd.box/3", "size": "x"}', "is damaged: size: Input should be a valid integer", "pack it again"),
        ('{"schema": "mcd.box/3"}', "is damaged: size: Field required", "pack it again"),
        ("[]", "is damaged: it is not a JSON object", "pack it again"),
        ("", "is damaged: it is not a JSON object", "pack it again"),
        ('{"schema": "mcd.box/3", "si', "is damaged: it is not a JSON object", "pack it again"),
        ("[" * 100_000, "is damaged: it is not a JSON object", "pack it again"),
        ("\udcff", "is damaged: it is not a JSON object", "pack it again"),
    ],
)
def test_a_record_that_is_not_read_says_why_and_what_to_do(text: str, said: str, hint: str) -> None:
    with pytest.raises(StoreError) as caught:
        read_record(text.encode(errors="surrogateescape"), BOX, Box, "box.json")
    assert caught.value.message.startswith(f"box.json {said}")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("mcd.study/2", "it was made by a newer mcd: mcd.study/2, and this version reads mcd.study/1"),
        ("mcd.manifest/1", "it holds mcd.manifest/1, and mcd.study/1 is expected"),
        ("mine", "its schema is not mcd.study/1"),
    ],
)
def test_a_study_file_of_another_schema_is_refused_with_its_line(tmp_path: Path, schema: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate_document(read(tmp_path, f"models: a\ndissectors: b\ndataset: c\nschema: {schema}\n"), Study)
    assert caught.value.message.replace(f"{tmp_path}/", "").startswith(f"study.yaml:4: setting 'schema': {said}")


def test_the_schemas_of_models_are_those_that_are_declared() -> None:
    assert Study.model_fields["schema_"].default == str(STUDY)
    assert Manifest.model_fields["schema_"].default == str(MANIFEST)


def test_every_schema_in_the_code_is_documented_and_no_other() -> None:
    sources = [*(ROOT / "core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    declared = {f"mcd.{name}/{number or 1}" for name, number in re.findall(r'= Schema\("([a-z-]+)"(?:, (\d+))?', text)}
    written = set(re.findall(r'"(mcd\.[a-z-]+/\d+)"', text))
    page = (ROOT / "docs" / "reference" / "versions.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(mcd\.[a-z-]+/\d+)`", page, re.MULTILINE)) == declared | written
