"""``mcd dictionary stability``: planted directions are found again, those of noise no more often than random ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.command_line import Outcome
from tests.plugins.dictionary.positions import Sources, mixing, ready

from mcd_plugins.dictionary.kinds import Fitted, Recipe
from mcd_plugins.dictionary.record import read_dictionary
from mcd_plugins.dictionary.sampling import divided, halves
from mcd_plugins.dictionary.stability import Agreement, Alive, agreement, other_seeds, stability, with_stability
from mcd_plugins.dictionary.training import train

Run = Callable[..., Outcome]
PHANTOMS = ("--model-plugin", "phantom-mammo", "--dataset", "phantom:8", "--device", "cpu", "--workers", "0")
SMALL = ("--layers", "stages.3", "--latents", "12", "--k", "3", "--steps", "30", "--where", 'view == "CC"')


def agreements(folder: Path, dataset: Sources) -> tuple[Agreement, ...]:
    images = ready(mixing(), dataset)
    recipe = Recipe(latents=16, k=3, steps=400, batch=128, learning_rate=0.008)
    done = train(images, folder / "sae.safetensors", recipe, layer="mixed", positions=128, share=1)
    return stability(read_dictionary(done.path), images)


def test_planted_directions_are_found_again_in_other_patients(tmp_path: Path) -> None:
    seeds, patients, chance = agreements(tmp_path, Sources())
    assert seeds.mean > 0.9
    assert patients.mean > 0.9
    assert min(seeds.high, patients.high) > 0.8
    assert chance.mean < 0.6
    assert seeds.latents == 16


def test_latents_count_as_much_as_they_rebuild() -> None:
    samples = torch.tensor([[4.0, 0, 0], [0, 2, 0], [0, 2, 0], [0, 0, 1]])
    rows = torch.eye(3) * torch.tensor([[1.0], [0.5], [2.0]])
    fitted = Fitted(rows.reciprocal().nan_to_num(posinf=0.0), rows, None, None, None, "relu", None, "ReLU-L1")
    found = Alive.of(fitted, samples)
    assert found.energy.tolist() == [16, 8, 1]
    other = Alive(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]]), found.energy)
    agreed = agreement("others", [(found, other)])
    assert agreed.mean == pytest.approx(2 / 3)
    assert agreed.weighted == pytest.approx((24 / 25 + 24 / 25) / 2)
    fewer = agreement("fewer", [(found, Alive(other.rows[:1], found.energy[:1]))])
    assert fewer.mean == pytest.approx(1 / 3)
    assert fewer.weighted == pytest.approx((16 / 25 + 1) / 2)


def test_directions_of_noise_are_not(tmp_path: Path) -> None:
    seeds, patients, chance = agreements(tmp_path, Sources(sparse=False))
    assert max(seeds.mean, patients.mean) < chance.mean + 0.1
    assert max(seeds.high, patients.high) < 0.1


def test_what_one_half_of_the_patients_has_is_not_found_in_the_other(tmp_path: Path) -> None:
    samples = list(Sources().scan())
    patients = divided(samples, 1, 0).fitted
    one, _ = halves(patients, 0)
    seeds, others, chance = agreements(
        tmp_path, Sources(upper={samples[row].id for key in one for row in patients[key]})
    )
    assert seeds.high > 0.8
    assert others.mean < chance.mean
    assert others.high == 0


def test_random_dictionaries_keep_what_channels_have_in_common() -> None:
    rows = torch.randn(30, 5) * torch.tensor([5.0, 1, 1, 1, 0]) + torch.tensor([9.0, 0, 0, 0, 0])
    own = Alive(rows, torch.ones(30, dtype=torch.float64))
    found = own.shuffled(0).rows
    assert torch.equal(found.sort(dim=0).values, rows.sort(dim=0).values)
    assert not torch.equal(found, rows)
    assert torch.equal(own.shuffled(0).rows, found)
    assert not torch.equal(own.shuffled(1).rows, found)


def test_the_largest_seed_has_others_after_it(tmp_path: Path) -> None:
    images, largest = ready(mixing(), Sources()), 2**32 - 1
    done = train(images, tmp_path / "km.safetensors", Recipe("kmeans", latents=4), layer="mixed", seed=largest)
    seeds, _, _ = stability(read_dictionary(done.path), images)
    assert 0 < seeds.mean <= 1
    assert other_seeds(largest) == (0, 1, 2)


def test_stability_stands_where_it_was_not_measured_or_last() -> None:
    found = [Agreement(what, 0.5, 0.25, 0.25, 0.1, 9) for what in ("seeds", "patients", "chance")]
    measured = ["stability of seeds", "stability of patients"]
    assert list(with_stability({"a": "1", "stability": "not measured", "b": "2"}, found)) == ["a", *measured, "b"]
    assert list(with_stability({"a": "1"}, found)) == ["a", *measured]
    again = with_stability({"a": "1", **dict.fromkeys(measured, "old"), "b": "2"}, found)
    assert list(again) == ["a", *measured, "b"]
    assert "old" not in again.values()


def test_where_nothing_responds_nothing_is_found_again() -> None:
    none = Alive(torch.zeros(0, 3), torch.zeros(0, dtype=torch.float64))
    some = Alive(torch.eye(3), torch.ones(3, dtype=torch.float64))
    for pair, latents in (((none, none), 0), ((none, some), 3)):
        found = agreement("others", [pair])
        assert (found.weighted, found.mean, found.median, found.high, found.latents) == (0, 0, 0, 0, latents)


@pytest.fixture(scope="module")
def trained(mcd_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "sae.safetensors"
    done = mcd_command("dictionary", "train", *PHANTOMS, *SMALL, "-o", path)
    assert done.code == 0, done.err
    return path


def test_what_is_found_is_written_beside_tensors_that_stay(trained: Path, mcd_command: Run, tmp_path: Path) -> None:
    before = load_file(trained)
    with safe_open(trained, framework="pt") as file:
        said = file.metadata()
    other = tmp_path / "with.safetensors"
    done = mcd_command(
        "dictionary", "stability", trained, *PHANTOMS, "-o", other.name, cwd=tmp_path
    )  # --where is recorded
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    after = load_file(other)
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert after.keys() == before.keys()
    with safe_open(other, framework="pt") as file:
        now = file.metadata()
    facts = json.loads(now.pop("facts"))
    assert now == {name: one for name, one in said.items() if name != "facts"}
    assert "stability" not in facts
    assert "by chance" in facts["stability of seeds"]
    assert [one for one in facts if one.startswith("stability")] == ["stability of seeds", "stability of patients"]
    again = mcd_command("dictionary", "stability", other, *PHANTOMS, "--json")
    assert again.code == 0, again.err
    shown = json.loads(again.out)
    assert [one["what"] for one in shown] == ["another seed", "two halves of its patients", "random dictionaries"]
    assert f"{shown[0]['weighted']:.3f}"[1:] == facts["stability of seeds"].partition(" ")[0]
    with safe_open(other, framework="pt") as file:
        assert json.loads(file.metadata()["facts"]) == facts


def test_a_condition_on_patients_is_typed_again_for_it_is_not_recorded(mcd_command: Run, tmp_path: Path) -> None:
    where = ("--where", 'patient != "7-00001"')
    path, small = tmp_path / "sae.safetensors", SMALL[:-2]
    done = mcd_command("dictionary", "train", *PHANTOMS, *where, *small, "-o", path)
    assert done.code == 0, done.err
    assert b"7-00001" not in path.read_bytes()
    refused = mcd_command("dictionary", "stability", path, *PHANTOMS)
    assert refused.code == 4
    assert "--dataset phantom --where …" in refused.err
    assert mcd_command("dictionary", "stability", path, *PHANTOMS, *where).code == 0


def test_another_model_other_images_and_files_of_others_are_refused(
    trained: Path, mcd_command: Run, tmp_path: Path
) -> None:
    other = ("--model-plugin", "phantom-general", *PHANTOMS[2:])
    more = (*PHANTOMS[:2], "--dataset", "phantom:7", *PHANTOMS[4:])
    foreign = tmp_path / "foreign.safetensors"
    about = {"activation": "relu"}
    save_file({"encoder": torch.eye(3), "decoder": torch.eye(3)}, foreign, metadata=about)
    broken = tmp_path / "broken.safetensors"
    save_file(load_file(trained), broken, metadata={**about, "mcd": '{"schema": "mcd.dictionary/1", "seed": "x"}'})
    with safe_open(trained, framework="pt") as file:
        whole = file.metadata()
    spoilt = {
        "layer": ({**whole, "layer": "stages.2"}, "its layer is stages.2, and its record says stages.3"),
        "k": ({**whole, "k": "2"}, "its k is 2, and its record says 3"),
        "limit": (
            {**whole, "mcd": whole["mcd"].replace('"plugin":"phantom"', '"plugin":"phantom","limit":"many"')},
            "is damaged",
        ),
    }
    for name, (metadata, _) in spoilt.items():
        save_file(load_file(trained), tmp_path / f"{name}.safetensors", metadata=metadata)
    for path, flags, code, said in (
        *((tmp_path / f"{name}.safetensors", PHANTOMS, 4, said) for name, (_, said) in spoilt.items()),
        (trained, other, 4, "was trained on another model, or on other weights of it"),
        (trained, more, 4, "--dataset-arg patients=8 --dataset-arg seed=7 --dataset-arg boxes=False"),
        (trained, (*PHANTOMS, "--where", 'view == "MLO"'), 4, "give those that it was trained on: --dataset phantom"),
        (trained, (*PHANTOMS, "--recipe", "mammo-clip"), 4, "prepared otherwise"),
        (trained, (), 2, "which model, and which images?"),
        (foreign, PHANTOMS, 4, "does not say how it was trained"),
        (broken, PHANTOMS, 4, "is damaged"),
        (tmp_path / "none.safetensors", PHANTOMS, 4, "there is no file"),
    ):
        kept = path.read_bytes() if path.exists() else b""
        done = mcd_command("dictionary", "stability", path, *flags)
        assert (done.code, done.out) == (code, ""), done.err
        assert said in done.err
        assert (path.read_bytes() if path.exists() else b"") == kept
