"""Phantoms and the networks trained for them: known factors, equal bytes, and what the model card promises."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mcd
from mcd.errors import UsageError
from mcd_plugins.phantom import evaluation
from mcd_plugins.phantom.captions import FACTORS, code, report, statements
from mcd_plugins.phantom.card import NETWORKS, card_of
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.phantom.dissector import PhantomClip
from mcd_plugins.phantom.everyday import draw_everyday
from mcd_plugins.phantom.factors import HEIGHT, WIDTH, Calcifications, Lesions, Mass, Patient, View, draw_patient
from mcd_plugins.phantom.learning import as_input
from mcd_plugins.phantom.loader import PhantomCalc, PhantomClipTower, PhantomGeneral, PhantomMammo
from mcd_plugins.phantom.network import CALCIFICATIONS, EVERYDAY, PhantomClipNetwork, PhantomMammoNetwork
from mcd_plugins.phantom.render import render
from mcd_plugins.phantom.tokenizer import tokenize
from mcd_plugins.phantom.train import HELD_OUT_SEED, main

HELD_OUT = [view for number in range(60) for view in draw_patient(HELD_OUT_SEED, number).views]


@pytest.fixture(scope="module")
def held_out() -> tuple[torch.Tensor, np.ndarray]:
    return as_input(np.stack([render(view)[0] for view in HELD_OUT])), np.stack([code(view) for view in HELD_OUT])


def test_a_patient_has_four_views_and_is_the_same_in_every_data_set() -> None:
    few, many = (PhantomDataset(PhantomDataset.Options(patients=count, seed=3)) for count in (2, 9))
    short, long = list(few.scan()), list(many.scan())
    assert len(few) == len(short) == 8
    assert long[:8] == short
    sample = short[5]
    assert isinstance(sample, mcd.Sample)
    assert sample.id == "phantom-3-00001-R-CC"
    np.testing.assert_array_equal(few.read(sample).pixels, many.read(sample).pixels)
    assert few.read(sample).pixels.shape == (HEIGHT, WIDTH)
    other = PhantomDataset(PhantomDataset.Options(patients=2, seed=4))
    assert not np.array_equal(other.read(next(iter(other.scan()))).pixels, few.read(short[0]).pixels)


def test_another_seed_gives_other_patients() -> None:
    def codes(seed: int) -> np.ndarray:
        return np.stack([code(view) for number in range(10) for view in draw_patient(seed, number).views])

    assert not np.array_equal(codes(3), codes(4))
    np.testing.assert_array_equal(codes(3), codes(3))


def test_every_value_of_every_factor_occurs() -> None:
    codes = np.stack([code(view) for number in range(300) for view in draw_patient(0, number).views])
    for at, (factor, values) in enumerate(FACTORS.items()):
        assert set(codes[:, at].tolist()) - {-1} == set(range(len(values))), factor


def test_chest_wall_is_left_in_left_breasts_and_right_in_right_ones() -> None:
    for view in HELD_OUT[:20]:
        pixels = render(dataclasses.replace(view, marker=False))[0].astype(float)
        wall, far = (pixels[:, :20].mean(), pixels[:, -20:].mean())
        assert (wall > far) == (view.laterality == "L")


LESIONS = {
    "mass": Lesions(mass=Mass("oval", "circumscribed", "equal", 18.0)),
    "architectural distortion": Lesions(distortion=True),
    "asymmetry": Lesions(asymmetry=True),
    "skin thickening": Lesions(skin_thickening=True),
    "intramammary lymph node": Lesions(lymph_node=True),
    "biopsy clip": Lesions(clip=True),
    "calcifications": Lesions(calcifications=Calcifications("round", "grouped")),
}


@pytest.mark.parametrize("name", LESIONS)
@pytest.mark.parametrize("side", ["L", "R"])
def test_a_lesion_is_in_its_box_inside_the_breast_and_changes_nothing_else(name: str, side: str) -> None:
    for number in range(4):
        bare = Patient(5, number, "b", "digital", False, Lesions(), Lesions(), (False,) * 4)
        view = View(bare, side, "MLO" if number % 2 else "CC", False)
        sick = dataclasses.replace(bare, left=LESIONS[name], right=LESIONS[name])
        before, none = render(view)
        after, boxes = render(dataclasses.replace(view, patient=sick))
        assert none == ()
        ((found, x0, y0, x1, y1),) = boxes
        assert found == name
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        change = np.abs(after.astype(int) - before.astype(int))
        assert change[y0:y1, x0:x1].max() > 15
        outside = change.copy()
        outside[y0:y1, x0:x1] = 0
        assert outside.sum() < 0.5 * change.sum()
        touched = before[change > 15]
        assert (touched > 12).mean() > 0.9  # not on the black background


def test_every_lesion_of_a_view_has_a_box_in_the_breast() -> None:
    for view in HELD_OUT[:32]:
        black_around = dataclasses.replace(view.patient, scanner="digital")
        pixels, boxes = render(dataclasses.replace(view, patient=black_around, marker=False))
        shown = [finding for finding in view.findings if finding != "implant"]
        assert len(boxes) == len(shown)
        for name, x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= WIDTH
            assert 0 <= y0 < y1 <= HEIGHT
            assert any(name in finding for finding in shown)
            assert (pixels[y0:y1, x0:x1] > 0).mean() > 0.6, (view.id, name)


def test_samples_carry_boxes_when_asked() -> None:
    data = PhantomDataset(PhantomDataset.Options(patients=1, seed=2, boxes=True))
    samples = [sample for sample in data.scan() if isinstance(sample, mcd.Sample)]
    assert [sample.boxes for sample in samples] == [data.boxes(sample) for sample in samples]
    assert any(sample.boxes for sample in samples)


def test_without_the_option_the_scan_draws_nothing() -> None:
    sample = next(iter(PhantomDataset(PhantomDataset.Options(patients=1)).scan()))
    assert isinstance(sample, mcd.Sample)
    assert sample.boxes == ()


def test_the_weights_are_small() -> None:
    folder = files("mcd_plugins.phantom") / "weights"
    assert len((folder / "phantom_clip.safetensors").read_bytes()) <= 8_000_000
    assert len((folder / "phantom_mammo.safetensors").read_bytes()) <= 3_000_000
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) <= 12_000_000


def test_captions_are_true() -> None:
    rng = np.random.default_rng(0)
    for view in HELD_OUT[:20]:
        row = code(view)
        caption = report(row, rng)
        assert caption.true_of(row[None])[0]
        assert caption.phrases[0].count(".") >= 2
    spiculated = next(one for one in statements() if one.phrases[0] == "spiculated margin")
    for view in HELD_OUT:
        mass = view.lesions.mass
        assert bool(spiculated.true_of(code(view)[None])[0]) == (mass is not None and mass.margin == "spiculated")


def dissector() -> PhantomClip:
    made = PhantomClip()
    made.load()
    return made


def test_the_tokenizer_takes_any_text_and_always_alike() -> None:
    ids, starts = tokenize(["", "Spiculated MASS", "spiculated mass!", "żółć 漢字", "x" * 10_000])
    assert starts.tolist()[:2] == [0, 1]
    assert ids[starts[1] : starts[2]].tolist() == ids[starts[2] : starts[3]].tolist()
    assert torch.isfinite(dissector().encode_texts(["", "never heard of it", "żółć"])).all()


@pytest.mark.slow
def test_the_dissector_knows_every_factor_of_patients_it_has_not_seen(held_out: tuple) -> None:
    network = dissector().module
    assert isinstance(network, PhantomClipNetwork)
    areas = evaluation.zero_shot_auroc(network, *held_out)
    assert np.mean(list(areas.values())) >= 0.88  # 240 images; the model card has 1,200
    assert min(areas.values()) >= 0.65, areas


def test_the_target_knows_its_findings(held_out: tuple) -> None:
    network = PhantomMammo().load().module
    assert isinstance(network, PhantomMammoNetwork)
    assert np.mean(list(evaluation.mammo_auroc(network, *held_out).values())) >= 0.85


def test_the_general_network_tells_everyday_images_apart() -> None:
    drawn = [draw_everyday(HELD_OUT_SEED, number) for number in range(120)]
    images, kinds = as_input(np.stack([pixels for pixels, _ in drawn])), np.array([kind for _, kind in drawn])
    network = PhantomGeneral().load().module
    assert isinstance(network, PhantomMammoNetwork)
    areas = evaluation.general_auroc(network, images, kinds)
    assert areas.keys() == set(EVERYDAY)
    assert np.mean(list(areas.values())) >= 0.95
    assert min(areas.values()) >= 0.85, areas  # 120 images; the model card has 1,200


@pytest.mark.slow
def test_the_fine_tuned_network_knows_calcifications_better_than_before(held_out: tuple) -> None:
    before, after = PhantomMammo().load().module, PhantomCalc().load().module
    assert isinstance(before, PhantomMammoNetwork)
    assert isinstance(after, PhantomMammoNetwork)
    areas = evaluation.calc_auroc(after, *held_out)
    assert areas.keys() == set(CALCIFICATIONS)
    assert np.mean(list(areas.values())) >= 0.85, areas
    once = evaluation.mammo_auroc(before, *held_out)
    assert areas["suspicious calcifications"] > once["suspicious calcifications"]


def test_what_is_not_calcification_is_no_truth_of_the_fine_tuned_network() -> None:
    codes = np.stack([code(view) for view in HELD_OUT])
    truth = dict(zip(CALCIFICATIONS, evaluation.calcifications(codes).T, strict=True))
    for view, *has in zip(HELD_OUT, *truth.values(), strict=True):
        there = view.lesions.calcifications
        told = {name for name, one in zip(CALCIFICATIONS, has, strict=True) if one}
        if there is None:
            assert told == set()
        else:
            benign = there.morphology in ("round", "rim", "coarse")
            assert told == {
                "calcifications",
                f"{'benign' if benign else 'suspicious'} calcifications",
                f"{there.morphology} morphology",
                f"{there.distribution} distribution",
            }


def test_the_three_targets_of_the_demo_have_the_same_layers() -> None:
    networks = [loader().load().module for loader in (PhantomMammo, PhantomGeneral, PhantomCalc)]
    names = [[name for name, _ in network.named_modules()] for network in networks]
    assert names[0] == names[1] == names[2]
    shapes = [
        {name: value.shape for name, value in network.state_dict().items() if not name.startswith("head.")}
        for network in networks
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert all(value.dtype == torch.float32 for network in networks for value in network.parameters())


def test_the_model_card_keeps_its_promise() -> None:
    card = (files("mcd_plugins.phantom") / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = card.split("| factor | AUROC |")[1].split("| **mean**")[0]
    areas = {
        line.split("|")[1].strip(): float(line.split("|")[2])
        for line in rows.splitlines()
        if "| 0" in line or "| 1" in line
    }
    assert areas.keys() == FACTORS.keys()
    assert np.mean(list(areas.values())) >= 0.90
    assert min(areas.values()) >= 0.75
    assert "never for patients" in card
    for name in ("phantom-mammo", "phantom-general", "phantom-calc"):
        section = card.split(f"## {name}\n")[1].split("\n## ")[0]
        assert float(section.split("| **mean** | **")[1][:5]) >= 0.90


def test_the_card_of_one_network_trained_anew_still_has_the_others(tmp_path: Path) -> None:
    shipped = (files("mcd_plugins.phantom") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card_of(tmp_path) == shipped
    measured = (files("mcd_plugins.phantom") / "weights" / "phantom_calc.json").read_text(encoding="utf-8")
    (tmp_path / "phantom_calc.json").write_text(measured.replace('"seed": 0', '"seed": 5'), encoding="utf-8")
    card = card_of(tmp_path)
    assert "with seed 5" in card.split("## phantom-calc\n")[1]
    assert card.split("## phantom-calc\n")[0] == shipped.split("## phantom-calc\n")[0]


def test_the_tower_as_target_is_the_dissectors_own() -> None:
    from mcd.networks.identity import identity_of

    tower = dissector().image_tower
    assert tower is not None
    assert identity_of(PhantomClipTower().load().module) == identity_of(tower)


def test_an_area_under_the_curve_taken_by_hand() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8], dtype=np.float32)
    truth = np.array([False, True, False, True])
    assert evaluation.auroc(scores, truth) == (1 + 0.5 + 1 + 1) / 4


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "phantom_calc.safetensors", "phantom_calc.json"])
def test_training_replaces_nothing_of_others_and_says_so_before_it_begins(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("theirs")
    started = CliRunner().invoke(main, ["calc", "--output", str(tmp_path)])
    assert isinstance(started.exception, UsageError)
    assert f"{name} is in the way" in str(started.exception)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.nightly
def test_training_is_reproducible_and_replaces_what_it_wrote_before(tmp_path: Path) -> None:
    weights, folder = [], tmp_path
    for _ in range(2):
        arguments = [
            "all",
            "--output",
            str(folder),
            "--patients",
            "32",
            "--held-out",
            "32",
            "--epochs",
            "1",
            "--mammo-epochs",
            "1",
            "--general-epochs",
            "1",
            "--calc-epochs",
            "1",
        ]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        weights.append([(folder / f"{network}.safetensors").read_bytes() for network in NETWORKS])
    assert weights[0] == weights[1]
