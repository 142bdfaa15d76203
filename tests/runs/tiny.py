"""A study that costs next to nothing: a plugin file with drawn images, two networks and a dissector."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PLUGIN", "STUDY", "tree", "written"]

PLUGIN = '''
"""Small images, of which some cannot be read, and networks for them."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydantic
import torch
from torch import nn

import mcd

SIZE = mcd.Preprocessing(height=16, width=16, channels=1)
REFUSED, UNDECODABLE = (0, 70, 71, 200, 332), (64, 130, 331)


def note(what, name):
    if "MCD_TEST_NOTES" in os.environ:
        with Path(os.environ["MCD_TEST_NOTES"]).open("a") as file:
            file.write(f"{what} {name}\\n")


def drawn(number):
    noise = np.random.default_rng(number).random((16, 16), dtype=np.float32)
    return (noise + np.float32(number % 7)) / np.float32(8)


class Images(mcd.Dataset):
    class Options(mcd.Options):
        images: int = pydantic.Field(default=333, description="how many")
        gap: bool = pydantic.Field(default=False, description="whether a whole shard of 64 cannot be read")
        broken: bool = pydantic.Field(default=True, description="whether some cannot be read")

    primary = "images"

    def __len__(self):
        return self.options.images

    def scan(self):
        for number in range(len(self)):
            findings = {"mass": number % 7 > 3, "calcification": number % 5 == 1}
            boxes = (mcd.Box("mass", 9, 1, 2, 4),) if number % 50 == 3 else ()
            patient = f"p{number // int(os.environ.get('MCD_TEST_IMAGES_OF_A_PATIENT', 4))}"
            yield mcd.Sample(str(number), patient=patient, findings=findings, boxes=boxes)

    def examine(self, sample):
        note("examined", sample.id)
        number = int(sample.id)
        if (self.options.broken and number in REFUSED) or (self.options.gap and 64 <= number < 128):
            return mcd.Unreadable(sample.id, "it is cut short")
        data = drawn(number if number not in (300, 301) else 5)
        return replace(sample, digest=hashlib.sha256(data.tobytes()).hexdigest())

    def read(self, sample):
        note("decoded", sample.id)
        number = int(sample.id)
        if (self.options.broken and number in UNDECODABLE) or sample.id == os.environ.get("MCD_TEST_BROKEN"):
            raise mcd.errors.ImageError("its pixels are damaged", "draw it again")
        return mcd.Image(drawn(number if number not in (300, 301) else 5), 1.0)

    def fingerprint(self):
        return "tiny images"

    def decoding(self):
        return "drawn"


class Network(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.one, self.two = nn.Conv2d(1, 4, 5, 3), nn.Conv2d(4, 5, 3)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


class First(mcd.ModelLoader):
    def load(self):
        return mcd.Target("first", Network(1), SIZE)


class Second(mcd.ModelLoader):
    def load(self):
        return mcd.Target("second", Network(2), SIZE)


class Tiny(mcd.Dissector):
    def load(self):
        self.name, self.module, self.preprocessing = "tiny", nn.AdaptiveAvgPool2d(4), SIZE

    def encode_images(self, batch):
        return self.module(batch).flatten(1)

    def encode_texts(self, texts):
        rows = [sum(map(ord, text)) for text in texts]
        return torch.stack([torch.rand(16, generator=torch.Generator().manual_seed(one)) for one in rows])


@mcd.hookimpl
def mcd_register_models():
    return [mcd.Component(one.__name__.lower(), f"{__name__}:{one.__name__}", "tiny") for one in (First, Second)]


@mcd.hookimpl
def mcd_register_dissectors():
    return [mcd.Component("tiny", f"{__name__}:Tiny", "tiny")]


@mcd.hookimpl
def mcd_register_datasets():
    return [mcd.Component("tiny-images", f"{__name__}:Images", "tiny")]
'''

STUDY = """
models:
  - {plugin: first, layers: [one, two]}
  - {plugin: second, layers: two}
dissectors: [tiny, annotations]
dataset: tiny-images
controls: true
calibration: {draws: 20, most_draws: 20}
batch_size: 8
device: cpu
workers: 0
on_error: skip
"""


def written(folder: Path) -> tuple[Path, Path]:
    """Return the plugin file and the study, written into a folder."""
    plugin, study = folder / "tiny_parts.py", folder / "study.yaml"
    plugin.write_text(PLUGIN)
    study.write_text(STUDY)
    return plugin, study


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files of a run or a study, private ones too, but for manifests, which hold times."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
