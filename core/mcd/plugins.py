"""What authors of plugins need besides the contracts of `mcd`: files, checkpoints, the hub, terminal tables.

A component subclasses a contract of `mcd`; its code calls these. Everything is imported on first use, so that a
plugin's own module stays light.

>>> from mcd.plugins import digest
>>> digest("a", "b") == digest("ab")
False
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd.lazy import lazily

if TYPE_CHECKING:
    from mcd.api.base import digest
    from mcd.api.dataset import examine_file, file_digest
    from mcd.api.geometry import Part, crop_fraction
    from mcd.api.kept import made_of
    from mcd.api.listing import files_below, said_beside, samples_of
    from mcd.api.model import prefix_tokens
    from mcd.api.ranking import ordered_top_k
    from mcd.api.schema import Schema, read_record
    from mcd.cli.consoles import Terminal
    from mcd.cli.flags import images_flags
    from mcd.cli.groups import option_group
    from mcd.cli.hosted import with_plugin_files
    from mcd.cli.numbers import SEED, FiniteRange
    from mcd.cli.paths import PATH
    from mcd.cli.tables import print_table, say
    from mcd.cli.target_flags import TargetFlags, with_target_flags
    from mcd.cli.terminal import echo, echo_lines
    from mcd.comparison.beside_random import BesideRandom, beside_random
    from mcd.comparison.changes import KINDS as CHANGES
    from mcd.comparison.changes import MAY_BE_CHANCE, chance_rule
    from mcd.comparison.represented import ANSWERS
    from mcd.extraction.breast import Breast, find_breast
    from mcd.extraction.examining import each_file, examine_each
    from mcd.extraction.fitted import rows_fitted_on
    from mcd.extraction.image_statistics import image_statistics
    from mcd.extraction.map_store import Maps
    from mcd.extraction.positions import Positions
    from mcd.files import write_atomically
    from mcd.host import PluginHost
    from mcd.host.importing import import_function
    from mcd.networks.checkpoints import (
        averaged_beside,
        check_finite,
        find_state_dict,
        fit_state_dict,
        load_weights,
        read_checkpoint,
        read_state_dict,
        select_weights,
    )
    from mcd.networks.differentiating import LayerUnit
    from mcd.networks.foreign import calling
    from mcd.networks.hub import cache_only as hub_cache_only
    from mcd.networks.hub import offline
    from mcd.networks.hub import quiet as hub_quiet
    from mcd.networks.hub import repository as hub_repository
    from mcd.networks.hub import revision as hub_revision
    from mcd.networks.layers import Layer
    from mcd.networks.patterns import match_layers
    from mcd.networks.trial import example_input
    from mcd.networks.unfilled import unfilled
    from mcd.options import (
        ChannelMean,
        ChannelStd,
        CodeReference,
        MayFetch,
        NameOrPath,
        PathBelowRoot,
        Resamples,
        Seed,
        Side,
        parse_pairs,
        validate_options,
    )
    from mcd.runs.controls import CONTROLS
    from mcd.runs.evaluated import AGAINST, BASELINES, MEASURES, Evaluation
    from mcd.runs.evaluated import FIRST as FIRST_LABELS
    from mcd.runs.limits import FEW_IMAGES
    from mcd.runs.manifest import Manifest
    from mcd.runs.named_images import load_target, target_images
    from mcd.runs.revived import StoredScores, concepts_of
    from mcd.runs.run_images import run_images
    from mcd.runs.target_images import TargetImages
    from mcd.runs.thumbnails import Copy, copies, data_set_of, same_samples, sight_of, thumbnails
    from mcd.runs.verdict import above_chance_said
    from mcd.scoring.calibration.fdr import QValues
    from mcd.scoring.calibration.permutation import PermutationUnits
    from mcd.scoring.ordering import above_chance, by_evidence
    from mcd.scoring.rungs import COLUMNS as RUNG_COLUMNS
    from mcd.scoring.rungs import RUNGS
    from mcd.scoring.verdicts import NOT_SIGNIFICANT, SIGNIFICANT, VERDICTS
    from mcd.study.csv_cells import csv_bytes, csv_text, unguarded
    from mcd.study.isolation import Limits, isolated
    from mcd.study.label_files import read_labels
    from mcd.study.labels import split_rows
    from mcd.study.latex import latex_text, one_line
    from mcd.study.outputs import check_writable, outputs
    from mcd.study.picture_header import PictureHeader
    from mcd.study.pictures import PictureOptions, check_picture, picture_of, read_header, read_picture
    from mcd.study.selection import Selection
    from mcd.study.vocabularies.coverage import ABSENT, PRESENT, presence
    from mcd.study.vocabularies.importing import import_files as import_concepts

_HOME = {
    "ABSENT": "mcd.study.vocabularies.coverage",
    "AGAINST": "mcd.runs.evaluated",
    "ANSWERS": "mcd.comparison.represented",
    "BASELINES": "mcd.runs.evaluated",
    "CHANGES": "mcd.comparison.changes:KINDS",
    "CONTROLS": "mcd.runs.controls",
    "Evaluation": "mcd.runs.evaluated",
    "FEW_IMAGES": "mcd.runs.limits",
    "FiniteRange": "mcd.cli.numbers",
    "FIRST_LABELS": "mcd.runs.evaluated:FIRST",
    "MAY_BE_CHANCE": "mcd.comparison.changes",
    "MEASURES": "mcd.runs.evaluated",
    "NOT_SIGNIFICANT": "mcd.scoring.verdicts",
    "PATH": "mcd.cli.paths",
    "PRESENT": "mcd.study.vocabularies.coverage",
    "SEED": "mcd.cli.numbers",
    "Terminal": "mcd.cli.consoles",
    "echo": "mcd.cli.terminal",
    "echo_lines": "mcd.cli.terminal",
    "RUNGS": "mcd.scoring.rungs",
    "RUNG_COLUMNS": "mcd.scoring.rungs:COLUMNS",
    "SIGNIFICANT": "mcd.scoring.verdicts",
    "VERDICTS": "mcd.scoring.verdicts",
    "BesideRandom": "mcd.comparison.beside_random",
    "Breast": "mcd.extraction.breast",
    "CodeReference": "mcd.options",
    "Copy": "mcd.runs.thumbnails",
    "PermutationUnits": "mcd.scoring.calibration.permutation",
    "Layer": "mcd.networks.layers",
    "LayerUnit": "mcd.networks.differentiating",
    "Limits": "mcd.study.isolation",
    "Manifest": "mcd.runs.manifest",
    "Maps": "mcd.extraction.map_store",
    "ChannelMean": "mcd.options",
    "ChannelStd": "mcd.options",
    "MayFetch": "mcd.options",
    "Resamples": "mcd.options",
    "Seed": "mcd.options",
    "Selection": "mcd.study.selection",
    "Side": "mcd.options",
    "NameOrPath": "mcd.options",
    "Part": "mcd.api.geometry",
    "PathBelowRoot": "mcd.options",
    "PictureHeader": "mcd.study.picture_header",
    "PictureOptions": "mcd.study.pictures",
    "PluginHost": "mcd.host",
    "Positions": "mcd.extraction.positions",
    "QValues": "mcd.scoring.calibration.fdr",
    "Schema": "mcd.api.schema",
    "StoredScores": "mcd.runs.revived",
    "TargetFlags": "mcd.cli.target_flags",
    "TargetImages": "mcd.runs.target_images",
    "above_chance": "mcd.scoring.ordering",
    "above_chance_said": "mcd.runs.verdict",
    "averaged_beside": "mcd.networks.checkpoints",
    "beside_random": "mcd.comparison.beside_random",
    "by_evidence": "mcd.scoring.ordering",
    "calling": "mcd.networks.foreign",
    "chance_rule": "mcd.comparison.changes",
    "check_finite": "mcd.networks.checkpoints",
    "check_picture": "mcd.study.pictures",
    "check_writable": "mcd.study.outputs",
    "concepts_of": "mcd.runs.revived",
    "csv_bytes": "mcd.study.csv_cells",
    "latex_text": "mcd.study.latex",
    "one_line": "mcd.study.latex",
    "csv_text": "mcd.study.csv_cells",
    "data_set_of": "mcd.runs.thumbnails",
    "copies": "mcd.runs.thumbnails",
    "crop_fraction": "mcd.api.geometry",
    "digest": "mcd.api.base",
    "each_file": "mcd.extraction.examining",
    "example_input": "mcd.networks.trial",
    "examine_each": "mcd.extraction.examining",
    "examine_file": "mcd.api.dataset",
    "file_digest": "mcd.api.dataset",
    "files_below": "mcd.api.listing",
    "find_breast": "mcd.extraction.breast",
    "find_state_dict": "mcd.networks.checkpoints",
    "fit_state_dict": "mcd.networks.checkpoints",
    "hub_cache_only": "mcd.networks.hub:cache_only",
    "hub_quiet": "mcd.networks.hub:quiet",
    "hub_repository": "mcd.networks.hub:repository",
    "hub_revision": "mcd.networks.hub:revision",
    "image_statistics": "mcd.extraction.image_statistics",
    "images_flags": "mcd.cli.flags",
    "import_concepts": "mcd.study.vocabularies.importing:import_files",
    "import_function": "mcd.host.importing",
    "isolated": "mcd.study.isolation",
    "load_target": "mcd.runs.named_images",
    "load_weights": "mcd.networks.checkpoints",
    "made_of": "mcd.api.kept",
    "match_layers": "mcd.networks.patterns",
    "offline": "mcd.networks.hub",
    "option_group": "mcd.cli.groups",
    "ordered_top_k": "mcd.api.ranking",
    "outputs": "mcd.study.outputs",
    "parse_pairs": "mcd.options",
    "picture_of": "mcd.study.pictures",
    "prefix_tokens": "mcd.api.model",
    "presence": "mcd.study.vocabularies.coverage",
    "print_table": "mcd.cli.tables",
    "read_checkpoint": "mcd.networks.checkpoints",
    "read_header": "mcd.study.pictures",
    "read_labels": "mcd.study.label_files",
    "read_picture": "mcd.study.pictures",
    "read_record": "mcd.api.schema",
    "read_state_dict": "mcd.networks.checkpoints",
    "rows_fitted_on": "mcd.extraction.fitted",
    "same_samples": "mcd.runs.thumbnails",
    "run_images": "mcd.runs.run_images",
    "said_beside": "mcd.api.listing",
    "samples_of": "mcd.api.listing",
    "say": "mcd.cli.tables",
    "select_weights": "mcd.networks.checkpoints",
    "sight_of": "mcd.runs.thumbnails",
    "split_rows": "mcd.study.labels",
    "target_images": "mcd.runs.named_images",
    "thumbnails": "mcd.runs.thumbnails",
    "unfilled": "mcd.networks.unfilled",
    "unguarded": "mcd.study.csv_cells",
    "validate_options": "mcd.options",
    "with_plugin_files": "mcd.cli.hosted",
    "with_target_flags": "mcd.cli.target_flags",
    "write_atomically": "mcd.files",
}

__all__ = [
    "ABSENT",
    "AGAINST",
    "ANSWERS",
    "BASELINES",
    "CHANGES",
    "CONTROLS",
    "FEW_IMAGES",
    "FIRST_LABELS",
    "MAY_BE_CHANCE",
    "MEASURES",
    "NOT_SIGNIFICANT",
    "PATH",
    "PRESENT",
    "RUNGS",
    "RUNG_COLUMNS",
    "SEED",
    "SIGNIFICANT",
    "VERDICTS",
    "BesideRandom",
    "Breast",
    "ChannelMean",
    "ChannelStd",
    "CodeReference",
    "Copy",
    "Evaluation",
    "FiniteRange",
    "Layer",
    "LayerUnit",
    "Limits",
    "Manifest",
    "Maps",
    "MayFetch",
    "NameOrPath",
    "Part",
    "PathBelowRoot",
    "PermutationUnits",
    "PictureHeader",
    "PictureOptions",
    "PluginHost",
    "Positions",
    "QValues",
    "Resamples",
    "Schema",
    "Seed",
    "Selection",
    "Side",
    "StoredScores",
    "TargetFlags",
    "TargetImages",
    "Terminal",
    "above_chance",
    "above_chance_said",
    "averaged_beside",
    "beside_random",
    "by_evidence",
    "calling",
    "chance_rule",
    "check_finite",
    "check_picture",
    "check_writable",
    "concepts_of",
    "copies",
    "crop_fraction",
    "csv_bytes",
    "csv_text",
    "data_set_of",
    "digest",
    "each_file",
    "echo",
    "echo_lines",
    "examine_each",
    "examine_file",
    "example_input",
    "file_digest",
    "files_below",
    "find_breast",
    "find_state_dict",
    "fit_state_dict",
    "hub_cache_only",
    "hub_quiet",
    "hub_repository",
    "hub_revision",
    "image_statistics",
    "images_flags",
    "import_concepts",
    "import_function",
    "isolated",
    "latex_text",
    "load_target",
    "load_weights",
    "made_of",
    "match_layers",
    "offline",
    "one_line",
    "option_group",
    "ordered_top_k",
    "outputs",
    "parse_pairs",
    "picture_of",
    "prefix_tokens",
    "presence",
    "print_table",
    "read_checkpoint",
    "read_header",
    "read_labels",
    "read_picture",
    "read_record",
    "read_state_dict",
    "rows_fitted_on",
    "run_images",
    "said_beside",
    "same_samples",
    "samples_of",
    "say",
    "select_weights",
    "sight_of",
    "split_rows",
    "target_images",
    "thumbnails",
    "unfilled",
    "unguarded",
    "validate_options",
    "with_plugin_files",
    "with_target_flags",
    "write_atomically",
]

__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
