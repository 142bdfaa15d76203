"""Hostile safetensors files: a header that is not what the bytes are."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.families import Family, Generator
from tests.hostile.trees import changed

from mcd.networks.checkpoints import read_state_dict

__all__ = ["Tensors"]

_WEIGHT = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
_BIAS = {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]}
_WHOLE: dict[str, Any] = {"__metadata__": {"format": "pt"}, "weight": _WEIGHT, "bias": _BIAS}
_ENTRIES: Mapping[str, object] = {
    "overlapping": {**_BIAS, "data_offsets": [20, 24]},
    "beyond the end": {**_BIAS, "data_offsets": [24, 1 << 40]},
    "the wrong way round": {**_BIAS, "data_offsets": [28, 24]},
    "negative": {**_BIAS, "data_offsets": [-4, 0]},
    "overflowing": {"dtype": "F64", "shape": [1 << 62, 1 << 62], "data_offsets": [24, 28]},
    "huge and empty": {"dtype": "F32", "shape": [0, (1 << 63) - 1], "data_offsets": [24, 24]},
    "huge, empty and unsigned": {"dtype": "F32", "shape": [0, (1 << 64) - 1], "data_offsets": [24, 24]},
    "of many dimensions": {"dtype": "F16", "shape": [1] * 5000 + [2], "data_offsets": [24, 28]},
    "of half bytes": {"dtype": "F4", "shape": [8], "data_offsets": [24, 28]},
    "of an unknown type": {"dtype": "os.system", "shape": [2], "data_offsets": [24, 28]},
    "of eight bits": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [24, 28]},
    "complex": {"dtype": "C64", "shape": [0], "data_offsets": [24, 24]},
    "no object": "x",
    "null": None,
}
_NAMES = ("", "__class__", "../../victim", "\x1b[31m\n", "a" * 100_000, "weight\x00", "__metadata__")


class Tensors(Family):
    """Files called ``.safetensors``."""

    slice = 150

    @cached_property
    def generators(self) -> Mapping[str, Generator]:
        """Return one for each odd entry, name, length and text of the header."""
        entries = {f"a tensor {name}": partial(self._header, {**_WHOLE, "bias": one}) for name, one in _ENTRIES.items()}
        names = {f"a tensor called {name[:20]!a}": partial(self._header, {name: _WEIGHT}) for name in _NAMES}
        return {
            "whole": partial(self._header, _WHOLE),
            "changed": self._changed,
            "length": self._length,
            "text": self._text,
            "twice": self._twice,
            "shards": self._shards,
            **entries,
            **names,
        }

    def read(self, path: Path, out: Path) -> object:
        """Read it as ``checkpoint=`` does."""
        return read_state_dict(path)

    def _header(self, header: object, _random: Random, folder: Path) -> Path:
        return _written(folder / "a.safetensors", json.dumps(header).encode(), 28)

    def _changed(self, random: Random, folder: Path) -> Path:
        return self._header(changed(_WHOLE, random), random, folder)

    def _length(self, random: Random, folder: Path) -> Path:
        path = self._header(_WHOLE, random, folder)
        length = random.choice((0, 1, 1 << 20, 100 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1))
        path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
        return path

    def _text(self, random: Random, folder: Path) -> Path:
        texts = (b"", b"{", b"[]", b"null", b"{}", b"[" * 100_000, b'{"a":' * 10_000, b"\xff\xfe", b" " * 100_000)
        return _written(folder / "a.safetensors", random.choice(texts), random.choice((0, 28)))

    def _twice(self, random: Random, folder: Path) -> Path:
        text = json.dumps(_WHOLE)[:-1] + ', "weight": ' + json.dumps(random.choice((_BIAS, _WEIGHT))) + "}"
        return _written(folder / "a.safetensors", text.encode(), 28)

    def _shards(self, random: Random, folder: Path) -> Path:
        count = random.choice((2, 99_999))
        for number in (1, 2):
            name = f"model-{number:05}-of-{count:05}.safetensors"
            _written(folder / name, json.dumps({random.choice("ab"): _WEIGHT}).encode(), 24)
        return folder / f"model-00001-of-{count:05}.safetensors"


def _written(path: Path, header: bytes, count: int) -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(count))
    return path
