"""`Study` is the one declaration of every option: keywords of `mcd.dissect`, schema and reference page say the same."""

from __future__ import annotations

import inspect
import json
import runpy
from pathlib import Path
from typing import Any, get_type_hints

import pydantic
import pytest

import mcd
from mcd.options import forms_of
from mcd.study.leaves import leaves
from mcd.study.study import Choice, ModelChoice, Study

ROOT = Path(__file__).resolve().parents[2]
SIGNATURE = inspect.signature(mcd.dissect).parameters
BESIDE = {"output", "engine", "parts", "progress", "plugin_files"}
"""Keywords that no study has: where a run goes, and what one process does."""

OF_MODELS = {"models": "model", "dissectors": "dissector"}
"""`mcd.dissect` runs one model with one dissector."""

OF_DISSECTOR = ("concepts", "scorer")
"""Where none is named the dissector decides: that of annotations has its own."""

FIELDS = {
    **{OF_MODELS.get(name, name): info for name, info in Study.model_fields.items() if name != "schema_"},
    **{name: ModelChoice.model_fields[name] for name in ("layers", "units", "neurons", "pooling")},
}


def test_the_keywords_are_the_settings() -> None:
    assert set(SIGNATURE) == set(FIELDS) | BESIDE


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"layers"}))
def test_a_keyword_has_the_default_of_its_setting(name: str) -> None:
    info, given = FIELDS[name], SIGNATURE[name].default
    if info.is_required():
        assert given is inspect.Parameter.empty
    elif name in OF_DISSECTOR:
        assert given is None
    else:
        made: object = pydantic.TypeAdapter(Any if name == "layers" else whole_type(name)).validate_python(given)
        assert made == info.get_default(call_default_factory=True)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_keyword_takes_the_types_of_its_setting(name: str) -> None:
    taken = members(get_type_hints(mcd.dissect)[name])
    for one in members(whole_type(name)):
        if isinstance(one, type) and issubclass(one, Choice):
            assert str in taken  # a name
            assert any("Mapping" in str(also) for also in taken)  # or a name with its settings
        else:
            assert one in taken or str(one).startswith("tuple")


def members(annotation: object) -> set[object]:
    """Return the types that an annotation is a union of; without what pydantic adds to them."""
    return {one for one, _ in forms_of(annotation, ())}


def whole_type(name: str) -> Any:
    """Return the type of a setting as it was declared, with what pydantic took off it."""
    field = {alias: name for name, alias in OF_MODELS.items()}.get(name, name)
    owner = ModelChoice if name in ("layers", "units", "neurons", "pooling") else Study
    return get_type_hints(owner, include_extras=True)[field]


def test_a_value_that_does_not_fit_is_refused_as_in_a_file() -> None:
    with pytest.raises(mcd.errors.ConfigError, match="cache_size"):
        mcd.dissect(
            "phantom-mammo", dataset="phantom", dissector="phantom-clip", layers="head", cache_size=0, progress=False
        )


def test_reporters_write_into_the_run_folder(tmp_path: Path) -> None:
    found = mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="head",
        dataset={"plugin": "phantom", "options": {"patients": 25}},
        concepts={"plugin": "phantom"},
        reporters=["csv", {"plugin": "json"}],
        calibration={"draws": 20, "most_draws": 20},
        output=tmp_path / "run",
        progress=False,
    )
    assert {path.suffix for path in (found.folder / "report").glob("[!.]*")} == {".csv", ".json"}
    reporters = found.manifest.study["reporters"]
    assert isinstance(reporters, list)
    assert [one["plugin"] for one in reporters if isinstance(one, dict)] == ["csv", "json"]


def test_the_reference_page_is_what_the_tool_prints() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "study_reference.py"))["page"]()
    published = (ROOT / "docs" / "reference" / "study.md").read_text(encoding="utf-8")
    assert published == page, "python tools/study_reference.py > docs/reference/study.md"
    assert all(f"`{leaf.path[-1]}`" in page or f".{leaf.path[-1]}`" in page for leaf in leaves())


def test_the_schema_is_that_of_the_study() -> None:
    published = json.loads((ROOT / "docs" / "reference" / "study.schema.json").read_text(encoding="utf-8"))
    assert published == Study.model_json_schema(by_alias=True)
