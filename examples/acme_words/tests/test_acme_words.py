"""What must hold of acme-words."""

from __future__ import annotations

from importlib.resources import files

import mcd
from mcd.testing import check_concepts

_WORDS = files("acme_words") / "words.yaml"


def test_the_vocabulary_can_be_read_and_cited() -> None:
    check_concepts(_WORDS)
    assert len(mcd.ConceptSet.from_file(_WORDS).concepts) == 12
