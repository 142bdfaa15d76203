"""The data set ``combine``: parts stay apart, shares are drawn the same way every time."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.plugins.cohorts.conftest import write_picture, write_table

import mcd
from mcd import testing
from mcd.errors import ConfigError, DataError, PluginLoadError
from mcd.extraction.cache import ImageCache
from mcd.extraction.reading import Reader
from mcd.options import validate_options
from mcd_plugins.datasets.combine import Combined
from mcd_plugins.datasets.csv_table import CsvTable
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.phantom.dataset import PhantomDataset


def phantoms(patients: int = 5, seed: int = 7) -> PhantomDataset:
    return PhantomDataset(PhantomDataset.Options(patients=patients, seed=seed))


def combined(parts: list[object], made: list[mcd.Dataset], **options: object) -> Combined:
    data = Combined(validate_options(Combined.Options, {"parts": parts, **options}, "data set 'combine'"))
    data.assemble(made)
    return data


def samples(data: mcd.Dataset) -> list[mcd.Sample]:
    return [one for one in data.scan() if isinstance(one, mcd.Sample)]


@pytest.fixture
def pictures(tmp_path: Path) -> ImageFolder:
    for seed in range(4):
        write_picture(tmp_path / "pictures" / f"{seed}.png", seed=seed)
    return ImageFolder(ImageFolder.Options(path=tmp_path / "pictures"))


@pytest.fixture
def table(tmp_path: Path) -> CsvTable:
    rows = [{"path": f"pictures/{seed}.png", "patient": "7-00000", "mass": seed % 2} for seed in range(4)]
    write_table(tmp_path / "labels.csv", rows)
    return CsvTable(CsvTable.Options.model_validate({"table": tmp_path / "labels.csv", "findings": "mass"}))


def test_it_passes_the_kit(pictures: ImageFolder, table: CsvTable) -> None:
    testing.check_dataset(combined(["phantom", "images:pictures", "csv:labels.csv"], [phantoms(1), pictures, table]))


def test_samples_of_all_parts_come_in_order_under_names_of_their_own(pictures: ImageFolder, table: CsvTable) -> None:
    data = combined(["phantom", "images:pictures", "csv:labels.csv"], [phantoms(1), pictures, table])
    found = samples(data)
    assert len(found) == len(data) == 4 + 4 + 4
    assert [one.id.partition("/")[0] for one in found] == ["phantom"] * 4 + ["images"] * 4 + ["csv"] * 4
    assert [one.collection for one in found] == ["phantom"] * 4 + ["images"] * 4 + ["csv"] * 4
    assert found[8].findings == {"mass": False}
    keys = {one.patient for one in found}
    assert {"phantom/7-00000", "csv/7-00000", ""} == keys  # equal keys of two parts are two women


def test_an_image_is_read_by_the_part_it_is_from_in_a_worker_too(pictures: ImageFolder, table: CsvTable) -> None:
    parts: list[mcd.Dataset] = [phantoms(1), table]
    data = combined(["phantom", "csv:labels.csv"], parts)
    again = pickle.loads(pickle.dumps(data))
    for part, first in zip(parts, (samples(data)[0], samples(data)[4]), strict=True):
        own = samples(part)[0]
        image = again.read(first)
        np.testing.assert_array_equal(image.pixels, part.read(own).pixels)
        np.testing.assert_array_equal(again.read_stored(first).pixels, part.read_stored(own).pixels)
        np.testing.assert_array_equal(again.mask(first, image), part.mask(own, image))
        looked, expected = again.examine(first), part.examine(own)
        assert isinstance(looked, mcd.Sample)
        assert isinstance(expected, mcd.Sample)
        assert looked.id == first.id
        assert again.examine(looked) == looked
        assert again.current_digest(looked) in ("", looked.digest)
        (alone,) = [one for one in samples(combined(["it"], [part])) if one.id.endswith(own.id)][:1]
        found = combined(["it"], [part]).examine(alone)
        assert isinstance(found, mcd.Sample)
        assert found.digest == expected.digest  # no other part reads otherwise


def test_one_file_that_two_parts_read_otherwise_is_two_images(pictures: ImageFolder, tmp_path: Path) -> None:
    darker = ImageFolder(ImageFolder.Options(path=tmp_path / "pictures", white=254.0))
    parts: list[object] = [{"plugin": "images:pictures", "name": name} for name in ("one", "two")]
    same, other = combined(parts, [pictures, pictures]), combined(parts, [pictures, darker])
    for data, distinct in ((same, 4), (other, 8)):
        reader = Reader(data, cache=ImageCache(tmp_path / f"cache {distinct}", 10**8))
        found = [one for one in data.examine_each(samples(data)) if isinstance(one, mcd.Sample)]
        assert len({one.digest for one in found}) == distinct
        for _ in range(2):  # made, then from the cache
            read = [reader.image(one, "displayed").maximum for one in found]
            assert read == [data.read(one).maximum for one in found]


def test_a_share_is_a_count_or_a_fraction_drawn_by_the_seed(pictures: ImageFolder) -> None:
    parts: list[object] = [{"plugin": "phantom", "share": 0.25}, {"plugin": "images:pictures", "share": 3}]
    data = combined(parts, [phantoms(5), pictures])
    found = samples(data)
    assert len(found) == len(data) == 5 + 3
    assert [one.id for one in samples(combined(parts, [phantoms(5), pictures]))] == [one.id for one in found]
    other = samples(combined(parts, [phantoms(5), pictures], seed=1))
    assert {one.id for one in other} != {one.id for one in found}
    order = [one.id for one in samples(combined(["phantom"], [phantoms(5)]))]
    mine = [one.id for one in found[:5]]
    assert mine == [own for own in order if own in mine]  # in the order of the part
    assert "phantom: 5 of 20 images are taken (seed 0)" in data.remarks()


def test_most_of_a_share_stays_when_its_part_grows() -> None:
    share: list[object] = [{"plugin": "phantom", "share": 10}]
    before = {one.id for one in samples(combined(share, [phantoms(20)]))}
    after = {one.id for one in samples(combined(share, [phantoms(22)]))}
    assert len(before & after) >= 8


def test_parts_speak_through_the_whole(pictures: ImageFolder, tmp_path: Path) -> None:
    write_table(tmp_path / "labels.csv", [{"path": "pictures/0.png", "view": "sideways"}])
    table = CsvTable(CsvTable.Options.model_validate({"table": tmp_path / "labels.csv"}))
    data = combined(["csv:labels.csv", "images:pictures"], [table, pictures])
    samples(data)
    assert any(remark.startswith("csv: ") and "'sideways'" in remark for remark in data.remarks())
    (tmp_path / "pictures" / "2.png").write_bytes(b"")
    found = [data.examine(one) for one in samples(data)]
    assert [one.source for one in found if isinstance(one, mcd.Unreadable)] == [str(tmp_path / "pictures" / "2.png")]


def test_masks_and_public_ids_need_all_parts(pictures: ImageFolder) -> None:
    alone = combined(["phantom"], [phantoms()])
    assert (alone.has_masks, alone.ids_are_public) == (True, True)
    mixed = combined(["phantom", "images:pictures"], [phantoms(), pictures])
    assert (mixed.has_masks, mixed.ids_are_public) == (pictures.has_masks, False)


def test_what_is_in_a_part_is_in_the_fingerprint() -> None:
    one, two = (combined(["phantom"], [phantoms(seed=seed)]) for seed in (1, 2))
    assert one.fingerprint() != two.fingerprint()
    assert one.fingerprint() == combined(["phantom"], [phantoms(seed=1)]).fingerprint()
    assert one.decoding() != two.decoding()


def test_wrong_parts_are_said(pictures: ImageFolder) -> None:
    for parts, said in (
        (["images:a", "images:b"], "two parts are called 'images': give each a name"),
        ([{"plugin": "phantom", "share": 1.0}], "write a fraction between 0 and 1"),
        ([{"plugin": "phantom", "share": 0}], "greater than 0"),
        ([{"plugin": "phantom", "share": "half"}], "share"),
        ([{"plugin": "phantom", "shares": 3}], "shares"),
        ([{"plugin": "phantom", "name": "a/b"}], "name"),
        ([], "parts"),
    ):
        with pytest.raises(ConfigError, match=said):
            validate_options(Combined.Options, {"parts": parts}, "data set 'combine'")
    named: list[object] = [{"plugin": "images:a", "name": "a"}, {"plugin": "datasets/images:b", "name": "b"}]
    assert len(samples(combined(named, [pictures, pictures]))) == 8
    with pytest.raises(DataError, match="part 'phantom' has 4 images, but its share is 5"):
        samples(combined([{"plugin": "phantom", "share": 5}], [phantoms(1)]))
    with pytest.raises(PluginLoadError, match="not given its parts"):
        len(Combined(Combined.Options.model_validate({"parts": ["phantom"]})))
