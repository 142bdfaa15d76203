"""The language of --where: three-valued like the samples, safe on any text, its errors show where."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.api.dataset import Box, Sample
from mcd.errors import ConfigError
from mcd.study.where import parse

TEXTS = {
    "view": ("", "CC", "MLO"),
    "density": ("", "b", "c", "d"),
    "assessment": ("", "3", "4", "4a", "5"),
    "split": ("", "test", "training"),
    "vendor": ("", 'Ünï "quoted" ©'),
}
NUMBERS = (-1, 0, 49.5, 50, 10**30)
AGES = ("", "50", "49.5", "-1", " 50 ", "fifty", "nan", "inf", "5_0", "1e2", "9" * 400, "1" + "0" * 30)
SIGNS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
Oracle = Callable[[Sample], bool | None]


def sampled(**known: object) -> st.SearchStrategy[Sample]:
    return st.builds(
        Sample,
        id=st.just("1"),
        implant=st.sampled_from([True, False, None]),
        findings=st.dictionaries(st.sampled_from(["mass", "clip"]), st.booleans()),
        boxes=st.sampled_from([(), (Box("mass", 0, 0, 1, 1),)]),
        labels=st.dictionaries(st.just("age"), st.sampled_from(AGES)),
        **{name: st.sampled_from(values) for name, values in TEXTS.items()},
    )


def naive_number(text: str) -> float | None:
    return {
        "50": 50,
        "49.5": 49.5,
        "-1": -1,
        " 50 ": 50,
        "1e2": 100,
        "9" * 400: int("9" * 400),
        "1" + "0" * 30: 10**30,
    }.get(text)


def text_comparison(name: str, sign: str, value: str, mirrored: bool) -> tuple[str, Oracle]:
    def oracle(sample: Sample) -> bool | None:
        found = getattr(sample, name)
        sides = (value, found) if mirrored else (found, value)
        return SIGNS[sign](*sides) if found else None

    quoted = "'" + value + "'"
    return (f"{quoted} {sign} {name}" if mirrored else f"{name} {sign} {quoted}"), oracle


def number_comparison(sign: str, value: float) -> tuple[str, Oracle]:
    def oracle(sample: Sample) -> bool | None:
        found = naive_number(sample.labels.get("age", ""))
        return None if found is None else SIGNS[sign](found, value)

    return f'label["age"] {sign} {value}', oracle


def membership(name: str, values: list[str], negated: bool) -> tuple[str, Oracle]:
    def oracle(sample: Sample) -> bool | None:
        found = getattr(sample, name)
        return ((found in values) is not negated) if found else None

    return f"{name} {'not in' if negated else 'in'} {values!r}", oracle


FIXED: list[tuple[str, Oracle]] = [
    ("implant", lambda s: s.implant),
    ("implant == false", lambda s: None if s.implant is None else not s.implant),
    ("implant != True", lambda s: None if s.implant is None else not s.implant),
    ("implant == unknown", lambda s: s.implant is None),
    ("view != unknown", lambda s: s.view != ""),
    ("density in ['c', unknown]", lambda s: s.density in ("c", "")),
    ('label["age"] == unknown', lambda s: not s.labels.get("age")),
    ("boxes", lambda s: bool(s.boxes)),
    ('"mass" in findings', lambda s: s.findings.get("mass")),
    ('"mass" in absent', lambda s: None if "mass" not in s.findings else not s.findings["mass"]),
    ('"mass" not in findings', lambda s: None if "mass" not in s.findings else not s.findings["mass"]),
    ('"clip" in unknown', lambda s: "clip" not in s.findings),
    ('"3" < assessment <= "4a"', lambda s: "3" < s.assessment <= "4a" if s.assessment else None),
    ("true", lambda s: True),
    ("False", lambda s: False),
]
SIGN = st.sampled_from(sorted(SIGNS))
LEAVES: st.SearchStrategy[tuple[str, Oracle]] = st.one_of(
    st.sampled_from([(name, value) for name, values in TEXTS.items() for value in values[1:]]).flatmap(
        lambda one: st.builds(text_comparison, st.just(one[0]), SIGN, st.just(one[1]), st.booleans())
    ),
    st.builds(number_comparison, SIGN, st.sampled_from(NUMBERS)),
    st.builds(membership, st.just("density"), st.lists(st.sampled_from(["a", "c", "d"]), min_size=1), st.booleans()),
    st.sampled_from(FIXED),
)


def negated(part: tuple[str, Oracle]) -> tuple[str, Oracle]:
    def oracle(sample: Sample) -> bool | None:
        found = part[1](sample)
        return None if found is None else not found

    return f"not ({part[0]})", oracle


def joined(word: str, parts: list[tuple[str, Oracle]]) -> tuple[str, Oracle]:
    decides = word == "or"

    def oracle(sample: Sample) -> bool | None:
        known = [found for found in (part[1](sample) for part in parts) if found is not None]
        if decides in known:
            return decides
        return None if len(known) < len(parts) else not decides

    return f" {word} ".join(f"({text})" for text, _ in parts), oracle


TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(negated), st.builds(joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=12,
)


@settings(max_examples=400)
@given(TREES, sampled())
def test_every_expression_means_what_python_would_say_of_three_values(tree: tuple[str, Oracle], sample: Sample) -> None:
    text, oracle = tree
    assert parse(text)(sample) is (oracle(sample) is True), text


WORDS = (
    "view label ['age'] implant unknown findings absent ( ) [ ] { == != < in not and or 'MLO' ' 1 1e999 - is lambda : "
    ", f'{view}' b'x' 1j None \\ # \u2028 é \x00 \ud800 if else . * ﬁ “ yield await := \n \r \f"
)
ANYTHING = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(WORDS.split(" ")), max_size=12).map(" ".join))


@pytest.mark.parametrize("sign", sorted(SIGNS))
def test_the_field_may_stand_on_either_side(sign: str) -> None:
    for density in "bcd":
        sample = Sample("1", density=density)
        assert parse(f"density {sign} 'c'")(sample) is SIGNS[sign](density, "c")
        assert parse(f"'c' {sign} density")(sample) is SIGNS[sign]("c", density)


@pytest.mark.parametrize("age", AGES)
def test_only_plain_numbers_are_read_as_numbers(age: str) -> None:
    number = naive_number(age)
    sample = Sample("1", labels={"age": age})
    assert parse("label['age'] > -1000")(sample) is (number is not None)
    assert number is None or parse(f"label['age'] == {number}")(sample)


@settings(max_examples=1000)
@given(ANYTHING)
def test_any_text_is_an_expression_or_a_config_error(text: str) -> None:
    try:
        found = parse(text)
    except ConfigError as error:
        said = str(error)
    else:
        said = f"where: {found(Sample('1'))}"
    assert said.startswith("where: ")
    said.encode()  # it can be printed


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "(" * 4_000,
        "[" * 9_000,
        "not " * 2_400 + "implant",
        "-" * 9_000 + "1 < view",
        "view" + ".x" * 4_000,
        "view == " + "9" * 100_000,
        "view == " + "9" * 9_000,
        "x" * 100_000,
        "view\x00",
        "view == '\ud800'",
        "{" * 9_000,
        "(implant and " * 60 + "implant" + ")" * 60,
        "not " * 60 + "implant",
        "view == (" * 150 + "1" + ")" * 150,
    ],
)
def test_hostile_text_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError, match="100,0.. characters" if len(text) > 10_000 else "where: "):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "view.upper() == 'CC'",
        "[x for x in view]",
        "(lambda: 1)()",
        "view == f'{view}'",
        "view + 'x' == 'y'",
        "view if implant else view",
        "view == b'CC'",
        "view == None",
        "view == 1j",
        "(view := 'CC')",
        "view is 'CC'",
        "{'a': 1}",
        "view == ...",
        "view & implant",
        "~implant",
        "label['x'] > -True",
        "view['x'] == 'y'",
        "label[0] == 'x'",
        "label['a':'b'] == 'x'",
        "*view",
        "view == *implant",
        "",
        "   ",
        "# only a remark",
    ],
)
def test_nothing_but_the_language_is_understood(text: str) -> None:
    with pytest.raises(ConfigError, match="where: "):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("view", "view is a text, no condition"),
        ('label["age"]', 'label["age"] is a text, no condition'),
        ("not density", "density is a text, no condition"),
        ("implant == 'yes'", "implant is true or false"),
        ("implant < true", "implant is true or false"),
        ("implant in ['yes']", "implant is true or false"),
        ("split == true", "split is a text"),
        ("assessment >= 4", "assessment is a text"),  # 4a is no number and would be left out
        ("density > unknown", "'> unknown' has no meaning"),
        ("boxes == unknown", "boxes are there or not"),
        ("view == laterality", "a field is compared with a text"),
        ("1 == 1", "a field is compared with a text"),
        ("'test' in split", "after 'in' stands a list"),
        ("view in 'MLO'", "after 'in' stands a list"),
        ("view in []", "after 'in' stands a list"),
        ("'mass' in ['mass']", "only a field can be in a list"),
        ("mass in findings", "a finding is a text in quotes"),
        ("findings", "findings is asked with 'in'"),
        ("label == 'x'", "label needs a name in square brackets"),
        ("label[age] > 5", "the name of a label is a text in quotes"),
    ],
)
def test_what_would_never_fit_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert said in caught.value.message


def test_an_unknown_field_is_shown_in_its_line_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('(vendor == "Ünï" and\n "é" != vendor and veiw == "MLO")')
    assert caught.value.message == (
        'where: there is no field \'veiw\'\n   "é" != vendor and veiw == "MLO")\n                     ^'
    )
    assert caught.value.hint.startswith("did you mean 'view'? There is: absent, assessment,")


def test_a_long_line_is_shown_around_the_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(" or ".join(['split == "test"'] * 200 + ["veiw"] + ['split == "test"'] * 200))
    _, line, caret = caught.value.message.splitlines()
    assert line[caret.index("^") :].startswith("veiw")
    assert len(line) < 110


def test_a_text_without_quotes_and_a_single_equals_sign_are_explained() -> None:
    with pytest.raises(ConfigError, match='A text stands in quotes: "MLO"; a finding is asked as "MLO" in findings'):
        parse("view == MLO")
    with pytest.raises(ConfigError, match="with =="):
        parse('view = "MLO"')


def test_it_says_what_it_asks_about_and_travels_to_other_processes() -> None:
    where = parse(
        'split == "test" and label["age"] > 50 and split != "x" and "mass" in findings and fact["bits"] == 12'
    )
    assert [str(asked) for asked in where.fields] == ["split", 'label["age"]', "mass", 'fact["bits"]']
    moved = pickle.loads(pickle.dumps(where))
    assert moved == where
    assert moved(Sample("1", split="test", labels={"age": "51"}, findings={"mass": True}, facts={"bits": "12"}))
