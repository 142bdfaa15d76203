"""A run with networks that have not been trained: what it keeps, what goes on, and what is said without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import mcd
from mcd.api.base import digest
from mcd.errors import ConfigError
from mcd.networks.untrained import reinitialised
from mcd.runs.verifying import verify
from mcd.scoring.rungs import NUISANCE, UNTRAINED
from mcd_plugins.console.summary import ConsoleReporter
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.reporters.facts import facts_of

RECIPE = mcd.Preprocessing(height=48, width=48, channels=1)
PATIENTS, BATCH = 20, 16
FEW = {"draws": 60, "most_draws": 60, "right": False}


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, 2), nn.BatchNorm2d(12)
    )


class Stopped(mcd.Dissector):
    """Sees the mean of an image in patches, and is interrupted in front of its fifth batch where asked to."""

    stop = False

    def __init__(self) -> None:
        super().__init__()
        self.name, self.preprocessing, self.module, self.seen = "patches", RECIPE, nn.Identity(), 0

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        if Stopped.stop and self.seen >= 4:
            raise KeyboardInterrupt
        self.seen += len(batch) > 3  # the first few are of noise
        return nn.functional.adaptive_avg_pool2d(batch, 4).flatten(1)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.randn(len(texts), 16, generator=torch.Generator().manual_seed(0))

    def fingerprint(self) -> str:
        return "patches"


def dissect(folder: Path, module: nn.Module | None = None, **settings: object) -> mcd.Dissection:
    return mcd.dissect(
        mcd.Target("net", module or network(), RECIPE),
        **{"layers": ["1", "4"], "dissector": "phantom-clip", "untrained": 10, **settings},
        dataset={"plugin": "phantom", "options": {"patients": PATIENTS}},
        concepts=["mass", "right breast", "left breast", "mediolateral oblique view"],
        scorer="pearson",
        device="cpu",
        calibration=FEW,
        progress=False,
        batch_size=BATCH,
        workers=0,
        output=folder,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("untrained") / "run"
    dissect(folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def shards(folder: Path) -> dict[str, bytes]:
    """Return what is kept of the target and of the untrained networks."""
    paths = [path for name in ("activations", "untrained") for path in (folder / name).rglob("*.safetensors")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def batches() -> Iterator[torch.Tensor]:
    data = PhantomDataset(PhantomDataset.Options(patients=PATIENTS))
    images = [RECIPE.prepare(data.read(one)) for one in data.scan() if isinstance(one, mcd.Sample)]
    for at in range(0, len(images), BATCH):
        yield RECIPE.finalize(torch.stack(images[at : at + BATCH]))


def test_what_is_kept_is_what_networks_drawn_anew_give(made: Path) -> None:
    found = mcd.load(made)
    assert found.manifest.rungs == {NUISANCE: "", UNTRAINED: ""}
    assert len(found.manifest.store.untrained) == 10
    seen = list(found.untrained("4"))
    for number in (0, 9):
        module = reinitialised(mcd.Target("net", network()), int(digest("0", str(number))[:15], 16)).module.eval()
        means = torch.zeros(8), torch.zeros(8)
        with torch.no_grad():
            for batch in batches():  # by hand, what the first normalisation sees of each batch
                values = module[0](batch)
                means[0].add_(values.mean(dim=(0, 2, 3)))
                means[1].add_(values.var(dim=(0, 2, 3)))
            count = len(list(batches()))
            module[1].running_mean, module[1].running_var = means[0] / count, means[1] / count
            own = torch.cat([module[1](module[0](batch)).mean(dim=(2, 3)) for batch in batches()])
        assert torch.allclose(list(found.untrained("1"))[number], own, atol=1e-4)
        assert not torch.equal(seen[number], found.activations("4"))
    assert not torch.equal(seen[0], seen[9])


def test_labels_say_how_far_they_get_and_layers_beside_how_many_networks(made: Path) -> None:
    found = mcd.load(made)
    first = found.labels[found.labels["rank"] == 1]
    assert first["q_untrained"].notna().all()
    for one in found.manifest.summary:
        assert one.untrained == 10
        assert one.untrained_reached is not None
        assert one.p_untrained == (1 + one.untrained_reached) / 11
        assert (
            one.rungs[UNTRAINED].significant == ((first["layer"] == one.layer) & (first["q_untrained"] <= 0.05)).sum()
        )
    assert (
        sum(one.rungs[UNTRAINED].significant for one in found.manifest.summary) <= 1
    )  # it is an untrained network itself


def test_reports_say_how_layers_compare(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = mcd.load(made)
    (summary, _) = found.manifest.summary
    ConsoleReporter(ConsoleReporter.Options()).report(found, tmp_path)
    out = capsys.readouterr().out
    said = " ".join(out.split())
    assert "Untrained: 10 networks of the same architecture with weights drawn anew." in said
    assert "beside" in said
    assert "exceed" in said
    assert max(len(line) for line in out.splitlines() if str(found.folder) not in line) <= 80  # commands are not cut
    assert (
        f"{summary.beside_untrained}: 1" in dict(facts_of(found).conditions)["First labels beside untrained networks"]
    )


def test_other_labels_are_those_of_a_run_without(made: Path, tmp_path: Path) -> None:
    plain = dissect(tmp_path / "plain", untrained=0)
    assert plain.manifest.rungs == {NUISANCE: ""}
    assert plain.manifest.store.untrained == []
    rest = ["q_untrained", "rung"]
    one, other = plain.labels.drop(columns=rest), mcd.load(made).labels.drop(columns=rest)
    assert one.equals(other)


def test_scoring_anew_runs_no_network_and_uses_what_is_kept(run: Path) -> None:
    again = mcd.score(run, scorer="cosine", calibration={"null_seed": 3}, progress=False)
    assert again.manifest.rungs == {NUISANCE: "", UNTRAINED: ""}
    assert again.labels.loc[again.labels["rank"] == 1, "q_untrained"].notna().all()
    without = mcd.score(run, calibration={"draws": 0}, progress=False)
    assert without.manifest.rungs == {}
    assert mcd.score(without, calibration=FEW, progress=False).manifest.rungs[UNTRAINED] == ""


def test_what_is_kept_is_verified_and_copied(run: Path, tmp_path: Path) -> None:
    assert all(one.sound for one in verify(run))
    saved = mcd.load(run).save(tmp_path / "saved")
    assert all(one.sound for one in verify(saved))
    assert {name for name in shards(run) if name.startswith("untrained")} <= set(shards(saved))
    path = sorted(saved.glob("untrained/*/00001.safetensors"))[3]
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert list(verify(saved)[0].wrong) == [path.relative_to(saved).as_posix()]


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = dissect(tmp_path / "whole", dissector=Stopped(), store="off")
    Stopped.stop = True
    try:
        with pytest.raises(KeyboardInterrupt):
            dissect(tmp_path / "killed", dissector=Stopped(), store="off")
    finally:
        Stopped.stop = False
    before = shards(tmp_path / "killed")
    assert 0 < len(before) < len(shards(whole.folder))
    dissect(tmp_path / "killed", dissector=Stopped(), store="off")
    assert shards(tmp_path / "killed") == shards(whole.folder)
    assert (tmp_path / "killed/labels.csv").read_bytes() == (whole.folder / "labels.csv").read_bytes()


def test_more_networks_use_those_there_are_and_fewer_leave_none_behind(run: Path) -> None:
    kept = {name: data for name, data in shards(run).items() if name.startswith("untrained")}
    more = shards(dissect(run, untrained=12).folder)
    assert {name: more[name] for name in kept} == kept
    assert len([name for name in more if name.startswith("untrained")]) == len(kept) * 12 // 10
    none = dissect(run, untrained=0)
    assert not any(name.startswith("untrained") for name in shards(none.folder))
    assert all(one.sound for one in verify(run))


class Lone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(8, 1, 5, 5))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(batch, self.weight, stride=3)


def exported() -> nn.Module:
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(
        nn.Sequential(nn.Conv2d(1, 8, 5, 3), nn.ReLU()).eval(), (torch.rand(2, 1, 48, 48),), dynamic_shapes=dynamic
    )
    return torch.export.unflatten(program)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Sequential(Lone(), nn.ReLU()), "nothing draws the first values of 'weight' of 0 (Lone)"),
        (exported(), "is a program, without the code that draws its first weights"),
    ],
)
def test_where_there_can_be_none_the_rung_is_not_available(module: nn.Module, reason: str, tmp_path: Path) -> None:
    found = dissect(tmp_path / "run", module, layers=["0"])
    assert reason in found.manifest.rungs[UNTRAINED]
    assert any(reason in one for one in found.manifest.warnings)
    assert found.labels["q_untrained"].isna().all()
    assert UNTRAINED not in set(found.labels["rung"])
    assert mcd.score(found, scorer="cosine", progress=False).manifest.rungs == found.manifest.rungs


def test_a_run_whose_networks_were_taken_away_says_how_to_get_some(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["store"]["untrained"], manifest["checksum"] = [], ""
    del manifest["rungs"][UNTRAINED]
    (run / "manifest.json").write_text(json.dumps(manifest))
    again = mcd.score(run, scorer="cosine", progress=False)
    assert again.manifest.rungs[UNTRAINED] == "the run kept no untrained networks: mcd dissect … --untrained 10"


def test_the_given_network_and_random_states_stay_as_they_were(tmp_path: Path) -> None:
    module = network().train()
    before, state = {name: one.clone() for name, one in module.state_dict().items()}, torch.get_rng_state()
    dissect(tmp_path / "run", module)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    assert all(torch.equal(one, before[name]) for name, one in module.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "said"), [({"untrained": 9}, "cannot be said from 9 networks"), ({"untrained": 101}, "100")]
)
def test_too_few_and_too_many_are_refused(settings: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        dissect(tmp_path / "run", **settings)
