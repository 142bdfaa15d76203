"""How far an image–text model can be trusted: its similarities held against what the data set annotates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tests.command_line import Outcome
from torch import nn

import mcd
from mcd.comparison.validity import areas, shared_concepts
from mcd.errors import UsageError

RECIPE = mcd.Preprocessing(height=8, width=8, channels=1)
FEW = {"draws": 100, "most_draws": 100}


def test_areas_are_those_of_the_images_that_count() -> None:
    rng = np.random.default_rng(0)
    values, positive = rng.integers(0, 9, 50).astype(float), rng.random(50) < 0.4
    weights = rng.integers(0, 3, (6, 50))
    wanted = [roc_auc_score(positive, values, sample_weight=one) for one in weights]
    assert areas(values, positive, weights) == pytest.approx(wanted)
    assert np.isnan(areas(values, positive, (~positive)[None].astype(np.int64))).all()


def test_concepts_are_the_same_by_term_or_synonym() -> None:
    def concept(term: str, *synonyms: str) -> mcd.Concept:
        return mcd.Concept(term, "", "", synonyms=synonyms)

    text = [
        concept("cyst"),
        concept("Masses"),
        concept("almost entirely fatty", "breast composition a"),
        concept("mass"),
    ]
    assert shared_concepts(text, [concept("breast composition a"), concept("masses")]) == {1: 1, 2: 0}
    assert shared_concepts(text, [concept("mass"), concept("Masses")]) == {1: 1, 3: 0}  # equal terms before spellings


class Squares(mcd.Dataset):
    """40 patients with two images each: a mass is bright on top, a calcification at the bottom; some do not say."""

    def __len__(self) -> int:
        return 80

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        for row in range(80):
            known = {} if row % 5 == 0 else {"mass": self.mass(row), "calcifications": row // 2 % 3 == 0}
            yield mcd.Sample(id=str(row), digest=str(row), patient=f"p{row // 2}", findings=known)

    @staticmethod
    def mass(row: int) -> bool:
        return row // 2 % 2 == 0

    def read(self, sample: mcd.Sample) -> mcd.Image:
        row = int(sample.id)
        pixels = np.random.default_rng(row).random((8, 8), dtype=np.float32) / 2
        pixels[:4] += self.mass(row) / 2
        pixels[4:] += (row // 2 % 3 == 0) / 2
        return mcd.Image(pixels, 1.0)


class Half(mcd.Dissector):
    """Sees masses at the top; takes calcifications for something that is not in the image."""

    name = "half"

    def load(self) -> None:
        self.module, self.preprocessing = nn.AvgPool2d(4), RECIPE

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        top = batch[:, 0, :4].mean(dim=(1, 2))
        return torch.stack([top, 1 - top, torch.sin(1e4 * batch[:, 0, 0, 0])], dim=1)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        known = {"mass": [1.0, 0, 0], "calcifications": [0, 0, 1.0]}
        return torch.tensor([known.get(one, [0, 1.0, 0]) for one in texts])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[mcd.Dissection]:
    place = tmp_path_factory.mktemp("runs")
    target = mcd.Target("halves", nn.Sequential(nn.AvgPool2d((4, 8)), nn.Flatten()), RECIPE)

    def run(name: str, dissector: mcd.Dissector | str, **settings: object) -> mcd.Dissection:
        return mcd.dissect(
            target,
            layers="1",
            dataset=Squares(),
            dissector=dissector,
            calibration=FEW,
            workers=0,
            progress=False,
            output=place / name,
            **settings,
        )

    words = {"Seen": ["mass", "calcifications"], "Else": ["skin fold"]}
    return [run("annotated", "annotations"), run("text", Half(), concepts=words, scorer="pearson")]


def test_a_concept_is_trusted_as_far_as_it_separates_annotated_images(runs: list[mcd.Dissection]) -> None:
    (one,) = mcd.compare(runs).agreements
    table = one.validity.set_index("concept")
    assert set(table.index) == {"mass", "calcifications"}  # nobody annotates skin folds
    assert table.index[0] == "calcifications"  # the worst first
    assert table.loc["mass", "auroc"] == pytest.approx(1)
    assert table.loc["calcifications", "low"] < 0.5 < table.loc["calcifications", "high"]
    assert table.loc["mass", ["present", "absent"]].tolist() == [32, 32]
    assert table.loc["mass", ["named", "named_by_annotations", "named_by_both"]].tolist() == [1, 1, 1]
    assert table.loc["calcifications", ["named", "named_by_annotations", "named_by_both"]].tolist() == [0, 1, 0]
    neurons = one.agreement.neurons.set_index("neuron")
    assert neurons.loc[0, "same"]
    assert set(neurons["concept_a"]) | set(neurons["concept_b"]) <= {"mass", "calcifications"}


def test_the_order_of_the_runs_does_not_matter(runs: list[mcd.Dissection]) -> None:
    (one,), (other,) = mcd.compare(runs).agreements, mcd.compare(runs[::-1]).agreements
    pd.testing.assert_frame_equal(one.validity, other.validity)
    assert (one.a, one.b) == (other.b, other.a)


def test_it_stands_in_the_console_and_in_the_tables(
    runs: list[mcd.Dissection], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command("compare", runs[0].folder, runs[1].folder, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "how far the image–text model can be trusted" in done.out
    assert "95 % intervals over patients" in done.out
    assert max(len(line) for line in done.out.splitlines() if "all tables" not in line) <= 80
    table = pd.read_csv(tmp_path / "out" / "validity.csv")
    assert table["auroc"].tolist() == pytest.approx(mcd.compare(runs).agreements[0].validity["auroc"].tolist())
    quick = mcd_command("compare", runs[0].folder, runs[1].folder, "--bootstrap", "0", "--json")
    assert '"validity"' in quick.out


def test_annotations_of_other_concepts_say_nothing(runs: list[mcd.Dissection], tmp_path: Path) -> None:
    other = mcd.score(runs[0], concepts=["mass"], output=tmp_path / "mass", progress=False)
    (one,) = mcd.compare([other, runs[1]]).agreements
    assert one.validity["concept"].tolist() == ["mass"]
    none = mcd.score(runs[0], concepts=["CC view", "calcifications"], output=tmp_path / "none", progress=False)
    words = mcd.dissect(
        mcd.Target("halves", nn.Sequential(nn.AvgPool2d((4, 8)), nn.Flatten()), RECIPE),
        layers="1",
        dataset=Squares(),
        dissector=Half(),
        concepts=["skin fold", "mass"],
        scorer="pearson",
        calibration=FEW,
        workers=0,
        progress=False,
        output=tmp_path / "words",
    )
    with pytest.raises(UsageError, match="can be assessed by the annotations"):
        mcd.compare([none, words])
