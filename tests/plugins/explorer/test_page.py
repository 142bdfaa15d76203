"""The page as a file: what is in it, what is not, and what it says of a run."""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.plugins.explorer.conftest import HOSTILE, Parsed, column, hostile_run, page_of, phantom_run

import mcd
from mcd.errors import UsageError
from mcd.plugins import SIGNIFICANT
from mcd_plugins.explorer.content import histograms
from mcd_plugins.reporters.controls import controls_of
from mcd_plugins.reporters.files import CsvReporter


def test_the_same_run_gives_the_same_bytes(phantom: mcd.Dissection, tmp_path: Path) -> None:
    pages = [page_of(mcd.load(phantom.folder), tmp_path / name).read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


def test_nothing_is_loaded_from_anywhere(phantom: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(phantom, tmp_path))
    addresses = [
        value
        for _, attributes in parsed.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "poster", "srcset")
    ]
    assert addresses
    assert {address for address in addresses if not address.startswith(("#", "data:"))} == set()
    assert not any(name.startswith("on") or name == "style" for _, attributes in parsed.elements for name in attributes)


def test_the_policy_lets_only_its_own_script_and_style_run(phantom: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(phantom, tmp_path))
    policy = next(one["content"] for tag, one in parsed.elements if one.get("http-equiv") == "Content-Security-Policy")
    script, style = parsed.inside["script"][1], "".join(parsed.inside["style"])
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{hashes[0]}'",
        f"style-src 'sha256-{hashes[1]}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_every_label_of_the_run_is_in_the_page(phantom: mcd.Dissection, tmp_path: Path) -> None:
    content = Parsed(page_of(phantom, tmp_path)).content
    run = content["runs"][0]
    labels = phantom.labels[phantom.labels["rank"].notna()].copy()
    place = labels.groupby(["layer", "neuron"], sort=False).ngroup()  # the page lists the strongest evidence first
    labels = labels.assign(place=place, less=-labels["z"]).sort_values(["place", "q", "less", "rank"])
    assert column(run["rank"]).tolist() == labels["rank"].tolist()
    assert column(run["above"]).sum() == (labels["verdict"].isin(SIGNIFICANT) & (labels["q"] <= 0.05)).sum()
    terms = [content["concepts"]["term"][at] for at in column(run["concept"])]
    assert terms == labels["concept"].tolist()
    for name in ("score", "z", "p", "q"):
        np.testing.assert_allclose(column(run[name]), labels[name], rtol=1e-6)
    neurons = phantom.labels.drop_duplicates(["layer", "neuron"])
    assert [run["verdicts"][at] for at in column(run["verdict"])] == neurons["verdict"].tolist()
    assert [run["statuses"][at] for at in column(run["status"])] == neurons["status"].tolist()
    assert column(run["labels"]).sum() == len(labels)


def test_top_images_are_those_of_the_run(phantom: mcd.Dissection, tmp_path: Path) -> None:
    content = Parsed(page_of(phantom, tmp_path, images=4)).content
    run = content["runs"][0]
    ids = content["probes"][0]["ids"]
    at = 24 + 48 + 5  # neuron 5 of the third layer
    shown = column(run["shown"]["image"]).reshape(-1, 4)[at]
    best = phantom.top_images("stages.2", 5, 4)
    assert [ids[image] for image in shown] == best["image"].tolist()
    np.testing.assert_allclose(column(run["responses"]["activation"]).reshape(-1, 4)[at], best["activation"], rtol=1e-6)


def test_each_neuron_is_shown_against_its_own_null(phantom: mcd.Dissection, tmp_path: Path) -> None:
    run = Parsed(page_of(phantom, tmp_path)).content["runs"][0]
    tables = phantom.results
    assert len(tables.null)
    row = tables.neurons[tables.neurons["layer"] == "stages.2"].iloc[7]
    own = tables.null[(tables.null["layer"] == "stages.2") & (tables.null["stratum"] == row["stratum"])]
    at = 24 + 48 + int(row["neuron"])
    np.testing.assert_allclose(run["nulls"][column(run["null"])[at] - 1]["z"], own["z"], atol=1e-4)
    np.testing.assert_allclose(column(run["p_any"])[at], row["p_any"], rtol=1e-6)


def test_histograms_count_every_image_once() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(200, 3)).astype(np.float32)
    values[:, 1] = 2.5  # a neuron that responds to every image alike
    values[4, 2] = np.nan
    counts, low, high = histograms(values, 10)
    expected, edges = np.histogram(values[:, 0].astype(np.float64), bins=10)
    assert counts[0].tolist() == expected.tolist()
    assert (low[0], high[0]) == (edges[0], edges[-1])
    assert (counts[1].sum(), low[1], high[1]) == (200, 2.5, 2.5)
    assert counts[2].sum() == 0
    assert np.isnan(low[2])


def test_names_from_files_are_text_and_nothing_else(hostile: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(hostile, tmp_path, thumbnails="true"))
    assert [tag for tag, _ in parsed.elements].count("script") == 4
    assert [tag for tag, _ in parsed.elements].count("img") == 0
    assert "<img src=x onerror=broken=1>" in parsed.text  # the layer, as text
    assert set(parsed.content["concepts"]["term"]) == set(HOSTILE)
    assert any(name.startswith("</script><img") for name in parsed.content["probes"][0]["ids"])


def test_neither_files_nor_patients_are_named(tmp_path: Path) -> None:
    found = hostile_run(tmp_path)
    for number, wanted in enumerate(("false", "true")):
        text = page_of(found, tmp_path / str(number), thumbnails=wanted).read_text(encoding="utf-8")
        assert "Jane_Doe" not in text
        assert "onerror=broken=1&gt;0" not in text
        assert str(tmp_path) not in text
    shutil.rmtree(tmp_path / "Jane_Doe")
    gone = page_of(found, tmp_path / "gone", thumbnails="true").read_text(encoding="utf-8")
    assert "could not be found again" in gone
    assert "Jane_Doe" not in gone


def test_patients_of_the_phantom_are_counted_never_named(phantom: mcd.Dissection, tmp_path: Path) -> None:
    parsed = Parsed(page_of(phantom, tmp_path))
    assert "25 patients" in parsed.text
    metadata = parsed.content["probes"][0]
    assert set(metadata) == {
        "ids",
        "view",
        "laterality",
        "density",
        "assessment",
        "implant",
        "findings",
        "note",
        "shapes",
    }
    entry = next(one for one in phantom.probe_map if one["id"] == metadata["ids"][0])
    for name in ("view", "laterality", "density"):
        assert metadata[name]["names"][column(metadata[name]["of"])[0]] == entry[name]
    present = [metadata["findings"]["names"][at] for at in metadata["findings"]["of"][0]]
    assert present == entry["findings"].split("|")


def test_few_images_and_unknown_patients_are_said(hostile: mcd.Dissection, tmp_path: Path) -> None:
    text = Parsed(page_of(hostile, tmp_path)).text
    assert "Only 24 images" in text
    assert "Fewer than 100 images." in text
    assert "patients not known" in text
    assert "Patients are not known, or were not used" in text


def test_enough_images_of_known_patients_are_not_warned_about(phantom: mcd.Dissection, tmp_path: Path) -> None:
    text = Parsed(page_of(phantom, tmp_path)).text
    assert "Fewer than 100 images" not in text
    assert "Patients are not known" not in text
    for told in ("soft-wpmi (top_k 100", "Top images (k) 100", "patients permuted", "q ≤ 0.05", "never scores"):
        assert told in text


def test_a_run_without_significance_says_so(tmp_path: Path) -> None:
    found = phantom_run(tmp_path / "run", layers="head", calibration={"draws": 0})
    parsed = Parsed(page_of(found, tmp_path))
    assert "labels were not tested" in parsed.text
    assert parsed.content["runs"][0]["judged"] is False


def test_controls_stand_beside_the_run_that_they_are_of(controlled: mcd.Dissection, tmp_path: Path) -> None:
    found = controls_of(controlled.results.controls)
    assert found is not None
    assert [layer for layer, _ in found.layers] == controlled.layers
    assert [row.name for row in found.total] == [
        "this run",
        "random weights",
        "shuffled rows",
        "random rotation",
        "random dissector",
        "shuffled names",
    ]
    run = found.total[0]
    assert run.significant == sum(one.significant or 0 for one in controlled.manifest.summary)
    first = controlled.labels[controlled.labels["rank"] == 1]
    np.testing.assert_allclose(run.mean_z, first["z"].mean())  # layers of many neurons weigh more
    for name in ("significant", "mammographic", "neurons"):
        layers = [[getattr(row, name) for row in rows] for _, rows in found.layers]
        assert np.sum(layers, axis=0).tolist() == [getattr(row, name) for row in found.total]
    text = Parsed(page_of(controlled, tmp_path)).text
    assert "are not evidence about the target" in text
    assert "shuffled rows each neuron's images are permuted" in text


def test_a_run_without_controls_or_significance_says_how_to_run_them(phantom: mcd.Dissection, tmp_path: Path) -> None:
    empty = phantom_run(tmp_path / "run", layers="head", calibration={"draws": 0})
    for run in (phantom, empty):
        page = Parsed(page_of(run, tmp_path))
        assert "Type: mcd dissect … --controls" in page.text
        assert "each neuron's images are permuted" not in page.text


def test_the_mean_score_threshold_is_named_as_no_test(phantom: mcd.Dissection, tmp_path: Path) -> None:
    kept = sum(one.above_mean_score or 0 for one in phantom.manifest.summary)
    text = Parsed(page_of(phantom, tmp_path)).text
    assert f"The mean-score threshold of the paper, not a test of significance, keeps {kept} of 307 neurons" in text


def test_a_run_shared_without_private_still_has_a_page(phantom: mcd.Dissection, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shutil.copytree(phantom.folder, shared, ignore=shutil.ignore_patterns("private"))
    run = Parsed(page_of(mcd.load(shared), tmp_path)).content["runs"][0]
    assert run["shown"] is None
    assert run["responses"]["top"] == 6
    shutil.rmtree(shared / "activations")
    assert Parsed(page_of(mcd.load(shared), tmp_path)).content["runs"][0]["responses"] is None


def test_several_runs_say_in_what_they_differ(phantom: mcd.Dissection, tmp_path: Path) -> None:
    other = phantom_run(tmp_path / "run", layers="head", scorer="cosine", pooling="max")
    parsed = Parsed(page_of([phantom, other], tmp_path))
    assert [one["apart"] for one in parsed.content["runs"]] == ["pooling avg, soft-wpmi", "pooling max, cosine"]
    ((a, b, said),) = parsed.content["between"]
    assert (a, b) == (0, 1)
    assert any("scorers" in one for one in said)
    assert not any("probe sets differ" in one for one in said)
    assert len(parsed.content["probes"]) == 1  # the images of one probe set are shown once


def test_a_reporter_that_makes_nothing_of_several_runs_says_so(phantom: mcd.Dissection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing of several runs"):
        CsvReporter().report_several([phantom, phantom], tmp_path)
