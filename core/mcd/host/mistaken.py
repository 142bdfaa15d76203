"""What somebody means who gave a file or a folder where the name of a component belongs."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mcd.components import Kind
from mcd.files import expanded, read_regular

__all__ = ["meant", "which_path"]

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
_DICOM = frozenset({".dcm", ".dicom", ".dic"})
_WEIGHTS = frozenset({".pth", ".pt", ".ckpt", ".safetensors", ".tar", ".bin", ".th"})
_MAMMO_CLIP = re.compile(r"b[25]-model-best|mammo[-_]?clip", re.IGNORECASE)
_REPORTS = {".html": "html", ".md": "markdown", ".tex": "latex", ".csv": "csv", ".json": "json", ".parquet": "parquet"}
_MOST_FILES = 1000
"""Files of a folder that are seen before it is decided what it holds."""


def which_path(name: str) -> str:
    """Say what a name is that is a path; an empty text where it looks like none."""
    path = expanded(name)
    if os.path.isdir(path):  # noqa: PTH112 -- Path.is_dir raises for a name that is too long
        return "it is a folder"
    if os.path.isfile(path):  # noqa: PTH113 -- as above
        return "it is a file"
    return ""


def meant(kind: Kind, name: str) -> str:
    """Return the flags that somebody means; an empty text where nothing suggests any.

    Parameters
    ----------
    kind
        Of the component that was asked for.
    name
        What was given as its name: a path, or a text that ends like one.
    """
    path, found = expanded(name), which_path(name)
    if not found and not path.suffix:
        return ""
    written, is_folder = shlex.quote(name), found == "it is a folder"
    if kind is Kind.DATASET:
        return _dataset(path, is_folder=is_folder)
    if kind is Kind.MODEL:
        return _model(path, written, is_folder=is_folder)
    if kind is Kind.DISSECTOR:
        return _dissector(path, written, is_folder=is_folder)
    if kind is Kind.SCORER and path.suffix == ".py":
        return " or ".join(f"--scorer {written}:{one}" for one in _functions(path) or ["FUNCTION"])
    if kind is Kind.PREPROCESSING:
        return "a recipe is a name with settings: --recipe dicom-standard --recipe-arg KEY=VALUE"
    if kind is Kind.REPORTER and path.suffix in _REPORTS:
        return f"--reporter {_REPORTS[path.suffix]}"
    return ""


def _dataset(path: Path, *, is_folder: bool) -> str:
    suffix = path.suffix.lower()
    if is_folder:
        return f"--dataset {_holds(path)}:{shlex.quote(str(path))}"
    if suffix in {".csv", ".xlsx"}:
        return f"--dataset csv:{shlex.quote(str(path))}"
    if suffix in _PICTURES | _DICOM:
        return f"--dataset {'dicom' if suffix in _DICOM else 'images'}:{shlex.quote(str(path.parent))}"
    return ""


def _holds(folder: Path) -> str:
    """Return the data set that reads most files of a folder: ``dicom`` or ``images``."""
    counts = {"images": 0, "dicom": 0}
    for path in islice(_files(folder), _MOST_FILES):
        suffix = path.suffix.lower()
        if suffix in _PICTURES:
            counts["images"] += 1
        elif suffix in _DICOM or not suffix or suffix[1:].isdigit():  # many archives name DICOM files by numbers
            counts["dicom"] += 1
    return max(counts, key=lambda one: counts[one])


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        yield from (Path(where, name) for name in sorted(names) if not name.startswith("."))


def _model(path: Path, written: str, *, is_folder: bool) -> str:
    suffix = path.suffix.lower()
    if is_folder:
        return f"--model-plugin transformers:{written}, for a model that transformers saved there"
    if suffix == ".py":
        return " or ".join(f"--model-plugin module:{written}:{one}" for one in _functions(path) or ["FUNCTION"])
    if suffix == ".pt2":
        return f"--model-plugin torch-export:{written}"
    if suffix in _WEIGHTS and _MAMMO_CLIP.search(path.name):
        return f"--model-plugin mammo-clip:{written}"
    if suffix in _WEIGHTS:
        return (
            f"--model-plugin timm:NAME --model-arg checkpoint={written}, with the architecture as NAME\n"
            f"a checkpoint of Mammo-CLIP: --model-plugin mammo-clip:{written}"
        )
    return ""


def _dissector(path: Path, written: str, *, is_folder: bool) -> str:
    suffix = path.suffix.lower()
    if is_folder:
        return f"--dissector transformers-clip:{written}"
    if suffix == ".tar" or (suffix in _WEIGHTS and _MAMMO_CLIP.search(path.name)):
        return f"--dissector mammo-clip:{written}"
    if suffix in _WEIGHTS:
        return f"--dissector open-clip:NAME --dissector-arg checkpoint={written}, with the architecture as NAME"
    return ""


def _functions(path: Path) -> list[str]:
    """Return the functions that a file of Python defines for others."""
    try:
        body = ast.parse(read_regular(path)).body
    except Exception:  # no such file, no Python: the form alone is said
        return []
    return [one.name for one in body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")][:3]
