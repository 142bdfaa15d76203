"""mcd (Mammo-CLIP Dissect) tells what a mammography model has learned.

The public face. Everything is imported on first use, so ``import mcd`` costs nothing.

>>> import mcd
>>> found = mcd.dissect("phantom-mammo", layers="stages.*", concepts="phantom")  # doctest: +SKIP
>>> found.labels  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcd import errors, events
    from mcd.api.base import digest
    from mcd.api.concepts import Concept, ConceptSet, ConceptSource
    from mcd.api.dataset import Box, Dataset, Sample, Unreadable
    from mcd.api.dissector import Dissector, check_templates, templated
    from mcd.api.image import Image, Preprocessing
    from mcd.api.model import ModelLoader, Target, prefix_tokens
    from mcd.api.reporter import Reporter
    from mcd.api.scorer import Scorer, TopKScorer, ordered_top_k
    from mcd.checkpoints import find_state_dict, fit_state_dict, load_weights, read_checkpoint, read_state_dict
    from mcd.components import Component
    from mcd.dissection import Dissection, load
    from mcd.facade import dissect
    from mcd.files import files_below, scan_files
    from mcd.hookspecs import hookimpl
    from mcd.offline import offline
    from mcd.options import Options
    from mcd.version import __version__

_HOME = {
    "Box": "mcd.api.dataset",
    "Component": "mcd.components",
    "Concept": "mcd.api.concepts",
    "ConceptSet": "mcd.api.concepts",
    "ConceptSource": "mcd.api.concepts",
    "Dataset": "mcd.api.dataset",
    "Dissection": "mcd.dissection",
    "Dissector": "mcd.api.dissector",
    "Image": "mcd.api.image",
    "ModelLoader": "mcd.api.model",
    "Options": "mcd.options",
    "Preprocessing": "mcd.api.image",
    "Reporter": "mcd.api.reporter",
    "Sample": "mcd.api.dataset",
    "Scorer": "mcd.api.scorer",
    "Target": "mcd.api.model",
    "TopKScorer": "mcd.api.scorer",
    "Unreadable": "mcd.api.dataset",
    "__version__": "mcd.version",
    "check_templates": "mcd.api.dissector",
    "digest": "mcd.api.base",
    "dissect": "mcd.facade",
    "errors": "mcd",
    "events": "mcd",
    "files_below": "mcd.files",
    "find_state_dict": "mcd.checkpoints",
    "fit_state_dict": "mcd.checkpoints",
    "hookimpl": "mcd.hookspecs",
    "load": "mcd.dissection",
    "load_weights": "mcd.checkpoints",
    "offline": "mcd.offline",
    "ordered_top_k": "mcd.api.scorer",
    "prefix_tokens": "mcd.api.model",
    "read_checkpoint": "mcd.checkpoints",
    "read_state_dict": "mcd.checkpoints",
    "scan_files": "mcd.files",
    "templated": "mcd.api.dissector",
}

__all__ = [
    "Box",
    "Component",
    "Concept",
    "ConceptSet",
    "ConceptSource",
    "Dataset",
    "Dissection",
    "Dissector",
    "Image",
    "ModelLoader",
    "Options",
    "Preprocessing",
    "Reporter",
    "Sample",
    "Scorer",
    "Target",
    "TopKScorer",
    "Unreadable",
    "__version__",
    "check_templates",
    "digest",
    "dissect",
    "errors",
    "events",
    "files_below",
    "find_state_dict",
    "fit_state_dict",
    "hookimpl",
    "load",
    "load_weights",
    "offline",
    "ordered_top_k",
    "prefix_tokens",
    "read_checkpoint",
    "read_state_dict",
    "scan_files",
    "templated",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'mcd' has no attribute {name!r}")
    value = importlib.import_module(f"mcd.{name}") if home == "mcd" else getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
