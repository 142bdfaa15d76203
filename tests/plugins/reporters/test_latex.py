"""Tables for a paper compile, fit the page, and have captions that can be read alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.latex import amiss

import mcd
from mcd_plugins.reporters.latex import LatexReporter
from mcd_plugins.reporters.latex_tables import floats
from mcd_plugins.reporters.tables import Table

LONG = "Pneumonoultramicroscopicsilicovolcanoconiosis of the upper outer quadrant, with a spiculated margin"
SPECIAL = (
    r"""50 % & more_of #1 {x} $y$ ~ ^ \input{a} "q" 'r' `s` <t> | [u] * a--b, ,,c?`""",
    "≥ 5 mm – é à ö ñ ø Å ß ł ő α β γ Ω Δ ς µ ± × − ≤ ≠ → ′ « » „ ‚ ą đ þ … · ½ ² ° • “x” ‘y’",
)
LAYER = "vision_model.encoder.layers.11.mlp.activation_fn/sae-16384"


def table(rows: list[list[str]], words: tuple[str, ...] = ("layer", "concept"), name: str = "t") -> Table:
    header = ("layer", "concept", *(f"number {at}" for at in range(len(rows[0]) - 2)))
    return Table(name, "What a table of everything is called", header, rows, words)


TABLES = {
    "short": table([["a", "mass", "1"]]),
    "long names": table([[LAYER, LONG, "12", "0.52 (0.47 to 0.58)"]] * 3),
    "many columns": table([[LAYER, "mass", *["0.52 (0.47 to 0.58)"] * 7]] * 3),
    "more columns than letters": table([["stage", LONG, *["123456.789"] * 22]]),
    "one long word": table([["x" * 300, "y" * 120, "1"]]),
    "what LaTeX reads otherwise": table([[SPECIAL[0], SPECIAL[1], SPECIAL[0]]] * 2),
    "wide letters": table([["WMWMWMWMWM@@" * 3, "ΩΩΩΩ ≥≥≥≥ ———— ∞∞∞∞ ŒŒŒŒ" * 2, "%%%%%%%%"]]),
    "many rows": table([[f"layer {at}", "mass", "1"] for at in range(120)]),
    "many rows of several lines": table([[LAYER, f"{LONG} {at}, {LONG}", "1"] for at in range(60)]),
}
CAPTION = f"Layers of {LAYER}{LAYER}. {SPECIAL[0]} {SPECIAL[1]} {'x' * 200}. It ends here."


def test_every_table_fits_a_page_in_one_column_and_in_two() -> None:
    assert amiss(*("\n".join(floats(one, CAPTION)) for one in TABLES.values())) == []


def test_a_long_table_is_split_and_nothing_is_lost() -> None:
    text = "\n".join(floats(TABLES["many rows"], "A caption."))
    count = text.count("\\begin{table}")
    assert count > 1
    assert re.findall(r"^layer (\d+) &", text, re.MULTILINE) == [str(at) for at in range(120)]
    assert f"A caption. Part {count} of {count}." in text
    assert re.findall(r"\\label\{(.*?)\}", text)[:2] == ["tab:mcd-t", "tab:mcd-t-2"]


def test_captions_are_sentences_with_what_went_in(phantom: mcd.Dissection, tmp_path: Path) -> None:
    (path,) = LatexReporter(LatexReporter.Options()).report(phantom, tmp_path)
    captions = re.findall(r"^\\caption\[.*?\]\{\\raggedright (.*)\}$", path.read_text(), re.MULTILINE)
    assert len(captions) >= 3
    for one in captions:
        sentences = re.split(r"(?<=\.) ", one)
        assert all(re.fullmatch(r"[A-Z].*\.", said) for said in sentences), sentences
        for part in (f"n = {phantom.manifest.images} images, 25 patients.", "Null: ", "permuted", "q $\\leq$ 0.05"):
            assert part in one, one


@pytest.mark.parametrize("patients", ["1", "not known"])
def test_plurals_are_right(patients: str) -> None:
    from mcd_plugins.reporters.latex import basis
    from mcd_plugins.reporters.summaries import Summary

    conditions = [("Probe set", ["phantom"]), ("Images (n)", ["1"]), ("Patients", [patients])]
    said = basis(Summary("t", [""], [], [], conditions, [], [], []))
    assert said == f"Probe set phantom, n = 1 image, {'1 patient' if patients == '1' else 'patients not known'}."
