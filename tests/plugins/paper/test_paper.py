"""``mcd paper`` on a stand-in: one pass for six set-ups, every claim answered, figures, one report."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
import yaml
from tests.command_line import Outcome

import mcd
from mcd.plugins import RUNGS
from mcd_plugins.cohorts.base import Cohort
from mcd_plugins.mammo_clip.tower import StaticallyPadded
from mcd_plugins.paper.claims import FAILS, HOLDS, UNKNOWN, claims, highest_rung, judged

Run = Callable[..., Outcome]
SET_UPS = ("G", "M", "C-density", "C-mass", "C-calcification", "C-birads")
IMAGES = 72
"""Of the stand-in's test split."""


class Counted:
    """How many images went through the first layer of a tower, and how many files were decoded."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.decoded = 0
        read = Cohort.read_stored

        def counting(cohort: Cohort, sample: mcd.Sample) -> mcd.Image:
            self.decoded += 1
            return read(cohort, sample)

        patch.setattr(Cohort, "read_stored", counting)
        self.handle = torch.nn.modules.module.register_module_forward_hook(self._count)

    def _count(self, module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, StaticallyPadded) and module.in_channels == 3:
            self.batches.append(len(output))


@dataclass(frozen=True)
class Finished:
    """What the command left, and what it cost."""

    folder: Path
    output: Path
    done: Outcome
    batches: tuple[int, ...]
    decoded: int

    @property
    def answers(self) -> list[dict[str, str | float | None]]:
        found: list[dict[str, str | float | None]] = json.loads((self.output / "claims.json").read_text())
        return found


@pytest.fixture(scope="module")
def stand_in(mcd_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper") / "stand-in"
    done = mcd_command("paper", "--stand-in", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def finished(mcd_command: Run, stand_in: Path) -> Iterator[Finished]:
    beside = stand_in.parent
    settings, store = stand_in / "settings.yaml", beside / "store"
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        done = mcd_command("paper", stand_in, "-o", beside / "out", "--settings", settings, MCD_STORE=str(store))
        counted.handle.remove()
    yield Finished(stand_in, beside / "out", done, tuple(counted.batches), counted.decoded)
    shutil.rmtree(beside)


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        ("more", 0.1, 0.3, HOLDS),
        ("more", -0.3, -0.1, FAILS),
        ("fewer", -0.3, -0.1, HOLDS),
        ("fewer", 0.1, 0.3, FAILS),
        ("more", 0.0, 0.3, UNKNOWN),
        ("fewer", -0.3, 0.0, UNKNOWN),
        ("more", float("nan"), float("nan"), UNKNOWN),
    ],
)
def test_an_interval_decides_by_the_side_of_0_that_is_claimed(
    expected: str, low: float, high: float, verdict: str
) -> None:
    assert judged(expected, low, high)[0] == verdict


@pytest.mark.parametrize(
    ("verdict", "leads", "rung"),
    [
        (HOLDS, (1, 1, 0), "beyond untrained"),
        (HOLDS, (0, 1, 1), "depends on the image"),
        (HOLDS, (2, 1, 3), "right"),
        (FAILS, (-1, 1, 1), "beyond nuisances"),
        (UNKNOWN, (1, 1, 1), ""),
    ],
)
def test_an_answer_stands_up_to_the_rung_where_counts_turn(verdict: str, leads: tuple[int, ...], rung: str) -> None:
    above = dict(zip(list(RUNGS)[1:], leads, strict=True))
    assert highest_rung(verdict, above) == rung


@pytest.mark.slow
def test_six_set_ups_cost_six_forward_passes_and_one_decoding_an_image(finished: Finished) -> None:
    assert finished.done.code == 0, finished.done.err
    trials = 3 * (len(SET_UPS) + 1)  # of each target, then of the dissector: a batch of two, and one image alone
    assert sum(finished.batches) == len(SET_UPS) * IMAGES + trials
    assert finished.decoded == IMAGES
    runs = finished.output / "vindr" / "runs"
    assert {path.name for path in runs.iterdir() if path.is_dir()} == set(SET_UPS)
    assert {mcd.load(runs / name).manifest.images for name in SET_UPS} == {IMAGES}


@pytest.mark.slow
def test_every_claim_is_answered_for_every_pair_of_runs(finished: Finished) -> None:
    answers = finished.answers
    expected = [
        (claim.id, reference, name)
        for claim in claims()
        for reference, name in {
            1: [("G", "M")],
            2: [("M", name) for name in SET_UPS[2:]],
            3: [("", name) for name in SET_UPS],
        }[claim.question]
    ]
    assert [(one["claim"], one["reference"], one["run"]) for one in answers] == expected
    assert {one["answer"] for one in answers} | {one["by_threshold"] for one in answers} <= {HOLDS, FAILS, UNKNOWN}
    assert {one["rung"] for one in answers} <= {"", *RUNGS}
    assert all(one["reason"] and one["place"] for one in answers)
    for one in answers:
        if one["low"] is not None:
            assert one["answer"] == judged(str(one["expected"]), float(one["low"]), float(str(one["high"])))[0]
            assert float(one["low"]) <= float(str(one["after"])) - float(str(one["before"])) <= float(str(one["high"]))
    with (finished.output / "claims.csv").open() as file:
        assert [row["answer"] for row in csv.DictReader(file)] == [one["answer"] for one in answers]


@pytest.mark.slow
def test_the_answer_about_clinical_concepts_is_that_of_the_labels(finished: Finished) -> None:
    found = next(one for one in finished.answers if one["claim"] == "clinical-concepts")
    tables = {name: pd.read_csv(finished.output / "vindr" / "runs" / name / "labels.csv") for name in ("G", "M")}
    first = {name: table[table["rank"] == 1] for name, table in tables.items()}
    about = {name: table["broad_category"] != "Technical confounders" for name, table in first.items()}
    shares = {name: ((table["q"] <= 0.05) & about[name]).mean() for name, table in first.items()}
    assert (found["before"], found["after"]) == pytest.approx((shares["G"], shares["M"]))
    assert shares["M"] > shares["G"]  # M is the dissector's own tower
    means = pd.DataFrame({name: table.groupby("layer")["score"].mean() for name, table in first.items()}).max(axis=1)
    kept = {name: (table["score"] >= table["layer"].map(means)) & about[name] for name, table in first.items()}
    assert found["by_threshold"] == (HOLDS if kept["M"].sum() > kept["G"].sum() else FAILS)


@pytest.mark.slow
def test_figures_tables_and_the_report_are_written(finished: Finished) -> None:
    place = finished.output / "vindr"
    drawn = {path.stem for path in (place / "figures").glob("*.png")}
    assert {"figure-4a", "figure-4b", "figure-4c"} <= drawn
    assert {f"specialisation-{name}" for name in SET_UPS[2:]} <= drawn
    assert {f"coverage-{name}" for name in SET_UPS} <= drawn
    changes = pd.read_csv(place / "tuned" / "changes_neurons.csv")
    assert set(changes["run"]) == set(SET_UPS[2:])
    text = (finished.output / "paper.md").read_text()
    assert all(claim.statement in text for claim in claims())
    assert all(f"vindr/figures/{name}.png" in text for name in drawn)
    assert "A stand-in: its weights are drawn" in text
    assert "| C-calcification | Typically benign calcifications |" in text
    assert str(finished.folder) not in text
    labels = pd.read_csv(place / "runs" / "M" / "labels.csv")
    reached = int(((labels["rank"] == 1) & labels["rung"].notna() & (labels["rung"] != "")).sum())
    assert f"| M | 2824 | {reached} |" in text


@pytest.mark.slow
def test_m_alone_answers_the_third_question_on_each_probe_set_and_goes_on_where_it_was(
    stand_in: Path, tmp_path: Path, mcd_command: Run
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("b2-model-best-epoch-10.tar", "vocab.txt", "vindr-mammo"):
        (folder / name).symlink_to(stand_in / name)
    rng = np.random.default_rng(0)
    for number in range(16):
        PIL.Image.fromarray(rng.integers(0, 256, (90, 80, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / "imagenet.txt").write_text("".join(f"{number}.png cat\n" for number in range(16)))
    settings = yaml.safe_load((stand_in / "settings.yaml").read_text())
    settings["resamples"] = 0
    settings["study"] |= {"limit": 16, "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 4}}}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(settings))
    out, arguments = tmp_path / "out", ("paper", folder, "--settings", tmp_path / "few.yaml", "-o")
    done = mcd_command(*arguments, out)
    assert done.code == 0, done.err
    answers = json.loads((out / "claims.json").read_text())
    assert {(one["question"], one["reason"]) for one in answers if one["question"] != 3} == {
        (1, "G is missing"),
        (2, "there is no classifier"),
    }
    assert {one["run"] for one in answers if one["question"] == 3} == {"M"}
    assert [one["probe_set"] for one in answers] == ["vindr"] * len(claims()) + ["imagenet-subset"] * len(claims())
    assert all((out / name / "runs" / "M" / "manifest.json").is_file() for name in ("vindr", "imagenet-subset"))
    before = {name: (out / name).read_bytes() for name in ("paper.md", "claims.csv", "claims.json")}
    again = mcd_command(*arguments, out)
    assert again.err.count("16 of 16 images are already stored") == 2
    assert {name: (out / name).read_bytes() for name in before} == before
    (folder / "mass.pth").write_bytes((stand_in / "mass.pth").read_bytes()[:5000])
    broken = mcd_command(*arguments, tmp_path / "other")
    assert (broken.code, "Traceback" in broken.err) == (4, False)
    assert "mass.pth" in broken.err
