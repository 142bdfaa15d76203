"""What must hold of acme-lines."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from acme_lines.reporter import LinesReporter, line

import mcd
from mcd.testing import assert_light, check_reporter


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_lines")


def test_it_writes_what_it_says_and_shows_images_by_id(tiny_dissection: mcd.Dissection) -> None:
    check_reporter(LinesReporter, tiny_dissection)


def test_every_layer_has_its_line(tiny_dissection: mcd.Dissection, tmp_path: Path) -> None:
    (path,) = LinesReporter().report(tiny_dissection, tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [text.split()[0] for text in lines] == list(tiny_dissection.layers)


def test_a_line_counts_neurons_and_names_the_most_frequent_concepts_first() -> None:
    labels = pd.Series(["mass", "oval mass", "mass", "calcifications"])
    assert line(labels, 8, 2) == "██████████··········     4 of     8  mass 2 · calcifications 1"
