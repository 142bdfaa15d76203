"""Annotations as a dissector: the data set's own labels give concepts meaning, and no pixels are read for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import mcd
from mcd.errors import ConfigError, DataError, PluginLoadError, UsageError
from mcd.plugins import concepts_of

RECIPE = mcd.Preprocessing(height=8, width=8, channels=1)
FEW = {"draws": 200, "most_draws": 200}
WORDS = {"Masses": ["mass", "cyst"], "Composition": ["breast composition b", "MLO view"]}


class Drawn(mcd.Dataset):
    """60 patients with two images each; a mass is a bright square, and half of the images do not say."""

    def __init__(self, *, silent: bool = False, patients: int = 60) -> None:
        super().__init__()
        self.silent, self.patients = silent, patients

    def __len__(self) -> int:
        return 2 * self.patients

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        for row in range(len(self)):
            said = {"mass": self.mass(row)} if row % 4 < 2 else {}
            findings = said | {"rare finding": row == 8} | ({"skin thickening": True} if row % 8 == 0 else {})
            yield mcd.Sample(
                id=f"secret/{row}",
                digest=str(row),
                patient=f"name-{row // 2}",
                view="" if self.silent else "MLO" if row % 2 else "CC",
                density="" if self.silent else "ab"[row // 2 % 3 == 0],
                vendor="" if self.silent else "ACME" if row // 2 % 7 < 4 else "Other",
                findings={} if self.silent else findings,
                labels={"pathology": "benign | cyst" if row % 6 < 2 else "malignant", "surname": f"name-{row // 2}"},
            )

    @staticmethod
    def mass(row: int) -> bool:
        return row // 2 % 5 < 2

    def read(self, sample: mcd.Sample) -> mcd.Image:
        row = int(sample.digest)
        pixels = np.random.default_rng(row).random((8, 8), dtype=np.float32) / 2
        pixels[:4, :4] += self.mass(row) / 2
        return mcd.Image(pixels, 1.0)


def network() -> mcd.Target:
    """Return a target whose neurons see one quarter of the image each: the first one sees masses."""
    return mcd.Target("quarters", nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), RECIPE)


def dissected(folder: Path, **settings: object) -> mcd.Dissection:
    given = {"dissector": "annotations", "dataset": Drawn(), "calibration": FEW, "workers": 0, "progress": False}
    return mcd.dissect(network(), layers="1", output=folder, **given | settings)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return dissected(tmp_path_factory.mktemp("annotations") / "run")


def test_a_neuron_is_named_by_what_is_annotated(found: mcd.Dissection) -> None:
    first = found.labels[found.labels["rank"] == 1].set_index("neuron")
    assert first.loc[0, "concept"] == "mass"
    assert first.loc[0, "score"] == pytest.approx(1, abs=0.02)
    assert first.loc[0, "verdict"] == "significant"
    assert (first.loc[1:, "q"] > 0.05).all()
    assert found.manifest.scorer == "auroc"
    assert found.manifest.study["concepts"] == []
    assert not (found.folder / "embeddings").exists()


def test_every_concept_is_listed_with_what_is_known_of_it(found: mcd.Dissection) -> None:
    table = found.results.annotations.set_index("concept")
    assert table.loc["mass", ["present", "absent", "unknown"]].tolist() == [24, 36, 60]
    assert table.loc["mass", ["units_present", "units_absent"]].tolist() == [12, 18]
    assert table.loc["mass", "assessable"]
    assert table.loc["rare finding", "reason"] == "1 patient with it, of 10 needed"
    assert table.loc["skin thickening", "reason"] == "0 patients without it, of 10 needed"
    assert {"breast composition a", "CC view", "MLO view", "vendor: ACME"} <= set(table.index[table["assessable"]])
    assert table.loc["mass", "category"] == "Mass" or table.loc["mass", "category"] == "Masses"
    assert set(found.labels["concept"]) <= set(table.index[table["assessable"]])
    assert pd.read_csv(found.folder / "annotations.csv")["concept"].tolist() == table.index.tolist()
    (said,) = [one for one in found.manifest.warnings if "not assessable" in one]
    assert "rare finding (1 patient with it, of 10 needed)" in said


def test_what_is_annotated_of_an_image_stays_in_the_private_folder(found: mcd.Dissection, tmp_path: Path) -> None:
    public = tmp_path / "public"
    shutil.copytree(found.folder, public, ignore=shutil.ignore_patterns("private"))
    files = [path for path in public.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert not [word for word in (b"name-", b"secret", b"pathology") if word in path.read_bytes()]
    kept = list((found.folder / "private").glob("annotations-*.safetensors"))
    assert [path.stat().st_mode & 0o077 for path in kept] == [0]


def test_its_concepts_lie_in_its_folder(found: mcd.Dissection) -> None:
    words = concepts_of(mcd.load(found.folder))
    assert [one.term for one in words.concepts] == found.results.annotations["concept"].tolist()


def test_a_vocabulary_is_answered_as_far_as_it_is_annotated(tmp_path: Path) -> None:
    run = dissected(tmp_path / "run", concepts=WORDS)
    table = run.results.annotations.set_index("concept")
    assert table["reason"].to_dict() == {
        "mass": "",
        "cyst": "not annotated",
        "breast composition b": "",
        "MLO view": "",
    }
    assert any("1 of 4 concepts are not annotated: cyst" in one for one in run.manifest.warnings)
    assert "cyst" not in set(run.labels["concept"])


def test_columns_become_concepts_only_where_they_are_named(tmp_path: Path) -> None:
    run = dissected(tmp_path / "run", dissector={"plugin": "annotations", "options": {"labels": "pathology"}})
    table = run.results.annotations.set_index("concept")
    assert table.loc["pathology: cyst", ["present", "absent"]].tolist() == [40, 80]
    assert table.loc["pathology: benign", "category"] == "pathology"
    assert not [one for one in table.index if "name-" in one]


def test_a_data_set_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="annotates nothing"):
        dissected(tmp_path / "run", dataset=Drawn(silent=True))
    with pytest.raises(DataError, match=r"none of \d+ concepts can be assessed.*of 10 needed"):
        dissected(tmp_path / "few", dataset=Drawn(patients=6))
    assert not (tmp_path / "few" / "activations").exists()


@pytest.mark.parametrize("scorer", ["soft-wpmi", "wpmi", "cosine", "embedding", lambda a, p: a.T @ p])
def test_a_scorer_of_cosines_is_refused_with_those_that_can_be_used(tmp_path: Path, scorer: object) -> None:
    with pytest.raises(UsageError, match="made for cosines") as error:
        dissected(tmp_path / "run", scorer=scorer)
    assert error.value.hint.endswith("use one that takes annotations: auprc, auroc, pearson, spearman")
    assert not (tmp_path / "run").exists()


def test_it_is_scored_anew_without_the_data_set(found: mcd.Dissection, tmp_path: Path) -> None:
    other = mcd.score(found.folder, scorer="pearson", output=tmp_path / "pearson", progress=False)
    first = other.labels[other.labels["rank"] == 1].set_index("neuron")
    assert first.loc[0, "concept"] == "mass"
    assert mcd.load(tmp_path / "pearson").manifest.fingerprints["concepts"] == found.manifest.fingerprints["concepts"]
    words = mcd.score(found.folder, concepts=["mass", "cyst"], output=tmp_path / "words", progress=False)
    assert words.results.annotations["reason"].tolist() == ["", "not annotated"]
    with pytest.raises(UsageError, match="made for cosines"):
        mcd.score(found.folder, scorer="soft-wpmi", output=tmp_path / "no", progress=False)


def test_a_copy_of_it_is_whole(found: mcd.Dissection, tmp_path: Path) -> None:
    copy = mcd.load(found.save(tmp_path / "copy"))
    assert mcd.score(copy, scorer="auprc", progress=False).manifest.scorer == "auprc"
    with pytest.raises(DataError, match="no embeddings"):
        copy.image_embeddings()


class Reports(mcd.AnnotationDissector):
    """A third party's: what a table of its own says, here that bright images are of one kind."""

    name = "reports"
    fewest = 5
    said: object = None

    def concepts(self, samples: Sequence[mcd.Sample]) -> mcd.ConceptSet:
        return mcd.ConceptSet.from_words(["mass in the report"])

    def annotate(self, samples: Sequence[mcd.Sample], concepts: Sequence[mcd.Concept]) -> torch.Tensor:
        if self.said is not None:
            return self.said
        assert not any(one.digest for one in samples)
        known = [float(Drawn.mass(int(one.id.split("/")[1]))) for one in samples]
        return torch.tensor(known)[:, None].repeat(1, len(concepts))


def test_third_parties_read_annotations_of_their_own(tmp_path: Path) -> None:
    run = dissected(tmp_path / "run", dissector=Reports())
    first = run.labels[run.labels["rank"] == 1].set_index("neuron")
    assert first.loc[0, "concept"] == "mass in the report"
    assert run.manifest.dissector == "reports"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([[1.0]], "annotates with list"),
        (torch.zeros(3, 1), r"annotates with shape \(3, 1\)"),
        (torch.full((120, 1), 0.5), "other values than 1, 0 and NaN"),
    ],
)
def test_annotations_that_break_the_contract_are_refused(tmp_path: Path, said: object, message: str) -> None:
    broken = Reports()
    broken.said = said
    with pytest.raises(PluginLoadError, match=message):
        dissected(tmp_path / "run", dissector=broken)


@pytest.mark.slow
def test_one_sweep_serves_text_and_annotations(tmp_path: Path, mcd_command: Callable[..., object]) -> None:
    flags = ("dissect", "--model-plugin", "phantom-mammo", "--layers", "head", "--dataset", "phantom")
    both = ("--dissector", "annotations", "--dissector", "phantom-clip")
    sizes = ("--dataset-arg", "patients=30", "--draws", "100", "--most-draws", "100", "--workers", "0")
    done = mcd_command(*flags, *both, *sizes, "--controls", "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    own, text = mcd.load(tmp_path / "run" / "annotations"), mcd.load(tmp_path / "run" / "phantom-clip")
    assert (own.manifest.scorer, text.manifest.scorer) == ("auroc", "soft-wpmi")
    assert text.manifest.study["concepts"] == [{"plugin": "birads", "options": {}}]
    assert torch.equal(own.activations("head"), text.activations("head"))
    assert own.image_ids == text.image_ids
    assert own.labels.query("neuron == 2 and rank == 1")["concept"].tolist() == ["calcifications"]
    assert set(own.results.controls["control"]) == {
        "none",
        "random weights",
        "shuffled rows",
        "random rotation",
        "shuffled names",
    }
    assert "random dissector" in set(text.results.controls["control"])
    again = mcd_command(*flags, *both, *sizes, "--controls", "-o", "run", cwd=tmp_path)
    assert again.code == 0, again.err


def test_a_plan_says_what_annotations_use(mcd_command: Callable[..., object], tmp_path: Path) -> None:
    flags = ("dissect", "--model-plugin", "phantom-mammo", "--layers", "head", "--dataset", "phantom", "--dry-run")
    done = mcd_command(*flags, "--dissector", "annotations", "--controls", cwd=tmp_path)
    assert "annotations> uses scorer auroc and the concepts that are annotated" in done.out
    assert "random dissector" not in done.out.partition("schema:")[0]
    refused = mcd_command(*flags, "--dissector", "annotations", "--scorer", "soft-wpmi", cwd=tmp_path)
    assert (refused.code, "made for cosines" in refused.err) == (2, True)


def test_commands_that_embed_refuse_it(mcd_command: Callable[..., object], tmp_path: Path) -> None:
    done = mcd_command("embed", "--dissector", "annotations", "--text", "mass", "-o", "x.safetensors", cwd=tmp_path)
    assert done.code == 2
    assert "it embeds neither images nor texts" in done.err


def test_no_concept_set_is_no_concept_set(tmp_path: Path) -> None:
    study = {"models": "phantom-mammo", "dissectors": "phantom-clip", "dataset": "phantom", "concepts": []}
    with pytest.raises(ConfigError, match="no concept set is named"):
        mcd.run(study, output=tmp_path / "run", progress=False)
