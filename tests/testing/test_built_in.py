"""All that is built in passes the kit that is offered to others.

A component is checked here with its default settings, or with material that is made here; or in the file beside its
own tests where its material lies, which `_ELSEWHERE` names. A new one that is in neither fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from tests.command_line import ROOT
from tests.plugins.cohorts.conftest import write_dicom, write_picture, write_table
from tests.plugins.transformers.clips import saved_clip
from tests.plugins.units.unit_files import dictionary_file, directions_file, groups_file, pca_file

import mcd
from mcd import testing
from mcd.api.base import Configured
from mcd.components import Kind
from mcd.options import validate_options
from mcd.plugins import PluginHost

_HOST = PluginHost.discover((), {name: value for name, value in os.environ.items() if not name.startswith("MCD_")})
_CHECKS = {
    Kind.MODEL: testing.check_model_loader,
    Kind.DISSECTOR: testing.check_dissector,
    Kind.DATASET: testing.check_dataset,
    Kind.PREPROCESSING: testing.check_preprocessing,
    Kind.UNITS: testing.check_unit_source,
    Kind.SCORER: testing.check_scorer,
    Kind.CONCEPTS: testing.check_concepts,
    Kind.COMMAND: testing.check_command,
    Kind.REPORTER: testing.check_reporter,
}
_COHORTS = "tests/plugins/cohorts"
_ELSEWHERE = {
    "model exported/torch-export": "tests/plugins/exported/test_exported.py",
    "model mammo-clip/mammo-clip": "tests/plugins/mammo_clip/test_loading.py",
    "model mammo-clip/mammo-clip-classifier": "tests/plugins/mammo_clip/test_loading.py",
    "model mammo-clip/mammo-clip-imagenet": "tests/plugins/mammo_clip/test_loading.py",
    "model open-clip/open-clip": "tests/plugins/open_clip/test_open_clip.py",
    "model transformers/medclip": "tests/plugins/transformers/test_medclip.py",
    "dissector mammo-clip/mammo-clip": "tests/plugins/mammo_clip/test_loading.py",
    "dissector mammo-clip/mammo-clip-random-heads": "tests/plugins/mammo_clip/test_network.py",
    "dissector open-clip/open-clip": "tests/plugins/open_clip/test_open_clip.py",
    "dissector transformers/medclip": "tests/plugins/transformers/test_medclip.py",
    "dataset cohorts/cbis-ddsm": f"{_COHORTS}/test_cbis.py",
    "dataset cohorts/cdd-cesm": f"{_COHORTS}/test_cesm.py",
    "dataset cohorts/cmmd": f"{_COHORTS}/test_cmmd.py",
    "dataset cohorts/csaw-cc": f"{_COHORTS}/test_csaw.py",
    "dataset cohorts/dmid": f"{_COHORTS}/test_dmid.py",
    "dataset cohorts/embed": f"{_COHORTS}/test_embed.py",
    "dataset cohorts/inbreast": f"{_COHORTS}/test_inbreast.py",
    "dataset cohorts/mias": f"{_COHORTS}/test_mias.py",
    "dataset cohorts/rsna-bcd": f"{_COHORTS}/test_rsna.py",
    "dataset cohorts/vindr-mammo": f"{_COHORTS}/test_vindr.py",
    "dataset datasets/combine": "tests/plugins/datasets/test_combine.py",
    "dataset cohorts/vindr-png": f"{_COHORTS}/test_vindr_png.py",
}
"""Whose weights or folders another file of tests makes, which calls the check."""


def _pictures(folder: Path) -> Path:
    for seed in range(4):
        write_picture(folder / "pictures" / f"{seed}.png", seed=seed)
    return folder / "pictures"


def _module(folder: Path) -> dict[str, object]:
    made = "nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())"
    (folder / "small.py").write_text(f"from torch import nn\n\ndef make():\n    return {made}\n")
    return {"factory": f"{folder / 'small.py'}:make", "height": 16, "width": 16}


def _clip(folder: Path) -> dict[str, object]:
    saved_clip(folder)
    return {"name": str(folder)}


def _dicom(folder: Path) -> dict[str, object]:
    for seed in range(2):
        write_dicom(folder / f"{seed}.dcm", seed=seed)
    return {"path": folder}


def _table(folder: Path) -> dict[str, object]:
    rows = [{"path": path.name, "patient": path.stem, "mass": 1} for path in sorted(_pictures(folder).iterdir())]
    return {"root": folder / "pictures", "table": write_table(folder / "table.csv", rows), "findings": {"mass": "mass"}}


def _listing(folder: Path) -> dict[str, object]:
    lines = [f"{path.name} {number}" for number, path in enumerate(sorted(_pictures(folder).iterdir()))]
    (folder / "list.txt").write_text("\n".join(lines))
    return {"list": folder / "list.txt", "root": folder / "pictures"}


def _trained(_folder: Path) -> dict[str, object]:
    weights = files("mcd_plugins.phantom") / "weights" / "phantom_mammo.safetensors"
    return {"checkpoint": str(weights), "base": "phantom-mammo"}


_MATERIAL: dict[str, Callable[[Path], dict[str, object]]] = {
    "model finetune/finetuned": _trained,
    "model modules/module": _module,
    "model timm/timm": lambda _: {"name": "resnet10t"},
    "model torchvision/torchvision": lambda _: {"name": "squeezenet1_1"},
    "model transformers/transformers": _clip,
    "dissector transformers/transformers-clip": _clip,
    "dataset datasets/csv": _table,
    "dataset datasets/images": lambda folder: {"path": _pictures(folder)},
    "dataset datasets/imagenet-subset": _listing,
    "dataset dicom/dicom": _dicom,
    "reporter cards/cards": lambda _: {"count": 4, "choices": 2},
    "unit source units/dictionary": lambda folder: {"file": dictionary_file(folder)},
    "unit source units/groups": lambda folder: {"file": groups_file(folder)},
    "unit source units/pca": lambda folder: {"file": pca_file(folder)},
    "unit source units/directions": lambda folder: {"file": directions_file(folder)},
    "dataset phantom/phantom": lambda _: {"patients": 2},
}
"""Settings, with what they name made in a folder."""


def _offers() -> Iterator[tuple[Kind, str]]:
    for kind in Kind:
        for offer in _HOST.offers(kind):
            yield kind, offer.qualified


def _called(kind: Kind, name: str) -> str:
    return f"{kind.label} {name}"


@pytest.mark.parametrize(
    ("kind", "name"),
    [one for one in _offers() if _called(*one) not in _ELSEWHERE],
    ids=lambda one: getattr(one, "label", one),
)
def test_what_is_built_in_passes_the_kit(
    kind: Kind, name: str, tmp_path: Path, tiny_dissection: mcd.Dissection
) -> None:
    found = _HOST.load(kind, name)
    made = _MATERIAL.get(_called(kind, name))
    if made is not None:
        assert isinstance(found, type)
        assert issubclass(found, Configured)
        found = found(validate_options(found.Options, made(tmp_path), name))
    beside = (tiny_dissection,) if kind is Kind.REPORTER else ()
    _CHECKS[kind](found, *beside)  # type: ignore[operator, call-arg]  # what an author may write


def test_what_is_checked_elsewhere_is_checked_there() -> None:
    offered = {_called(kind, name): kind for kind, name in _offers()}
    assert set(_ELSEWHERE) <= set(offered)
    for called, file in _ELSEWHERE.items():
        check = _CHECKS[offered[called]].__name__
        assert f"{check}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not call {check} for {called}"
