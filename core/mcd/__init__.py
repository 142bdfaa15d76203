"""mcd (Mammo-CLIP Dissect) shows what a mammography model has learned.

The public face. Everything is imported on first use, so ``import mcd`` costs nothing.

>>> import mcd
>>> found = mcd.dissect(
...     "phantom-mammo", layers="stages.*", dissector="phantom-clip", dataset="phantom", concepts="phantom"
... )  # doctest: +SKIP
>>> found.labels  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd.lazy import lazily

if TYPE_CHECKING:
    from mcd import errors, events, figures, plugins
    from mcd.api.concepts import Concept, ConceptSet, ConceptSource
    from mcd.api.dataset import Box, CompositeDataset, Dataset, Sample, Unreadable
    from mcd.api.dissector import AnnotationDissector, Dissector
    from mcd.api.image import Image, Preprocessing
    from mcd.api.model import ModelLoader, Target
    from mcd.api.probe import Probe
    from mcd.api.remark import Remark
    from mcd.api.reporter import Reporter
    from mcd.api.scorer import Explanation, Scorer, TopKScorer, depends_on
    from mcd.api.units import Units, UnitSource
    from mcd.comparison.compared import Comparison, ComparisonSettings
    from mcd.comparison.stored import compare
    from mcd.components import Component
    from mcd.evaluation.evaluating import evaluate
    from mcd.hookspecs import hookimpl
    from mcd.networks.editing import Edit
    from mcd.options import Options
    from mcd.runs.dissect import dissect
    from mcd.runs.dissection import Dissection
    from mcd.runs.embed import embed
    from mcd.runs.evaluated import Evaluation
    from mcd.runs.loading import load
    from mcd.runs.merge import merge
    from mcd.runs.report import report
    from mcd.runs.run_study import run_study as run
    from mcd.runs.run_target import Passed, run_target
    from mcd.runs.score import score
    from mcd.scoring.arrays import label
    from mcd.study.study import Study
    from mcd.version import __version__

_HOME = {
    "AnnotationDissector": "mcd.api.dissector",
    "Box": "mcd.api.dataset",
    "CompositeDataset": "mcd.api.dataset",
    "Comparison": "mcd.comparison.compared",
    "ComparisonSettings": "mcd.comparison.compared",
    "Component": "mcd.components",
    "Concept": "mcd.api.concepts",
    "ConceptSet": "mcd.api.concepts",
    "ConceptSource": "mcd.api.concepts",
    "Dataset": "mcd.api.dataset",
    "Dissection": "mcd.runs.dissection",
    "Dissector": "mcd.api.dissector",
    "Edit": "mcd.networks.editing",
    "Evaluation": "mcd.runs.evaluated",
    "Explanation": "mcd.api.scorer",
    "Image": "mcd.api.image",
    "ModelLoader": "mcd.api.model",
    "Options": "mcd.options",
    "Passed": "mcd.runs.run_target",
    "Preprocessing": "mcd.api.image",
    "Probe": "mcd.api.probe",
    "Reporter": "mcd.api.reporter",
    "Remark": "mcd.api.remark",
    "Sample": "mcd.api.dataset",
    "Scorer": "mcd.api.scorer",
    "Study": "mcd.study.study",
    "Target": "mcd.api.model",
    "TopKScorer": "mcd.api.scorer",
    "UnitSource": "mcd.api.units",
    "Units": "mcd.api.units",
    "Unreadable": "mcd.api.dataset",
    "__version__": "mcd.version",
    "compare": "mcd.comparison.stored",
    "depends_on": "mcd.api.scorer",
    "dissect": "mcd.runs.dissect",
    "embed": "mcd.runs.embed",
    "errors": "mcd",
    "evaluate": "mcd.evaluation.evaluating",
    "events": "mcd",
    "figures": "mcd",
    "hookimpl": "mcd.hookspecs",
    "label": "mcd.scoring.arrays",
    "load": "mcd.runs.loading",
    "merge": "mcd.runs.merge",
    "plugins": "mcd",
    "report": "mcd.runs.report",
    "run": "mcd.runs.run_study:run_study",
    "run_target": "mcd.runs.run_target",
    "score": "mcd.runs.score",
}

__all__ = [
    "AnnotationDissector",
    "Box",
    "Comparison",
    "ComparisonSettings",
    "Component",
    "CompositeDataset",
    "Concept",
    "ConceptSet",
    "ConceptSource",
    "Dataset",
    "Dissection",
    "Dissector",
    "Edit",
    "Evaluation",
    "Explanation",
    "Image",
    "ModelLoader",
    "Options",
    "Passed",
    "Preprocessing",
    "Probe",
    "Remark",
    "Reporter",
    "Sample",
    "Scorer",
    "Study",
    "Target",
    "TopKScorer",
    "UnitSource",
    "Units",
    "Unreadable",
    "__version__",
    "compare",
    "depends_on",
    "dissect",
    "embed",
    "errors",
    "evaluate",
    "events",
    "figures",
    "hookimpl",
    "label",
    "load",
    "merge",
    "plugins",
    "report",
    "run",
    "run_target",
    "score",
]

__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
