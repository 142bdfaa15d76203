"""Several dissectors in one run: one pass over the images, and what each leaves is what it leaves alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from tests.conftest import Outcome

import mcd
from mcd.host import PluginHost
from mcd.runs.prepared import prepare
from mcd.runs.run import run
from mcd.study.study import Study
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.phantom.loader import PhantomMammo

PLUGIN = '''
"""A dissector that sees grey values only."""

import hashlib

import torch
from torch import nn

import mcd


class Grey(mcd.Dissector):
    """Embeds an image as its coarse grey values, a text as noise."""

    class Options(mcd.Options):
        """Settings."""

        seed: int = 0

    def load(self):
        self.name, self.module = "grey", nn.AdaptiveAvgPool2d(4)
        self.preprocessing = mcd.Preprocessing(height=32, width=32, channels=1)

    def encode_images(self, batch):
        return self.module(batch).flatten(1)

    def encode_texts(self, texts):
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) + self.options.seed for text in texts]
        return torch.stack([torch.rand(16, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@mcd.hookimpl
def mcd_register_dissectors():
    return [mcd.Component("grey", f"{__name__}:Grey", "Grey values")]
'''
MODEL = (
    "--model-plugin",
    "phantom-mammo",
    "--layers",
    "stages.{2,3}",
    "--dataset",
    "phantom:25",
    "--concepts",
    "phantom",
    "--device",
    "cpu",
    "--draws",
    "100",
    "--most-draws",
    "100",
)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("plugin") / "grey.py"
    path.write_text(PLUGIN)
    return path


def results(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_each_leaves_what_it_leaves_alone(plugin: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    common = ("dissect", "--plugin-file", plugin, *MODEL)
    both = mcd_command(
        *common,
        "--dissector",
        "phantom-clip",
        "--dissector",
        "grey",
        "--dissector-arg",
        "grey.seed=3",
        "-o",
        tmp_path / "both",
    )
    assert both.code == 0, both.err
    assert len(re.findall(r"^sweep: \d+ in ", both.err, re.MULTILINE)) == 1
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["grey", "phantom-clip"]
    for name, arguments in (("phantom-clip", ()), ("grey", ("--dissector-arg", "seed=3"))):
        alone = mcd_command(*common, "--dissector", name, *arguments, "-o", tmp_path / name)
        assert alone.code == 0, alone.err
        assert results(tmp_path / name) == results(tmp_path / "both" / name)
        # Each folder is a run of its own: read, scored anew, gone on with.
        again = mcd_command("score", "--plugin-file", plugin, tmp_path / "both" / name, "--scorer", "cosine-cubed")
        assert again.code == 0, again.err
        found = mcd.load(tmp_path / "both" / name)
        assert found.manifest.dissector == name
        assert found.manifest.study == mcd.load(tmp_path / name).manifest.study
    shards = [
        next((tmp_path / "both" / name / "activations").rglob("0*.safetensors")) for name in ("grey", "phantom-clip")
    ]
    assert shards[0].samefile(shards[1])  # the same numbers are not kept twice
    more = mcd_command(
        *common,
        "--dissector",
        "phantom-clip",
        "--dissector",
        "grey",
        "--dissector-arg",
        "grey.seed=3",
        "-o",
        tmp_path / "both",
    )
    assert "100 of 100 images are already stored" in " ".join(more.err.split()), more.err


def test_every_model_with_every_dissector_reads_each_image_once(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = PhantomDataset.read

    def counted(self: PhantomDataset, sample: mcd.Sample) -> mcd.Image:
        read.append(sample.id)
        return original(self, sample)

    monkeypatch.setattr(PhantomDataset, "read", counted)
    host = PluginHost.discover([plugin], {"MCD_DISABLE_PLUGINS": "progress"})
    study = Study.model_validate(
        {
            "models": [{"plugin": "phantom-mammo", "layers": "stages.3", "name": name} for name in ("a", "b")],
            "dissectors": [
                "phantom-clip",
                {"plugin": "grey", "name": "first"},
                {"plugin": "grey", "options": {"seed": 1}, "name": "second"},
            ],
            "dataset": "phantom:5",
            "concepts": "phantom",
            "scorer": "soft-wpmi:5",
            "device": "cpu",
            "workers": 0,
        }
    )
    found = run(prepare(host, study, tmp_path / "out"))
    assert len(read) == 20
    places = [one.folder.relative_to(tmp_path / "out").as_posix() for one in found]
    assert places == [f"{model}/{name}" for model in "ab" for name in ("phantom-clip", "first", "second")]
    assert [one.manifest.dissector for one in found] == ["phantom-clip", "first", "second"] * 2
    assert not found[1].labels.equals(found[2].labels)


def test_what_is_unclear_is_refused(plugin: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    common = ("dissect", "--plugin-file", plugin, *MODEL)
    twice = mcd_command(*common, "--dissector", "grey", "--dissector", "grey", "-o", tmp_path / "x")
    assert twice.code == 2
    assert "two dissectors are called 'grey'" in twice.err
    whose = mcd_command(
        *common, "--dissector", "phantom-clip", "--dissector", "grey", "--dissector-arg", "seed=1", "-o", tmp_path / "x"
    )
    assert whose.code == 2
    assert "--dissector-arg" in whose.err
    (tmp_path / "study.yaml").write_text(
        "models: {plugin: phantom-mammo, layers: stages.3}\ndissectors: [phantom-clip, grey]\ndataset: phantom:5\n"
    )
    flag = mcd_command("run", tmp_path / "study.yaml", "--plugin-file", plugin, "--dissector-arg", "seed=1")
    assert flag.code == 2
    assert "write --dissector-arg NAME.seed=VALUE with NAME one of: phantom-clip, grey" in flag.err
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def averaged() -> mcd.Dissection:
    return mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="stages.3",
        dataset="phantom:25",
        concepts="phantom",
        device="cpu",
        progress=False,
    )


@pytest.mark.parametrize("pooling", ["masked-avg", "masked-max", "gem", "top-fraction:0.05"])
def test_poolings_from_the_command_line(
    pooling: str, averaged: mcd.Dissection, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command("dissect", *MODEL, "--dissector", "phantom-clip", "--pooling", pooling, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run")
    assert found.manifest.study["models"][0]["pooling"] == {"gem": "gem:3"}.get(pooling, pooling)
    assert not torch.allclose(found.activations("stages.3"), averaged.activations("stages.3"))


def test_a_masked_average_is_the_one_taken_by_hand(tmp_path: Path) -> None:
    target = PhantomMammo().load()
    target = replace(target, preprocessing=target.preprocessing.model_copy(update={"height": 200, "width": 200}))
    data = PhantomDataset(PhantomDataset.Options(patients=25))
    found = mcd.dissect(
        target,
        dissector="phantom-clip",
        layers="stages.2",
        dataset=data,
        concepts="phantom",
        pooling="masked-avg",
        device="cpu",
        progress=False,
    )
    for row, sample in [(0, next(iter(data.scan()))), (78, list(data.scan())[78])]:  # a left and a right breast
        assert isinstance(sample, mcd.Sample)
        image = data.read(sample)
        mask = torch.from_numpy(data.mask(sample, image)).float()
        assert 0.2 < mask.mean() < 0.9
        assert image.pixels[mask.numpy() > 0].mean() > 3 * image.pixels[mask.numpy() == 0].mean()
        padded = torch.zeros(200, 200)  # letterboxed: 320×192 becomes 200×120 in the middle
        padded[:, 40:160] = functional.interpolate(mask[None, None], (200, 120), mode="bilinear", antialias=True)[0, 0]
        caught: list[torch.Tensor] = []
        handle = target.module.get_submodule("stages.2").register_forward_hook(
            lambda _module, _inputs, output, caught=caught: caught.append(output)
        )
        with torch.inference_mode():
            target.module.eval()(target.preprocessing.finalize(target.preprocessing.prepare(image)[None]))
        handle.remove()
        share = functional.adaptive_avg_pool2d(padded[None], caught[0].shape[2:])
        expected = (caught[0][0] * share).sum((1, 2)) / share.sum()
        torch.testing.assert_close(found.activations("stages.2")[row], expected, atol=1e-4, rtol=1e-4)


def test_masks_that_are_found_in_the_pixels_are_said_to_be(
    tmp_path: Path, shared: Path, mcd_command: Callable[..., Outcome]
) -> None:
    said = "the data set brings no breast masks: where the breast is was found in the pixels"
    (tmp_path / "pngs").mkdir()
    for path in sorted((shared / "data" / "dmid" / "images").glob("*.png"))[:5]:
        (tmp_path / "pngs" / path.name).symlink_to(path)
    given = (
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--scorer",
        "soft-wpmi:2",
        "--device",
        "cpu",
    )
    for name, dataset, pooling, there in [
        ("found", f"images:{tmp_path / 'pngs'}", "masked-avg", True),
        ("unasked", f"images:{tmp_path / 'pngs'}", "avg", False),
        ("brought", "phantom:5", "masked-avg", False),
    ]:
        done = mcd_command(*given, "--dataset", dataset, "--pooling", pooling, "-o", tmp_path / name)
        assert done.code == 0, done.err
        assert (said in mcd.load(tmp_path / name).manifest.warnings) == there


def test_masks_are_refused_where_there_are_none(
    tmp_path: Path, shared: Path, mcd_command: Callable[..., Outcome]
) -> None:
    pictures = sorted((shared / "data" / "dmid" / "images").glob("*.png"))[:3]
    (tmp_path / "list.txt").write_text("".join(f"{path} n0144\n" for path in pictures))
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--dataset",
        f"imagenet-subset:{tmp_path / 'list.txt'}",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--pooling",
        "masked-avg",
        "-o",
        tmp_path / "run",
        "--device",
        "cpu",
    )
    assert done.code == 2
    assert "breast masks" in done.err
    wrong = mcd_command("dissect", *MODEL, "--dissector", "phantom-clip", "--pooling", "meen", "-o", tmp_path / "run")
    assert wrong.code == 2
    assert "--pooling meen: there is no such pooling" in wrong.err
