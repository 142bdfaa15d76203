"""mcd (Mammo-CLIP Dissect) tells what a mammography model has learned.

The public face. Everything is imported on first use, so ``import mcd`` costs nothing.

>>> import mcd
>>> found = mcd.dissect("phantom-mammo", layers="stages.*", concepts="phantom")  # doctest: +SKIP
>>> found.labels  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd.lazy import lazily

if TYPE_CHECKING:
    from mcd import errors, events, figures
    from mcd.api.base import digest
    from mcd.api.concepts import Concept, ConceptSet, ConceptSource
    from mcd.api.dataset import Box, CompositeDataset, Dataset, Sample, Unreadable, examine_file
    from mcd.api.dissector import Dissector
    from mcd.api.image import Image, Preprocessing
    from mcd.api.model import ModelLoader, Target, prefix_tokens
    from mcd.api.probe import Probe
    from mcd.api.reporter import Reporter
    from mcd.api.scorer import Explanation, Scorer, TopKScorer, ordered_top_k
    from mcd.components import Component
    from mcd.files import files_below, samples_of
    from mcd.hookspecs import hookimpl
    from mcd.networks.checkpoints import find_state_dict, fit_state_dict, load_weights, read_checkpoint, read_state_dict
    from mcd.networks.hub import offline
    from mcd.networks.hub import revision as hub_revision
    from mcd.options import Options
    from mcd.runs.dissect import dissect
    from mcd.runs.dissection import Dissection, load
    from mcd.version import __version__

_HOME = {
    "Box": "mcd.api.dataset",
    "CompositeDataset": "mcd.api.dataset",
    "Component": "mcd.components",
    "Concept": "mcd.api.concepts",
    "ConceptSet": "mcd.api.concepts",
    "ConceptSource": "mcd.api.concepts",
    "Dataset": "mcd.api.dataset",
    "Dissection": "mcd.runs.dissection",
    "Dissector": "mcd.api.dissector",
    "Explanation": "mcd.api.scorer",
    "Image": "mcd.api.image",
    "ModelLoader": "mcd.api.model",
    "Options": "mcd.options",
    "Preprocessing": "mcd.api.image",
    "Probe": "mcd.api.probe",
    "Reporter": "mcd.api.reporter",
    "Sample": "mcd.api.dataset",
    "Scorer": "mcd.api.scorer",
    "Target": "mcd.api.model",
    "TopKScorer": "mcd.api.scorer",
    "Unreadable": "mcd.api.dataset",
    "__version__": "mcd.version",
    "digest": "mcd.api.base",
    "dissect": "mcd.runs.dissect",
    "errors": "mcd",
    "events": "mcd",
    "examine_file": "mcd.api.dataset",
    "figures": "mcd",
    "files_below": "mcd.files",
    "find_state_dict": "mcd.networks.checkpoints",
    "fit_state_dict": "mcd.networks.checkpoints",
    "hookimpl": "mcd.hookspecs",
    "hub_revision": "mcd.networks.hub:revision",
    "load": "mcd.runs.dissection",
    "load_weights": "mcd.networks.checkpoints",
    "offline": "mcd.networks.hub",
    "ordered_top_k": "mcd.api.scorer",
    "prefix_tokens": "mcd.api.model",
    "read_checkpoint": "mcd.networks.checkpoints",
    "read_state_dict": "mcd.networks.checkpoints",
    "samples_of": "mcd.files",
}

__all__ = [
    "Box",
    "Component",
    "CompositeDataset",
    "Concept",
    "ConceptSet",
    "ConceptSource",
    "Dataset",
    "Dissection",
    "Dissector",
    "Explanation",
    "Image",
    "ModelLoader",
    "Options",
    "Preprocessing",
    "Probe",
    "Reporter",
    "Sample",
    "Scorer",
    "Target",
    "TopKScorer",
    "Unreadable",
    "__version__",
    "digest",
    "dissect",
    "errors",
    "events",
    "examine_file",
    "figures",
    "files_below",
    "find_state_dict",
    "fit_state_dict",
    "hookimpl",
    "hub_revision",
    "load",
    "load_weights",
    "offline",
    "ordered_top_k",
    "prefix_tokens",
    "read_checkpoint",
    "read_state_dict",
    "samples_of",
]

__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
