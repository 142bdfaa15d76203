"""What decoders do to their process, for the tests of the one that they are isolated in."""

from __future__ import annotations

import os
import signal

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import ImageError
from mcd.study import isolation
from mcd.study.isolation import isolated

__all__ = ["busy", "dead", "gone", "greedy", "lying", "negative", "nested", "process", "refusing", "turned"]


def turned(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values[::-1]


def negative(values: NDArray[np.uint8]) -> mcd.Image:
    return mcd.Image(values, 255, negative=True)


def nested() -> NDArray[np.generic]:
    return isolated(process)


def process() -> NDArray[np.generic]:
    return np.array(os.getpid())


def dead(name: str) -> NDArray[np.generic]:
    os.kill(os.getpid(), signal.Signals[name])
    return np.zeros(1)


def gone() -> NDArray[np.generic]:
    os._exit(3)


def busy() -> NDArray[np.generic]:
    while True:
        pass


def greedy() -> NDArray[np.generic]:
    return np.ones(1 << 36, dtype=np.uint8)


def lying() -> NDArray[np.generic]:
    """As a decoder may that writes where it should not: what is announced does not follow."""
    isolation._as_bytes = lambda array: array[:0].data
    return np.ones(1 << 26, dtype=np.uint8)


def refusing() -> NDArray[np.generic]:
    raise ImageError("it is no image", "take another one")
