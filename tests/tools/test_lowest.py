"""The lowest versions that a project allows, as constraints for pip."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lowest", ROOT / "tools" / "lowest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_requirement_is_held_at_its_lower_bound(tool: ModuleType) -> None:
    project = """
    [project]
    name = "own"
    dependencies = ["zebra>=1.2,<2", "Ape~=3.4", 'bear==5; python_version >= "3.11"']
    [project.optional-dependencies]
    more = ["own[test]", "cat[fur]>=0.1"]
    test = ["pytest>=8", "anything"]
    """
    assert tool.lowest(project) == ["Ape==3.4", "bear==5", "cat==0.1", "zebra==1.2"]


@pytest.mark.parametrize("requirement", ["zebra", "zebra<2", "zebra!=1"])
def test_a_requirement_without_a_lower_bound_is_an_error(tool: ModuleType, requirement: str) -> None:
    with pytest.raises(ValueError, match="write zebra>=VERSION"):
        tool.lowest(f'[project]\nname = "own"\ndependencies = ["{requirement}"]')


def test_the_dependencies_of_this_project_have_lower_bounds(tool: ModuleType) -> None:
    found = tool.lowest((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"torch", "numpy", "pydicom", "pylibjpeg", "openpyxl"} <= {Requirement(line).name for line in found}
