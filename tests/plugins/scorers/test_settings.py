"""The settings and examples of the scorers, and how light their plugin is."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.plugins.scorers.conftest import made

from mcd.api.scorer import Scorer
from mcd.errors import ConfigError
from mcd_plugins import scorers as plugin
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.rank_reorder import RankReorder
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.wpmi import WPMI


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (SoftWPMI, {"temperature": 0}),
        (SoftWPMI, {"temperature": "inf"}),
        (SoftWPMI, {"lam": "nan"}),
        (SoftWPMI, {"p_start": 1}),
        (SoftWPMI, {"p_end": 0}),
        (SoftWPMI, {"p_end": 0.999}),
        (SoftWPMI, {"min_prob": 0}),
        (SoftWPMI, {"top_k": 2.5}),
        (SoftWPMI, {"topk": 5}),
        (WPMI, {"top_k": 0}),
        (WPMI, {"temperature": -1}),
        (WPMI, {"lam": "inf"}),
        (WPMI, {"min_prob": 1}),
        (WPMI, {"p_start": 0.9}),
        (RankReorder, {"top_fraction": 0}),
        (RankReorder, {"top_fraction": 1.01}),
        (RankReorder, {"p": 0}),
        (RankReorder, {"p": "inf"}),
        (RankReorder, {"scale_p": -1}),
        (RankReorder, {"scale_p": "inf"}),
        (CosineCubed, {"min_norm": -1}),
        (CosineCubed, {"min_norm": "inf"}),
        (Cosine, {"min_norm": 1}),
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(cls: type[Scorer], options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        made(cls, **options)


@pytest.mark.parametrize(
    ("cls", "published"),
    [
        (
            SoftWPMI,
            {
                "top_k": 100,
                "temperature": 10,
                "lam": 1,
                "p_start": 0.998,
                "p_end": 0.97,
                "min_prob": 1e-7,
                "prior": "null",
            },
        ),
        (WPMI, {"top_k": 28, "temperature": 2, "lam": 0.6, "min_prob": 1e-7, "prior": "null"}),
        (RankReorder, {"top_fraction": 0.05, "p": 3, "scale_p": 0.5}),
        (Cosine, {}),
        (CosineCubed, {"min_norm": 1e-3}),
    ],
)
def test_the_defaults_are_the_published_ones_but_for_the_prior_and_each_is_described(
    cls: type[Scorer], published: dict[str, object]
) -> None:
    assert made(cls).options.model_dump() == published
    assert all(field.description for field in cls.Options.model_fields.values())
    assert next(iter(published), None) == cls.Options.primary()


def test_every_registered_scorer_exists_under_its_name_and_its_example_runs() -> None:
    offered = plugin.mcd_register_scorers()
    assert [component.name for component in offered] == [scorer.name for scorer in map(_built, offered_targets())]
    for target in offered_targets():
        module = importlib.import_module(target.partition(":")[0])
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0


def offered_targets() -> list[str]:
    return [component.target for component in plugin.mcd_register_scorers()]


def _built(target: str) -> Scorer:
    module, _, name = target.partition(":")
    build: Callable[[], Scorer] = getattr(importlib.import_module(module), name)
    return build()


def test_listing_the_scorers_imports_no_torch() -> None:
    code = (
        "import sys; from mcd_plugins import scorers; scorers.mcd_register_scorers();"
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
