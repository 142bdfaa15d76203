"""Units beside random units: the difference that a reader sees, on tables, pages and the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runs.test_dissect import Patches, dissect
from tests.runs.test_run_target import Plain
from torch import nn

import mcd
from mcd.comparison import beside_random as module
from mcd.plugins import beside_random
from mcd_plugins.reporters.facts import facts_of
from mcd_plugins.reporters.through_units import beside_said


class Noise(nn.Module):
    """A pure function of a position that no concept follows."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return units ``(…, 4)`` of neurons ``(…, 6)``."""
        return (values[..., :4] * 1e4).sin()


class Some(nn.Module):
    """Four of the neurons, turned over."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return units ``(…, 4)`` of neurons ``(…, 6)``."""
        return -values[..., [0, 1, 3, 4]]


NAMES = ("<b>a", "<b>b", "<b>c", "<b>d")
"""Which of the units are significant is a matter of the processor's last digits; whichever are have these names."""


def run(folder: Path, random: Callable[[int], nn.Module], **more: object) -> mcd.Dissection:
    units = mcd.Units("mine", Some(), 6, 4, names=NAMES, random=random, facts={"kind": "turned"})
    asked = {
        "neurons": True,
        "controls": True,
        "calibration": {"draws": 100, "most_draws": 100, "nuisances": False, "right": False},
        **more,
    }
    images = Patches(120)
    return dissect(model=Plain(), dataset=images, layers="conv", units=units, output=folder / "run", **asked)


@pytest.fixture(scope="module")
def beside_noise(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return run(tmp_path_factory.mktemp("beside"), lambda seed: Noise())


def test_what_units_have_more_than_random_ones_has_an_interval_without_0(beside_noise: mcd.Dissection) -> None:
    found = beside_random(beside_noise)
    assert found is not None
    (row,) = found.table.to_dict("records")
    assert (row["layer"], row["of"], row["units"]) == ("conv/mine", "conv", 4)
    assert row["significant"] > row["random_significant"] == 0
    assert row["difference"] == row["significant"] / 4
    assert 0 < row["difference_low"] <= row["difference"] <= row["difference_high"] <= 1
    by_latents, by_neurons, by_random = (row[f"{of}concepts"] for of in ("", "neuron_", "random_"))
    assert row["gain"] == (by_latents - by_neurons) - (by_random - by_neurons) > 0
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert (found.images, found.patients, found.seed, found.resamples) == (120, None, 0, 200)


def test_units_that_are_random_units_have_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = run(tmp_path, lambda seed: Some(), neurons=False)
    found = beside_random(same, 20)
    assert found is not None
    (row,) = found.table.to_dict("records")
    for name in ("difference", "gain"):  # whatever patients there are; random units might have been others
        assert row[f"{name}_low"] < row[name] == 0 < row[f"{name}_high"]
    assert (row["of"], row["neuron_concepts"]) == ("", -1)
    (said,) = beside_said(facts_of(same).beside[1])
    assert " 0 [−" in said
    assert said.endswith("] percentage points, which may be chance.")
    monkeypatch.setattr(module, "AFFORDABLE", 1000)
    costly = beside_random(same)
    assert costly is not None
    assert "4 units and neurons are too many to be resampled on 120 images" in costly.reason
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "run" / "controls" / "random-units")
    gone = beside_random(same)
    assert gone is not None
    assert gone.reason == "the folder of the random units was not kept"
    assert np.isnan(gone.table["difference_low"]).all()


def test_the_interval_holds_how_many_of_other_random_units_would_be_significant(tmp_path: Path) -> None:
    """Of few units whether one draw of random ones has more or fewer is chance, however many patients there are."""
    found = beside_random(run(tmp_path, lambda seed: Noise(), neurons=False), 20)
    assert found is not None
    (row,) = found.table.to_dict("records")
    likely = (0 + 1) / (4 + 2)
    assert row["difference"] - row["difference_low"] > 1.959 * (likely * (1 - likely) / 4) ** 0.5
    assert row["gain"] - row["gain_low"] > 1.959


def test_a_run_without_units_or_without_controls_has_nothing_beside(tmp_path: Path) -> None:
    assert beside_random(dissect(model=Plain(), layers="conv")) is None
    units = mcd.Units("mine", Some(), 6, 4)
    assert beside_random(dissect(model=Plain(), layers="conv", units=units)) is None


def test_reports_show_the_difference_the_names_and_the_facts(
    beside_noise: mcd.Dissection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = facts_of(beside_noise)
    (said,) = beside_said(facts.beside[1])
    count = facts.beside[1][0].significant
    assert said.startswith(
        f"Of 4 units of conv/mine, {count} ({25 * count}%) are significant, of as many random units 0"
    )
    assert said.endswith("percentage points, more than random units.")
    mcd.report(beside_noise, reporters=["markdown", "html", "console"], output=tmp_path)
    labels = beside_noise.labels
    one = int(labels["neuron"][(labels["layer"] == "conv/mine") & (labels["rank"] == 1)][labels["q"] <= 0.05].iloc[0])
    letter = NAMES[one].removeprefix("<b>")
    name = {
        ".md": f"{one} (&lt;b&gt;{letter})",
        ".html": rf'"\u003cb\u003e{letter}"',
        "terminal": f"{one} (<b>{letter})",
    }
    shown = {path.suffix: path.read_text() for path in tmp_path.iterdir() if path.suffix in name}
    shown["terminal"] = capsys.readouterr().out
    assert shown.keys() == name.keys()
    for kind, text in shown.items():
        one_line = " ".join(text.split())
        for what in ("Units beside random units", "kind: turned", "more than random units", name[kind]):
            assert what in one_line, (kind, what)
