"""Two or more dissections side by side.

The public names are imported on first use.

>>> from mcd.comparison import compare
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcd.comparison.agreement import Agreement
    from mcd.comparison.alignment import align, check_comparable
    from mcd.comparison.changes import KINDS, Changes, pair_neurons
    from mcd.comparison.comparing import AgreementOf, Comparison, Settings, compare
    from mcd.comparison.heading import FEW_IMAGES, Heading
    from mcd.comparison.layers import ALL, category_table, difference_table, emergence, layer_table, rule_table
    from mcd.comparison.outcomes import Outcome, Vocabulary, read_outcomes
    from mcd.comparison.represented import ANSWERS, represented
    from mcd.comparison.resampling import Resamples, interval

_HOME = {
    "ALL": "layers",
    "ANSWERS": "represented",
    "Agreement": "agreement",
    "AgreementOf": "comparing",
    "Changes": "changes",
    "Comparison": "comparing",
    "FEW_IMAGES": "heading",
    "Heading": "heading",
    "KINDS": "changes",
    "Outcome": "outcomes",
    "Resamples": "resampling",
    "Settings": "comparing",
    "Vocabulary": "outcomes",
    "align": "alignment",
    "category_table": "layers",
    "check_comparable": "alignment",
    "compare": "comparing",
    "difference_table": "layers",
    "emergence": "layers",
    "interval": "resampling",
    "layer_table": "layers",
    "pair_neurons": "changes",
    "read_outcomes": "outcomes",
    "represented": "represented",
    "rule_table": "layers",
}

__all__ = [
    "ALL",
    "ANSWERS",
    "FEW_IMAGES",
    "KINDS",
    "Agreement",
    "AgreementOf",
    "Changes",
    "Comparison",
    "Heading",
    "Outcome",
    "Resamples",
    "Settings",
    "Vocabulary",
    "align",
    "category_table",
    "check_comparable",
    "compare",
    "difference_table",
    "emergence",
    "interval",
    "layer_table",
    "pair_neurons",
    "read_outcomes",
    "represented",
    "rule_table",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'mcd.comparison' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"mcd.comparison.{_HOME[name]}"), name)
    globals()[name] = value
    return value
