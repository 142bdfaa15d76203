"""Hostile dictionaries: state dicts of other tools whose tensors or settings are not what these tools write."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from random import Random

import torch
from tests.hostile.families import Family, Generator
from tests.hostile.trees import changed
from tests.plugins.dictionary.saved_files import SAVED, write_saved

from mcd_plugins.dictionary.importing.formats import import_dictionary
from mcd_plugins.dictionary.importing.saved import Asked

__all__ = ["Dictionaries"]

_TENSORS: Mapping[str, torch.Tensor] = {
    "of another size": torch.ones(5, 7),
    "without axes": torch.tensor(1.0),
    "of many axes": torch.ones(1, 1, 4, 3, 1),
    "empty": torch.empty(0, 3),
    "of NaN": torch.full((4, 3), torch.nan),
    "of zeros": torch.zeros(4, 3),
    "out of range": torch.full((4,), 1e300, dtype=torch.float64),
    "whole numbers": torch.full((4, 3), 9),
    "a large number": torch.tensor(1 << 62),
    "complex": torch.ones(4, 3, dtype=torch.complex64),
    "of truths": torch.ones(4, dtype=torch.bool),
    "repeated": torch.ones(1).expand(4000, 3000),
    "of eight bits": torch.ones(4, 3).to(torch.float8_e4m3fn),
}


class Dictionaries(Family):
    """What `mcd dictionary import` reads."""

    spoilt = 1 / 3

    @cached_property
    def generators(self) -> Mapping[str, Generator]:
        """Return for each tool a file as it should be, with an odd tensor, and with odd settings."""
        found: dict[str, Generator] = {}
        for name in SAVED:
            found[f"whole:{name}"] = partial(self._whole, name)
            found[f"tensor:{name}"] = partial(self._odd, name)
            found[f"settings:{name}"] = partial(self._settings, name)
        return found

    def read(self, path: Path, out: Path) -> object:
        """Import it."""
        activation = "topk" if path.stem.endswith("k") else None
        name, found = import_dictionary(path, None, Asked(activation, 2 if activation else None))
        assert all(bool(one.isfinite().all()) for one in found.tensors.values()), name
        return found

    def _whole(self, name: str, random: Random, folder: Path) -> Path:
        saved = SAVED[name]
        return write_saved(folder, saved.tensors, saved.settings, _called(saved.settings, random))

    def _odd(self, name: str, random: Random, folder: Path) -> Path:
        saved = SAVED[name]
        tensors = dict(saved.tensors)
        for _ in range(random.choice((1, 1, 2))):
            one = random.choice(sorted(tensors))
            if random.random() < 0.2:
                tensors.pop(one)
            else:
                tensors[one] = _TENSORS[random.choice(sorted(_TENSORS))]
        return write_saved(folder, tensors, saved.settings, _called(saved.settings, random))

    def _settings(self, name: str, random: Random, folder: Path) -> Path:
        path = self._whole(name, random, folder)
        settings = SAVED[name].settings or {"trainer": {"dict_class": "AutoEncoder"}}
        file = folder / ("cfg.json" if "d_sae" in settings else "config.json")
        texts = (b"", b"{", b"null", b"[" * 100_000, b'{"trainer":' * 20_000, b"\xff\xfe", b'{"architecture": 1e999}')
        if random.random() < 0.3:
            file.write_bytes(random.choice(texts))
        else:
            with contextlib.suppress(ValueError):  # an entry was put into itself
                file.write_text(json.dumps(changed(dict(settings), random)))
        return path


def _called(settings: object, random: Random) -> str:
    """Return a name, of which the last letter decides what is asked beside it."""
    stem = random.choice(("ae", "weights_topk"))
    return f"{stem}.safetensors" if isinstance(settings, dict) and "d_sae" in settings else f"{stem}.pt"
