"""What models read is kept beside the images: a warm cache decodes nothing, and never changes a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import mcd
from mcd.errors import ImageError
from mcd.extraction.cache import ImageCache
from mcd.extraction.decoding import batches
from mcd.extraction.inputs import Inputs
from mcd.extraction.reading import Reader

ROOMY = 10**9
CPU = torch.device("cpu")
SMALL = mcd.Preprocessing(height=8, width=8, channels=1)
AS_IT_IS = mcd.Preprocessing(height=40, width=30, channels=1)


class Drawn(mcd.Dataset):
    """Noise of several kinds; says how often it decoded one. Those in ``broken`` cannot be decoded."""

    has_masks = True

    def __init__(self, count: int = 24, kinds: Sequence[str] = ("uint8",), broken: Sequence[int] = ()) -> None:
        super().__init__()
        self.count, self.kinds, self.broken, self.decoded = count, tuple(kinds), tuple(broken), 0

    def __len__(self) -> int:
        return self.count

    def scan(self) -> Iterator[mcd.Sample]:
        return iter([mcd.Sample(str(at), mcd.plugins.digest(str(at))) for at in range(self.count)])

    def decoding(self) -> str:
        return mcd.plugins.digest(*self.kinds, str(self.broken))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        self.decoded += 1
        number = int(sample.id)
        if number in self.broken:
            raise ImageError(f"it is broken: {number}")
        kind = np.dtype(self.kinds[number % len(self.kinds)])
        maximum = {"uint8": 255.0, "uint16": 4095.0, "float32": 1.0}[kind.name]
        noise = np.random.default_rng(number).random((40, 30, 3) if number % 5 == 3 else (40, 30))
        dim = 0.05 if number % 7 == 1 else 1.0  # uses little of the range
        return mcd.Image((noise * maximum * dim).astype(kind), maximum)

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> np.ndarray:
        grey = image.pixels if image.pixels.ndim == 2 else image.pixels[..., 0]
        return np.asarray(grey > image.maximum / 40)


class Doubled(mcd.Preprocessing):
    """A step of a plugin's own, which refuses some images."""

    def prepare(self, image: mcd.Image) -> torch.Tensor:
        if float(image.pixels.flat[0]) < image.maximum / 50:
            raise ImageError("too dark")
        return super().prepare(image) * 2


def one_pass(
    data: Drawn,
    cache: ImageCache | None,
    recipes: Sequence[mcd.Preprocessing],
    *,
    masked: Sequence[mcd.Preprocessing] = (),
    statistics: str = "",
    recipe: mcd.Preprocessing | None = None,
) -> list[object]:
    """Return all that a pass hands to the sweep, as bytes."""
    wanted = {one.fingerprint(): one for one in recipes}
    groups = [range(at, min(at + 4, len(data))) for at in range(0, len(data), 4)]
    found: list[object] = []
    for batch in batches(
        Reader(data, recipe, cache),
        list(data.scan()),
        wanted,
        groups,
        masked={one.fingerprint() for one in masked},
        statistics=statistics,
        workers=0,
        pin=False,
    ):
        found += [batch.rows, batch.failed, batch.little_range, batch.statistics.numpy().tobytes()]
        if batch.rows:
            found += [batch.input(one, CPU).numpy().tobytes() for one in recipes]
            found += [batch.mask(one, CPU).numpy().tobytes() for one in masked]
    return found


RECIPES = (
    SMALL,
    AS_IT_IS,
    mcd.Preprocessing(height=64, width=40, intensity="min-max", values="stored"),
    mcd.Preprocessing(height=20, width=16, interpolation="area", resize="squash", mean=(0.3,), std=(0.2,)),
    mcd.Preprocessing(height=40, width=50, fill=(1.0, 0.0, 0.5)),
    Doubled(height=40, width=30),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@given(st.data())
def test_a_cache_cold_warm_or_half_warm_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    recipes = data.draw(st.lists(st.sampled_from(RECIPES), min_size=1, max_size=3, unique=True))
    masked = [one for one in recipes if data.draw(st.booleans())]
    kinds = data.draw(st.lists(st.sampled_from(["uint8", "uint16", "float32"]), min_size=1, max_size=2))
    broken = data.draw(st.sampled_from([(), (2,), (0, 1, 2, 3, 5)]))
    statistics = data.draw(st.sampled_from(["", "displayed", "stored"]))
    picture = data.draw(st.sampled_from([None, mcd.Preprocessing(values="stored")]))
    limit = data.draw(st.sampled_from([ROOMY, 30_000, 12_000]))
    seed = data.draw(st.integers(0, 99))
    folder = tmp_path_factory.mktemp("cache")

    def seen(cache: ImageCache | None) -> list[object]:
        drawn = Drawn(10, kinds, broken)
        return one_pass(drawn, cache, recipes, masked=masked, statistics=statistics, recipe=picture)

    plain = seen(None)
    assert seen(ImageCache(folder, limit)) == plain
    assert seen(ImageCache(folder, limit)) == plain
    for path in sorted(path for path in folder.rglob("*.*") if path.is_file()):
        if np.random.default_rng([seed, int(path.stem[:8], 16)]).random() < 0.5:
            path.unlink()
    assert seen(ImageCache(folder, limit)) == plain
    assert seen(ImageCache(folder, limit)) == plain


def test_a_warm_pass_decodes_nothing_and_another_model_decodes_nothing_either(tmp_path: Path) -> None:
    found = []
    for recipes in ([SMALL], [SMALL], [SMALL, AS_IT_IS], [AS_IT_IS]):
        data = Drawn()
        one_pass(data, ImageCache(tmp_path, ROOMY), recipes, masked=recipes, statistics="displayed")
        found.append(data.decoded)
    assert found == [24, 0, 0, 0]
    for path in tmp_path.rglob("*.image"):
        path.unlink()
    data = Drawn()
    one_pass(data, ImageCache(tmp_path, ROOMY), [SMALL, AS_IT_IS], masked=[SMALL, AS_IT_IS], statistics="displayed")
    assert data.decoded == 0
    one_pass(data, ImageCache(tmp_path, ROOMY), [SMALL], masked=[SMALL], statistics="stored")
    assert data.decoded == 24  # which is of other values


def test_an_input_with_its_mask_is_another_than_one_without(tmp_path: Path) -> None:
    for masked in ([SMALL], [SMALL, AS_IT_IS]):
        cache = ImageCache(tmp_path, ROOMY)
        plain = one_pass(Drawn(8), None, [SMALL, AS_IT_IS], masked=masked)
        assert one_pass(Drawn(8), cache, [SMALL, AS_IT_IS], masked=masked) == plain


_UNKNOWN = (0 for _ in range(10**6))


class Unknown(mcd.Preprocessing):
    """Cannot be identified: what an iterator will give cannot be known."""

    def prepare(self, image: mcd.Image) -> torch.Tensor:
        return super().prepare(image) + next(_UNKNOWN)


def test_what_a_recipe_gives_that_cannot_be_identified_is_not_kept(tmp_path: Path) -> None:
    one_pass(Drawn(), ImageCache(tmp_path, ROOMY), [Unknown(height=8, width=8)])
    assert len(list(tmp_path.rglob("*.image"))) == 24
    assert not list(tmp_path.rglob("*.input"))


def sizes(data: Drawn, recipes: Mapping[str, mcd.Preprocessing], folder: Path) -> tuple[int, int]:
    """Return the bytes of all images and of what models read of them."""
    reader = Reader(data, cache=ImageCache(folder, ROOMY))
    inputs = Inputs(reader, recipes)
    for sample in data.scan():
        inputs.read(sample)
    images, read = (sum(path.stat().st_size for path in folder.rglob(ending)) for ending in ("*.image", "*.input"))
    return images, read


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_cache_below_the_need_of_models_hits_as_often_as_it_has_room(tmp_path: Path, share: float) -> None:
    _, needed = sizes(Drawn(120), {"a": AS_IT_IS}, tmp_path / "measured")
    found = []
    for _ in range(3):
        data = Drawn(120)
        cache = ImageCache(tmp_path / "cache", int(share * needed))
        inputs = Inputs(Reader(data, cache=cache), {AS_IT_IS.fingerprint(): AS_IT_IS})
        inputs.warning(list(data.scan()))
        data.decoded = 0
        one_pass(data, cache, [AS_IT_IS])
        found.append(1 - data.decoded / 120)
    assert share * 31 / 32 - 0.05 <= min(found[1:])
    assert max(found[1:]) <= share + 0.02
    assert not list((tmp_path / "cache").rglob("*.image"))


def test_what_models_read_goes_before_the_images_and_takes_their_room(tmp_path: Path) -> None:
    images, needed = sizes(Drawn(60), {"a": SMALL}, tmp_path / "measured")
    limit = needed + images // 3
    for prepared in (False, True):  # the room is known before, or it is not
        data, cache = Drawn(60), ImageCache(tmp_path / str(prepared), limit)
        if prepared:
            Inputs(Reader(data, cache=cache), {SMALL.fingerprint(): SMALL}).warning(list(data.scan()))
        one_pass(data, cache, [SMALL])
        again = Drawn(60)
        one_pass(again, ImageCache(tmp_path / str(prepared), limit), [SMALL])
        assert again.decoded == 0
        kept = len(list((tmp_path / str(prepared)).rglob("*.image")))
        assert 12 <= kept <= 20


def test_what_a_cache_needs_is_said_where_its_limit_is_too_small(tmp_path: Path) -> None:
    data, recipes = Drawn(), {SMALL.fingerprint(): SMALL}
    samples = list(data.scan())
    images, needed = sizes(data, recipes, tmp_path / "measured")
    half = Reader(data, cache=ImageCache(tmp_path / "half", needed + images // 2))
    said = Inputs(half, recipes).warning(samples)
    assert "for all 24 images" in said
    assert "is kept of about 100% of them" in said
    assert "of about 4" in said or "of about 5" in said
    assert "--cache-size 1 would keep all" in said
    little = Reader(data, cache=ImageCache(tmp_path / "little", needed // 2))
    assert "the decoded image, for other models, of about 0%" in Inputs(little, recipes).warning(samples)
    roomy = Reader(data, cache=ImageCache(tmp_path / "measured", ROOMY))
    assert Inputs(roomy, recipes).warning(samples) == ""
    assert Inputs(Reader(data), recipes).warning(samples) == ""


def test_a_warm_pass_with_little_room_makes_nothing_for_its_estimate(tmp_path: Path) -> None:
    recipes = {SMALL.fingerprint(): SMALL}
    _, needed = sizes(Drawn(), recipes, tmp_path)
    for path in tmp_path.rglob("*.image"):
        path.unlink()
    data = Drawn()
    assert Inputs(Reader(data, cache=ImageCache(tmp_path, 2 * needed)), recipes).warning(list(data.scan())) == ""
    assert data.decoded == 0


def test_a_run_from_a_warm_cache_ends_with_the_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 5, 3), nn.ReLU())

    def shards(name: str, cache: Path | None) -> dict[str, bytes]:
        mcd.dissect(
            mcd.Target("net", network, mcd.Preprocessing(height=200, width=144, channels=1)),
            layers=["0"],
            dissector="phantom-clip",
            dataset={"plugin": "phantom", "options": {"patients": 4}},
            concepts=["mass", "right breast"],
            scorer="pearson",
            device="cpu",
            pooling="masked-avg",
            calibration={"draws": 20, "most_draws": 20, "right": False},
            progress=False,
            workers=0,
            store="off",
            cache=cache,
            output=tmp_path / name,
        )
        paths = (tmp_path / name).rglob("*.safetensors")
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in paths}

    plain = shards("plain", None)
    assert len(plain) > 2
    assert shards("cold", tmp_path / "cache") == plain
    for at, path in enumerate(sorted((tmp_path / "cache").rglob("*.input"))):
        if at % 2:
            path.unlink()
    assert shards("half warm", tmp_path / "cache") == plain
