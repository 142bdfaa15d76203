"""The image cache: without loss, bounded, safe under two processes, never in the way of a run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcd.api.image import Image
from mcd.extraction.cache import ImageCache
from mcd.files import digest_of

ROOMY = 10**9


def key(number: int) -> str:
    return f"{number * 2654435761 % 2**32:08x}{number:056x}"


def noise(number: int, rows: int = 40) -> Image:
    """Return an image of some 1.6 kB that cannot be compressed; its number decides it."""
    pixels = np.random.default_rng(number).integers(0, 256, (rows, 40), dtype=np.uint8)
    return Image(pixels, 255.0, bool(number % 2), pixels > 100 if number % 3 == 0 else None)


def same(one: Image | None, two: Image) -> bool:
    return (
        one is not None
        and one.pixels.dtype == two.pixels.dtype
        and one.pixels.shape == two.pixels.shape
        and one.pixels.tobytes() == two.pixels.tobytes()
        and (one.maximum, one.negative) == (two.maximum, two.negative)
        and (one.mask is None) == (two.mask is None)
        and (one.mask is None or two.mask is None or (one.mask.dtype == bool and np.array_equal(one.mask, two.mask)))
    )


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in files(folder))


@st.composite
def images(draw: st.DrawFn) -> Image:
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    rows = draw(st.one_of(st.integers(1, 12), st.sampled_from([63, 64, 65, 128, 200])))
    shape = (rows, draw(st.integers(1, 12)), *draw(st.sampled_from([(), (3,)])))
    count = int(np.prod(shape))
    raw = np.random.default_rng(draw(st.integers(0, 99))).bytes(4 * count)  # for floats: NaN and infinities among them
    pixels = np.frombuffer(raw, dtype=np.uint8).view(dtype)[:count].reshape(shape)
    swapped = pixels.astype(pixels.dtype.newbyteorder(">"))
    pixels = draw(st.sampled_from([pixels, pixels[::-1], np.asfortranarray(pixels), swapped]))
    mask = draw(st.sampled_from([None, np.zeros(shape[:2], bool), pixels.reshape(*shape[:2], -1)[..., 0] > 7]))
    return Image(pixels, draw(st.sampled_from([1.0, 255.0, 4095.0, 0.1, float("inf")])), draw(st.booleans()), mask)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(images())
def test_every_image_comes_back_without_loss(tmp_path: Path, image: Image) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    for path in files(tmp_path):
        path.unlink()
    cache.put(key(1), image)
    found = cache.get(key(1))
    assert same(found, replace(image, pixels=image.pixels.astype(image.pixels.dtype.newbyteorder("="))))
    assert found is not None
    assert found.pixels.flags.writeable  # torch warns about arrays that are not
    assert cache.problem == ""


def test_a_mammogram_is_kept_smaller_than_png_keeps_it(tmp_path: Path) -> None:
    import cv2

    rows = np.linspace(0, 3000, 400)[:, None] * np.linspace(0, 1, 300)[None]
    pixels = np.random.default_rng(0).normal(rows, 20).clip(0, 4095).astype(np.uint16)
    cache = ImageCache(tmp_path, ROOMY)
    cache.put(key(1), Image(pixels, 4095.0))
    assert size(tmp_path) < len(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def test_what_is_not_there_is_absent_and_what_is_there_stays(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "new" / "folder", ROOMY)
    assert cache.get(key(1)) is None
    cache.put(key(1), noise(1))
    cache.put(key(1), noise(2))
    assert same(cache.get(key(1)), noise(1))
    assert same(ImageCache(tmp_path / "new" / "folder", ROOMY).get(key(1)), noise(1))
    assert same(pickle.loads(pickle.dumps(cache)).get(key(1)), noise(1))


@pytest.mark.parametrize(
    "damage",
    ["cut", "cut to the header", "empty", "text", "png", "one bit", "longer", "of another key", "newer format"],
)
def test_a_damaged_or_foreign_file_is_absent_and_removed(tmp_path: Path, damage: str) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    cache.put(key(1), noise(1))
    (path,) = files(tmp_path)
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[:-1],
            "cut to the header": data[:44],
            "empty": b"",
            "text": b"not an image",
            "png": b"\x89PNG\r\n\x1a\n",
            "one bit": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
            "longer": data + b"\0",
            "of another key": data,
            "newer format": data.replace(b"mcd image 1", b"mcd image 2"),
        }[damage]
    )
    wanted = key(1)
    if damage == "of another key":
        wanted = key(1)[:2] + "0" * 62
        path = path.rename(path.with_name("0" * 62 + ".image"))
    assert cache.get(wanted) is None
    assert not path.exists()
    cache.put(wanted, noise(3))
    assert same(cache.get(wanted), noise(3))
    assert cache.problem == ""


def forged(data: bytes, *, sealed: bool, **changes: object) -> bytes:
    """Return a file whose header says something else, with the checksum that belongs to it."""
    head, _, rest = data[16:].partition(b"\n")
    header = json.loads(head) | changes
    seal = header.pop("seal")
    own = digest_of(json.dumps(header, separators=(",", ":")).encode())
    content = json.dumps(header | {"seal": own if sealed else seal}).encode() + b"\n" + rest
    return data[:12] + zlib.crc32(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("sealed", [False, True])
def test_a_checksum_alone_makes_nothing_true(tmp_path: Path, sealed: bool) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    for changes in (
        {"maximum": float("nan")},
        {"maximum": 0.0},
        {"maximum": -255.0},
        {"shape": (0, 0)},
        {"shape": (-40, -40)},
        {"shape": (2**40, 2**40)},
        {"shape": (2**16, 2**16)},
        {"shape": (3, 40, 40)},
        {"dtype": "uint16"},
        {"dtype": "object"},
        {"pixel_bytes": -1},
        {"pixel_bytes": 10**12},
        {"masked": True},
    ):
        cache.put(key(1), noise(1))
        (path,) = files(tmp_path)
        path.write_bytes(forged(path.read_bytes(), sealed=sealed, **changes))
        assert cache.get(key(1)) is None, changes
        assert not path.exists()


def test_a_shape_that_was_turned_is_found(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    cache.put(key(1), noise(1, rows=30))
    (path,) = files(tmp_path)
    path.write_bytes(forged(path.read_bytes(), sealed=True))
    assert same(cache.get(key(1)), noise(1, rows=30))
    path.write_bytes(forged(path.read_bytes(), sealed=False, shape=(40, 30)))
    assert cache.get(key(1)) is None


def test_what_no_image_can_be_is_not_kept(tmp_path: Path) -> None:
    for maximum in (0.0, -1.0, float("nan")):
        cache = ImageCache(tmp_path, ROOMY)
        cache.put(key(1), replace(noise(1), maximum=maximum))
        assert files(tmp_path) == []
        assert "are not kept" in cache.problem


@pytest.mark.parametrize(
    "wrong", ["", "a", "A" * 64, "g" * 64, "../" * 8, "a" * 15, "a" * 129, "a" * 32 + "\n", "a/" * 16, "é" * 16]
)
def test_only_hexadecimal_keys_reach_the_file_system(tmp_path: Path, wrong: str) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    with pytest.raises(ValueError, match="is no key"):
        cache.get(wrong)
    with pytest.raises(ValueError, match="is no key"):
        cache.put(wrong, noise(1))
    assert files(tmp_path) == []


def test_the_limit_holds_and_the_least_recently_read_go_first(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 128_000)
    for number in range(40):
        cache.put(key(number), noise(number))
    assert size(tmp_path) > 64_000
    for number in range(40, 240):
        assert same(cache.get(key(0)), noise(0))  # read again and again, so it is never the oldest
        cache.put(key(number), noise(number))
        assert size(tmp_path) <= 128_000
    kept = [number for number in range(240) if cache.get(key(number))]
    assert kept[0] == 0
    assert kept[1:] == list(range(240 - len(kept) + 1, 240))
    assert size(tmp_path) > 100_000  # and it does not throw away more than it must


@pytest.mark.parametrize("share", [0.2, 0.5, 0.97, 1.2])
def test_a_pass_read_again_and_again_hits_as_often_as_the_limit_has_room(tmp_path: Path, share: float) -> None:
    measured = ImageCache(tmp_path / "measured", ROOMY)
    limit = int(share * sum(measured.size(noise(number)) for number in range(60)))
    for _ in range(3):  # each a run of its own
        cache = ImageCache(tmp_path / "cache", limit)
        cache.expect([key(number) for number in range(60)], 1)
        hits = 0
        for number in range(60):
            hits += cache.get(key(number)) is not None
            cache.put(key(number), noise(number))
        assert size(tmp_path / "cache") <= limit
    assert min(1.0, share * 31 / 32 - 0.04) <= hits / 60 <= share + 0.02
    assert cache.problem == ("" if share > 1 else "it is full, and keeps the images that it has")


def test_images_of_other_studies_make_room_for_those_of_this_one(tmp_path: Path) -> None:
    one = ImageCache(tmp_path / "measured", ROOMY).size(noise(1))
    for first in (0, 100):
        cache = ImageCache(tmp_path / "cache", 20 * one)
        cache.expect([key(number) for number in range(first, first + 15)], 1)
        for number in range(first, first + 15):
            cache.put(key(number), noise(number))
        assert all(cache.get(key(number)) for number in range(first, first + 15))
        assert cache.problem == ""


def test_a_smaller_limit_shrinks_what_is_expected_too(tmp_path: Path) -> None:
    roomy = ImageCache(tmp_path, ROOMY)
    for number in range(50):
        roomy.put(key(number), noise(number))
    small = ImageCache(tmp_path, 40_000)
    small.expect([key(number) for number in range(60)], 1)
    small.put(key(55), noise(55))
    assert 30_000 < size(tmp_path) <= 40_000


def test_a_smaller_limit_shrinks_what_is_there(tmp_path: Path) -> None:
    roomy = ImageCache(tmp_path, ROOMY)
    for number in range(50):
        roomy.put(key(number), noise(number))
    ImageCache(tmp_path, 40_000).put(key(99), noise(99))
    assert size(tmp_path) <= 40_000


def test_only_the_caches_own_files_are_counted_and_removed(tmp_path: Path) -> None:
    theirs = [tmp_path / "notes.txt", tmp_path / "ab" / "mammogram.dcm", tmp_path / "photos" / ("a" * 62 + ".image")]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(90_000))
    cache = ImageCache(tmp_path, 64_000)
    for number in range(100):
        cache.put(key(number), noise(number))
    assert all(path.stat().st_size == 90_000 for path in theirs)
    assert 40_000 < size(tmp_path) - 270_000 <= 64_000


def test_what_killed_processes_left_is_removed_but_not_what_is_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    dead, alive = (folder / f".mcd-{name * 16}.tmp" for name in "01")
    for path in (dead, alive):
        path.write_bytes(b"half an image")
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ImageCache(tmp_path, ROOMY).put(key(1), noise(1))
    assert not dead.exists()
    assert alive.exists()


def hammer(folder: Path, seed: int, limit: int) -> str:
    cache = ImageCache(folder, limit)
    rng = np.random.default_rng(seed)
    for _ in range(500):
        number = int(rng.integers(100))
        found = cache.get(key(number))
        if found is None:
            cache.put(key(number), noise(number))
        elif not same(found, noise(number)):
            return f"image {number} is another one"
        if rng.random() < 0.02:  # as if the disk had lost the end of a file, or a person cleaned up
            path = folder / key(number)[:2] / f"{key(number)[2:]}.image"
            with contextlib.suppress(FileNotFoundError):
                path.write_bytes(path.read_bytes()[:100]) if rng.random() < 0.5 else path.unlink()
    return cache.problem


def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    limit = 112_000  # for some 60 of the 100 images
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        said = pool.starmap(hammer, [(tmp_path, seed, limit) for seed in (1, 2)])
    assert said == ["", ""]
    assert 60_000 < size(tmp_path) <= limit
    assert not [path for path in files(tmp_path) if path.suffix != ".image"]


def test_a_full_disk_turns_the_cache_off_with_one_remark(tmp_path: Path) -> None:
    # The operating system refuses to write more than 4 kB to a file, as a full disk does.
    code = (
        "import resource, sys, numpy as np; from pathlib import Path\n"
        "from mcd.api.image import Image; from mcd.extraction.cache import ImageCache\n"
        "cache = ImageCache(Path(sys.argv[1]), 10**9)\n"
        "small = Image(np.ones((9, 9), np.uint8), 255.0)\n"
        "large = Image(np.random.default_rng(0).integers(0, 255, (100, 100), np.uint8), 255.0)\n"
        "cache.put('a' * 64, small)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "cache.put('b' * 64, large), cache.put('c' * 64, large), cache.put('d' * 64, small)\n"
        "print(cache.problem, [path.name[0] for path in Path(sys.argv[1]).rglob('*.*')], cache.get('a' * 64) is None)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    said = "it cannot be written: File too large"
    assert done.stdout == f"{said} ['a'] False\n"


def test_a_folder_that_cannot_be_one_is_a_remark_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        cache = ImageCache(folder, ROOMY)
        cache.put(key(1), noise(1))
        assert cache.get(key(1)) is None
        assert cache.problem.startswith("it cannot be written: ")
        assert str(tmp_path) not in cache.problem
    (tmp_path / key(1)[:2]).write_text("in the way")
    cache = ImageCache(tmp_path, ROOMY)
    cache.put(key(1), noise(1))
    assert cache.get(key(1)) is None
    assert cache.problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_still_serves(tmp_path: Path) -> None:
    ImageCache(tmp_path, ROOMY).put(key(1), noise(1))
    folders = [tmp_path / key(1)[:2], tmp_path]
    for folder in folders:
        folder.chmod(0o555)
    cache = ImageCache(tmp_path, ROOMY)
    cache.put(key(2), noise(2))
    assert same(cache.get(key(1)), noise(1))
    assert cache.problem == "it cannot be written: Permission denied"
    for folder in folders:
        folder.chmod(0o755)


def test_a_limit_below_one_image_and_an_image_of_another_kind_are_remarks(tmp_path: Path) -> None:
    small = ImageCache(tmp_path, 1000)
    small.put(key(1), noise(1))
    assert small.problem.startswith("its limit is too small: one image takes ")
    other = ImageCache(tmp_path, ROOMY)
    other.put(key(1), Image(np.ones((2, 2)), 1.0))
    assert other.problem == "images of float64 (2, 2) are not kept"
    other.put(key(2), noise(2))
    assert same(other.get(key(2)), noise(2))
    assert len(files(tmp_path)) == 1
    with pytest.raises(ValueError, match="holds nothing"):
        ImageCache(tmp_path, 0)
