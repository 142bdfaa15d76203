"""``mcd dictionary train``: what is written and printed, on which patients, the same bytes, and what is refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tests.command_line import Outcome
from tests.plugins.dictionary.positions import Nameless, Sources, mixing, ready

import mcd
from mcd.errors import DataError, UsageError
from mcd.plugins import digest, target_images
from mcd_plugins.dictionary.kinds import Recipe
from mcd_plugins.dictionary.record import read_dictionary
from mcd_plugins.dictionary.sampling import divided
from mcd_plugins.dictionary.stability import stability
from mcd_plugins.dictionary.training import decimal, train

Run = Callable[..., Outcome]
PHANTOMS = ("--model-plugin", "phantom-mammo", "--dataset", "phantom:8", "--device", "cpu", "--workers", "0")
SMALL = ("--layers", "stages.3", "--latents", "24", "--k", "4", "--steps", "60", "--positions", "40")


@pytest.fixture(scope="module")
def trained(mcd_command: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("trained")
    done = mcd_command("dictionary", "train", *PHANTOMS, *SMALL, "-o", "sae.safetensors", cwd=folder)
    assert done.code == 0, done.err
    return folder / "sae.safetensors", done


def test_a_dictionary_says_what_it_was_fitted_on_and_how_good_it_is(trained: tuple[Path, Outcome]) -> None:
    path, done = trained
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
        assert file.get_tensor("decoder").shape == (24, 128)
    facts = json.loads(said["facts"])
    assert (said["layer"], said["activation"], said["k"]) == ("stages.3", "topk", "4")
    assert facts["fitted on"] == "160 positions of 16 images of 4 patients, seed 0"
    assert facts["measured on"] == "160 positions of 16 images of 4 other patients"
    assert facts["stability"] == "not measured"
    assert list(facts)[:5] == ["kind", "latents", "L0", "dead", "R²"]
    for name, text in facts.items():
        assert name in done.out
        assert text in done.out
    images = target_images("phantom-mammo", "phantom:8", device="cpu", workers=0, store="off", progress=False)
    fitted = set(json.loads(said["fitted"]))
    division = divided(images.samples, 0.5, seed=0)
    rows = {row for own in division.fitted.values() for row in own}
    assert fitted == {images.digests[row] for row in rows}
    patients = [{one.patient for one in images.samples if (one.digest in fitted) is here} for here in (True, False)]
    assert (len(patients[0]), len(patients[1]), patients[0] & patients[1]) == (4, 4, set())
    record = json.loads(said["mcd"])
    assert record["images"] == digest(*images.digests)
    assert record["network"] == images.network
    assert str(path.parent) not in str(said)
    assert not any(one.patient in str(said) for one in images.samples)
    assert max(map(len, done.out.split("for its stability")[0].splitlines())) <= 80


def test_what_is_printed_last_can_be_typed(trained: tuple[Path, Outcome], mcd_command: Run) -> None:
    path, done = trained
    stability, dissect = done.out.strip().splitlines()[-2:]
    assert stability == (
        "for its stability: mcd dictionary stability sae.safetensors --model-plugin phantom-mammo --dataset phantom:8"
    )
    words = dissect.partition("mcd ")[2].replace("--dissector …", "--dissector phantom-clip").split()
    few = ("--concepts", "phantom", "--scorer", "cosine", "--draws", "20", "--most-draws", "20", "--device", "cpu")
    found = mcd_command(*words, *few, "--workers", "0", "-o", "run", cwd=path.parent)
    assert found.code == 0, found.err
    run = mcd.load(path.parent / "run")
    assert run.layers == ["stages.3", "stages.3/sae"]
    assert len(run.image_ids) == 16  # of the other four patients
    assert "random units" in set(run.results.controls["control"])


def test_the_same_settings_make_the_same_bytes_from_names_or_a_run(
    trained: tuple[Path, Outcome], mcd_command: Run, tmp_path: Path
) -> None:
    path, _ = trained
    again = mcd_command("dictionary", "train", *PHANTOMS, *SMALL, "--batch-size", "5", "-o", tmp_path / "a.safetensors")
    assert again.code == 0, again.err
    run = mcd.dissect(
        "phantom-mammo",
        layers="stages.3",
        dissector="phantom-clip",
        dataset="phantom:8",
        concepts="phantom",
        scorer="cosine",
        calibration={"draws": 0},
        device="cpu",
        workers=0,
        progress=False,
        output=tmp_path / "run",
    )
    of_run = mcd_command("dictionary", "train", run.folder, *SMALL[2:], "-o", tmp_path / "b.safetensors", "--json")
    assert of_run.code == 0, of_run.err
    assert json.loads(of_run.out)["layer"] == "stages.3"
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()
    here, there = read_dictionary(tmp_path / "a.safetensors"), read_dictionary(path)
    torch.testing.assert_close(here.fitted.decoder, there.fitted.decoder)  # other batches round otherwise


KILLED = """
import os, signal
import mcd
from mcd import events

@mcd.hookimpl
def mcd_on_event(event):
    if isinstance(event, events.StageFinished) and event.stage == "fit":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.nightly
def test_what_is_killed_leaves_nothing_half(mcd_process: Run, tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLED)
    folder = tmp_path / "out"
    asked = ("dictionary", "train", *PHANTOMS, *SMALL, "--plugin-file", tmp_path / "killer.py")
    done = mcd_process(*asked, "-o", folder / "sae.safetensors")
    assert done.code == -signal.SIGKILL
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "which model, and which images?"),
        ((*PHANTOMS, "--layers", "stages.*"), 2, "one layer is needed, and 4 are chosen"),
        ((*PHANTOMS, "--layers", "stagess"), 2, "no layer matches 'stagess'"),
        (PHANTOMS, 2, "which layers of phantom-mammo"),
        ((*PHANTOMS, *SMALL, "--k", "25"), 2, "k 25 of 24 latents"),
        ((*PHANTOMS, *SMALL, "--latents", "161"), 2, "at most 160 positions for 161 latents"),
        ((*PHANTOMS, *SMALL, "--layers", "head"), 2, "at most 16 positions for 24 latents"),
        ((*PHANTOMS, *SMALL, "--kind", "kmeans"), 2, "--k has no part in kind kmeans"),
        ((*PHANTOMS, *SMALL, "--limit", "4"), 4, "4 images of one patient"),
        ((*PHANTOMS, *SMALL, "-o", "sae.pt"), 2, "sae.pt is no name of a dictionary"),
        ((*PHANTOMS, *SMALL, "-o", "theirs.safetensors"), 2, "theirs.safetensors is in the way"),
        (("nothing", *SMALL), 4, "nothing is not a run folder"),
        (("nothing", *PHANTOMS, *SMALL), 2, "a run has a model and images of its own: --model-plugin"),
    ],
)
def test_what_does_not_fit_is_one_message(
    mcd_command: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "theirs.safetensors").write_text("theirs")
    done = mcd_command("dictionary", "train", "-o", "sae.safetensors", *arguments, cwd=tmp_path)
    assert done.code == code, done.err
    assert said in done.err
    assert (done.out, [one.name for one in tmp_path.iterdir()]) == ("", ["theirs.safetensors"])


RECIPE = Recipe(latents=20, k=3, steps=20, batch=128)


def test_every_kind_is_written_as_the_unit_source_reads_it(tmp_path: Path) -> None:
    images = ready(mixing(), Sources())
    kinds = {
        "batchtopk": (Recipe("batchtopk", latents=20, k=3, steps=20), "jumprelu"),
        "relu": (Recipe("relu", latents=20, sparsity=0.3, steps=20), "relu"),
        "nmf": (Recipe("nmf", latents=5), "nonnegative"),
        "kmeans": (Recipe("kmeans", latents=5), "nearest"),
    }
    for name, (recipe, activation) in kinds.items():
        done = train(images, tmp_path / f"{name}.safetensors", recipe, layer="mixed", share=1)
        stored = read_dictionary(done.path)
        assert stored.fitted.activation == activation
        assert stored.training.recipe == recipe
        assert done.facts["measured on"] == "its own positions: it was fitted on all patients"
    assert done.facts["kind"] == "k-means"
    semi = read_dictionary(tmp_path / "nmf.safetensors").facts["kind"]
    assert semi == "semi-NMF"  # the layer has negative values


def test_what_a_reader_must_know_is_said(tmp_path: Path) -> None:
    done = train(ready(mixing(), Nameless()), tmp_path / "sae.safetensors", RECIPE, layer="mixed")
    assert [one.partition(":")[0] for one in done.remarks] == [
        "24 of 24 images do not say whose they are",
        "the data set knows no breasts",
    ]
    assert done.facts["fitted on"] == "768 positions of 12 images, seed 0"  # 64 in each


def test_a_dictionary_in_which_nothing_responds_is_said_to_be_none(tmp_path: Path) -> None:
    images = ready(mixing(), Sources())
    recipe = Recipe("relu", latents=12, sparsity=10_000, steps=300, learning_rate=0.05)
    done = train(images, tmp_path / "sae.safetensors", recipe, layer="mixed")
    assert (done.facts["L0"], done.facts["dead"]) == ("0.0", "100.0 %")
    assert done.remarks[0].startswith("none of its latents responds: train it again with")
    with pytest.raises(DataError, match="none of the latents of"):
        stability(read_dictionary(done.path), images)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"share": 0.0}, "a share of 0 of the patients"),
        ({"share": 1.5}, "a share of 1.5 of the patients"),
        ({"share": float("nan")}, "a share of nan"),
        ({"positions": 0}, "0 positions of a patient"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**32}, "seed 4294967296"),
    ],
)
def test_draws_that_cannot_be_are_refused(asked: dict[str, float], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        train(ready(mixing(), Sources()), tmp_path / "sae.safetensors", RECIPE, layer="mixed", **asked)  # type: ignore[arg-type]  # wrong on purpose
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.25, ".250"),
        (-0.5, "-.500"),
        (1, "1.000"),
        (-10.5, "-10.500"),
        (-20.25, "-20.250"),
        (float("nan"), "undefined"),
    ],
)
def test_decimals_lose_a_zero_before_the_point_only(value: float, shown: str) -> None:
    assert decimal(value) == shown


def test_a_layer_that_says_nothing_is_refused(tmp_path: Path) -> None:
    target = mixing()
    torch.nn.init.zeros_(target.module.get_parameter("mixed.weight"))
    with pytest.raises(DataError, match="the same at every position"):
        train(ready(target, Sources()), tmp_path / "sae.safetensors", RECIPE, layer="mixed")
    torch.nn.init.constant_(target.module.get_parameter("mixed.weight"), torch.inf)
    with pytest.raises(DataError, match="outputs of layer mixed of mixing are NaN or infinite for image tiny-"):
        train(ready(target, Sources()), tmp_path / "sae.safetensors", RECIPE, layer="mixed")
    with pytest.raises(UsageError, match="to be fitted; at most 16 GB are taken"):
        train(ready(target, Sources()), tmp_path / "sae.safetensors", Recipe(latents=10**6, batch=4096), layer="mixed")
    with pytest.raises(UsageError, match="is no name of a dictionary"):
        train(ready(target, Sources()), tmp_path / "sae", RECIPE, layer="mixed")
    assert list(tmp_path.iterdir()) == []
