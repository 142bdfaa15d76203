"""How concepts are put to a dissector: templates, synonyms and a reference prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from torch import nn

import mcd
from mcd.errors import UsageError
from mcd.extraction.texts import TextEncoder, sentences
from mcd.scoring.similarity import Cosines, Pooled
from mcd.study.wording import Wording


class Letters(mcd.Dissector):
    """Texts as counts of letters; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.module = "letters", nn.Identity()
        self.preprocessing = mcd.Preprocessing()
        self.asked: list[str] = []

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.flatten(1)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        self.asked += texts
        return torch.tensor([[float(text.count(letter)) for letter in "abcdefgh"] for text in texts])


CONCEPTS = [
    mcd.Concept("abba", "c", "b", synonyms=("bead", "face")),
    mcd.Concept("dad", "c", "b"),
    mcd.Concept("cage", "c", "b", synonyms=("head",)),
]


def encoder(folder: Path, dissector: Letters) -> TextEncoder:
    return TextEncoder(folder, ["key"], lambda: (dissector, "key"), torch.device("cpu"))


def test_nothing_said_means_one_plain_text_a_concept(tmp_path: Path) -> None:
    found = encoder(tmp_path, Letters()).concepts(CONCEPTS, Wording())
    assert torch.equal(found.names, Letters().encode_texts(["abba", "dad", "cage"]))
    assert found.owner == (0, 1, 2)
    assert found.reference is None


def test_templates_average_normalised_embeddings(tmp_path: Path) -> None:
    wording = Wording(templates=("a {concept}", "{concept} be"))
    found = encoder(tmp_path, Letters()).concepts(CONCEPTS, wording).names
    apart = [functional.normalize(Letters().encode_texts([one]), dim=1) for one in ("a dad", "dad be")]
    torch.testing.assert_close(found[1], ((apart[0] + apart[1]) / 2)[0])


def test_texts_are_encoded_once(tmp_path: Path) -> None:
    dissector, wording = Letters(), Wording(synonyms="max", reference="a cab")
    encoder(tmp_path, dissector).concepts(CONCEPTS, wording)
    encoder(tmp_path, dissector).concepts(CONCEPTS, wording)
    assert sorted(dissector.asked) == sorted(sentences(CONCEPTS, wording))


@pytest.mark.parametrize("template", ["a mammogram", "{concept} and {concept}"])
def test_a_template_says_once_where_the_concept_goes(template: str) -> None:
    with pytest.raises(ValueError, match=r"must hold \{concept\} once"):
        Wording(templates=(template,))


@pytest.mark.parametrize("how", ["max", "log-mean-exp"])
def test_synonyms_become_one_similarity(tmp_path: Path, how: str) -> None:
    found = encoder(tmp_path, Letters()).concepts(CONCEPTS, Wording.model_validate({"synonyms": how}))
    assert found.owner == (0, 0, 0, 1, 2, 2)
    images = torch.rand(9, 8, generator=torch.Generator().manual_seed(0))
    cosine = functional.normalize(images, dim=1) @ functional.normalize(found.names, dim=1).T
    names = Cosines(images, found.names, [str(at) for at in range(9)], list("aaabcc"))
    pooled = Pooled(names, found.owner, how, 10.0)
    groups = [cosine[:, :3], cosine[:, 3:4], cosine[:, 4:]]
    oracle = [g.amax(dim=1) if how == "max" else (10 * g).exp().mean(dim=1).log() / 10 for g in groups]
    torch.testing.assert_close(pooled.whole(), torch.stack(oracle, dim=1), atol=1e-6, rtol=0)
    torch.testing.assert_close(pooled.to(slice(1, 3)), torch.stack(oracle[1:], dim=1), atol=1e-6, rtol=0)
    rows = torch.tensor([4, 1])
    torch.testing.assert_close(pooled.of(rows), pooled.whole()[rows], atol=1e-6, rtol=0)
    # a synonym that says the same as the term changes nothing: many names are no advantage
    torch.testing.assert_close(
        Pooled(Cosines(images, found.names[[3, 3]], list("012345678"), ["a", "a"]), (0, 0), how, 10.0).whole()[:, 0],
        cosine[:, 3],
        atol=1e-6,
        rtol=0,
    )


def test_a_reference_prompt_is_subtracted_from_every_concept() -> None:
    generator = torch.Generator().manual_seed(1)
    images, texts, reference = (torch.randn(*shape, generator=generator) for shape in ((5, 8), (3, 8), (8,)))
    ids, terms = list("abcde"), list("xyz")
    plain, seen = Cosines(images, texts, ids, terms), Cosines(images, texts, ids, terms, reference)
    own = functional.normalize(images, dim=1) @ functional.normalize(reference, dim=0)
    torch.testing.assert_close(seen.whole(), plain.whole() - own[:, None])
    torch.testing.assert_close(seen.of(torch.tensor([3, 0])), (plain.whole() - own[:, None])[[3, 0]])


def test_a_run_is_worded_as_asked_and_remembers_it(tmp_path: Path) -> None:
    words = mcd.ConceptSet.model_validate(
        {"name": "w", "broad_categories": {"b": {"c": ["mass", {"term": "breast implant", "synonyms": ["implant"]}]}}}
    )
    options = {
        "layers": "head",
        "dissector": "phantom-clip",
        "dataset": {"plugin": "phantom", "options": {"patients": 25}},
        "concepts": words,
        "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 10}},
        "progress": False,
    }
    plain = mcd.dissect("phantom-mammo", **options)
    asked = {"templates": ["a mammogram with {concept}"], "synonyms": "max", "reference": "a mammogram"}
    worded = mcd.dissect("phantom-mammo", prompts=asked, output=tmp_path / "run", **options)
    assert not plain.labels["score"].equals(worded.labels["score"])
    found = worded.manifest.study["prompts"]
    assert isinstance(found, dict)
    assert {name: found[name] for name in asked} == asked
    assert plain.manifest.fingerprints["prompts"] != worded.manifest.fingerprints["prompts"]


def test_a_wording_that_changes_nothing_or_is_not_read_is_said(tmp_path: Path) -> None:
    assert "no concept has synonyms" in Wording(synonyms="max").idle([mcd.Concept("mass", "c", "b")])
    assert Wording(synonyms="max").idle(CONCEPTS) == Wording().idle([mcd.Concept("mass", "c", "b")]) == ""
    assert Wording.model_validate({"templates": "a {concept}"}).templates == ("a {concept}",)
    phantoms = {"plugin": "phantom", "options": {"patients": 25}}
    options = {
        "layers": "head",
        "dissector": "phantom-clip",
        "dataset": phantoms,
        "concepts": ["mass", "view"],
        "scorer": {"plugin": "embedding", "options": {"top_k": 10}},
        "progress": False,
    }
    with pytest.raises(UsageError, match="compares embeddings"):
        mcd.dissect("phantom-mammo", prompts={"reference": "a mammogram"}, **options)
