"""Scorers compute where the tensors are that they are given: on a GPU, too."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module

import pytest
import torch
from tests.elsewhere import Device, Elsewhere
from tests.plugins.scorers.conftest import ProbeMaker

import mcd
from mcd.api.kept import lasting
from mcd_plugins.scorers import mcd_register_scorers
from mcd_plugins.scorers.adaptive_cosine import AdaptiveCosine
from mcd_plugins.scorers.partial_correlation import PartialCorrelation, residual
from mcd_plugins.scorers.sparse import Sparse

ON_THE_CPU = "contrastive"
"""Keeps the neighbours of images where the probe set's embeddings are, and computes there."""

NAMES = [one.name for one in mcd_register_scorers()]


def scorer(name: str, probe: mcd.Probe) -> mcd.Scorer:
    (target,) = (one.target for one in mcd_register_scorers() if one.name == name)
    module, _, which = target.partition(":")
    cls = getattr(import_module(module), which)
    made: mcd.Scorer = cls(cls.Options()).for_probe(probe)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_scorer_computes_where_its_tensors_are(name: str, probe_of: ProbeMaker) -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts = torch.randn(120, 16, generator=generator), torch.randn(5, 16, generator=generator)
    activations = torch.randn(120, 7, generator=generator)
    views = {"view": ["CC", "MLO"] * 60, "patient": [str(row // 2) for row in range(120)]}
    probe = probe_of(images, texts, views)
    given = probe.embeddings if scorer(name, probe).needs == "embeddings" else probe.embeddings @ probe.texts.T
    expected = scorer(name, probe).score(activations, given)
    # its threads compute in this mode, in which their tensors are to be made
    mode = torch.inference_mode() if name == "rank-reorder" else nullcontext()
    with mode, Device():
        found = scorer(name, probe).score(Elsewhere(activations), Elsewhere(given))
    assert isinstance(found, Elsewhere) == (name != ON_THE_CPU)
    back = found.held if isinstance(found, Elsewhere) else found
    torch.testing.assert_close(back, expected, rtol=0, atol=0, equal_nan=True)


def test_a_reference_prompt_is_subtracted_there(probe_of: ProbeMaker) -> None:
    generator = torch.Generator().manual_seed(1)
    images, texts = torch.randn(40, 8, generator=generator), torch.randn(3, 8, generator=generator)
    activations, given = torch.randn(40, 4, generator=generator), torch.rand(40, 3, generator=generator)
    probe = probe_of(images, texts, encoded={"a mammogram": [1.0] * 8})
    own = AdaptiveCosine(AdaptiveCosine.Options(reference="a mammogram")).for_probe(probe)
    expected = own.score(activations, given)
    with Device():
        found = own.score(Elsewhere(activations), Elsewhere(given))
    assert isinstance(found, Elsewhere)
    assert torch.equal(found.held, expected)


def test_what_is_kept_of_p_there_does_not_grow_with_the_draws(
    probe_of: ProbeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = probe_of(torch.rand(40, 8), torch.rand(3, 8), {"view": ["CC", "MLO"] * 20})
    own, made = PartialCorrelation().for_probe(probe), []

    def counted(columns: torch.Tensor, explained: torch.Tensor) -> torch.Tensor:
        made.append(columns.shape[1])
        return residual(columns, explained)

    monkeypatch.setattr("mcd_plugins.scorers.partial_correlation.residual", counted)
    with Device():
        held = lasting(Elsewhere(torch.rand(40, 3)))
        for _ in range(3):
            own.score(Elsewhere(torch.rand(40, 5)), held)
    assert made.count(3) == 1  # of P


def test_a_scorer_goes_on_on_another_device() -> None:
    generator = torch.Generator().manual_seed(2)
    activations, given = torch.rand(60, 4, generator=generator), torch.rand(60, 5, generator=generator)
    own = Sparse()
    with Device():
        found = own.score(Elsewhere(activations), Elsewhere(given))
        assert isinstance(found, Elsewhere)
        assert torch.equal(found.held, own.score(activations, given))


def test_tensors_of_two_devices_are_refused_here_as_on_a_gpu() -> None:
    with Device(), pytest.raises(RuntimeError, match="two devices"):
        Elsewhere(torch.ones(3)) + torch.ones(3)
    with pytest.raises((RuntimeError, TypeError)):
        Elsewhere(torch.ones(3)).numpy()
