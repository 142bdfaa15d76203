"""The reference of the hooks names every hook with its exact arguments."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from mcd import hookspecs
from mcd.components import Kind

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"
SPECS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")}


def test_every_kind_has_its_hook_and_events_have_one() -> None:
    assert set(SPECS) == {kind.hook for kind in Kind} | {"mcd_on_event"}


def test_the_page_names_every_hook_with_its_arguments_and_no_other() -> None:
    documented = re.findall(r"^### `(mcd_\w+\(.*?\))`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [f"{name}({', '.join(inspect.signature(spec).parameters)})" for name, spec in SPECS.items()]
