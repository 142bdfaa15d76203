"""The sentences of the first screen: numbers that agree with their words, whatever a run has too little of."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.errors import amount
from mcd.runs.manifest import Manifest
from mcd.runs.verdict import by_chance
from mcd.scoring.results import LayerSummary
from mcd_plugins.reporters.answers import LEARNED, MISSING, TRUST, answers_of
from mcd_plugins.reporters.cautions import cautions_of
from mcd_plugins.reporters.facts import LIMITS, Facts, LayerRow
from mcd_plugins.reporters.represented import CARRIED, HIDDEN, UNDER, UNKNOWN, Represented
from mcd_plugins.reporters.side_answers import side_answers_of
from mcd_plugins.reporters.words import listed, share

WRONG = re.compile(
    r"\bnan\b|\bNone\b|\binf\b|  |\b1 (?:neurons|images|patients|concepts|labels|rungs)\b|\b1 (?:are|carry)\b"
)


def facts(layers: Sequence[tuple[int, int]], *, judged: bool, letter: str = "", patients: int | None = 3) -> Facts:
    rows = [LayerRow(f"layer{at}", size, named, 0.1, 0, 0, 0, {}) for at, (size, named) in enumerate(layers)]
    named = sum(one.named for one in rows)
    return Facts(
        letter,
        "net",
        "clip",
        "cosine",
        judged,
        0.05,
        1,
        patients,
        sum(one.neurons for one in rows),
        named,
        (),
        ["few", *LIMITS],
        ["cache is full", "clip knows drawings only"],
        rows,
        (),
        rungs=[("depends on the image", named, ""), ("beyond nuisances", named // 2, ""), ("right", None, "")],
    )


def record(layers: Sequence[tuple[int, int]], *, judged: bool) -> Manifest:
    summary = [
        LayerSummary(
            layer=f"layer{at}",
            neurons=size,
            labelled=size,
            significant=named if judged else None,
            non_null=0.004 if judged else None,
            draws=1 if judged else None,
            permutation_unit="patient",
        )
        for at, (size, named) in enumerate(layers)
    ]
    return Manifest.model_construct(summary=summary, rungs={"beyond nuisances": "", "right": "not annotated"})


def first_labels(named: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"concept": [f"concept {at % 5}" for at in range(named)], "broad_category": ["Findings"] * named}
    )


def represented(answers: Sequence[str], images: Sequence[int]) -> Represented:
    table = pd.DataFrame(
        {
            "concept": [f"concept {at}" for at in range(len(answers))],
            "answer": list(answers),
            "positives": list(images),
            "patients": [min(one, 1) for one in images],
        }
    )
    return Represented(table)


LAYERS = st.lists(
    st.integers(1, 3).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size))), min_size=1, max_size=3
)
CONCEPTS = st.lists(st.tuples(st.sampled_from([CARRIED, UNDER, HIDDEN, UNKNOWN]), st.integers(-1, 2)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(layers=LAYERS, judged=st.booleans(), concepts=CONCEPTS, patients=st.one_of(st.none(), st.integers(1, 2)))
def test_every_answer_is_one_to_three_sentences_whose_numbers_and_words_agree(
    layers: list[tuple[int, int]], judged: bool, concepts: list[tuple[str, int]], patients: int | None
) -> None:
    shown = [max(1, images) if one == UNDER else images for one, images in concepts]
    found = represented([one for one, _ in concepts], shown)
    said = facts(layers, judged=judged, patients=patients)
    answers = answers_of(said, record(layers, judged=judged), first_labels(said.named), found)
    assert [one.question for one in answers] == [LEARNED, MISSING, TRUST]
    for one in answers:
        assert 1 <= len(one.sentences) <= 3
        assert all(sentence.endswith(".") for sentence in one.sentences)
        assert not WRONG.search(one.text), one.text
        assert "of 0 testable" not in one.text
    both = [facts(layers, judged=judged, letter=letter) for letter in "AB"]
    for one in side_answers_of(both, [record(layers, judged=judged)] * 2, [found, found], None):
        assert not WRONG.search(one.text), one.text


def test_concepts_that_images_show_are_not_mixed_up_with_those_that_none_could_show() -> None:
    found = represented([UNDER, UNDER, UNDER, HIDDEN, HIDDEN, UNKNOWN, CARRIED], [4, 9, 7, 0, 2, -1, 5])
    layers = [(4, 1)]
    said = facts(layers, judged=True)
    text = answers_of(said, record(layers, judged=True), first_labels(1), found)[1].text
    assert text == (
        "No neuron carries 3 of 7 mammographic concepts, although images show them: concept 1 (9 images of 1 patient), "
        "concept 2 (7 images of 1 patient) and 1 more. Besides, 1 could not be detected with these images and this "
        "dissector, 1 is in no image and nothing is known of 1 that is not annotated."
    )


def test_runs_side_by_side_say_what_is_missing_in_each_and_how_far_labels_get() -> None:
    layers = [(4, 2)]
    both = [facts(layers, judged=True, letter=letter) for letter in "AB"]
    each = [represented([UNDER, UNDER, CARRIED], [4, 9, 5]), represented([UNDER, CARRIED, HIDDEN], [4, 9, 0])]
    _, _, missing, trust = side_answers_of(both, [record(layers, judged=True)] * 2, each, None)
    assert missing.text == (
        "Images show concepts that no neuron carries: A 2 of 3 (concept 1 and 1 more); B 1 of 3 (concept 0). "
        "Could not be shown: B 1."
    )
    assert trust.sentences[0] == "Significant labels that hold beyond nuisances: A 1 of 2, B 1 of 2."
    each = [represented([CARRIED, HIDDEN], [4, 0]), Represented(missing="no neuron has a label")]
    _, _, missing, _ = side_answers_of(both, [record(layers, judged=True)] * 2, each, None)
    assert missing.text == (
        "Nothing that could be detected; concepts that neurons carry: A 1 of 2. Could not be shown: A 1. "
        "Not known for B."
    )


def test_a_run_without_significance_does_not_claim_anything() -> None:
    layers = [(4, 4)]
    answers = answers_of(
        facts(layers, judged=False),
        record(layers, judged=False),
        first_labels(4),
        Represented(missing="significance was not computed"),
    )
    assert [one.sentences[0].split(":")[0] for one in answers] == ["Not known", "Not known", "No"]
    assert "mcd score RUN --draws 1000" in answers[2].text


def test_what_a_dissector_knows_is_cautioned_first_and_general_limits_last() -> None:
    said = [text for _, text in cautions_of([facts([(1, 1)], judged=True)])]
    assert said == ["clip knows drawings only", "few", "cache is full", *LIMITS]


@pytest.mark.parametrize(
    ("level", "count", "said"),
    [(0.05, 0, "fewer than 1"), (0.05, 19, "fewer than 1"), (0.05, 20, "about 1"), (0.05, 300, "about 15")],
)
def test_what_chance_explains_is_the_false_discovery_rate_of_the_discoveries(
    level: float, count: int, said: str
) -> None:
    assert by_chance(level, count) == said


def test_words_go_with_their_counts() -> None:
    assert [amount(one, "neuron") for one in (0, 1, 2, 1000)] == ["0 neurons", "1 neuron", "2 neurons", "1,000 neurons"]
    assert [amount(one, "class") for one in (1, 2)] == ["1 class", "2 classes"]
    assert [share(*one) for one in ((0, 0), (0, 9), (1, 900), (1, 200), (1, 9))] == ["–", "0%", "<1%", "0%", "11%"]
    assert [listed(list("abcd"[:n]), 2) for n in range(5)] == ["", "a", "a and b", "a, b and 1 more", "a, b and 2 more"]
