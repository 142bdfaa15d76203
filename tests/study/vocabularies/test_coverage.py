"""Which concepts a probe set shows, by its labels."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import PIL.Image
import pytest
from click.testing import CliRunner

import mcd_concepts
from mcd.api.concepts import Concept, ConceptSet
from mcd.api.dataset import Sample
from mcd.cli.concepts import concepts as group
from mcd.host import PluginHost
from mcd.study.vocabularies.coverage import ABSENT, PRESENT, UNKNOWN, coverage, presence
from mcd_plugins.cohorts.vocabulary import ASSESSMENTS, DENSITIES, FINDINGS, VIEWS


def concept(term: str, *synonyms: str) -> Concept:
    return Concept(term, "c", "b", synonyms=synonyms)


def row(table: pd.DataFrame, term: str) -> tuple[int, int, int, int]:
    found = table[table["concept"] == term].iloc[0]
    patients = -1 if found["patients"] is pd.NA else int(found["patients"])
    return int(found["positives"]), int(found["negatives"]), int(found["unknown"]), patients


def test_findings_have_three_states_and_patients_count_once() -> None:
    samples = [
        Sample("1", patient="A", findings={"mass": True, "skin fold": False}),
        Sample("2", patient="A", findings={"mass": True}),
        Sample("3", patient="B", findings={"mass": False}),
        Sample("4", findings={"mass": True}),
        Sample("5", patient="C"),
    ]
    table = coverage(samples, [concept("mass"), concept("skin fold"), concept("cyst")])
    assert list(table.columns) == ["concept", "positives", "negatives", "unknown", "patients"]
    assert list(table["concept"]) == ["mass", "skin fold", "cyst"]
    assert row(table, "mass") == (3, 1, 1, 1)  # nobody knows whose image 4 is
    assert row(table, "skin fold") == (0, 1, 4, 0)
    assert row(table, "cyst") == (0, 0, 5, 0)


def test_patients_that_nobody_knows_are_not_none() -> None:
    table = coverage([Sample("1", findings={"mass": True}), Sample("2")], [concept("mass"), concept("cyst")])
    assert table["patients"].isna().all()
    assert [one["patients"] for one in json.loads(table.to_json(orient="records"))] == [None, None]


def test_each_image_says_of_each_concept_what_is_known() -> None:
    samples = [Sample("1", findings={"mass": True, "cyst": False}), Sample("2")]
    known = presence(samples, [concept("cyst"), concept("mass"), concept("hat")])
    assert known.tolist() == [[ABSENT, PRESENT, UNKNOWN], [UNKNOWN] * 3]
    assert presence([], [concept("mass")]).shape == (0, 1)


def test_a_finding_speaks_for_a_term_or_a_synonym_in_any_spelling() -> None:
    samples = [Sample("1", findings={"Fat-containing masses": True, "haematoma": True})]
    table = coverage(samples, [concept("fat containing mass"), concept("bruise", "hematomas"), concept("mass")])
    assert list(table["positives"]) == [1, 1, 0]


def test_one_label_that_says_yes_is_enough() -> None:
    samples = [Sample("1", findings={"lump": True, "mass": False})]
    assert row(coverage(samples, [concept("mass", "lump")]), "mass")[:3] == (1, 0, 0)


def test_what_is_known_of_the_image_speaks_too() -> None:
    words = [
        "left breast",
        "left CC view",
        "MLO view",
        "right MLO view",
        "breast composition c",
        "BI-RADS 4",
        "BI-RADS 4A",
        "BI-RADS 2",
        "breast implant",
    ]
    samples = [
        Sample("1", view="CC", laterality="L", density="c", assessment="4a", implant=False),
        Sample("2", view="MLO", assessment="4"),
        Sample("3"),
    ]
    table = coverage(samples, [concept(word) for word in words])
    assert row(table, "left breast")[:3] == (1, 0, 2)
    assert row(table, "left CC view")[:3] == (1, 1, 1)
    assert row(table, "MLO view")[:3] == (1, 1, 1)
    assert row(table, "right MLO view")[:3] == (0, 1, 2)  # image 2 may be of either side
    assert row(table, "breast composition c")[:3] == (1, 0, 2)
    assert row(table, "BI-RADS 4")[:3] == (2, 0, 1)
    assert row(table, "BI-RADS 4A")[:3] == (1, 0, 2)  # 4 may be 4A
    assert row(table, "BI-RADS 2")[:3] == (0, 2, 1)
    assert row(table, "breast implant")[:3] == (0, 1, 2)


def test_no_image_and_no_concept_make_a_table_too() -> None:
    assert list(coverage([], [concept("mass")])["unknown"]) == [0]
    assert coverage([Sample("1")], []).empty


@pytest.fixture(scope="module")
def birads() -> ConceptSet:
    return ConceptSet.from_file(Path(mcd_concepts.__file__).parent / "birads.yaml")


def test_every_finding_that_a_cohort_may_tell_is_a_concept_of_birads(birads: ConceptSet) -> None:
    table = coverage([Sample("1", findings=dict.fromkeys(FINDINGS, True))], birads.concepts)
    assert table["positives"].sum() >= len(FINDINGS)


def test_every_density_assessment_and_common_view_is_one(birads: ConceptSet) -> None:
    for samples in (
        [Sample("1", density=one) for one in set(DENSITIES.values())],
        [Sample("1", assessment=one) for one in set(ASSESSMENTS.values())],
        [Sample("1", view=one, laterality=side) for one in ("CC", "MLO") for side in "LR"],
    ):
        for sample in samples:
            assert coverage([sample], birads.concepts)["positives"].sum() >= 1, sample
    assert set(VIEWS.values()) >= {"CC", "MLO"}


def test_the_command_counts_by_the_labels_of_a_data_set() -> None:
    class State:
        host = PluginHost.discover()

    flags = ["--dataset", "phantom", "--dataset-arg", "patients=5", "--where", 'view == "CC"']
    done = CliRunner().invoke(group, ["coverage", "birads", *flags], obj=State())
    assert done.exception is None, done.output
    assert "can be seen in 10 images" in " ".join(done.output.split())
    assert max(map(len, done.output.splitlines())) <= 80
    counted = [line.split() for line in done.output.splitlines() if line.startswith("right craniocaudal view")]
    assert counted == [["right", "craniocaudal", "view", "5", "5", "0", "5"]]
    done = CliRunner().invoke(group, ["coverage", "birads", *flags, "--json"], obj=State())
    rows = {one["concept"]: one for one in json.loads(done.output)}
    assert rows["right mediolateral oblique view"]["negatives"] == 10


def test_the_command_shows_a_dash_for_patients_that_are_not_known(tmp_path: Path) -> None:
    class State:
        host = PluginHost.discover()

    PIL.Image.new("L", (8, 8), 9).save(tmp_path / "a.png")
    (tmp_path / "table.csv").write_text("path,mass\na.png,1\n")
    flags = ["--dataset", f"csv:{tmp_path / 'table.csv'}", "--dataset-arg", "findings=mass"]
    done = CliRunner().invoke(group, ["coverage", "birads", *flags], obj=State())
    assert done.exception is None, done.output
    assert ["mass", "1", "0", "0", "–"] in [line.split() for line in done.output.splitlines()]
