"""The public face: which names there are, that each can be used and says what it does, that importing them is cheap."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

import mcd
import mcd.plugins
from mcd.testing import assert_light

_FACE = """
    Box Comparison ComparisonSettings Component CompositeDataset Concept ConceptSet ConceptSource Dataset Dissection
    Dissector Explanation Image ModelLoader Options Preprocessing Probe Reporter Sample Scorer Study Target
    TopKScorer Unreadable __version__ compare dissect errors events figures hookimpl label load plugins report run
"""
_FOR_PLUGINS = """
    Breast Exchange FEW_IMAGES Manifest Maps NOT_SIGNIFICANT NameOrPath PathBelowRoot PluginHost SIGNIFICANT Schema
    VERDICTS check_finite
    digest examine_file files_below find_breast find_state_dict fit_state_dict hub_cache_only hub_quiet hub_revision
    import_function load_weights match_layers offline ordered_top_k prefix_tokens print_table read_checkpoint
    read_record read_state_dict samples_of say validate_options with_host write_atomically
"""


@pytest.mark.parametrize(("module", "names"), [(mcd, _FACE), (mcd.plugins, _FOR_PLUGINS)])
def test_the_public_names_are_these_and_no_others(module: ModuleType, names: str) -> None:
    assert sorted(module.__all__) == sorted(names.split())
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("module", [mcd, mcd.plugins])
def test_every_public_name_is_there_and_says_what_it_is(module: ModuleType) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("module", ["mcd", "mcd.plugins"])
def test_importing_the_face_imports_nothing_heavy(module: str) -> None:
    assert_light(module)
