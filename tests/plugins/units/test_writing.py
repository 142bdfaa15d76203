"""Files of units as bytes."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from mcd_plugins.units.writing import unit_bytes

ABOUT = {"layer": "conv", "activation": "relu", "names": '["Masse", "Verkalkung (größer)"]', "facts": "{}", "k": "3"}


def test_what_is_written_is_what_the_library_reads(tmp_path: Path) -> None:
    tensors = {
        "encoder": torch.arange(15.0).view(3, 5),
        "bias": torch.ones(3),
        "half": torch.ones(3, 1, dtype=torch.float16),
    }
    for about in (ABOUT, {}, {"layer": "x" * 5}):
        (tmp_path / "units.safetensors").write_bytes(unit_bytes(tensors, about))
        with safe_open(tmp_path / "units.safetensors", framework="pt") as file:
            assert (file.metadata() or {}) == about
        read = load_file(tmp_path / "units.safetensors")
        assert read.keys() == tensors.keys()
        assert all(torch.equal(read[name], one) for name, one in tensors.items())


def test_the_same_tensors_and_words_make_the_same_bytes() -> None:
    tensors = {"encoder": torch.ones(3, 5).T, "bias": torch.ones(3)}
    assert len({unit_bytes(tensors, ABOUT) for _ in range(20)}) == 1
    apart = {"decoder": torch.ones(3, 5), "encoder": torch.ones(3, 5)}
    assert unit_bytes(dict.fromkeys(apart, apart["decoder"]), ABOUT) == unit_bytes(apart, ABOUT)
