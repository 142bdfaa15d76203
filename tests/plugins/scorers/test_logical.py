"""Logical forms: the beam search against trying all, and what held-out patients say."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from mcd.errors import ConfigError
from mcd.options import validate_options
from mcd_plugins.scorers import forms
from mcd_plugins.scorers.forms import Form, Search
from mcd_plugins.scorers.held_out import Halves
from mcd_plugins.scorers.logical import Logical
from mcd_plugins.scorers.overlap import IoU

AND, OR, NOT = range(3)


def made(**options: object) -> Logical:
    return Logical(validate_options(Logical.Options, options, "logical"))


def sets(seed: int, images: int = 60, neurons: int = 5, concepts: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    active = torch.zeros(images, neurons).scatter_(
        0, torch.rand(images, neurons, generator=generator).topk(12, 0)[1], 1
    )
    labels = (torch.rand(images, concepts, generator=generator) < 0.3).float()
    return active, labels


def search(labels: torch.Tensor, length: int, beam: int = 10, penalty: float = 1.0) -> Search:
    return Search(labels, torch.ones(labels.shape[1], dtype=torch.bool), length, beam, penalty)


def slow_true(form: Form, row: list[float]) -> bool:
    true = bool(row[form.concepts[0]])
    for operator, concept in zip(form.operators, form.concepts[1:], strict=True):
        other = bool(row[concept])
        true = (true and other) if operator == AND else (true or other) if operator == OR else (true and not other)
    return true


def slow_iou(form: Form, active: list[float], labels: list[list[float]]) -> float:
    true = [slow_true(form, row) for row in labels]
    both = sum(t and bool(a) for t, a in zip(true, active, strict=True))
    return both / sum(t or bool(a) for t, a in zip(true, active, strict=True))


def every_form(concepts: int, length: int) -> list[Form]:
    found = []
    for count in range(1, length + 1):
        for which in itertools.permutations(range(concepts), count):
            found += [Form(which, how) for how in itertools.product(range(3), repeat=count - 1)]
    return found


@pytest.mark.parametrize("length", [1, 2, 3])
def test_with_a_wide_beam_the_form_is_as_good_as_the_best_of_all(length: int) -> None:
    active, labels = sets(1)
    rows = labels.tolist()
    for neuron, (iou, form) in enumerate(search(labels, length, beam=100).best(active)):
        own = active[:, neuron].tolist()
        assert len(form.concepts) <= length
        assert slow_iou(form, own, rows) == pytest.approx(iou)
        assert iou == pytest.approx(max(slow_iou(one, own, rows) for one in every_form(7, length)))


def test_a_form_knows_the_images_it_is_true_on() -> None:
    _, labels = sets(2)
    for form in every_form(4, 3):
        assert form.true(labels).tolist() == [float(slow_true(form, row)) for row in labels.tolist()]


def columns(images: int, *sets: range | set[int]) -> torch.Tensor:
    return torch.tensor([[float(row in one) for one in sets] for row in range(images)])


def test_a_concept_under_many_names_does_not_fill_the_beam() -> None:
    neuron = columns(120, range(100))
    middle, first, second = range(20, 80), range(50), range(50, 100)
    labels = columns(120, *[middle] * 12, first, second)
    assert search(labels, 2, beam=3).best(neuron) == [(1.0, Form((12, 13), (OR,)))]


def test_forms_in_which_a_concept_changes_nothing_do_not_fill_the_beam() -> None:
    neuron = columns(140, range(90))
    thirds = [range(30), range(30, 60), range(60, 90)]
    most = {row for row in range(90) if row % 30 < 21}  # better than any two thirds
    elsewhere = [range(90 + at, 96 + at) for at in range(40)]  # AND NOT these leaves everything as it is
    labels = columns(140, most, *thirds, *elsewhere)
    assert search(labels, 3, beam=4).best(neuron) == [(1.0, Form((1, 2, 3), (OR, OR)))]


def test_of_equally_good_forms_the_shorter_and_then_the_first_is_said() -> None:
    concepts = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0]]).T
    assert search(concepts, 3).best(concepts[:, :1]) == [(1.0, Form((0,)))]
    assert search(columns(4, {1}, {0}), 1).best(columns(4, {0, 1})) == [(0.5, Form((0,)))]
    both = torch.tensor([[1.0, 0, 0, 0]]).T
    assert search(concepts, 3).best(both) == [(1.0, Form((0, 2), (NOT,)))]


def test_a_longer_form_must_be_worth_its_length() -> None:
    concepts = torch.zeros(200, 2)
    concepts[:100, 0] = 1
    concepts[99, 1] = 1  # without it, 99 of 99 images instead of 99 of 100
    neuron = torch.zeros(200, 1)
    neuron[:99] = 1
    assert search(concepts, 2, penalty=1.0).best(neuron)[0][1] == Form((0, 1), (NOT,))
    assert search(concepts, 2, penalty=0.98).best(neuron)[0][1] == Form((0,))


def test_pieces_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    active, labels = sets(4, neurons=9)
    whole = search(labels, 3).best(active)
    monkeypatch.setattr(forms, "_CHUNK", 1)
    assert search(labels, 3).best(active) == whole


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Form((0,)), "a"),
        (Form((0, 1), (NOT,)), "a AND NOT b"),
        (Form((1, 0, 2), (OR, AND)), "(b OR a) AND c"),
        (Form((0, 1, 2), (AND, NOT)), "a AND b AND NOT c"),
        (Form((0, 1, 2), (OR, OR)), "a OR b OR c"),
        (Form((0, 1, 2), (NOT, OR)), "(a AND NOT b) OR c"),
    ],
)
def test_a_form_in_words_can_be_read_in_one_way_only(form: Form, text: str) -> None:
    assert form.text("abc") == text


# The scorer.


def planted(images: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two neurons, one for word 1 without word 2 and one for neither, and ten concepts."""
    generator = torch.Generator().manual_seed(5)
    cosines = torch.rand(images, 10, generator=generator)
    strong = cosines >= cosines.quantile(0.8, dim=0)
    neuron = (strong[:, 1] & ~strong[:, 2]).float() + 0.1 * torch.rand(images, generator=generator)
    return torch.stack([neuron, torch.rand(images, generator=generator)], dim=1), cosines


def test_the_scores_are_those_of_iou() -> None:
    activations, cosines = planted()
    options = {"alpha": 0.1, "quantile": 0.8}
    other = IoU(validate_options(IoU.Options, options, "iou"))
    assert torch.equal(made(**options).score(activations, cosines), other.score(activations, cosines))


def test_a_planted_form_is_found_on_one_half_and_holds_on_the_other(probe_of) -> None:
    activations, cosines = planted()
    facts = {"patient": [f"p{row // 4}" for row in range(400)]}
    scorer = made(alpha=0.16, quantile=0.8).for_probe(probe_of(torch.eye(400), torch.eye(10, 400), facts))
    first, noise = scorer.explain(activations, lambda: cosines)
    assert first.text == "word 1 AND NOT word 2"
    assert first.concepts == (1, 2)
    assert first.held_out > 0.8
    assert first.p == 0.001
    assert noise.p > 0.05
    assert noise.held_out < noise.fit
    assert scorer.explain(activations, lambda: cosines) == [first, noise]


def test_held_out_is_the_iou_on_patients_that_the_form_was_not_found_on() -> None:
    activations, cosines = planted()
    halves = Halves.of([""] * 400, 0)
    activations[halves.held, 0] = activations[halves.held, 1]  # the planted form ends there
    one = made(alpha=0.16, quantile=0.8).explain(activations, lambda: cosines)[0]
    assert one.text == "concept 1 AND NOT concept 2"
    own, words = activations[halves.held, 0], cosines[halves.held]
    top = set(own.sort(descending=True, stable=True).indices[:32].tolist())
    true = [set(words[:, c].sort(descending=True, stable=True).indices[:40].tolist()) for c in (1, 2)]
    form = true[0] - true[1]
    assert one.held_out == pytest.approx(len(form & top) / len(form | top))
    assert one.p > 0.01


def test_what_is_the_same_everywhere_takes_no_part() -> None:
    activations, cosines = planted()
    expected = made(alpha=0.16, quantile=0.8).explain(activations, lambda: cosines)
    flat = torch.full((400, 1), 0.5)
    found = made(alpha=0.16, quantile=0.8).explain(
        torch.cat([activations, flat], dim=1), lambda: torch.cat([cosines, flat], dim=1)
    )
    assert list(found) == list(expected)
    assert made().score(activations, torch.full((400, 1), math.nan)).isnan().all()


def test_halves_that_are_too_small_explain_nothing() -> None:
    activations, cosines = planted(12)
    assert made().explain(activations, lambda: cosines) == ()


@pytest.mark.parametrize("options", [{"length": 0}, {"beam": 0}, {"penalty": 0}, {"penalty": 1.1}, {"alpha": 1}])
def test_a_setting_out_of_bounds_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        made(**options)
