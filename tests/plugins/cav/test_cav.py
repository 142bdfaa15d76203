"""``mcd cav``: planted concepts have the right sign, chance and confounding have none, files say what went in."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from tests.command_line import Outcome
from tests.plugins.cav.material import Head, Planted, ready

import mcd
from mcd.errors import UsageError
from mcd_plugins.cav.asked import Asked, Concepts, Sensitivities, asked_for, settings_of
from mcd_plugins.cav.measuring import measured
from mcd_plugins.cav.report import write
from mcd_plugins.cav.tables import COLUMNS, said, table_of

Run = Callable[..., Outcome]
PHANTOMS = ("--model", "phantom-calc", "--dataset", "phantom:40", "--workers", "0", "--device", "cpu")
CALC = ("--layers", "stages.2", "--classes", "calcifications", "--sets", "199", "--method", "ridge")


def asked(
    head: torch.nn.Module | None = None,
    *names: str,
    data: mcd.Dataset | None = None,
    columns: tuple[str, ...] = (),
    tests: Sensitivities | None = None,
    **settings: object,
) -> Asked:
    return asked_for(
        ready(mcd.Target("planted", head or Head()), data or Planted()),
        Concepts(names, columns),
        tests or Sensitivities(layers=["features"]),
        settings_of(**{"sets": 199, **settings}),
    )


def rows_of(found: Asked) -> pd.DataFrame:
    return table_of(measured(found))


def test_planted_concepts_have_their_sign_and_chance_has_none() -> None:
    found = measured(asked(Head(), "up", "down", "idle", columns=("chance",), methods=("pattern", "ridge", "logistic")))
    table = table_of(found)
    assert list(table) == list(COLUMNS)
    for method in ("pattern", "ridge", "logistic"):
        own = table[table["method"] == method].set_index("concept")
        assert list(own.index) == ["up", "down", "idle", "chance: no", "chance: yes"]
        assert (own.loc[["up", "down", "idle"], "auroc"] > 0.95).all()
        assert own.loc["up", "tcav"] == own.loc["up", "magnitude"] == 1
        assert own.loc["down", "tcav"] == own.loc["down", "magnitude"] == 0
        assert own.loc["up", "sensitivity"] > 0.5
        assert own.loc["down", "sensitivity"] < -0.5
        assert list(own["verdict"]) == ["significant"] * 2 + ["not significant"] * 3
        assert own.loc["chance: no", "sensitivity"] == pytest.approx(-own.loc["chance: yes", "sensitivity"], abs=1e-6)
        assert not own["linear"].any()
    assert set(table["images_of"]) == {"held-out images"}
    assert table["p"].min() == pytest.approx(1 / 200)
    assert set(table["patients"]) == {60}
    assert set(table["patients_fitted"]) == {42}
    assert (table["present"] + table["absent"] + table["unknown"] == 120).all()


def test_a_linear_head_is_said_to_be_linear() -> None:
    found = measured(asked(Head(bent=False), "up", "down", "idle"))
    table = table_of(found).set_index("concept")
    assert table["linear"].all()
    assert table[["tcav", "p_tcav", "magnitude"]].isna().all(axis=None)
    assert list(table["verdict"]) == ["significant", "significant", "not significant"]
    assert table.loc["up", "sensitivity"] > 0.5 > -0.5 > table.loc["down", "sensitivity"]
    assert "every TCAV score would be 0 or 1" in " ".join(said(found, table.reset_index()))


def test_a_concept_that_comes_with_a_view_is_lost_without_views() -> None:
    head = Head()
    head.inner.weight.data[1] = 0  # the output is up alone
    found = measured(asked(head, "up", "view is", nuisances="view,age"))
    table = table_of(found).set_index(["concept", "without"])
    assert table.loc[("view is", ""), "auroc"] > 0.95
    lost = table.loc[("view is", "view, age")]
    assert lost["verdict"] == "no direction: explained by view, age"
    assert math.isnan(lost["p"])
    assert table.loc[("up", "view, age"), "verdict"] == "significant"
    assert table.loc[("up", "view, age"), "auroc"] > 0.95
    assert "1 row has no test: no direction: explained by view, age." in said(found, table_of(found))


def test_what_comes_later_may_be_a_unit_and_what_a_bag_returns_is_refused() -> None:
    tests = Sensitivities(layers=["features"], units=["inner:1"])
    own = rows_of(asked(Head(rows=3), "up", "down", tests=tests)).set_index("concept")
    assert set(own["class"]) == {"inner:1"}
    assert own.loc["down", "sensitivity"] > 0.5 > abs(own.loc["up", "sensitivity"])
    with pytest.raises(UsageError, match=r"shape \(1, 3, 1\) .* no class whose sensitivity could be taken"):
        asked(Head(rows=3), "up")
    with pytest.raises(UsageError, match="does not depend on layer inner"):
        asked(Head(), "up", tests=Sensitivities(layers=["inner"], units=["features:1"]))


def test_over_which_images_is_chosen_and_said() -> None:
    target = mcd.Target("planted", Head(), outputs=("up",))
    images, data = ready(target, Planted()), settings_of(sets=19)
    own = asked_for(images, Concepts(["down"]), Sensitivities(["features"]), data)
    (one,) = own.classes
    held = [row for row, out in zip(own.samples, own.out, strict=True) if out]
    assert one.images == "held-out images, with up"
    assert one.rows.tolist() == [row.findings["up"] for row in held]
    own = asked_for(images, Concepts(["down"]), Sensitivities(["features"], where='view == "CC"'), data)
    assert own.classes[0].images == 'held-out images, view == "CC"'
    assert own.classes[0].rows.tolist() == [row.view == "CC" for row in held]


def test_a_condition_on_people_is_shown_to_nobody() -> None:
    where = 'patient != "p3"'
    own = asked(Head(), "up", tests=Sensitivities(["features"], where=where))
    assert own.classes[0].images.startswith("held-out images, hidden:")
    assert "p3" not in own.classes[0].images


def test_whole_patients_are_held_out_and_fitted_on_are_the_others(tmp_path: Path) -> None:
    found = measured(asked(Head(), "up", "down", methods=("pattern", "ridge")))
    write(found, tmp_path / "cav")
    own = found.asked
    fitted = {one.digest for one, out in zip(own.samples, own.out, strict=True) if not out}
    rest = {one.patient for one in own.samples if one.digest in fitted}
    held = {one.patient for one in own.samples if one.digest not in fitted}
    assert (len(rest), len(held), rest & held) == (42, 18, set())
    with safe_open(tmp_path / "cav" / "directions" / "features.safetensors", "pt") as file:
        about, vectors = file.metadata(), file.get_tensor("directions")
    assert about["layer"] == "features"
    assert json.loads(about["names"]) == ["up (pattern)", "down (pattern)", "up (ridge)", "down (ridge)"]
    assert json.loads(about["fitted"]) == sorted(fitted)
    assert json.loads(about["facts"])["fitted on"] == "84 images of 42 patients, seed 0"
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    other = asked(Head(), "up", "down", seed=1)
    assert (other.out != own.out).any()


def test_images_without_patients_count_one_by_one_and_it_is_said() -> None:
    found = measured(asked(Head(), "up", data=Planted(Planted.Options(known=False))))
    assert set(table_of(found)["patients"]) == {120}
    assert "The patient of 120 images is not known" in " ".join(said(found, table_of(found)))


def test_a_phantom_concept_that_was_trained_for_is_found_and_its_direction_is_dissected(
    mcd_command: Run, tmp_path: Path
) -> None:
    out = tmp_path / "cav"
    done = mcd_command("cav", *PHANTOMS, *CALC, "--concepts", "calcifications,mass", "-o", out)
    assert done.code == 0, done.err
    assert done.out.startswith("1 of 2 tests of 2 concepts × 1 layer × 1 class is significant at q ≤ 0.05.")
    assert "199 random concepts, labels of whole patients" in done.out
    table = pd.read_csv(out / "cav.csv").set_index("concept")
    assert table.loc["calcifications", "q"] <= 0.05
    assert table.loc["calcifications", "auroc"] >= 0.9
    assert table.loc["mass", "q"] > 0.05
    pd.testing.assert_frame_equal(
        pd.read_parquet(out / "cav.parquet").set_index("concept")[["auroc", "p"]], table[["auroc", "p"]], rtol=1e-5
    )
    with (out / "images.csv").open(encoding="utf-8", newline="") as file:
        images = list(csv.DictReader(file))
    assert {one["image"][:8] for one in images} == {"phantom-"}
    assert {one["outside"] for one in images if one["concept"] == "calcifications"} == {"above"}
    assert {(one["null"], one["sets"], one["patients_fitted"]) for one in images} == {
        ("labels of whole patients exchanged", "199", "28")
    }
    assert all(float(one["null_low"]) < float(one["null_high"]) for one in images)
    record = json.loads((out / "cav.json").read_text())
    assert record["left out"] == {}
    assert record["fitted on"]["images"] == 112
    assert str(tmp_path) not in (out / "cav.json").read_text() + (out / "index.html").read_text()

    page = (out / "index.html").read_text(encoding="utf-8")
    assert "1 of 2 tests" in page
    for name in COLUMNS:
        assert f"<dt>{name}</dt>" in page

    again = tmp_path / "again"
    assert mcd_command("cav", *PHANTOMS, *CALC, "--concepts", "calcifications,mass", "-o", again).code == 0
    for path in sorted(one.relative_to(out) for one in out.rglob("*") if one.is_file()):
        assert (again / path).read_bytes() == (out / path).read_bytes(), path

    units = out / "directions" / "stages.2.safetensors"
    run = tmp_path / "run"
    done = mcd_command(
        *("dissect", *PHANTOMS, "--layers", "stages.2", "--units", f"directions:{units}", "--dissector", "annotations"),
        *("--scorer", "pearson", "--draws", "0", "-o", run),
    )
    assert done.code == 0, done.err
    stored = mcd.load(run)
    assert stored.layers == ["stages.2/stages.2"]
    assert len(stored.image_ids) == 160 - 112


def test_words_need_no_labels(mcd_command: Run, tmp_path: Path) -> None:
    words = ("--text", "calcifications", "--text", "a horse", "--dissector", "phantom-clip")
    done = mcd_command("cav", *PHANTOMS, "--layers", "stages.3", *CALC[2:-2], *words, "-o", tmp_path / "cav")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "cav" / "cav.csv").set_index("concept")
    assert set(table["method"]) == {"text"}
    assert table["r2"].nunique() == 1
    assert 0.2 < table["r2"].iloc[0] < 1
    assert table.loc["calcifications", "auroc"] > 0.8
    assert math.isnan(table.loc["a horse", "auroc"])
    assert list(table["verdict"]) == ["significant", "not significant"]
    assert set(table["null"]) == {"embeddings of whole patients exchanged"}
    assert "which explains of held-out patients: R²" in " ".join(done.out.split())


def test_a_run_brings_its_target_and_its_images(mcd_command: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = mcd_command(
        *("dissect", "--model", "phantom-mammo", "--dataset", "phantom:12", "--layers", "stages.1", "--dissector"),
        *("annotations", "--dissector-arg", "fewest=2", "--scorer", "pearson", "--draws", "0", "--device", "cpu"),
        *("--workers", "0", "-o", run),
    )
    assert done.code == 0, done.err
    common = ("--concepts", "right breast", "--classes", "0", "--sets", "19", "--workers", "0", "-o")
    assert mcd_command("cav", run, *common, tmp_path / "cav").code == 0
    names = ("--model", "phantom-mammo", "--dataset", "phantom:12", "--layers", "stages.1", "--device", "cpu")
    assert mcd_command("cav", *names, *common, tmp_path / "named").code == 0
    assert (tmp_path / "cav" / "cav.csv").read_bytes() == (tmp_path / "named" / "cav.csv").read_bytes()
    units = tmp_path / "cav" / "directions" / "stages.1.safetensors"
    done = mcd_command(
        *("dissect", "--model", "phantom-mammo", "--dataset", "phantom:12", "--layers", "stages.1", "--neurons"),
        *("--units", f"x=directions:{units}", "--fitted-images", "keep", "--dissector", "annotations"),
        *("--dissector-arg", "fewest=2", "--scorer", "pearson", "--draws", "0", "--device", "cpu", "--workers", "0"),
        *("-o", tmp_path / "through"),
    )
    assert done.code == 0, done.err
    flags = ("--concepts", "right breast", "--layers", "stages.0", "--sets", "19", "--workers", "0")
    of = ("--of", "stages.1/x:0", "--of", "stages.1:0", "-o", tmp_path / "later")
    through = ("cav", tmp_path / "through")
    assert "if you trust this run: --trust" in mcd_command(*through, *flags, *of).err
    done = mcd_command(*through, "--trust", *flags, *of)
    assert done.code == 0, done.err
    later = pd.read_csv(tmp_path / "later" / "cav.csv").set_index("class")
    assert later.loc["stages.1/x:0", "sensitivity"] != later.loc["stages.1:0", "sensitivity"]
    refused = mcd_command(*through, "--trust", *flags[:2], "--layers", "stages.1/x", *flags[4:], *of[-2:])
    assert "on which nothing in the network depends" in refused.err
    for flags, problem in (
        (("--model", "phantom-mammo"), "a run has a model and images of its own"),
        (("--limit", "3"), "a run has a model and images of its own: --limit has no part here"),
    ):
        refused = mcd_command("cav", run, *flags, *common, tmp_path / "no")
        assert (refused.code, problem in refused.err) == (2, True)
