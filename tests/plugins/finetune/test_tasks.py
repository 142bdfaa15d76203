"""Tasks by name, and splits by patient: which label an image has, and in which part it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.finetune.material import sample

import mcd
from mcd.errors import DataError, MCDError, UnknownNameError, UsageError
from mcd_plugins.finetune.probing import class_weights, correction
from mcd_plugins.finetune.splits import PARTS, check_enough, check_shares, drawn, patients_of, published
from mcd_plugins.finetune.tasks import UNKNOWN, task_of

SHARES = (0.7, 0.15, 0.15)


def test_density_and_assessment_are_ordered_classes_in_the_words_of_samples() -> None:
    density = task_of("density", [sample(at, density=one) for at, one in enumerate(["b", "a", "", "d"])])
    assert (density.classes, density.ordinal) == (("a", "b", "d"), True)  # no image is c
    assert density.labels.tolist() == [1, 0, UNKNOWN, 2]
    assert density.left_out == "1 image whose label is not known"
    found = task_of("BI-RADS", [sample(at, assessment=one) for at, one in enumerate(["2", "4a", "4c", "0", "5"])])
    assert found.classes == ("2", "4", "5")
    assert found.labels.tolist() == [0, 1, 1, UNKNOWN, 2]
    assert "BI-RADS 0 or 6" in found.left_out


def test_findings_are_yes_or_no_and_unknown_is_not_absent() -> None:
    states: list[dict[str, bool]] = [{"mass": True}, {"mass": False}, {}]
    found = task_of("masses", [sample(at, findings=one) for at, one in enumerate(states)])
    assert (found.name, found.names, found.outputs) == ("mass", ("mass",), 1)
    assert found.labels.tolist() == [1, 0, UNKNOWN]


def test_suspicious_calcification_is_told_from_morphology_where_only_that_is_known() -> None:
    states = [{"amorphous calcifications": one, "round calcifications": True} for one in (True, False)]
    samples = [sample(at, findings=one) for at, one in enumerate([*states, {"calcifications": True}])]
    assert task_of("suspicious calcification", samples).labels.tolist() == [1, 0, UNKNOWN]


@pytest.mark.parametrize(
    ("values", "classes", "ordinal", "labels"),
    [
        (["1", "0", "", "1"], ("no it", "it"), False, [1, 0, UNKNOWN, 1]),
        (["x", "y", "z", "x"], ("x", "y", "z"), False, [0, 1, 2, 0]),
        (["10", "9", "2.5", ""], ("2.5", "9", "10"), True, [2, 1, 0, UNKNOWN]),
        (["0 | 1", "0 |  | 0", "1", "unknown | 1"], ("no it", "it"), False, [1, 0, 1, 1]),
        (["yes", "no", "unknown", "N/A"], ("no it", "it"), False, [1, 0, UNKNOWN, UNKNOWN]),
        (["2.0", "1", "2", "3 | 3"], ("1", "2", "3"), True, [1, 0, 1, 2]),
        (["x; y", "x", "x | x", "Unknown"], ("x", "x; y"), False, [1, 0, 0, UNKNOWN]),
    ],
)
def test_a_label_column_is_a_task(
    values: list[str], classes: tuple[str, ...], ordinal: bool, labels: list[int]
) -> None:
    found = task_of("it", [sample(at, labels={"it": one}) for at, one in enumerate(values)])
    assert (found.classes, found.ordinal, found.labels.tolist()) == (classes, ordinal, labels)


def test_a_column_can_hold_the_labels_of_a_named_task() -> None:
    samples = [
        sample(at, labels={"d": one, "m": two}) for at, (one, two) in enumerate([("DENSITY B", "0"), ("A", "0 | 1")])
    ]
    assert task_of("density", samples, "d").labels.tolist() == [1, 0]
    unsure = [*samples, sample(2, labels={"d": "Unknown", "m": "unknown"})]
    assert [task_of(one, unsure, one[0]).labels[2] for one in ("density", "mass")] == [UNKNOWN, UNKNOWN]
    mass = task_of("mass", samples, "m")
    assert mass.labels.tolist() == [0, 1]
    assert mass.rows.tolist() == [[1, 0], [1, 1]]


SOME = [
    sample(
        at,
        density="ab"[at % 2],
        findings={"mass": True},
        labels={"cancer": str(at % 2), "name": f"n{at}", "shape": "oval | round"},
    )
    for at in range(30)
]


@pytest.mark.parametrize(
    ("task", "column", "error", "said"),
    [
        ("mass", None, DataError, "30 labelled images of one class, 'mass'"),
        ("cancr", None, UnknownNameError, "did you mean 'cancer'?"),
        ("density", "cancr", UnknownNameError, "did you mean 'cancer'?"),
        ("density", "cancer", DataError, "labels of another task than density: 0 is none of a, b, c, d, 1, 2, 3, 4"),
        ("assessment", None, DataError, "no image has a label for task 'assessment'"),
        ("mass", "name", DataError, "labels of another task than mass: n0, n1"),
        ("asymmetry", None, UnknownNameError, "no image has a label or finding 'asymmetry'"),
        ("calcification", None, DataError, "no image says whether there is calcifications"),
        ("shape", None, DataError, "'shape' says several things of one image, oval and round: no class"),
        ("name", None, DataError, "30 different values, such as n0, n1, n10: no classes"),
    ],
)
def test_labels_that_are_none_are_refused(task: str, column: str | None, error: type[MCDError], said: str) -> None:
    with pytest.raises(error) as caught:
        task_of(task, SOME, column)
    assert said in str(caught.value)
    assert caught.value.hint


def test_the_published_weights_count_rows_of_findings() -> None:
    boxes = (mcd.Box("mass", 0, 0, 1, 1), mcd.Box("mass", 2, 2, 3, 3), mcd.Box("asymmetry", 4, 4, 5, 5))
    samples = [sample(0, findings={"mass": True}, boxes=boxes)]
    samples += [sample(at, findings={"mass": False}) for at in range(1, 6)]
    task, rows = task_of("mass", samples), np.arange(6)
    assert class_weights(task, rows, "published").tolist() == [1, 6 / 2]  # 5 images and a box that say no, 2 boxes yes
    assert class_weights(task, rows, "weighted").tolist() == [6 / (2 * 5), 6 / (2 * 1)]
    assert class_weights(task, rows, "none").tolist() == [1, 1]


@given(st.floats(0.02, 0.98), st.floats(0.1, 50))
def test_weighted_probabilities_are_corrected_to_those_of_the_images(share: float, ratio: float) -> None:
    import torch

    task = task_of("it", [sample(at, labels={"it": str(at % 2)}) for at in range(2)])
    weights = torch.tensor([1.0, ratio], dtype=torch.float64)
    learned = np.log(share * ratio / (1 - share))  # what minimises the weighted loss
    corrected = 1 / (1 + np.exp(-(learned + float(correction(task, weights, "weighted")[0]))))
    assert corrected == pytest.approx(share)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcd")), min_size=4, max_size=120), st.integers(0, 9))
def test_no_patient_is_in_two_parts_and_the_order_of_images_does_not_matter(
    images: list[tuple[int, str]], seed: int
) -> None:
    samples = [sample(at, patient=f"p{patient}", density=one) for at, (patient, one) in enumerate(images)]
    if len({one for _, one in images}) < 2:
        return
    parts = drawn(samples, task_of("density", samples), SHARES, seed)
    of_patient = {(one.patient, part) for one, part in zip(samples, parts.part.tolist(), strict=True)}
    assert len(of_patient) == len({one.patient for one in samples})
    turned = drawn(samples[::-1], task_of("density", samples[::-1]), SHARES, seed)
    assert turned.part.tolist()[::-1] == parts.part.tolist()
    assert turned.digest == parts.digest


def test_patients_who_share_an_image_are_in_one_part() -> None:
    digests = ["a", "b", "b", "c", "c", "a", "d", "e"]  # chained: the patients 0, 1 and 2, and 3 by itself
    owners = ["p0", "p0", "p1", "p1", "p2", "p2", "p3", "p3"]
    samples = [sample(at, digest=one, patient=who) for at, (one, who) in enumerate(zip(digests, owners, strict=True))]
    assert patients_of(samples) == (("", "p0"),) * 6 + (("", "p3"),) * 2
    assert patients_of(samples[::-1]) == (("", "p3"),) * 2 + (("", "p0"),) * 6


def test_parts_have_the_shares_that_are_asked_for_and_depend_on_the_seed() -> None:
    samples = [sample(at, labels={"it": str(int(at % 10 == 0))}) for at in range(400)]
    task = task_of("it", samples)
    parts = drawn(samples, task, SHARES, 0)
    assert [len(parts.rows(one)) for one in PARTS] == [280, 60, 60]
    assert [int(task.labels[parts.rows(one)].sum()) for one in PARTS] == [28, 6, 6]
    assert drawn(samples, task, SHARES, 1).digest != parts.digest


def said(splits: list[str], patients: list[str] | None = None) -> list[mcd.Sample]:
    whose = patients or [f"p{at}" for at in range(len(splits))]
    return [
        sample(at, patient=who, split=one, labels={"it": str(at % 2)})
        for at, (one, who) in enumerate(zip(splits, whose, strict=True))
    ]


def test_a_published_split_is_used_and_its_validation_part_is_not_its_test_part() -> None:
    samples = said(["training"] * 40 + ["test"] * 20)
    parts = published(samples, task_of("it", samples), "split", SHARES, 0)
    assert parts.rows("test").tolist() == list(range(40, 60))
    assert len(parts.rows("validation")) == 8  # 0.15 of 0.85
    three = said(["Train"] * 10 + ["val"] * 4 + ["TEST"] * 4)
    assert len(published(three, task_of("it", three), "split", SHARES, 0).rows("validation")) == 4


@pytest.mark.parametrize(
    ("samples", "column", "message"),
    [
        (
            said(["training"] * 4 + ["test"] * 2, ["a", "b", "c", "d", "d", "e"]),
            "split",
            "puts 1 patient, or images of equal bytes, into two parts",
        ),
        (said(["training"] * 4 + ["holdout"] * 2), "split", "says 'holdout', which is neither training"),
        (said(["training"] * 4 + [""] * 2), "split", "says '', which is neither training"),
        (said(["training"] * 6), "split", "has no test part"),
        (said(["training"] * 6), "fold", "no image has a column 'fold'"),
        (said(["training", "test"], ["a", ""]), "split", "1 of 2 images do not say whose they are"),
    ],
)
def test_splits_that_would_leak_are_refused(samples: list[mcd.Sample], column: str, message: str) -> None:
    with pytest.raises(MCDError, match=message):
        published(samples, task_of("it", samples), column, SHARES, 0)


def test_too_few_patients_of_a_class_are_refused() -> None:
    samples = [sample(at, labels={"it": str(int(at < 4))}) for at in range(100)]
    task = task_of("it", samples)
    with pytest.raises(DataError, match="patients with 'it' for task 'it': at least 5 are needed"):
        check_enough(task, drawn(samples, task, SHARES, 0))


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 0.5, 0.0), (0.7, 0.7, 0.7), (float("nan"), 0.5, 0.5)])
def test_shares_are_three_and_add_to_one(shares: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="three numbers above 0 that add to 1"):
        check_shares(shares)
