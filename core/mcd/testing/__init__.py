"""What plugin authors need to test their plugins: one check for each kind of component.

A check is given a component, or its class where the default settings will do, uses it as the engine does, and raises
`ContractError`, which says what is wrong and what to change. The fixtures of `mcd.testing.fixtures` are there in every
test once ``mammo-clip-dissect`` is installed.

>>> import mcd
>>> from mcd.testing import check_scorer
>>> class Product(mcd.Scorer):
...     name = "product"
...     depends_on = "pair"
...
...     def score(self, activations, similarity):
...         return activations.T @ similarity
>>> check_scorer(Product)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd.lazy import lazily

if TYPE_CHECKING:
    from mcd.lazy import HEAVY
    from mcd.testing.commands import check_command, check_observer
    from mcd.testing.concepts import check_concepts
    from mcd.testing.contract import ContractError
    from mcd.testing.datasets import check_dataset
    from mcd.testing.dissectors import check_dissector
    from mcd.testing.lightness import assert_light
    from mcd.testing.models import check_model_loader
    from mcd.testing.preprocessings import check_preprocessing
    from mcd.testing.reporters import check_reporter
    from mcd.testing.scorers import check_scorer
    from mcd.testing.units import check_unit_source

__all__ = [
    "HEAVY",
    "ContractError",
    "assert_light",
    "check_command",
    "check_concepts",
    "check_dataset",
    "check_dissector",
    "check_model_loader",
    "check_observer",
    "check_preprocessing",
    "check_reporter",
    "check_scorer",
    "check_unit_source",
]

__getattr__ = lazily(
    __name__,
    {
        "HEAVY": "mcd.lazy",
        "ContractError": "mcd.testing.contract",
        "assert_light": "mcd.testing.lightness",
        "check_command": "mcd.testing.commands",
        "check_concepts": "mcd.testing.concepts",
        "check_dataset": "mcd.testing.datasets",
        "check_dissector": "mcd.testing.dissectors",
        "check_model_loader": "mcd.testing.models",
        "check_observer": "mcd.testing.commands",
        "check_preprocessing": "mcd.testing.preprocessings",
        "check_reporter": "mcd.testing.reporters",
        "check_scorer": "mcd.testing.scorers",
        "check_unit_source": "mcd.testing.units",
    },
)
