"""Images travel to the models in 8 or 16 bits where that changes nothing: what models get is the same to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mcd
from mcd.extraction.decoding import Batch, batches
from mcd.extraction.reading import Reader

CPU = torch.device("cpu")
SIZES = ((12, 9), (16, 9), (12, 16), (7, 5), (30, 20))


class InFloats(mcd.Preprocessing):
    """The recipe as it was when every image was made float32 before all else."""

    def prepare(self, image: mcd.Image) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(image.pixels, dtype=np.float32))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        if self.intensity == "min-max":
            low, high = pixels.min(), pixels.max()
            pixels = (pixels - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
        else:
            pixels = pixels / image.maximum
        if len(set(self.fill)) > 1 and len(pixels) == 1:
            pixels = pixels.expand(len(self.fill), -1, -1)
        return self._resized(pixels, self.fill).contiguous()


class Given(mcd.Dataset):
    """The images that it is given."""

    def __init__(self, images: Sequence[mcd.Image]) -> None:
        super().__init__()
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def scan(self) -> Iterator[mcd.Sample]:
        return iter([mcd.Sample(str(at)) for at in range(len(self.images))])

    def read(self, sample: mcd.Sample) -> mcd.Image:
        return self.images[int(sample.id)]

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> np.ndarray:
        half = np.zeros(image.pixels.shape[:2], bool)
        half[: len(half) // 2 + 1] = True
        return half


@st.composite
def images(draw: st.DrawFn) -> mcd.Image:
    maxima = {"uint8": (255, 200), "uint16": (65535, 4095, 1023, 255), "float32": (1.0, 0.75)}
    dtype = draw(st.sampled_from(sorted(maxima)))
    maximum = draw(st.sampled_from(maxima[dtype]))
    shape = (*draw(st.sampled_from(SIZES)), *draw(st.sampled_from([(), (3,)])))
    values = np.random.default_rng(draw(st.integers(0, 999))).random(shape) * draw(st.sampled_from([1.0, 0.9, 0.01]))
    pixels = (values * maximum).astype(dtype)
    pixels.flat[0], pixels.flat[-1] = 0, maximum
    if draw(st.booleans()):
        pixels = np.maximum(pixels, np.array(maximum * 0.2).astype(dtype))  # its black is not 0
    ways = [pixels, pixels[::-1], pixels.astype(pixels.dtype.newbyteorder(">"))]
    return mcd.Image(draw(st.sampled_from(ways)), maximum)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "resize": st.sampled_from(["letterbox", "squash", "crop"]),
        "crop_fraction": st.sampled_from([0.75, 1.0, 1.4]),
        "intensity": st.sampled_from(["full-range", "min-max"]),
        "interpolation": st.sampled_from(["bilinear", "area", "nearest"]),
        "fill": st.sampled_from([(0.0,), (1.0,), (0.5,), (1.0, 0.0, 0.0), (0.2, 0.4, 1.0)]),
        "channels": st.sampled_from([1, 3]),
        "mean": st.just((0.3,)),
    },
)


def seen(recipe: mcd.Preprocessing, given: Sequence[mcd.Image]) -> Batch:
    data, key = Given(given), recipe.fingerprint()
    (batch,) = batches(
        Reader(data), list(data.scan()), {key: recipe}, [range(len(given))], masked={key}, workers=0, pin=False
    )
    assert not batch.failed
    return batch


@settings(max_examples=100, deadline=None)
@given(st.lists(images(), min_size=1, max_size=4), st.sampled_from(SIZES), SETTINGS)
def test_models_get_the_same_bits_as_if_all_had_travelled_in_floats(
    given: list[mcd.Image], size: tuple[int, int], changes: dict[str, object]
) -> None:
    how = {"height": size[0], "width": size[1]} | changes
    recipe, before = mcd.Preprocessing.model_validate(how), InFloats.model_validate(how)
    ours, theirs = seen(recipe, given), seen(before, given)
    assert ours.input(recipe, CPU).numpy().tobytes() == theirs.input(before, CPU).numpy().tobytes()
    assert theirs.tensors[before.fingerprint()].dtype == torch.float32
    assert torch.equal(ours.mask(recipe, CPU), theirs.mask(before, CPU))
    for one in given:
        assert torch.equal(recipe.prepare(one), before.prepare(one))


def kind(recipe: mcd.Preprocessing, *given: mcd.Image) -> torch.dtype:
    return seen(recipe, given).tensors[recipe.fingerprint()].dtype


def test_bits_are_kept_wherever_nothing_is_resampled() -> None:
    grey = np.arange(108, dtype=np.uint8).reshape(12, 9)
    eight, twelve = mcd.Image(grey, 255.0), mcd.Image(grey.astype(np.uint16), 4095.0)
    floats = mcd.Image(grey.astype(np.float32), 255.0)
    same, padded = mcd.Preprocessing(height=12, width=9), mcd.Preprocessing(height=12, width=16)
    assert kind(same, eight) == kind(padded, eight) == kind(mcd.Preprocessing(), eight) == torch.uint8
    assert kind(same, eight, twelve) == torch.uint16
    assert kind(same, eight, floats) == torch.float32
    assert kind(mcd.Preprocessing(height=16, width=16), eight) == torch.float32  # enlarged
    assert kind(mcd.Preprocessing(height=12, width=16, fill=(0.5,)), eight) == torch.float32  # 127.5 of 255
    assert kind(mcd.Preprocessing(height=12, width=16, fill=(1.0,)), eight) == torch.uint8
    assert seen(padded, [eight]).masks[padded.fingerprint()].dtype == torch.uint8


def test_bits_cross_processes() -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (12, 9), dtype=np.uint16)
    data, recipe = Given([mcd.Image(pixels, 4095.0)] * 2), mcd.Preprocessing()
    recipes = {recipe.fingerprint(): recipe}
    (batch,) = batches(Reader(data), list(data.scan()), recipes, [[0, 1]], workers=1, pin=False)
    assert batch.tensors[recipe.fingerprint()].dtype == torch.uint16
    assert torch.equal(batch.input(recipe, CPU)[1], recipe.prepare(data.images[1]))


class Doubled(mcd.Preprocessing):
    """A step of a plugin's own."""

    def prepare(self, image: mcd.Image) -> torch.Tensor:
        return super().prepare(image) * 2


def test_what_an_overriding_recipe_returns_travels_as_it_is() -> None:
    grey = mcd.Image(np.arange(108, dtype=np.uint8).reshape(12, 9), 255.0)
    batch = seen(Doubled(), [grey])
    assert torch.equal(batch.input(Doubled(), CPU), 2 * mcd.Preprocessing().prepare(grey)[None])
    assert batch.input(Doubled(), CPU).data_ptr() != batch.input(Doubled(), CPU).data_ptr()  # a network may write to it
