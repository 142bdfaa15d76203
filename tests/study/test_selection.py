"""Which images are chosen: filter, share of each patient, limit; drawn the same whatever the order of the data set."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.api.dataset import Sample
from mcd.errors import ConfigError, DataError
from mcd.study.selection import Selection


def samples(patients: int = 10, each: int = 4) -> list[Sample]:
    return [
        Sample(
            f"{patient}/{image}",
            patient=f"p{patient}",
            split="test" if patient % 5 == 0 else "training",
            view="CC" if image % 2 else "MLO",
            labels={"age": str(40 + patient)} if patient else {},
            findings={"mass": True} if patient < 3 else {},
        )
        for patient in range(patients)
        for image in range(each)
    ]


def ids(chosen: list[Sample]) -> list[str]:
    return [sample.id for sample in chosen]


def test_without_settings_all_are_chosen() -> None:
    assert Selection().choose(samples()) == samples()
    assert Selection(seed=3).choose(samples()) == samples()
    assert Selection(where='view == "CC"', limit=3, per_patient=1).choose([]) == []


def test_filter_comes_first_then_the_patients_share_then_the_limit() -> None:
    chosen = Selection(where='split == "training" and view == "CC"', per_patient=1, limit=3).choose(samples())
    assert ids(chosen) == ["1/1", "2/1", "3/1"]


settings_ = st.builds(
    Selection,
    where=st.sampled_from([None, 'view == "CC"']),
    limit=st.one_of(st.none(), st.integers(1, 50)),
    per_patient=st.one_of(st.none(), st.integers(1, 5)),
    seed=st.one_of(st.none(), st.integers(0, 3)),
)


@given(settings_, st.permutations(samples()))
def test_what_is_chosen_is_as_large_as_can_be_and_in_data_set_order(wanted: Selection, given: list[Sample]) -> None:
    chosen = wanted.choose(given)
    fitting = [sample for sample in given if wanted.where is None or sample.view == "CC"]
    share = Counter(sample.patient for sample in fitting)
    most = sum(min(count, wanted.per_patient or count) for count in share.values())
    assert len(chosen) == min(most, wanted.limit or most)
    assert max(Counter(sample.patient for sample in chosen).values()) <= (wanted.per_patient or 4)
    assert [sample for sample in given if sample in chosen] == chosen


@given(st.permutations(samples()), st.integers(0, 5))
def test_a_drawn_set_does_not_depend_on_the_order_of_the_data_set(given: list[Sample], seed: int) -> None:
    wanted = Selection(seed=seed, per_patient=2, limit=7)
    assert sorted(ids(wanted.choose(given))) == sorted(ids(wanted.choose(samples())))


def test_another_seed_draws_others_and_none_takes_the_first() -> None:
    drawn = {tuple(ids(Selection(seed=seed, limit=5).choose(samples()))) for seed in range(20)}
    assert len(drawn) == 20
    assert ids(Selection(limit=5).choose(samples())) == ids(samples())[:5]


def test_the_same_seed_draws_the_same_in_another_process() -> None:
    code = (
        "from mcd.api.dataset import Sample; from mcd.study.selection import Selection\n"
        "print(*(s.id for s in Selection(seed=1, limit=4).choose([Sample(str(i)) for i in range(100)])))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ids(Selection(seed=1, limit=4).choose([Sample(str(i)) for i in range(100)]))


def test_every_image_has_the_same_chance_to_be_drawn() -> None:
    found = Counter(one for seed in range(400) for one in ids(Selection(seed=seed, limit=10).choose(samples())))
    assert len(found) == 40
    assert all(60 <= count <= 140 for count in found.values())  # 100 each, standard deviation 8.7


def test_patients_of_many_images_are_not_drawn_before_others() -> None:
    crowd = [Sample(f"a{patient}", patient=f"a{patient}") for patient in range(10)]
    crowd += [Sample(f"b{patient}/{image}", patient=f"b{patient}") for patient in range(10) for image in range(20)]
    found = Counter(
        one[0] for seed in range(300) for one in ids(Selection(seed=seed, per_patient=1, limit=4).choose(crowd))
    )
    assert 500 <= found["a"] <= 700  # of 1200; half of the patients have one image


def test_patients_of_two_collections_are_not_one() -> None:
    two = [Sample(f"{name}{image}", patient="1", collection=name) for name in "ab" for image in range(3)]
    assert ids(Selection(per_patient=1).choose(two)) == ["a0", "b0"]


def test_a_share_of_each_patient_needs_to_know_all_patients() -> None:
    some = [*samples(2), Sample("x"), Sample("y")]
    with pytest.raises(DataError, match="2 of 10 images do not say whose they are") as caught:
        Selection(per_patient=1).choose(some)
    assert "--where 'patient != unknown'" in caught.value.hint
    assert ids(Selection(per_patient=1, where="patient != unknown").choose(some)) == ["0/0", "1/0"]


def test_nothing_found_shows_what_there_is() -> None:
    with pytest.raises(DataError) as caught:
        Selection(where='split == "tset" and "mass" in findings and implant').choose(samples())
    assert caught.value.message == (
        'none of 40 images fits split == "tset" and "mass" in findings and implant\n'
        "  split: training 32, test 8\n"
        "  mass: present 12, unknown 28\n"
        "  implant: unknown 40"
    )


def test_nothing_found_shows_neither_keys_of_patients_nor_long_lists() -> None:
    with pytest.raises(DataError) as few:
        Selection(where='patient == "q"').choose(samples(3))
    assert few.value.message == 'none of 12 images fits patient == "q"\n  patient: 3 different values'
    with pytest.raises(DataError) as many:
        Selection(where='label["age"] == "3"').choose(samples(20))
    assert many.value.message.splitlines()[1] == '  label["age"]: 19 different values, unknown 4'


def test_a_label_that_no_image_has_is_an_error_though_others_fit() -> None:
    with pytest.raises(DataError, match=r'no image has label\["agee"\]') as caught:
        Selection(where='label["agee"] > 50 or view == "CC"').choose(samples())
    assert caught.value.hint.startswith("did you mean 'age'?")
    assert len(Selection(where='label["age"] == unknown').choose(samples())) == 4


def test_a_fact_that_no_file_has_is_unknown_and_the_others_are_named() -> None:
    some = [Sample(str(number), facts={"bits": "12", "syntax": "RLE"}) for number in range(3)]
    assert Selection(where='fact["special view"] == unknown').choose(some) == some
    with pytest.raises(DataError) as caught:
        Selection(where='fact["sintax"] == "RLE"').choose(some)
    assert caught.value.message.endswith('\n  fact["sintax"]: unknown 3; there is bits, syntax')


def test_settings_are_checked_when_they_are_made_and_cannot_change() -> None:
    with pytest.raises(ConfigError, match="there is no field 'veiw'"):
        Selection(where='veiw == "CC"')
    for wrong in ({"limit": 0}, {"per_patient": 0}, {"seed": -1}, {"limits": 3}):
        with pytest.raises(pydantic.ValidationError):
            Selection.model_validate(wrong)
    with pytest.raises(pydantic.ValidationError):
        Selection().limit = 3


def rows(*said: str, between: str = " | ") -> Sample:
    return Sample(between.join(said), view="MLO", labels={"birads": between.join(said)})


def test_a_label_of_several_rows_fits_where_any_row_does() -> None:
    one, two = rows("BI-RADS 5"), rows("BI-RADS 4", "BI-RADS 5", between="; ")
    three, four = rows("BI-RADS 5", "", "BI-RADS 3"), rows("BI-RADS 4", "")
    images = [one, two, three, four, Sample("none")]

    def found(where: str) -> list[Sample]:
        return Selection(where=where).choose(images)

    assert found('label["birads"] == "BI-RADS 5"') == [one, two, three]
    assert found('label["birads"] in ["BI-RADS 3", "BI-RADS 4"]') == [two, three, four]
    assert found('label["birads"] != "BI-RADS 5"') == found('label["birads"] not in ["BI-RADS 5"]') == [four]
    assert found('label["birads"] <= "BI-RADS 3"') == [three]
    assert found('label["birads"] == "BI-RADS 4; BI-RADS 5"') == [two]
    assert found('label["birads"] == unknown') == images[-1:]


def test_a_row_that_has_a_semicolon_of_its_own_is_found_as_it_is_written() -> None:
    images = [rows("irregular; large", "round"), rows("oval")]
    for text in ("irregular; large", "large", "round"):
        assert Selection(where=f'label["birads"] == "{text}"').choose(images) == images[:1]
    assert Selection(where='label["birads"] != "irregular; large"').choose(images) == images[1:]


def test_numbers_of_several_rows_are_compared_one_by_one() -> None:
    images = [rows("3", "12"), rows("n/a", "4"), rows("n/a", "n/a")]
    assert Selection(where='label["birads"] > 10').choose(images) == images[:1]
    assert Selection(where='not label["birads"] > 10').choose([*images, rows("5")]) == [rows("5")]
    assert Selection(where='label["birads"] != 3').choose([*images, rows("5")]) == [rows("5")]


def test_every_image_of_vindr_with_a_finding_of_birads_5_is_found() -> None:
    images = [rows("BI-RADS 5") for _ in range(98)] + [rows("BI-RADS 4", "BI-RADS 5") for _ in range(117)]
    assert len(Selection(where='label["birads"] == "BI-RADS 5"').choose([*images, rows("BI-RADS 4")])) == 215


FOUND = [
    Sample("1", labels={"categories": "['Mass', 'Suspicious Lymph Node']"}, findings={"mass": True, "nodes": True}),
    Sample("2", labels={"categories": "['Mass']"}, findings={"mass": True, "nodes": False}),
    Sample("3", view="CC", labels={"categories": "['No Finding']"}, findings={"mass": False}),
]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("Mass", "did you mean 'mass'?"),
        ("masses", "did you mean 'mass'?"),
        ("Suspicious Lymph Node", "did you mean 'nodes', which is present where label[\"categories\"] says"),
        ("clip", "There is: mass, nodes"),
    ],
)
@pytest.mark.parametrize("state", ["findings", "absent", "unknown"])
def test_a_finding_of_which_no_image_says_anything_is_an_error_though_others_fit(
    word: str, hint: str, state: str
) -> None:
    with pytest.raises(DataError, match=f"no image says whether '{word}' is present or absent") as caught:
        Selection(where=f'"{word}" in {state} or view == "CC"').choose(FOUND)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ('laterality != "left"', "did you mean 'L'? It is one of L, R"),
        ('density == "DENSITY C" or view == "CC"', "did you mean 'c'?"),
        ('density in ["C", "d"]', "did you mean 'c'?"),
        ('assessment != "BI-RADS 4"', "did you mean '4'?"),
        ('assessment == "4A" or view == "CC"', "did you mean '4a'?"),
        ('view != "cc"', "did you mean 'CC'?"),
        ('label["categories"] != "[\'mass\']"', "did you mean '['Mass']'?"),
    ],
)
def test_a_value_in_another_spelling_is_an_error(where: str, hint: str) -> None:
    with pytest.raises(DataError, match="is never") as caught:
        Selection(where=where).choose(FOUND)
    assert hint in caught.value.hint


def test_a_value_that_no_image_has_is_none() -> None:
    assert len(Selection(where='view == "MLO" or view == "CC"').choose(FOUND)) == 1
    assert len(Selection(where='density != "c" or view == "CC"').choose(FOUND)) == 1
