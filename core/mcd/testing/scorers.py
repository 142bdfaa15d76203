"""The check of scorers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from mcd.api.concepts import ConceptSet
from mcd.api.probe import FACTS, Probe
from mcd.api.ranking import Ties
from mcd.api.scorer import Scorer, TopKScorer
from mcd.errors import DataError, MCDError
from mcd.study.adapters import FunctionScorer
from mcd.testing.contract import ContractError, called, created, kind_of, require, same_settings_same_fingerprint

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_scorer"]

_IMAGES, _NEURONS, _CONCEPTS, _WIDTH = 150, 12, 9, 16
_CLOSE = 1e-4
_SPEED = {"layer": 0, "neuron": 1, "pair": 2}
"""What a score depends on, the slowest first."""

Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def check_scorer(scorer: Scorer | type[Scorer] | Function) -> None:
    """Make sure that a scorer gives a score for every neuron and concept, and is what it declares.

    It is given drawn activations of 150 images and 12 neurons, half of which follow a concept, and 9 concepts, with the
    probe set that they are of.

    Parameters
    ----------
    scorer
        A scorer, its class where the default settings will do, or a function ``(A, P) -> S``.

    Raises
    ------
    ContractError
        When scores have another shape, depend on chance or on the order of the images, lie outside ``score_range``,
        or are better for concepts that a neuron does not follow; when it writes to what it is given, or raises; when
        ``depends_on`` promises more than holds; when a `mcd.TopKScorer` depends on more than the top images; when it
        takes annotations or residuals by its own word, and does not.

    Warns
    -----
    UserWarning
        When it could declare more than it does: the engine would compute it in parts.
    """
    if isinstance(scorer, type | Scorer):
        made = created(scorer, Scorer)
        name = type(made).__qualname__
        same_settings_same_fingerprint(made)
    else:
        made = FunctionScorer(scorer)
        name = made.name
    label: object = getattr(made, "name", None)
    require(isinstance(label, str) and label, f"{name} has no name", "set name in the class: tables call it so")
    material = _Material.drawn(made)
    whole = material.scores(name, made)
    _check_values(name, made, whole)
    require(
        _same(whole, material.scores(name, made)),
        f"{name} gives the same activations other scores the second time",
        "draw from a generator with a fixed seed: torch.Generator().manual_seed(…)",
    )
    require(
        _same(whole, material.in_another_order().scores(name, made), _CLOSE),
        f"{name} depends on the order of the images",
        "images have no order: take top images by self.top_images(A, k), and no neighbours of rows",
    )
    _check_declared(name, made, material, whole)
    _check_needs(name, made)
    if isinstance(made, TopKScorer):
        _check_top(name, made, material)
    if made.takes_annotations:
        _check_annotations(name, made, material)
    if made.takes_residuals:
        centred = material.activations - material.activations.mean(dim=0)
        residual = material.similarity - material.similarity.mean(dim=0)
        require(
            bool(replace(material, activations=centred, similarity=residual).scores(name, made).isfinite().any()),
            f"{name} declares takes_residuals, and scores none of columns of mean 0",
            "leave takes_residuals out: residuals are negative as often as positive",
        )


@dataclass(frozen=True)
class _Material:
    """Drawn activations, P (or embeddings) and the probe set that they are of; half of the neurons follow a concept."""

    activations: torch.Tensor
    similarity: torch.Tensor
    probe: Probe
    ids: tuple[str, ...]

    @classmethod
    def drawn(cls, scorer: Scorer) -> _Material:
        draw = torch.Generator().manual_seed(0)
        images, texts = (
            torch.nn.functional.normalize(torch.randn(count, _WIDTH, generator=draw), dim=1)
            for count in (_IMAGES, _CONCEPTS)
        )
        cosines = images @ texts.T
        activations = torch.randn(_IMAGES, _NEURONS, generator=draw)
        followed = cosines[:, torch.arange(_NEURONS // 2) % _CONCEPTS]
        activations[:, : _NEURONS // 2] *= 0.3
        activations[:, : _NEURONS // 2] += 3 * (followed - followed.mean(dim=0)) / followed.std(dim=0)
        words = ConceptSet.from_words([f"finding {number}" for number in range(_CONCEPTS)])

        def encode(wanted: Sequence[str]) -> torch.Tensor:
            return torch.randn(len(wanted), _WIDTH, generator=torch.Generator().manual_seed(1))

        probe = Probe(words.concepts, images, texts, _facts, encode)
        given = images if scorer.needs == "embeddings" else cosines
        return cls(activations, given, probe, tuple(f"image {row}" for row in range(_IMAGES)))

    def in_another_order(self) -> _Material:
        order = torch.randperm(_IMAGES, generator=torch.Generator().manual_seed(2)).tolist()
        ids = tuple(self.ids[row] for row in order)
        return _Material(self.activations[order], self.similarity[order], self.probe.part(order), ids)

    def scorer(self, scorer: Scorer) -> Scorer:
        """Return a scorer as the engine would use it on this probe set."""
        return scorer.for_probe(self.probe).breaking_ties(Ties.of(self.ids, 0))

    def scores(self, name: str, scorer: Scorer) -> torch.Tensor:
        """Return the scores, held to their shape and type."""
        with called(f"{name}.for_probe()"):
            ready = self.scorer(scorer)
        given = self.activations.clone(), self.similarity.clone()
        with called(f"{name}.score()"):
            found: object = ready.score(*given)
        unchanged = torch.equal(given[0], self.activations) and _same(given[1], self.similarity)
        require(unchanged, f"{name} writes to what it is given", "let it work on a copy: P = P - P.mean(0), not P -= …")
        hint = "return one score for every neuron and concept, (neurons, concepts), as a tensor of floats"
        if not isinstance(found, torch.Tensor):
            raise ContractError(f"{name}.score() returned {kind_of(found)}, not a tensor", hint)
        shape = (self.activations.shape[1], _CONCEPTS if ready.needs == "embeddings" else self.similarity.shape[1])
        size = "×".join(map(str, found.shape))
        require(found.shape == shape, f"{name}.score() returned {size}, not {shape[0]}×{shape[1]}", hint)
        require(found.is_floating_point(), f"{name}.score() returned {found.dtype}", hint)
        return found.float()


def _facts() -> pd.DataFrame:
    """Return what is known of the images: two of each patient, of two vendors, some dense, some masses."""
    import pandas as pd

    rows = range(_IMAGES)
    known = {
        "patient": [f"p{row // 2}" for row in rows],
        "view": ["CC" if row % 2 else "MLO" for row in rows],
        "laterality": ["L" if row % 4 < 2 else "R" for row in rows],
        "density": ["abcd"[row % 7 % 4] for row in rows],
        "assessment": ["123"[row % 3] for row in rows],
        "vendor": ["ACME" if row % 5 < 3 else "Other" for row in rows],
        "implant": ["yes" if row % 11 == 0 else "no" for row in rows],
    }
    return pd.DataFrame(dict.fromkeys(FACTS, "") | known | {"mass": ["yes" if row % 3 else "no" for row in rows]})


def _same(one: torch.Tensor, other: torch.Tensor, tolerance: float = 0.0) -> bool:
    size = float(one.nan_to_num().abs().max()) if one.numel() else 0.0
    return one.shape == other.shape and torch.allclose(one, other, rtol=0.0, atol=tolerance * size, equal_nan=True)


def _check_values(name: str, scorer: Scorer, scores: torch.Tensor) -> None:
    known = scores[~scores.isnan()]
    require(len(known), f"{name} scores nothing: all is NaN", "NaN is for what is undefined, such as a constant column")
    low, high = scorer.score_range
    slack = _CLOSE * max(1.0, float(known.abs().max()))
    require(
        bool((known >= low - slack).all() and (known <= high + slack).all()),
        f"{name} scores {float(known.min()):.4g}…{float(known.max()):.4g}, outside score_range {low:g}…{high:g}",
        "correct score_range, or the scores",
    )
    if scorer.needs == "embeddings":
        return
    upwards = scores if scorer.higher_is_better else -scores
    followed = torch.arange(_NEURONS // 2) % scores.shape[1]
    own = upwards[: _NEURONS // 2].gather(1, followed[:, None])
    beaten = float((upwards[: _NEURONS // 2] > own).float().mean())
    require(
        beaten <= 0.5,
        f"{name} gives the concept that a neuron follows a worse score than {beaten:.0%} of the others",
        f"higher_is_better is {scorer.higher_is_better}: turn it, or the sign",
    )


def _check_declared(name: str, scorer: Scorer, material: _Material, whole: torch.Tensor) -> None:
    """Hold what a score is declared to depend on against scores of some neurons and some concepts alone."""
    some, few = [1, 4, 7, 8, 11], [0, 1, 5]
    part = replace(material, activations=material.activations[:, some])
    by_neuron = _same(whole[some], part.scores(name, scorer), _CLOSE)
    by_pair = by_neuron and scorer.needs == "similarity"
    if by_pair:
        found = replace(part, similarity=material.similarity[:, few]).scores(name, scorer)
        by_pair = _same(whole[some][:, few], found, _CLOSE)
    could: Literal["pair", "neuron", "layer"] = "pair" if by_pair else "neuron" if by_neuron else "layer"
    wanted = scorer.depends_on
    require(
        _SPEED[wanted] <= _SPEED[could],
        f'{name} declares depends_on = "{wanted}", and its scores change with '
        f"{'the other concepts' if by_neuron else 'the other neurons of the layer'}",
        f'declare depends_on = "{could}"',
    )
    if _SPEED[wanted] < _SPEED[could] and wanted == "layer" and not isinstance(scorer, TopKScorer):
        how = f'@mcd.depends_on("{could}")' if isinstance(scorer, FunctionScorer) else f'depends_on = "{could}"'
        warnings.warn(f"{name} could declare {how}: the engine would compute it in parts", stacklevel=3)


def _check_needs(name: str, scorer: Scorer) -> None:
    try:
        scorer.check(1)
        scorer.check(1_000_000)
    except DataError:
        pass
    except MCDError as error:
        raise ContractError(f"{name}.check() raised {type(error).__name__}", "raise mcd.errors.DataError") from error
    except Exception as error:  # code of an author may raise anything
        hint = "raise mcd.errors.DataError where images are too few"
        raise ContractError(f"{name}.check() raised {error!r}", hint) from error
    with called(f"{name}.layer_problem()"):
        said: object = scorer.layer_problem(_NEURONS)
    require(isinstance(said, str), f"{name}.layer_problem() returned {kind_of(said)}", "return a sentence, or ''")


def _check_top(name: str, scorer: TopKScorer, material: _Material) -> None:
    ready = material.scorer(scorer)
    assert isinstance(ready, TopKScorer)
    if not 0 < ready.top_k < _IMAGES:
        return
    ranked = ready.top_images(material.activations, ready.top_k)
    with called(f"{name}.evidence()"):
        found = ready.evidence(ranked, material.similarity.clone())
        rows, places = torch.unique(ranked, return_inverse=True)
        few = ready.evidence(places, material.similarity[rows].clone())
    require(
        _same(found.float(), few.float(), _CLOSE),
        f"{name}.evidence() depends on images that are not in the ranking",
        "read P[ranked] alone: which other images P holds is left open",
    )


def _check_annotations(name: str, scorer: Scorer, material: _Material) -> None:
    draw = torch.Generator().manual_seed(2)
    known = (torch.rand(_IMAGES, _CONCEPTS, generator=draw) < 0.4).float()
    known[torch.rand(known.shape, generator=draw) < 0.2] = float("nan")
    annotated = replace(material, similarity=known)
    first = annotated.scores(name, scorer)
    require(
        bool(first.isfinite().any()),
        f"{name} declares takes_annotations, and scores none of annotations of which some are not known",
        "leave images out where P is NaN, concept by concept; or leave takes_annotations out",
    )
    if scorer.depends_on != "pair" or isinstance(scorer, TopKScorer):
        return
    concept = 0
    unknown = known[:, concept].isnan()
    moved = material.activations.clone()
    moved[unknown] = moved[unknown].flip(0) + 1.0
    second = replace(annotated, activations=moved).scores(name, scorer)
    require(
        _same(first[:, concept], second[:, concept], _CLOSE),
        f"{name} lets images count of which a concept is not known (NaN)",
        "leave them out, of activations too: an unknown finding is not an absent one",
    )
