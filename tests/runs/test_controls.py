"""Negative controls: what a run says where there is nothing to be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import mcd
from mcd.api.concepts import Concept
from mcd.api.ranking import Ties
from mcd.errors import ConfigError, UsageError
from mcd.networks.controls import with_random_weights
from mcd.runs.controls import COLUMNS, rotated, tautology
from mcd.scoring.activations import Held
from mcd.scoring.labelling import Labeller
from mcd.scoring.similarity import Matrix
from mcd.scoring.verdicts import SIGNIFICANT
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.pearson import Pearson


def test_random_weights_keep_every_value_and_leave_the_original_alone() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    control = with_random_weights(mcd.Target("net", module), 0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    for name, parameter in control.module.named_parameters():
        assert torch.equal(parameter.flatten().sort().values, before[name].flatten().sort().values)
    assert not torch.equal(control.module[0].weight, module[0].weight)
    again, other = with_random_weights(mcd.Target("net", module), 0), with_random_weights(mcd.Target("net", module), 1)
    assert torch.equal(again.module[3].weight, control.module[3].weight)
    assert not torch.equal(other.module[0].weight, control.module[0].weight)


def turned(activations: torch.Tensor, ties: Ties, seed: int) -> torch.Tensor:
    return rotated(Held(activations), ties, seed).held().values


def spread(values: torch.Tensor) -> torch.Tensor:
    centred = values - values.mean(dim=0)
    return torch.linalg.svdvals(centred)


def test_a_rotation_keeps_the_subspace_and_no_neuron() -> None:
    torch.manual_seed(0)
    activations = torch.randn(60, 12) * torch.arange(1.0, 13)
    activations[:, 3], activations[:, 7] = 0, 2.5
    ties = Ties.of([str(row) for row in range(60)], 0)
    found = turned(activations, ties, 0)
    assert torch.equal(found[:, [3, 7]], activations[:, [3, 7]])
    assert torch.allclose(spread(found), spread(activations), rtol=1e-4, atol=1e-3)
    live = [at for at in range(12) if at not in (3, 7)]
    correlation = torch.corrcoef(torch.cat([found[:, live], activations[:, live]], dim=1).T)[:10, 10:]
    assert correlation.abs().amax() < 0.999
    order = torch.randperm(12)
    again = turned(activations[:, order], ties, 0)
    assert torch.allclose(again.sum(dim=0).sort().values, found.sum(dim=0).sort().values, rtol=1e-3, atol=1e-2)
    rows = torch.randperm(60)
    moved = turned(activations[rows], Ties.of([str(row) for row in rows.tolist()], 0), 0)
    assert torch.allclose(moved, found[rows], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(turned(activations, ties, 1), found)


def test_concepts_that_lie_along_neurons_are_lost_in_a_rotation_and_those_of_a_subspace_are_not() -> None:
    rng = np.random.default_rng(0)
    concepts = rng.normal(size=(400, 8))
    own = np.repeat(concepts, 8, axis=1) + 0.8 * rng.normal(size=(400, 64))
    shared = concepts @ rng.normal(size=(8, 64)) + 2 * rng.normal(size=(400, 64))
    names = [Concept(str(one), str(one), "x", (str(one),)) for one in range(8)]
    ties = Ties.of([str(row) for row in range(400)], 0)
    z = {}
    for layer, values in (("own", own), ("shared", shared)):
        activations = torch.from_numpy(values.astype(np.float32))
        for name, changed in (("neurons", activations), ("rotated", turned(activations, ties, 0))):
            labeller = Labeller(
                Pearson(),
                Matrix(torch.from_numpy(concepts.astype(np.float32))),
                names,
                Calibration(draws=200, most_draws=200, nuisances=False, right=False),
                [""] * 400,
                1,
            )
            (scored,) = labeller.scored({layer: lambda changed=changed: changed})
            assert scored.judged is not None
            z[layer, name] = float(scored.judged.z[:, 0].mean())
    assert z["own", "rotated"] < 0.8 * z["own", "neurons"]
    assert z["shared", "rotated"] == pytest.approx(z["shared", "neurons"], rel=0.15)


class Unique(nn.Linear):
    def __deepcopy__(self, memo: object) -> nn.Module:
        raise TypeError("there is only one of me")


def test_a_target_that_cannot_be_copied_is_said() -> None:
    with pytest.raises(UsageError, match="only one of me"):
        with_random_weights(mcd.Target("net", Unique(2, 2)), 0)


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., object]) -> Path:
    folder = tmp_path_factory.mktemp("controls")
    (folder / "words.yaml").write_text(
        "name: words\nbroad_categories:\n  Breast:\n    Seen: [right breast, left breast, breast implant, mass]\n"
        "  Other:\n    Not: [{term: a cat, mammographic: false}, {term: a red car, mammographic: false}]\n"
    )
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--layers",
        "head",
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=30",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "words.yaml",
        "--scorer-arg",
        "top_k=20",
        "--controls",
        "-o",
        "run",
        cwd=folder,
    )
    assert done.code == 0, done.err
    (folder / "out.txt").write_text(done.out)
    return folder


def test_controls_stand_beside_the_run(controlled: Path) -> None:
    run = mcd.load(controlled / "run")
    table = pd.read_csv(controlled / "run" / "controls.csv")
    assert tuple(table.columns) == COLUMNS
    assert list(dict.fromkeys(table["control"])) == [
        "none",
        "random weights",
        "shuffled rows",
        "random rotation",
        "random dissector",
        "shuffled names",
    ]
    above = table.groupby("control")["significant"].sum()
    assert above["none"] == sum(one.significant or 0 for one in run.manifest.summary) > 25
    assert above["shuffled rows"] <= 0.05 * 139
    assert above["shuffled names"] == above["none"]
    mammographic = table.groupby("control")["mammographic"].sum()
    first = run.labels[(run.labels["rank"] == 1) & run.labels["verdict"].isin(SIGNIFICANT)]
    assert mammographic["none"] == (~first["concept"].isin(["a cat", "a red car"])).sum()
    assert mammographic["shuffled names"] != mammographic["none"]
    for name in ("random-weights", "random-dissector"):
        control = mcd.load(controlled / "run" / "controls" / name)
        assert control.manifest.control == name.replace("-", " ")
        assert control.image_ids == run.image_ids
    assert run.manifest.control == ""


def test_the_summary_shows_the_run_beside_its_controls(controlled: Path) -> None:
    out = (controlled / "out.txt").read_text()
    shown = out[out.index("Negative controls") :]
    assert "this run" in shown
    assert "shuffled rows" in shown
    assert max(map(len, out.splitlines())) <= 80


def test_labels_are_those_of_a_run_without_controls(controlled: Path, mcd_command: Callable[..., object]) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--layers",
        "head",
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=30",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "words.yaml",
        "--scorer-arg",
        "top_k=20",
        "-o",
        "plain",
        cwd=controlled,
    )
    assert done.code == 0, done.err
    assert (controlled / "plain/labels.csv").read_bytes() == (controlled / "run/labels.csv").read_bytes()


def test_controls_without_significance_are_refused() -> None:
    with pytest.raises(ConfigError, match="they need significance"):
        mcd.dissect(
            "phantom-mammo",
            dataset="phantom",
            dissector="phantom-clip",
            layers="head",
            controls=True,
            calibration={"draws": 0},
            progress=False,
        )


def test_scoring_anew_says_that_the_controls_stay_behind(controlled: Path, mcd_command: Callable[..., object]) -> None:
    done = mcd_command("score", "run", "--template", "a picture of {concept}", cwd=controlled)
    assert done.code == 0, done.err
    assert "controls of the run are not scored anew" in done.err
    (scored,) = (controlled / "run" / "scored").iterdir()
    found = mcd.load(scored)
    assert found.manifest.study["controls"] is False
    assert not len(found.results.controls)
    other = mcd_command("score", "run", "--template", "a drawing of {concept}", cwd=controlled)
    assert other.code == 0, other.err
    assert len(list((controlled / "run" / "scored").iterdir())) == 2  # each wording has a folder of its own
    control = mcd_command("score", "run/controls/random-dissector", "--concepts", "phantom", cwd=controlled)
    assert control.code == 4
    assert "is a control" in control.err


def test_it_is_said_where_shuffled_names_cannot_differ_from_the_run() -> None:
    breast, cat = Concept("mass", "", ""), Concept("a cat", "", "", mammographic=False)
    assert tautology([breast, cat]) == ""
    assert "every concept of the vocabulary is mammographic" in tautology([breast, breast])
    assert "no concept of the vocabulary is mammographic" in tautology([cat])
