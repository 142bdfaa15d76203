"""Two or more dissections side by side.

The public names are imported on first use.

>>> from mcd.comparison import compare
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd.lazy import lazily

if TYPE_CHECKING:
    from mcd.comparison.agreement import Agreement
    from mcd.comparison.alignment import align, check_comparable
    from mcd.comparison.changes import KINDS, Changes, pair_neurons
    from mcd.comparison.compared import AgreementOf, Comparison, ComparisonSettings
    from mcd.comparison.comparing import compare, describe
    from mcd.comparison.heading import Heading, notes_of
    from mcd.comparison.layers import ALL, category_table, difference_table, emergence, layer_table, threshold_table
    from mcd.comparison.outcomes import Outcome, Vocabulary, read_outcomes
    from mcd.comparison.represented import ANSWERS, represented
    from mcd.scoring.calibration.resamples import Resamples, interval

_HOME = {
    "ALL": "mcd.comparison.layers",
    "ANSWERS": "mcd.comparison.represented",
    "Agreement": "mcd.comparison.agreement",
    "AgreementOf": "mcd.comparison.compared",
    "Changes": "mcd.comparison.changes",
    "Comparison": "mcd.comparison.compared",
    "Heading": "mcd.comparison.heading",
    "KINDS": "mcd.comparison.changes",
    "Outcome": "mcd.comparison.outcomes",
    "Resamples": "mcd.scoring.calibration.resamples",
    "ComparisonSettings": "mcd.comparison.compared",
    "Vocabulary": "mcd.comparison.outcomes",
    "align": "mcd.comparison.alignment",
    "category_table": "mcd.comparison.layers",
    "check_comparable": "mcd.comparison.alignment",
    "compare": "mcd.comparison.comparing",
    "describe": "mcd.comparison.comparing",
    "difference_table": "mcd.comparison.layers",
    "emergence": "mcd.comparison.layers",
    "interval": "mcd.scoring.calibration.resamples",
    "layer_table": "mcd.comparison.layers",
    "notes_of": "mcd.comparison.heading",
    "pair_neurons": "mcd.comparison.changes",
    "read_outcomes": "mcd.comparison.outcomes",
    "represented": "mcd.comparison.represented",
    "threshold_table": "mcd.comparison.layers",
}

__all__ = [
    "ALL",
    "ANSWERS",
    "KINDS",
    "Agreement",
    "AgreementOf",
    "Changes",
    "Comparison",
    "ComparisonSettings",
    "Heading",
    "Outcome",
    "Resamples",
    "Vocabulary",
    "align",
    "category_table",
    "check_comparable",
    "compare",
    "describe",
    "difference_table",
    "emergence",
    "interval",
    "layer_table",
    "notes_of",
    "pair_neurons",
    "read_outcomes",
    "represented",
    "threshold_table",
]

__getattr__ = lazily(__name__, _HOME)
