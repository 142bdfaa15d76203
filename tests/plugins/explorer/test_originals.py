"""Images at full resolution: in the page as far as they have room, then beside it, and nowhere else."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
from PIL import Image
from tests.plugins.explorer.conftest import Parsed, column, hostile_run, page_of

import mcd
from mcd.plugins import data_set_of, same_samples
from mcd_plugins.explorer.originals import Full, Source, originals_of


def originals(page: Path) -> list[str]:
    return json.loads(Parsed(page).inside["script"][3])[0]


def source_of(found: mcd.Dissection) -> Source:
    dataset = data_set_of(found)
    return Source(found, "key", list(found.image_ids), dataset, same_samples(found, dataset))


def test_each_shown_image_is_there_once_as_large_as_it_is(phantom: mcd.Dissection, tmp_path: Path) -> None:
    page = page_of(phantom, tmp_path)
    parsed, kept = Parsed(page), originals(page)
    probe = parsed.content["probes"][0]
    samples = {one.id: one for one in data_set_of(phantom).scan() if isinstance(one, mcd.Sample)}
    shapes = column(probe["shapes"]).reshape(-1, 2)
    assert len(kept) == len(probe["ids"]) == len(set(kept))
    for at in (0, len(kept) - 1):
        pixels = data_set_of(phantom).read(samples[probe["ids"][at]]).pixels
        shown = Image.open(io.BytesIO(b64decode(kept[at]))).convert("L")
        assert (shown.height, shown.width) == pixels.shape == tuple(shapes[at])
        assert np.abs(np.asarray(shown, dtype=float) - pixels / pixels.max() * 255).mean() < 5
    assert page.stat().st_size < 24 * 10**6


def test_images_without_room_are_written_beside_the_page_by_names_that_say_nothing(
    hostile: mcd.Dissection, tmp_path: Path
) -> None:
    found = source_of(hostile)
    (every,), none = originals_of([found], Full("page", 24, 1), 0, tmp_path)
    assert none == []
    assert all(every)
    sizes = [len(one) for one in every]
    (some,), written = (
        originals_of([found, None], Full("folder", 1, 1), 10**6 - sum(sizes[:5]) - 8 - 64 * len(every), tmp_path)[0][
            :1
        ],
        [],
    )
    embedded = [one for one in some if "." not in one]
    assert 3 <= len(embedded) <= 5
    assert embedded == every[: len(embedded)]
    names = [one for one in some if "." in one]
    assert len(names) == len(every) - len(embedded)
    assert all(re.fullmatch(r"explorer-images/[0-9a-f]{16}\.webp", one) for one in names)
    assert sorted(path.name for path in (tmp_path / "explorer-images").iterdir()) == sorted(one[16:] for one in names)
    assert (tmp_path / names[0]).read_bytes() == b64decode(every[len(embedded)])
    assert written == []
    (off,), _ = originals_of([found], Full("off", 24, 1), 0, tmp_path)
    assert not any(off)


def test_files_beside_the_page_are_called_by_salted_ids(tmp_path: Path) -> None:
    found = hostile_run(tmp_path)
    page = page_of(found, tmp_path / "page", thumbnails="true", full="folder", megabytes=1)
    assert all("." not in one for one in originals(page))  # these are small
    (named,), written = originals_of([source_of(found)], Full("folder", 1, 1), 10**6, tmp_path / "page")
    assert [path.stem for path in written] == list(found.image_ids)
    assert named == [f"explorer-images/{one}.webp" for one in found.image_ids]


def test_where_images_may_not_be_copied_there_are_none_at_full_resolution(tmp_path: Path) -> None:
    found = hostile_run(tmp_path)
    page = page_of(found, tmp_path / "page", full="folder")
    assert json.loads(Parsed(page).inside["script"][3]) == [[]]
    assert [path.name for path in page.parent.iterdir()] == ["explorer.html"]
