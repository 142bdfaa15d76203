"""Small copies of images: only where allowed, of the right images, and never of others."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.plugins.explorer.conftest import Parsed, hostile_run, page_of

import mcd
from mcd.errors import DataError
from mcd.runs.thumbnails import data_set_of, thumbnails
from mcd_plugins.cohorts.vindr import VinDrMammo
from mcd_plugins.datasets.combine import Combined
from mcd_plugins.datasets.imagenet import ImageNetSubset
from mcd_plugins.phantom.dataset import PhantomDataset


def pixels(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float64)


def copies(path: Path) -> list[str]:
    return json.loads(Parsed(path).inside["script"][2])[0]


def test_a_thumbnail_is_its_image_made_small(phantom: mcd.Dissection) -> None:
    ids = [phantom.image_ids[7], phantom.image_ids[2]]
    found = thumbnails(phantom, ids, 64)
    assert list(found) == ids
    samples = {one.id: one for one in data_set_of(phantom).scan() if isinstance(one, mcd.Sample)}
    for name, data in found.items():
        small = pixels(data)
        assert small.shape == (64, 38)
        whole = Image.fromarray(data_set_of(phantom).read(samples[name]).pixels)
        expected = np.asarray(whole.resize((38, 64), Image.Resampling.BOX), dtype=np.float64)
        assert np.corrcoef(small.ravel(), expected.ravel())[0, 1] > 0.98


def test_thumbnails_stop_where_the_page_is_full(phantom: mcd.Dissection) -> None:
    ids = list(phantom.image_ids[:40])
    every = thumbnails(phantom, ids, 32)
    some = thumbnails(phantom, ids, 32, at_most=sum(len(every[one]) for one in ids[:10]))
    assert list(some) == ids[:10]


def test_deep_images_keep_their_white(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    for number in range(20):
        values = np.zeros((40, 40), dtype=np.uint16)
        values[:, 20:] = 65535
        values[0, 0] = number
        Image.fromarray(values).save(folder / f"{number:02d}.png")
    found = mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="head",
        dataset=f"images:{folder}",
        scorer="cosine",
        progress=False,
        workers=0,
        output=tmp_path / "run",
    )
    small = pixels(thumbnails(found, found.image_ids[:1], 40)[found.image_ids[0]])
    assert small[:, :18].max() < 20
    assert small[:, 22:].min() > 235


def test_images_that_have_changed_are_not_shown_as_what_the_run_saw(tmp_path: Path) -> None:
    found = hostile_run(tmp_path)
    first = next(Path(entry["source"]) for entry in found.probe_map)
    Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(first)
    with pytest.raises(DataError, match="have changed"):
        thumbnails(found, found.image_ids[:1], 32)
    first.unlink()
    with pytest.raises(DataError, match="no longer exists"):
        thumbnails(found, found.image_ids[:1], 32)


def test_only_the_phantom_is_copied_without_being_asked(
    phantom: mcd.Dissection, hostile: mcd.Dissection, tmp_path: Path
) -> None:
    assert all(copies(page_of(phantom, tmp_path / "phantom")))
    assert not any(copies(page_of(phantom, tmp_path / "off", thumbnails="false")))
    own = page_of(hostile, tmp_path / "own")
    assert not any(copies(own))
    assert "not copied into this page: they may show patients" in own.read_text(encoding="utf-8")
    forced = page_of(hostile, tmp_path / "forced", thumbnails="true")
    assert all(copies(forced))
    assert "pass it on only if you may" in forced.read_text(encoding="utf-8")


def test_terms_against_copies_are_said_on_the_page_and_to_whoever_makes_it(
    phantom: mcd.Dissection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PhantomDataset, "against_copies", "the phantom's terms forbid it")
    (probe,) = Parsed(page_of(phantom, tmp_path, thumbnails="true")).content["probes"]
    said = "Do not pass this page on: it holds copies of images, and the phantom's terms forbid it."
    assert probe["note"] == said
    assert "the phantom's terms forbid it" in capsys.readouterr().err


def test_a_combination_may_be_copied_only_when_all_its_parts_may() -> None:
    made = Combined(Combined.Options.model_validate({"parts": ["phantom", {"plugin": "phantom", "name": "b"}]}))
    made.assemble([PhantomDataset(), PhantomDataset()])
    assert made.images_may_be_copied
    listed = ImageNetSubset(ImageNetSubset.Options.model_validate({"list": "list.txt"}))
    made.assemble([PhantomDataset(), listed])
    assert not made.images_may_be_copied
    assert made.against_copies == ImageNetSubset.against_copies
    assert "forbids" in VinDrMammo.against_copies
