"""What is said of a concept set before it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import mcd
from mcd.api.concepts import ConceptSet
from mcd.api.image import Preprocessing
from mcd.cli.concepts import concepts as group
from mcd.errors import ConfigError, UnknownNameError
from mcd.host import PluginHost
from mcd.study.vocabularies.findings import Lint
from mcd.study.vocabularies.folding import folded, negated
from mcd.study.vocabularies.lint import embedded, groups, lint

CPU = torch.device("cpu")
DIRECTIONS = {
    "mass": [1.0, 0.0, 0.0],
    "nodule": [0.98, 0.2, 0.0],
    "letters": [0.0, 1.0, 0.0],
    "skin fold": [0.0, 0.0, 1.0],
    "a mass": [0.0, 2.0, 0.0],
    "mammogram of a mass": [5.0, 0.0, 0.0],
}


class Toy(mcd.Dissector):
    """Embeds a few words; reads ten letters; knows no digits."""

    def __init__(self) -> None:
        self.name, self.module, self.preprocessing = "toy", torch.nn.Identity(), Preprocessing()

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([DIRECTIONS.get(text, [-1.0, -1.0, -1.0]) for text in texts])

    def too_long(self, texts: Sequence[str]) -> list[str]:
        return [text for text in texts if len(text) > 10]


class Knowing(Toy):
    def unknown(self, texts: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return {text: [word for word in text.split() if word.isdigit()] for text in texts}


def made(*entries: object, **more: list[object]) -> ConceptSet:
    return ConceptSet.model_validate({"name": "x", "broad_categories": {"A": {"One": list(entries), **more}}})


def kinds(found: Lint) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.about) for one in found.findings if one.kind != "small"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mass", "Masses"),
        ("calcification", "calcifications"),
        ("fat-containing mass", "fat containing masses"),
        ("skinfold", "skin fold"),
        ("biopsy", "biopsies"),
        ("artefact", "artifacts"),
        ("haematoma", "hematoma"),
        ("oedema", "edema"),
        ("tumour", "tumor"),
        ("digitised film", "digitized films"),
        ("centre", "center"),
        ("grey", "gray"),
        ("diagnoses", "a diagnosis"),
        ("technologist's initials", "technologists initials"),
        ("naïve", "naive"),
    ],
)
def test_two_spellings_of_a_term_fold_to_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mass", "massive"),
        ("oval", "ovals shape"),
        ("fibrosis", "fibrous"),
        ("left breast", "right breast"),
        ("no mass", "mass"),
        ("BI-RADS 4", "BI-RADS 4A"),
        ("four", "for"),
        ("+", "-"),
    ],
)
def test_two_terms_do_not(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_negations_are_words_not_letters() -> None:
    assert [negated(text) for text in ("no mass", "breast without implant", "non-dense tissue", "absence of")] == [
        "no",
        "without",
        "non",
        "absence of",
    ]
    assert [negated(text) for text in ("nodule", "notch", "benign", "nonagon", "negative")] == [""] * 5


def test_doubles_are_told_apart_by_their_categories() -> None:
    found = lint(made("mass", "Masses", "cyst", Two=["cysts", "rim"]))
    assert kinds(found) == [("double", ("mass", "Masses")), ("two-categories", ("cyst", "cysts"))]
    assert [(one.score, one.terms) for one in found.merges] == [(1, ("mass", "Masses")), (1, ("cyst", "cysts"))]
    assert "'cyst' (One) and 'cysts' (Two)" in found.merges[1].why


def test_a_word_that_two_concepts_claim_is_found() -> None:
    entries = [{"term": "mass", "synonyms": ["lump", "nodule"]}, {"term": "cyst", "synonyms": ["Lumps"]}, "nodule"]
    assert kinds(lint(made(*entries))) == [("shared-word", ("mass", "cyst")), ("shared-word", ("mass", "nodule"))]
    own = {"term": "mass", "synonyms": ["masses", "Mass"]}
    assert kinds(lint(made(own))) == []


def test_negations_and_small_categories_are_found_and_shares_are_told() -> None:
    found = lint(made("mass", "no mass", Two=["rim", "skin", "fold", "clip", "scar"]))
    assert [(one.kind, one.about) for one in found.findings] == [("negation", ("no mass",)), ("small", ("A", "One"))]
    assert lint(made("mass", "no mass"), smallest=2).findings[-1].kind == "negation"
    two = ConceptSet.model_validate({"name": "x", "broad_categories": {"A": {"B": ["a"]}, "C": {"D": ["d", "e", "f"]}}})
    assert [(one.name, one.concepts, one.share) for one in groups(two)] == [("A", 1, 0.25), ("C", 3, 0.75)]


def test_without_a_dissector_it_says_what_it_did_not_look_at() -> None:
    found = lint(made("mass"))
    assert found.not_checked == ("tokens and embeddings: they take a dissector",)
    assert math.isnan(found.unrelated)


def test_alike_concepts_are_found_with_what_they_cost_each_other() -> None:
    concepts = made("mass", "nodule", "letters", "skin fold")
    found = lint(concepts, embedded(concepts.concepts, Toy(), CPU), temperature=10.0)
    (pair,) = found.merges
    assert pair.terms == ("mass", "nodule")
    raw = torch.tensor([DIRECTIONS[one.term] for one in concepts.concepts], dtype=torch.float64)
    texts = raw / raw.norm(dim=1, keepdim=True)
    centred = texts - texts.mean(dim=0)
    image = centred[0] / centred[0].norm()  # it says "mass" and nothing else
    logits = 10.0 * torch.stack([centred[0] @ image, centred[1] @ image])
    assert pair.cosine == pytest.approx(float(torch.cosine_similarity(centred[0], centred[1], dim=0)), abs=1e-6)
    assert pair.taken[0] == pytest.approx(float(torch.softmax(logits, 0)[1]), abs=1e-5)
    assert pair.score == pair.cosine
    assert [one.kind for one in found.findings if one.kind != "small"] == ["alike"]
    assert 0 < found.unrelated < pair.taken[0] < 0.5
    sharper = lint(concepts, embedded(concepts.concepts, Toy(), CPU), temperature=100.0)
    assert sharper.merges[0].taken[0] < pair.taken[0]
    assert lint(concepts, embedded(concepts.concepts, Toy(), CPU), alike=0.999).merges == ()


def test_a_scorer_without_a_softmax_gets_cosines_only() -> None:
    concepts = made("mass", "nodule", "letters", "skin fold")
    found = lint(concepts, embedded(concepts.concepts, Toy(), CPU))
    assert found.merges[0].why.endswith(f"{found.merges[0].cosine:.2f}")
    assert math.isnan(found.merges[0].taken[0])


def test_several_prompts_are_read_as_their_mean() -> None:
    entry = {"term": "x", "prompts": ["a mass", "mammogram of a mass"]}
    reading = embedded(made(entry, "letters", "mass").concepts, Toy(), CPU)
    middle = torch.tensor([1.0, 1.0, 0.0]) / math.sqrt(2)
    texts = torch.stack([middle, torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])])
    torch.testing.assert_close(reading.centred, texts - texts.mean(dim=0))


def test_a_double_that_is_alike_too_is_one_pair() -> None:
    concepts = made("mass", {"term": "Masses", "prompt": "nodule"}, "letters", "skin fold")
    found = lint(concepts, embedded(concepts.concepts, Toy(), CPU), temperature=10.0)
    (pair,) = found.merges
    assert pair.score == 1
    assert pair.cosine == pytest.approx(0.98, abs=0.05)
    assert not math.isnan(pair.taken[0])


def test_what_the_dissector_cuts_or_does_not_know_is_found() -> None:
    concepts = made("mass", "BI-RADS category 4")
    cut = ("cut", ("BI-RADS category 4",))
    told = lint(concepts, embedded(concepts.concepts, Knowing(), CPU))
    assert [one for one in kinds(told) if one[0] != "alike"] == [cut, ("unknown", ("BI-RADS category 4",))]
    assert "'BI-RADS category 4': 4" in [one.text for one in told.findings]
    assert told.not_checked == ()
    untold = lint(concepts, embedded(concepts.concepts, Toy(), CPU))
    assert [one for one in kinds(untold) if one[0] != "alike"] == [cut]
    assert untold.not_checked == ("unknown words: toy does not report them",)


def test_the_dissectors_of_the_house_tell_what_they_do_not_know(shared: Path, tmp_path: Path) -> None:
    from mcd_plugins.mammo_clip.tokenizer import Tokenizer
    from mcd_plugins.phantom.dissector import PhantomClip

    assert PhantomClip().unknown(["mass", "qwrtz"]) == {}
    vocabulary = shared / "data" / "bert_cased_vocab" / "vocab.txt"
    rows = len(vocabulary.read_text(encoding="utf-8").splitlines())
    assert Tokenizer(vocabulary, rows).unknown("spiculated mass 🩻") == ["🩻"]


GOOD = "name: w\nbroad_categories:\n  A:\n    B: [mass, masses, no cyst, rim, clip]\n"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    (tmp_path / "w.yaml").write_text(GOOD)
    return tmp_path / "w.yaml"


def test_the_command_prints_within_80_columns(run: Callable[..., str], words: Path) -> None:
    said = run("lint", str(words))
    assert ["A", "5", "100.0%", "1"] in [line.split() for line in said.splitlines()]
    assert "one term twice, but for number, hyphens or spelling: 1\n  'mass' (B) and 'masses' (B)" in said
    assert "what to merge, the likeliest first: 1\n  score  concepts\n   1.00  mass + masses" in said
    assert "2 findings\nnot checked: tokens and embeddings" in said
    assert max(map(len, run("lint", "birads").splitlines())) <= 80


def test_the_commands_json_has_all_and_no_nan(
    run_json: Callable[..., dict[str, list[dict[str, object]]]], words: Path
) -> None:
    found = run_json("lint", str(words))
    assert [one["kind"] for one in found["findings"]] == ["double", "negation"]
    assert found["merges"][0]["cosine"] is None
    json.dumps(found, allow_nan=False)


def test_findings_end_with_4_only_where_that_is_asked_for(host: PluginHost, words: Path) -> None:
    class State:
        pass

    state = State()
    state.host = host

    def code(*flags: str) -> int:
        return CliRunner().invoke(group, ["lint", str(words), *flags], obj=state).exit_code

    assert code() == 0
    assert code("--strict") == 4
    assert code("--strict", "--ignore", "double") == 4
    assert code("--strict", "--ignore", "double", "--ignore", "negation") == 0


def test_wrong_flags_are_said(run: Callable[..., str], words: Path) -> None:
    for flag in ("--dissector-arg", "--scorer-arg", "--scorer"):
        with pytest.raises(ConfigError, match=f"^{flag} without --dissector"):
            run("lint", str(words), flag, "a=b")
    with pytest.raises(UnknownNameError):
        run("lint", "nowhere")


def test_with_a_dissector_the_command_tells_what_alike_concepts_cost() -> None:
    class State:
        host = PluginHost.discover()

    def said(*flags: str) -> str:
        done = CliRunner().invoke(group, ["lint", "phantom", "--dissector", "phantom-clip", *flags], obj=State())
        assert done.exception is None, done.output
        return done.output

    text = said("--ignore", "small")
    assert "score  1st to 2nd  2nd to 1st  concepts" in text
    assert "irregular mass + spiculated margin" in text
    assert "with soft-wpmi at temperature 10." in " ".join(text.split())
    assert "not checked" not in text
    assert "1st to 2nd" not in said("--scorer", "cosine")
    assert "at temperature 2." in " ".join(said("--scorer-arg", "temperature=2").split())
    assert "takes 0.0%" in " ".join(said("--scorer-arg", "temperature=5000").split())
