"""Images are prepared as by the model's own image processor, whatever its class and settings, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import torchvision
import transformers as hf
from packaging.version import Version

import mcd
from mcd.errors import CheckpointError
from mcd_plugins.transformers.preprocessing import Resize, recipe
from mcd_plugins.transformers.sources import Source

SHORT, SQUARE = {"shortest_edge": 32}, {"height": 32, "width": 32}
LARGER = {"height": 36, "width": 36}
LANCZOS = pytest.mark.skipif(
    Version(torchvision.__version__) < Version("0.27"), reason="transformers takes bicubic with an older torchvision"
)
GREY = {"image_mean": [0.3], "image_std": [0.2]}


def made(place: Path, kind: str, resize: Resize = "own", **settings: object) -> mcd.Preprocessing:
    getattr(hf, f"{kind}ImageProcessor")(**settings).save_pretrained(place)
    return recipe(Source(str(place)), resize)


def both(place: Path, found: mcd.Preprocessing, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    theirs = hf.AutoImageProcessor.from_pretrained(place)(PIL.Image.fromarray(pixels), return_tensors="pt")[
        "pixel_values"
    ][0]
    return found.finalize(found.prepare(mcd.Image(pixels, 255.0))[None])[0], theirs


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ConvNext", {"size": SHORT, "crop_pct": 0.875}),
        ("ConvNext", {"size": {"shortest_edge": 384}}),
        ("ConvNext", {"size": {"shortest_edge": 45}, "crop_pct": 0.93, "resample": 2}),
        ("PoolFormer", {"size": SHORT, "crop_size": SQUARE, "crop_pct": 0.9}),
        ("Levit", {"size": SHORT, "crop_size": SQUARE}),
        ("MobileViT", {"size": SHORT, "crop_size": LARGER}),
        ("MobileViT", {"size": SHORT, "crop_size": {"height": 28, "width": 28}, "do_flip_channel_order": False}),
        ("DeiT", {"size": LARGER, "crop_size": SQUARE}),
        ("EfficientNet", {"size": SQUARE}),
        ("EfficientNet", {"size": SQUARE, "rescale_offset": True, "include_top": False}),
        ("CLIP", {"size": {"shortest_edge": 93}, "crop_size": {"height": 16, "width": 16}}),
        pytest.param("CLIP", {"size": SHORT, "crop_size": SQUARE, "resample": 1}, marks=LANCZOS),
        ("CLIP", {"size": SHORT, "crop_size": SQUARE, "do_rescale": False}),
        ("CLIP", {"size": SHORT, "crop_size": SQUARE, "rescale_factor": 1 / 127.5, "do_normalize": False}),
        ("ViT", {"size": {"height": 40, "width": 24}, "resample": 0}),
        pytest.param("ViT", {"size": SQUARE, "resample": 1, "do_normalize": False}, marks=LANCZOS),
        ("ViT", {"size": SQUARE, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}),
        ("Beit", {"size": LARGER, "do_center_crop": True, "crop_size": SQUARE}),
        ("ViT", {"size": SQUARE, **GREY}),
    ],
)
@pytest.mark.parametrize("size", [(97, 61), (45, 118)])
def test_a_recipe_does_what_the_processor_does(
    kind: str, settings: dict[str, object], size: tuple[int, int], tmp_path: Path
) -> None:
    found = made(tmp_path, kind, **settings)
    random = np.random.default_rng(1)
    pixels = random.integers(
        80, 170, size if "image_mean" in settings and settings["image_mean"] == [0.3] else (*size, 3)
    )
    ours, theirs = both(tmp_path, found, pixels.astype(np.uint8))
    assert ours.shape == theirs.shape
    std = torch.tensor(found.std or (1.0,))[:, None, None]
    assert ((ours - theirs) * std).abs().mean() < 1.5 / 255  # theirs is rounded to 8 bit
    assert (found.channels == 1) == (len(settings.get("image_mean", [0] * 3)) == 1)


@pytest.mark.parametrize(("mode", "percent"), [("center", 0.95), ("squash", 1.0)])
def test_a_model_of_timm_within_transformers_is_prepared_by_timm(mode: str, percent: float, tmp_path: Path) -> None:
    own = {"input_size": [3, 32, 32], "interpolation": "bicubic", "mean": [0.5, 0.4, 0.3], "std": [0.2] * 3}
    config = {"architecture": "test_resnet", "pretrained_cfg": {**own, "crop_pct": percent, "crop_mode": mode}}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "timm_wrapper", "num_classes": 2, **config}))
    found = recipe(Source(str(tmp_path)), "own")
    pixels = np.random.default_rng(1).integers(80, 170, (97, 61, 3)).astype(np.uint8)
    ours, theirs = both(tmp_path, found, pixels)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() < 0.03  # theirs is rounded to 8 bit


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("Owlv2", {"size": SQUARE}, "cannot be reproduced"),
        ("Perceiver", {"size": SQUARE, "crop_size": LARGER}, "cannot be reproduced"),
        ("Sam", {"size": {"longest_edge": 32}, "pad_size": SQUARE}, "cannot be reproduced"),
        ("Donut", {"size": {"height": 80, "width": 60}}, "cannot be reproduced"),  # a row off for some images
        ("TextNet", {"size": SHORT}, "gives each image another size"),
        ("ViT", {"size": SQUARE, "do_resize": False}, "gives each image another size"),
        ("Detr", {"size": {"shortest_edge": 32, "longest_edge": 50}}, "gives each image another size"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_until_another_way_to_resize_is_set(
    kind: str, settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=f"{kind}ImageProcessor .*{message}|{message}") as caught:
        made(tmp_path, kind, **settings)
    assert "set resize=squash, letterbox or crop" in caught.value.hint
    if kind in ("Sam", "Donut"):
        return  # it has no size for a square, or one that is none
    found = made(tmp_path, kind, "squash", **settings)
    assert (found.height, found.width, found.resize) == (32, 32, "squash")
    flat = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    ours, theirs = both(tmp_path, found, flat)
    torch.testing.assert_close(ours[:, 9, 9], theirs[:, 9, 9], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Idefics3", "values instead of one of 3 channels"),
        ("ImageGPT", "cannot prepare a picture"),
        ("Swin2SR", "gives each image another size"),
    ],
)
def test_a_processor_that_makes_no_picture_is_refused_for_every_way_to_resize(
    kind: str, message: str, tmp_path: Path
) -> None:
    for resize in ("own", "squash"):
        with pytest.raises(CheckpointError, match=message) as caught:
            made(tmp_path, kind, resize)
        assert "set resize" not in caught.value.hint
