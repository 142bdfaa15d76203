"""What models read, in the image cache: without loss, and believed only where all of it fits together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.extraction.test_cache import ROOMY, files, forged, key

from mcd.api.image import Levels
from mcd.extraction.cache import ImageCache
from mcd.extraction.cached_files import Input


@st.composite
def inputs(draw: st.DrawFn) -> Input:
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    shape = (draw(st.integers(1, 4)), draw(st.sampled_from([1, 5, 64, 65])), draw(st.integers(1, 9)))
    raw = np.random.default_rng(draw(st.integers(0, 99))).bytes(4 * int(np.prod(shape)))
    values = torch.from_numpy(np.frombuffer(raw, dtype=np.uint8).view(dtype)[: np.prod(shape)].reshape(shape).copy())
    values = draw(st.sampled_from([values, values.transpose(1, 2).contiguous().transpose(1, 2)]))
    share = torch.rand(1, *shape[1:], generator=torch.Generator().manual_seed(0))
    mask = draw(st.sampled_from([None, share, (share > 0.5).to(torch.uint8)]))
    span = draw(st.sampled_from([None, 255.0, 0.1, float("inf")]))
    return Input(Levels(values, draw(st.sampled_from([0.0, 7.0])), span), draw(st.floats(0, 1)), mask)


def same_input(one: Input | None, two: Input) -> bool:
    if one is None or (one.mask is None) != (two.mask is None):
        return False
    ours, theirs = one.levels, two.levels
    return (
        (one.mask is None or two.mask is None or torch.equal(one.mask, two.mask))
        and (ours.values.dtype, ours.values.shape) == (theirs.values.dtype, theirs.values.shape)
        and ours.values.numpy().tobytes() == theirs.values.numpy().tobytes()
        and (ours.black, ours.span, one.range_used) == (theirs.black, theirs.span, two.range_used)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(inputs())
def test_every_input_of_a_model_comes_back_without_loss(tmp_path: Path, kept: Input) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    for path in files(tmp_path):
        path.unlink()
    cache.put(key(1), kept)
    assert same_input(cache.get_input(key(1)), kept)
    assert cache.get(key(1)) is None
    assert cache.problem == ""


GREY = Input(Levels(torch.arange(1600, dtype=torch.int32).to(torch.uint8).reshape(1, 40, 40), 0.0, 255.0), 0.5)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_checksum_alone_makes_no_input_true(tmp_path: Path, sealed: bool) -> None:
    cache = ImageCache(tmp_path, ROOMY)
    for changes in (
        {"shape": (1, 0, 40)},
        {"shape": (1, 2**16, 2**16)},
        {"shape": (1, 2**40, 1)},
        {"shape": (2, 40, 40)},
        {"shape": (40, 40)},
        {"dtype": "uint16"},
        {"dtype": "object"},
        {"value_bytes": -1},
        {"value_bytes": 10**12},
        {"mask": "uint8"},
        {"key": key(2)},
    ):
        cache.put(key(1), GREY)
        (path,) = files(tmp_path)
        path.write_bytes(forged(path.read_bytes(), sealed=sealed, **changes))
        assert cache.get_input(key(1)) is None, changes
        assert not path.exists()
    cache.put(key(1), GREY)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.get_input(key(1)) is None


def test_what_no_input_can_be_is_not_kept(tmp_path: Path) -> None:
    grey = GREY.levels.values
    for values, mask in ((grey[0], None), (grey.double(), None), (grey, grey[:, :2]), (torch.rand(99, 2, 2), None)):
        cache = ImageCache(tmp_path, ROOMY)
        cache.put(key(1), Input(Levels(values), 1.0, mask))
        assert files(tmp_path) == []
        assert "are not kept" in cache.problem
