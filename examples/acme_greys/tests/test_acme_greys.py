"""What must hold of acme-greys."""

from __future__ import annotations

import pytest
import torch
from acme_greys.dissector import GreysDissector
from acme_greys.words import LEXICON, STATISTICS

from mcd.testing import assert_light, check_dissector


@pytest.fixture
def dissector() -> GreysDissector:
    made = GreysDissector()
    made.load()
    return made


def likeness(dissector: GreysDissector, images: torch.Tensor, text: str) -> list[float]:
    with torch.inference_mode():
        found = torch.cosine_similarity(dissector.encode_images(images), dissector.encode_texts([text]))
    return found.tolist()


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_greys")


def test_images_and_texts_come_into_one_space() -> None:
    check_dissector(GreysDissector)


def test_every_word_speaks_of_what_is_measured() -> None:
    assert {statistic for said in LEXICON.values() for statistic in said} <= set(STATISTICS)


def test_a_word_is_most_like_the_image_that_it_describes(dissector: GreysDissector) -> None:
    plain = torch.zeros(1, 1, 128, 128)
    plain[..., 20:108, :70] = 0.3
    bright, specks, lump = plain * 2, plain.clone(), plain.clone()
    specks[..., 40:80:6, 20:60:6] = 1.0
    lump[..., 50:70, 20:40] += 0.3
    images = torch.cat([plain, bright, specks, lump])
    for row, text in enumerate(["a dense breast", "calcifications", "a mass"], start=1):
        alike = likeness(dissector, images, text)
        assert alike.index(max(alike)) == row, text


def test_a_text_without_a_known_word_is_like_no_image(dissector: GreysDissector) -> None:
    assert likeness(dissector, torch.rand(3, 1, 128, 128), "a benign cyst") == [0, 0, 0]
    assert dissector.unknown(["a dense cyst"]) == {"a dense cyst": ["a", "cyst"]}
