"""The reporter ``cards``: the right images on every card, and nothing that gives a label away."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare
from tests.plugins.cards.conftest import Written, cards_of
from tests.plugins.explorer.conftest import HOSTILE, Parsed, hostile_run

import mcd
from mcd.errors import UsageError
from mcd.runs.thumbnails import thumbnails
from mcd.scoring.verdicts import NOT_SIGNIFICANT, SIGNIFICANT
from mcd_plugins.cards.choices import offered
from mcd_plugins.cards.key import Card, Key
from mcd_plugins.cards.page import choices_page, page, sheet
from mcd_plugins.cards.sampling import Design, drawn
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.reporters.vocabulary import vocabulary_of


def images_of(page: str) -> list[list[bytes]]:
    """Return the images of every card, in the order of the page."""
    sections = page.split('<section class="card"')[1:]
    return [[base64.b64decode(one) for one in re.findall(r"base64,([^\"]+)", section)] for section in sections]


def without_images(page: str) -> str:
    return re.sub(r"base64,[^\"]+", "", page)


def packed_choices(page: str) -> list[list[str]]:
    return json.loads(base64.b64decode(re.search(r'"choices": ?"([^"]+)"', page)[1]))


def without_choices(page: str, name: str) -> str:
    """Return the page without the choices in it; the name of the set, a digest of the key, is left out too."""
    return re.sub(r'("choices": ?)"[^"]+"', r"\1", page.replace(name, ""))


def without_script(page: str) -> str:
    """Return the page without the script, which is the same in every page."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def many_cards(run: mcd.Dissection, sets: int = 60, unseen: int = 0) -> list[list[Card]]:
    known = [*(one.term for one in vocabulary_of(run)), *(f"unseen {number}" for number in range(unseen))]
    return [drawn(run, Design(20, 5, (), 4, 0, 5, seed), known, 0.05) for seed in range(sets)]


def test_a_card_shows_the_images_its_neuron_responds_to_most(phantom: mcd.Dissection, written: Written) -> None:
    key, shown = written.key, images_of(written.page)
    assert len(shown) == len(key.cards) == 20
    for card, images in zip(key.cards[:6], shown, strict=False):
        top = phantom.top_images(card.layer, card.neuron, 8)["image"].tolist()
        assert list(card.images) == top
        small = thumbnails(phantom, [*card.images, *card.low], 64)
        assert images == list(small.values())
        responses = phantom.activations(card.layer)[:, card.neuron].numpy()
        weak = [responses[phantom.image_ids.index(one)] for one in card.low]
        assert len(weak) == 2
        assert max(weak) <= np.median(responses)


def test_the_key_says_what_the_run_says(phantom: mcd.Dissection, written: Written) -> None:
    first = phantom.labels[phantom.labels["rank"] == 1].set_index(["layer", "neuron"])
    groups = Counter(card.group for card in written.key.cards)
    assert groups == {"significant": 15, "control": 5}
    for card in written.key.cards:
        row = first.loc[card.layer, card.neuron]
        assert card.label == row["concept"]
        assert (row["verdict"] in SIGNIFICANT) == (card.group == "significant")
        assert (row["verdict"] in NOT_SIGNIFICANT) == (card.group == "control")
    assert packed_choices(written.page) == [list(card.options) for card in written.key.cards]
    assert [int(row["card"]) for row in written.sheet] == [card.number for card in written.key.cards]
    table = list(csv.DictReader(io.StringIO((written.folder / "cards-key" / "key.csv").read_text())))
    assert [(one["layer"], int(one["neuron"]), one["answer"]) for one in table] == [
        (card.layer, card.neuron, card.answer) for card in written.key.cards
    ]


def test_nothing_that_readers_get_names_neurons_images_or_verdicts(phantom: mcd.Dissection, written: Written) -> None:
    page, sheet = without_script(without_images(written.page)), (written.folder / "cards" / "answers.csv").read_text()
    choices = written.choices
    assert {path.name for path in (written.folder / "cards").iterdir()} == {"cards.html", "answers.csv"}
    for text in (page, sheet, choices):
        for word in (
            "stages",
            "phantom-mammo",
            "phantom-clip",
            "multiple categories",
            "significant",
            "control",
            "drawn",
            *phantom.image_ids,
            *(one["patient"] for one in phantom.probe_map),
        ):
            assert word not in text
    for option in {option for card in written.key.cards for option in card.options}:
        assert option not in page  # packed: whoever searches the page finds none
        assert option not in sheet
        assert html.escape(option) in choices
    for images in images_of(written.page):
        for data in images:
            opened = Image.open(io.BytesIO(data))
            assert not opened.getexif()
            assert not {"exif", "xmp", "icc_profile"} & set(opened.info)


def test_cards_look_the_same_whatever_the_labels_are(phantom: mcd.Dissection, written: Written, tmp_path: Path) -> None:
    """Were labels to decide what is shown before the choices, a reader could tell from it."""
    terms = sorted({one.term for one in vocabulary_of(phantom)})
    other = dict(zip(terms, [*terms[1:], terms[0]], strict=True))
    labels = phantom.labels.assign(concept=[other.get(one, "") for one in phantom.labels["concept"]])
    renamed = mcd.Dissection(phantom.folder, phantom.manifest, replace(phantom.results, labels=labels))
    again = cards_of(renamed, tmp_path, low=2)
    assert [card.label for card in again.key.cards] == [other[card.label] for card in written.key.cards]
    mine, theirs = (without_choices(one.page, one.key.name) for one in (written, again))
    assert mine == theirs


def test_readers_get_nothing_that_depends_on_what_they_are_to_find_out(
    phantom: mcd.Dissection, written: Written
) -> None:
    """With another label right on every card, and every other fact of the neurons changed, all bytes are the same."""
    key = written.key

    def other(card: Card) -> Card:
        answer = "b" if card.answer == "a" else "a"
        changed = {
            "layer": "elsewhere",
            "neuron": 7,
            "group": "control" if card.group == "significant" else "significant",
            "verdict": "changed",
            "category": "changed",
            "broad_category": "changed",
            "z": -1.0,
            "q": 1.0,
            "answer": answer,
            "label": card.options["ab".index(answer)],
        }
        return card.model_copy(update=changed)

    cards = tuple(other(one) for one in key.cards)
    changed = key.model_copy(update={"cards": cards, "seed": 99, "cautions": ("changed",)})
    ids = list(dict.fromkeys(name for one in key.cards for name in (*one.images, *one.low)))
    pictures = thumbnails(phantom, ids, 64)
    assert page(key, pictures, "") == written.page
    assert page(changed, pictures, "") == written.page
    assert choices_page(changed) == written.choices
    assert sheet(changed) == (written.folder / "cards" / "answers.csv").read_text(encoding="utf-8")


def test_cards_are_alike_but_for_their_images_and_number(written: Written) -> None:
    """As many images, choices and elements on each, in the same order: none stands out."""
    shapes = {
        re.sub(r"base64,[^\"]+|(?<=[Cc]ard[ -])\d+", "", section).partition("</section>")[0]
        for section in written.page.split('<section class="card"')[1:]
    }
    assert len(shapes) == 1
    assert {len(one) for one in packed_choices(written.page)} == {5}


def test_the_blank_sheet_has_no_choices_and_an_empty_cell_for_everything_to_fill_in(written: Written) -> None:
    columns = ["set", "card", "free_text", "choice", "confidence", "reader", "free_text_written", "schema"]
    assert list(written.sheet[0]) == columns
    assert {row[name] for row in written.sheet for name in columns[2:-1]} == {""}
    assert {row["schema"] for row in written.sheet} == {"mcd.answers/2"}


def test_no_spreadsheet_takes_the_name_of_a_set_for_a_number(phantom: mcd.Dissection, written: Written) -> None:
    names = {Key.of(seed, 5, {}, (), written.key.cards).name for seed in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch("c[0-9a-f]{11}", name) for name in names)


def named(run: mcd.Dissection, shares: dict[str, float]) -> mcd.Dissection:
    """Return a run in which some concepts are the first of so many neurons, and the others keep theirs."""
    labels = run.labels.copy()
    first = labels.index[labels["rank"] == 1]
    among = np.random.default_rng(0).choice(["", *shares], len(first), p=[1 - sum(shares.values()), *shares.values()])
    labels.loc[first, "concept"] = np.where(among == "", labels.loc[first, "concept"], among)
    return mcd.Dissection(run.folder, run.manifest, replace(run.results, labels=labels))


def guessed_by_frequency(cards: list[Card], *, most: bool) -> float:
    """Return how often a reader is right who chooses what is offered most often, or least."""
    seen = Counter(option for card in cards for option in card.options)
    found = []
    for card in cards:
        extreme = (max if most else min)(seen[one] for one in card.options)
        right = [one for one in card.options if seen[one] == extreme]
        found.append(card.label in right and 1 / len(right))
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("unseen", "shares"),  # concepts that no neuron has: of a large vocabulary, nearly all
    [
        (0, {}),
        (400, {"left breast": 0.4, "mass": 0.3, "view marker": 0.2}),
        pytest.param(0, {"mass": 0.7}, marks=pytest.mark.nightly),
        pytest.param(400, {"mass": 0.7}, marks=pytest.mark.nightly),
        pytest.param(400, {}, marks=pytest.mark.nightly),
        pytest.param(0, {"left breast": 0.4, "mass": 0.3, "view marker": 0.2}, marks=pytest.mark.nightly),
    ],
    ids=str,
)
def test_neither_place_nor_frequency_of_a_choice_tells_the_label(
    phantom: mcd.Dissection, unseen: int, shares: dict[str, float]
) -> None:
    sets = many_cards(named(phantom, shares), unseen=unseen)
    places = Counter(card.answer for cards in sets for card in cards)
    assert chisquare([places[letter] for letter in "abcde"]).pvalue > 0.001
    for most in (True, False):
        assert abs(np.mean([guessed_by_frequency(cards, most=most) for cards in sets]) - 0.2) < 0.03


def test_no_label_is_that_of_more_cards_than_guessing_gets_right(
    phantom: mcd.Dissection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for cards in many_cards(named(phantom, {"mass": 0.7}), 20):
        assert max(Counter(card.label for card in cards).values()) <= 4
    assert not any("same label" in one for one in cards_of(named(phantom, {"mass": 0.7}), tmp_path / "a").key.cautions)
    one = cards_of(named(phantom, {"mass": 1.0}), tmp_path / "b", controls=0).key
    assert "20 of 20 cards have the same label, since the run has too few others" in one.cautions[-1]


@pytest.mark.parametrize(("cards", "choices", "concepts"), [(20, 5, 43), (60, 5, 43), (30, 4, 480), (9, 3, 12)])
def test_frequency_tells_no_label_where_many_concepts_would_be_right_too(
    cards: int, choices: int, concepts: int
) -> None:
    """What many neurons respond to is seldom a wrong choice: frequent labels are offered less than they would be."""
    vocabulary, guessed = [f"concept {number}" for number in range(concepts)], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        labels = [vocabulary[min(at, 11)] for at in rng.geometric(0.35, cards)]
        true = [{one for at, one in enumerate(vocabulary) if rng.random() < 0.25 / (1 + at / 20)} for _ in labels]
        offers = offered(labels, true, vocabulary, choices, rng)
        assert all(label in one and len(set(one)) == choices for label, one in zip(labels, offers, strict=True))
        assert not any((set(one) - {label}) & too for label, one, too in zip(labels, offers, true, strict=True))
        seen = Counter(option for one in offers for option in one)
        for extreme in (max, min):
            right = [[o for o in one if seen[o] == extreme(seen[o] for o in one)] for one in offers]
            guessed.append(np.mean([label in one and 1 / len(one) for label, one in zip(labels, right, strict=True)]))
    assert abs(np.mean(guessed[::2]) * choices - 1) < 0.15
    assert abs(np.mean(guessed[1::2]) * choices - 1) < 0.15


def test_the_order_of_cards_tells_neither_layer_nor_controls(phantom: mcd.Dissection) -> None:
    sets = many_cards(phantom)
    at = [card.number for cards in sets for card in cards if card.group == "control"]
    assert abs(np.mean(at) - 10.5) < 1.5
    depth = {layer: number for number, layer in enumerate(phantom.layers)}
    ranks = [
        np.corrcoef([card.number for card in cards], [depth[card.layer] for card in cards])[0, 1] for cards in sets
    ]
    assert abs(np.mean(ranks)) < 0.15
    assert all(card.number == number for cards in sets for number, card in enumerate(cards, start=1))


def test_no_other_choice_would_be_right_too(phantom: mcd.Dissection) -> None:
    strong = phantom.labels[phantom.labels["q"] <= 0.05].groupby(["layer", "neuron"])["concept"].agg(set)
    terms = {one.term for one in vocabulary_of(phantom)}
    for card in (card for cards in many_cards(phantom, 10) for card in cards):
        assert len(set(card.options)) == 5
        assert set(card.options) <= terms
        assert not (set(card.options) - {card.label}) & strong.get((card.layer, card.neuron), set())


def test_the_key_is_for_nobody_else_and_apart(written: Written) -> None:
    apart = written.folder / "cards-key"
    assert stat.S_IMODE(apart.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in apart.iterdir()} == {0o600}


def test_the_same_seed_makes_the_same_cards_and_another_others(
    phantom: mcd.Dissection, written: Written, tmp_path: Path
) -> None:
    same, other = cards_of(phantom, tmp_path / "a", low=2), cards_of(phantom, tmp_path / "b", low=2, seed=1)
    assert same.page == written.page
    assert same.sheet == written.sheet
    assert same.key == written.key
    assert other.key.name != written.key.name
    assert [card.neuron for card in other.key.cards] != [card.neuron for card in written.key.cards]


def test_layers_count_controls_and_choices_are_those_asked_for(phantom: mcd.Dissection, tmp_path: Path) -> None:
    made = cards_of(phantom, tmp_path, layers="stages.{2,3}", count=10, controls=0.3, images=3, choices=3).key
    assert {card.layer for card in made.cards} == {"stages.2", "stages.3"}
    assert Counter(card.group for card in made.cards) == {"significant": 7, "control": 3}
    assert {(len(card.images), len(card.low), len(card.options)) for card in made.cards} == {(3, 0, 3)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 1000}, "250 neurons whose label is not significant are wanted"),
        (
            {"layers": "head", "controls": 0.8, "count": 10},
            "8 neurons whose label is not significant are wanted, and the run has 1",
        ),
        ({"layers": "stages.9"}, "no layer matches 'stages.9'"),
    ],
)
def test_what_a_run_cannot_give_is_said(
    phantom: mcd.Dissection, tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        cards_of(phantom, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_images_that_may_show_patients_are_copied_only_on_request(
    tmp_path: Path,
    hostile: mcd.Dissection,
    phantom: mcd.Dissection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UsageError, match="may show patients"):
        cards_of(hostile, tmp_path)
    assert not list(tmp_path.iterdir())
    asked = cards_of(hostile, tmp_path, copy_images=True, count=4, controls=0.99, choices=2, images=3)
    assert "pass them on only if you may" in asked.page
    with pytest.raises(UsageError, match="30 images a card are more than the 24 of the run"):
        cards_of(hostile, tmp_path, copy_images=True, count=4, controls=0.99, images=30)
    monkeypatch.setattr(PhantomDataset, "against_copies", "the phantom's terms forbid it")
    against = cards_of(phantom, tmp_path / "b")
    assert "Do not pass these cards on" in against.page
    assert "the phantom's terms forbid it." in Parsed(against.folder / "cards" / "cards.html").text
    assert "the phantom's terms forbid it" in capsys.readouterr().err


def test_hostile_concepts_are_text_on_page_and_sheet(tmp_path: Path) -> None:
    run = hostile_run(tmp_path, keep_identifiers=True)
    labels = run.labels.assign(verdict=["significant" if one else "" for one in run.labels["verdict"]])
    loud = mcd.Dissection(run.folder, run.manifest, replace(run.results, labels=labels), trust=True)
    made = cards_of(loud, tmp_path / "cards", copy_images=True, count=6, controls=0, choices=4, images=2)
    page = Parsed(made.folder / "cards" / "cards.html")
    choices = Parsed(made.folder / "cards-choices" / "choices.html")
    assert len(page.inside["script"]) == 2
    assert [name for name, _ in page.elements].count("script") == 2  # the study and the form
    assert not choices.inside["script"]
    assert "script" not in {name for name, _ in choices.elements}
    assert all(set(attributes) <= {"src", "alt"} for name, attributes in page.elements if name == "img")
    assert not any(name == "img" for name, _ in choices.elements)
    assert all(one in choices.text for one in HOSTILE)
    assert {one for options in packed_choices(made.page) for one in options} == set(HOSTILE)
    assert "Jane" not in without_images(made.page) + choices.text


def test_answers_are_never_written_over(phantom: mcd.Dissection, tmp_path: Path) -> None:
    def report() -> None:
        cards = {"plugin": "cards", "options": {"size": 64, "count": 4}}
        mcd.report(phantom, reporters=cards, output=tmp_path)

    report()
    report()
    sheet = tmp_path / "cards" / "answers.csv"
    sheet.write_bytes(Written(tmp_path).answers("mine.csv", {}).read_bytes())
    with pytest.raises(UsageError, match=r"answers\.csv is in the way"):
        report()
    assert "a, " in sheet.read_text(encoding="utf-8")
