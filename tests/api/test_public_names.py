"""The public face: which names there are, that each can be used and says what it does, that importing them is cheap."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import mcd
import mcd.plugins
import mcd.testing
from mcd.testing import assert_light

_FACE = """
    AnnotationDissector
    Box Comparison ComparisonSettings Component CompositeDataset Concept ConceptSet ConceptSource Dataset Dissection
    Dissector Edit Evaluation Explanation Image ModelLoader Options Passed Preprocessing Probe Reporter Sample Scorer
    Remark Study Target TopKScorer UnitSource Units Unreadable __version__ compare depends_on dissect embed errors
    evaluate events figures hookimpl label load merge plugins report run run_target score
"""
_FOR_PLUGINS = """
    ABSENT PRESENT presence split_rows
    Breast CONTROLS CodeReference Copy MayFetch ChannelMean ChannelStd PermutationUnits QValues Resamples SEED Seed Side
    AGAINST ANSWERS BASELINES CHANGES Evaluation FIRST_LABELS FiniteRange MAY_BE_CHANCE MEASURES
    RUNGS RUNG_COLUMNS check_writable Terminal echo echo_lines outputs csv_bytes csv_text unguarded
    FEW_IMAGES Limits Manifest Maps NOT_SIGNIFICANT PATH NameOrPath Part PathBelowRoot
    PictureHeader PictureOptions PluginHost Positions SIGNIFICANT Schema StoredScores VERDICTS above_chance
    above_chance_said averaged_beside BesideRandom beside_random by_evidence calling chance_rule
    check_finite check_picture image_statistics Layer LayerUnit Selection
    concepts_of copies crop_fraction data_set_of digest each_file examine_each examine_file example_input
    file_digest files_below find_breast find_state_dict
    fit_state_dict hub_cache_only hub_quiet hub_repository hub_revision import_function import_concepts isolated
    images_flags latex_text load_target load_weights made_of match_layers offline one_line option_group ordered_top_k
    parse_pairs with_target_flags TargetFlags
    picture_of prefix_tokens print_table
    read_checkpoint read_header read_labels read_picture read_record read_state_dict rows_fitted_on
    run_images same_samples
    said_beside samples_of say select_weights sight_of TargetImages target_images thumbnails unfilled
    validate_options with_plugin_files
    write_atomically
"""


@pytest.mark.parametrize(("module", "names"), [(mcd, _FACE), (mcd.plugins, _FOR_PLUGINS)])
def test_the_public_names_are_these_and_no_others(module: ModuleType, names: str) -> None:
    assert sorted(module.__all__) == sorted(names.split())
    assert set(module.__all__) <= set(dir(module))


def test_the_names_for_tests_of_plugins_are_these() -> None:
    checks = "command concepts dataset dissector model_loader observer preprocessing reporter scorer unit_source"
    assert sorted(mcd.testing.__all__) == sorted(
        ["HEAVY", "ContractError", "assert_light", *(f"check_{one}" for one in checks.split())]
    )


@pytest.mark.parametrize("module", [mcd, mcd.plugins, mcd.testing])
def test_every_public_name_is_there_and_says_what_it_is(module: ModuleType) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("module", ["mcd", "mcd.plugins"])
def test_importing_the_face_imports_nothing_heavy(module: str) -> None:
    assert_light(module)


_OURS = re.compile(r"^\s*(?:from (mcd[\w.]*) import|import (mcd[\w.]*))", re.MULTILINE)


@pytest.mark.parametrize("folder", ["plugins", "concept_sets", "examples"])
def test_built_ins_and_examples_import_public_modules_only(folder: str) -> None:
    allowed = {"mcd", "mcd.plugins", "mcd.errors", "mcd.events", "mcd.testing"}
    for path in (Path(__file__).parents[2] / folder).rglob("*.py"):
        named = {first or second for first, second in _OURS.findall(path.read_text(encoding="utf-8"))}
        inner = {name for name in named - allowed if name.startswith("mcd.")}
        assert not inner, f"{path} imports {', '.join(sorted(inner))}"  # type checkers' imports count, too


def test_what_is_public_can_be_imported() -> None:
    assert dir(mcd) == sorted(mcd.__all__)
    for name in mcd.__all__:
        assert getattr(mcd, name) is not None
