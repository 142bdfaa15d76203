"""Maps in a page: those of the run, over what the network saw, and only where its images may be shown."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.conftest import Outcome
from tests.plugins.explorer.conftest import Parsed, column, hostile_run, page_of, phantom_run
from tests.plugins.mammo_clip.conftest import b2, b2_state, fill, filled, golden
from torch import nn

import mcd
from mcd.errors import DataError
from mcd.runs.thumbnails import data_set_of, same_samples, sight_of, thumbnails
from mcd_plugins.explorer.content import responses_of
from mcd_plugins.explorer.maps import maps_of

__all__ = ["b2", "b2_state", "fill", "filled", "golden"]


def pixels(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float64)


def net(**settings: object) -> mcd.Target:
    torch.manual_seed(0)
    return mcd.Target("net", nn.Sequential(nn.Conv2d(1, 4, 5)).eval(), mcd.Preprocessing.model_validate(settings))


def run_of(target: mcd.Target, output: Path) -> mcd.Dissection:
    return mcd.dissect(
        target,
        dissector="phantom-clip",
        layers="*",
        dataset="phantom:5",
        concepts="phantom",
        scorer="cosine",
        maps=2,
        output=output,
        progress=False,
        workers=0,
    )


def test_a_page_holds_the_maps_of_the_run(mapped: mcd.Dissection, tmp_path: Path) -> None:
    content = Parsed(page_of(mapped, tmp_path)).content
    shown, maps = content["runs"][0]["maps"], mapped.maps("stages.3")
    assert maps is not None
    assert shown["count"] == 3
    layer, head = shown["layers"]
    assert head is None
    assert (layer["rows"], layer["columns"]) == maps.values.shape[2:]
    assert column(layer["values"]).tolist() == maps.values.flatten().tolist()
    np.testing.assert_array_equal(column(layer["low"]), maps.range[..., 0].flatten())
    np.testing.assert_array_equal(column(layer["high"]), maps.range[..., 1].flatten())
    pictures = json.loads(Parsed(tmp_path / "explorer.html").inside["script"][2])
    numbers = column(content["runs"][0]["shown"]["image"]).reshape(-1, 6)[:128, :3]
    assert all(pictures[shown["pictures"]][at] for at in np.unique(numbers))


@pytest.mark.parametrize("resize", ["letterbox", "squash", "crop"])
def test_the_picture_under_a_map_is_what_the_network_saw(resize: str, tmp_path: Path) -> None:
    target = net(height=60, width=90, resize=resize, crop_fraction=0.8)
    found = run_of(target, tmp_path / "run")
    samples = same_samples(found, data_set_of(found))
    name = found.image_ids[3]
    small = pixels(thumbnails(found, [name], 90, sight=sight_of(found))[name])
    image = data_set_of(found).read(samples[name])
    expected = target.preprocessing.prepare(image)[0].numpy() * 255
    assert small.shape == (60, 90)
    assert np.abs(small - expected).mean() < 6  # as WebP keeps it
    assert np.corrcoef(small.ravel(), expected.ravel())[0, 1] > 0.98


def test_pictures_have_the_size_that_the_page_says(tmp_path: Path) -> None:
    found = run_of(net(height=60, width=90, resize="crop"), tmp_path / "run")
    shown = Parsed(page_of(found, tmp_path)).content["runs"][0]["maps"]
    sizes = column(shown["sizes"]).reshape(-1, 2)
    assert {tuple(one) for one in sizes.tolist()} <= {(90, 60), (0, 0)}
    assert (sizes > 0).any()


class Own(mcd.Preprocessing):
    """Somebody's class, of which a run that was given an object knows nothing but the fingerprint."""


def test_what_cannot_be_made_again_is_said_and_no_map_is_laid_over_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = mcd.Target("net", net().module, Own(height=60, width=90))
    made = run_of(target, tmp_path / "run")
    assert sight_of(made).own == target.preprocessing  # which is still at hand
    found = mcd.load(made.folder)
    with pytest.raises(DataError, match="cannot be made again"):
        sight_of(found)
    shown = Parsed(page_of(found, tmp_path)).content["runs"][0]["maps"]
    assert set(shown) == {"note"}
    assert "could not be made again" in shown["note"]
    assert "no maps" in capsys.readouterr().err


@pytest.mark.slow
def test_mammo_clips_own_preprocessing_is_found_again(
    b2: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    settings = f"preprocessing={json.dumps({'height': 64, 'width': 48})}"
    done = mcd_command(
        "dissect",
        "--model-plugin",
        f"mammo-clip:{b2}",
        "--model-arg",
        settings,
        "--dataset",
        "phantom:3",
        "--dissector",
        "phantom-clip",
        "--layers",
        "blocks.2.0",
        "--concepts",
        "phantom",
        "--scorer",
        "cosine",
        "--maps",
        2,
        "--device",
        "cpu",
        "--workers",
        0,
        "-o",
        tmp_path / "run",
        HF_HUB_OFFLINE="1",
    )
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run", trust=True)
    sight = sight_of(found)
    assert type(sight.own).__name__ == "MammoClipPreprocessing"
    shown = Parsed(page_of(found, tmp_path)).content["runs"][0]["maps"]
    assert (48, 64) in {tuple(one) for one in column(shown["sizes"]).reshape(-1, 2).tolist()}


def test_maps_are_shown_only_where_images_are(tmp_path: Path) -> None:
    found = hostile_run(tmp_path, maps=2)
    shown = Parsed(page_of(found, tmp_path / "auto")).content["runs"][0]["maps"]
    assert shown == {"note": "Where in an image it responds is shown only where the images are."}
    asked = Parsed(page_of(found, tmp_path / "true", thumbnails="true")).content["runs"][0]["maps"]
    assert len(asked["layers"]) == 2


def test_a_run_without_maps_or_that_lost_them_has_a_page(mapped: mcd.Dissection, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(mapped.folder, kept)
    (kept / "maps.safetensors").unlink()
    assert Parsed(page_of(mcd.load(kept), tmp_path)).content["runs"][0]["maps"] is None
    without = phantom_run(tmp_path / "run", layers="head")
    assert Parsed(page_of(without, tmp_path)).content["runs"][0]["maps"] is None


def test_maps_of_the_strongest_images_come_first_where_room_is_short(mapped: mcd.Dissection) -> None:
    rows = responses_of(mapped, 6)[1]
    each = 128 * 10 * 6
    for room, count in ((10 * each, 3), (2 * each, 2), (2 * each - 1, 1)):
        shown = maps_of(mapped, rows, room)
        assert shown is not None
        assert (shown.content["count"], shown.size) == (count, count * each)
        assert shown.there[:128].all()
        assert not shown.there[128:].any()
    assert maps_of(mapped, rows, each - 1) is None
    assert maps_of(mapped, rows[:, ::-1], 10 * each).there.sum() == 0
