"""How right labels are, in the page: the numbers of the run, small, and nothing of it markup."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.evaluations import drawn_evaluation, drawn_faithfulness, judged_copy, with_evaluation
from tests.plugins.explorer.conftest import HOSTILE, Parsed, column, page_of

import mcd
from mcd.runs.evaluated import EVALUATION

NONE = "No evaluation: how right these labels are was not judged. Type: mcd evaluate RUN"


@pytest.fixture
def copy(hostile: mcd.Dissection, tmp_path: Path) -> mcd.Dissection:
    return mcd.load(Path(shutil.copytree(hostile.folder, tmp_path / "run")))


def test_each_neuron_has_the_numbers_of_its_label_and_its_runner_up(judged: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(judged, tmp_path, thumbnails="false"))
    found, content = judged.evaluation, parsed.content["runs"][0]["evaluation"]
    assert found is not None
    assert [one[:2] for one in content["measures"]] == [
        [against, name]
        for against in ("annotations", "held-out")
        for name in ("Pearson correlation", "AUPRC", "MAD (annotated positives)")
    ]
    rows = found.neurons[(found.neurons["against"] == "held-out") & (found.neurons["measure"] == "auprc")]
    for which, kind in enumerate(("first", "runner-up")):
        own = rows[rows["labels"] == kind]  # in the order of layers and neurons, as they were drawn
        np.testing.assert_allclose(column(content["measures"][4][2][which]), own["value"], rtol=1e-6)
        assert [content["terms"][at] for at in column(content["concepts"][which])] == own["concept"].tolist()
    stability, geometry = content["stability"], content["geometry"]
    np.testing.assert_allclose(column(stability["share"]), found.stability["share"], rtol=1e-6)
    assert [stability["sets"][at] for at in column(stability["set"])] == found.stability["set"].tolist()
    np.testing.assert_allclose(column(geometry["clarity"]), found.geometry["clarity"], rtol=1e-6)
    assert (column(geometry["nearest"]).astype(int) - 1).tolist() == found.geometry["nearest"].astype(int).tolist()


def test_the_overview_has_means_with_intervals_and_the_sentence(judged: mcd.Dissection, tmp_path: Path) -> None:
    text = Parsed(page_of(judged, tmp_path, thumbnails="false")).text
    found = judged.evaluation
    assert found is not None
    whole = found.summary[found.summary["layer"] == ""].set_index(["against", "measure", "labels"])
    first = whole.loc[("annotations", "auprc", "first")]
    assert "Held against annotations of 12 held-out patients, first labels agree better than random labels" in text
    assert f"{first['value']:.2f} ({first['low']:.2f} to {first['high']:.2f})" in text
    assert "The other dissector judges nothing: no run of it was given." in text
    assert NONE not in text


def test_an_evaluation_adds_little_to_a_page(phantom: mcd.Dissection, judged: mcd.Dissection, tmp_path: Path) -> None:
    sizes = [page_of(one, tmp_path / name).stat().st_size for name, one in (("without", phantom), ("with", judged))]
    values = 307 * (6 * 2 + 5) * 4 * 4 / 3  # measures of two labels, and five columns, as base64
    assert sizes[1] - sizes[0] < values + 80_000


def test_a_run_that_was_not_evaluated_says_what_to_type(hostile: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(hostile, tmp_path))
    assert NONE in parsed.text
    assert parsed.content["runs"][0]["evaluation"] == {"missing": NONE}


def test_one_of_other_labels_is_left_out_of_an_otherwise_whole_page(copy: mcd.Dissection, tmp_path: Path) -> None:
    record = with_evaluation(copy, drawn_evaluation(copy)).folder / EVALUATION / "evaluation.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "labels": "0" * 64}))
    page = page_of(mcd.load(copy.folder), tmp_path / "page")
    parsed = Parsed(page)
    assert "No evaluation can be shown: RUN/evaluation is about labels that the run no longer has" in parsed.text
    assert str(tmp_path) not in page.read_text(encoding="utf-8")
    assert len(parsed.content["runs"][0]["layers"]) == 2


def test_names_in_an_evaluation_are_text_and_nothing_else(copy: mcd.Dissection, tmp_path: Path) -> None:
    drawn = drawn_evaluation(copy, ["</script><script>broken=1</script>", "annotations"], ["<b>&amp;", "pearson"])
    noted = drawn.record.model_copy(update={"notes": ["<img src=x onerror=broken=1>"], "problems": ["</section>"]})
    odd = drawn_faithfulness(copy, "<script>", "<img src=x>")
    parsed = Parsed(page_of(with_evaluation(copy, replace(drawn, record=noted, faithfulness=odd)), tmp_path / "page"))
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("script") == 4
    assert not {"img", "b"} & set(tags)
    assert tags.count("section") == sum(tag == "section" for tag, _ in Parsed(page_of(copy, tmp_path)).elements)
    found = parsed.content["runs"][0]["evaluation"]
    assert set(found["terms"]) <= {"", *HOSTILE}
    assert [one[:2] for one in found["measures"]] == [["annotations", "Pearson correlation"]]  # no others are known
    assert "<img src=x onerror=broken=1>" in parsed.text
    assert "change <img src=x> –" in " ".join(parsed.text.split())  # an output


def test_where_no_label_was_judged_there_are_no_columns(copy: mcd.Dissection, tmp_path: Path) -> None:
    drawn = drawn_evaluation(copy, known=False)
    bare = replace(drawn, stability=pd.DataFrame(), geometry=pd.DataFrame())
    parsed = Parsed(page_of(with_evaluation(copy, bare), tmp_path / "page"))
    found = parsed.content["runs"][0]["evaluation"]
    assert (found["measures"], found["stability"], found["geometry"]) == ([], None, None)
    assert parsed.text.count("no label could be judged") == 2


def test_a_nearest_neuron_that_the_layer_does_not_have_is_none(copy: mcd.Dissection, tmp_path: Path) -> None:
    drawn = drawn_evaluation(copy)
    nearest = drawn.geometry["nearest"].to_numpy().copy()
    nearest[:3] = [1e9, np.nan, np.inf]
    run = with_evaluation(copy, replace(drawn, geometry=drawn.geometry.assign(nearest=nearest)))
    found = Parsed(page_of(run, tmp_path / "page")).content["runs"][0]["evaluation"]
    assert column(found["geometry"]["nearest"]).tolist()[:4] == [0, 0, 0, 1]


def test_two_runs_each_say_what_is_known_of_them(judged: mcd.Dissection, tmp_path: Path) -> None:
    other = judged_copy(judged, tmp_path / "other", against=["annotations"], measures=["pearson"])
    shutil.rmtree(shutil.copytree(judged.folder, tmp_path / "bare") / EVALUATION)
    runs = [judged, other, mcd.load(tmp_path / "bare")]
    parsed = Parsed(page_of(runs, tmp_path / "page", thumbnails="false", images=0))
    each = [one["evaluation"] for one in parsed.content["runs"]]
    assert [len(one.get("measures", [])) for one in each] == [6, 1, 0]
    assert "C: No evaluation" in parsed.text
    assert "B: Held against annotations of 12 held-out patients" in parsed.text
