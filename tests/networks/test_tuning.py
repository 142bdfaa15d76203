"""What a GPU may trade for speed: off unless asked for, on GPUs only, put back, and part of keys where it counts."""

from __future__ import annotations

import pytest
import torch
from tests.extraction.keyed import parts
from tests.runs.test_dissect import dissect

import mcd
from mcd.extraction.keys import image_key
from mcd.extraction.reading import Reader
from mcd.networks.running import reproducible
from mcd.networks.tuning import UNTUNED, Tuning

CPU, GPU = torch.device("cpu"), torch.device("cuda")
BOTH = Tuning(tf32=True, autotune=True)


def switches() -> dict[str, bool]:
    """Return what is switched on in torch."""
    return {
        "matrices": torch.get_float32_matmul_precision() != "highest",
        "convolutions": torch.backends.cudnn.allow_tf32,
        "autotune": torch.backends.cudnn.benchmark,
        "deterministic": torch.backends.cudnn.deterministic,
    }


@pytest.mark.parametrize(
    ("device", "tuning", "tf32", "autotune"),
    [
        (GPU, UNTUNED, False, False),
        (GPU, Tuning(tf32=True), True, False),
        (GPU, Tuning(autotune=True), False, True),
        (GPU, BOTH, True, True),
        (CPU, BOTH, False, False),
    ],
)
def test_a_gpu_trades_what_it_was_allowed_to_and_nothing_else(
    device: torch.device, tuning: Tuning, tf32: bool, autotune: bool
) -> None:
    before = switches()
    with reproducible(device, tuning):
        assert switches() == {
            "matrices": tf32,
            "convolutions": tf32,
            "autotune": autotune,
            "deterministic": True,
        }
    assert switches() == before


def test_keys_hold_what_is_on_and_counts() -> None:
    one = parts()
    reader = Reader(one["dataset"], one["recipe"])

    def key(device: torch.device, tuning: Tuning) -> str:
        return image_key(reader, device, "fp32", 16, tuning)

    assert key(CPU, BOTH) == key(CPU, UNTUNED) == image_key(reader, CPU, "fp32", 16)
    assert key(GPU, UNTUNED) == image_key(reader, GPU, "fp32", 16)
    assert len({key(GPU, Tuning(tf32, autotune)) for tf32 in (False, True) for autotune in (False, True)}) == 4


def test_autotuning_is_said_where_it_may_change_last_bits() -> None:
    assert "other last bits" in BOTH.caution(GPU)
    assert not BOTH.caution(CPU)
    assert not Tuning(tf32=True).caution(GPU)


def test_on_the_cpu_tuning_changes_nothing_and_is_recorded() -> None:
    plain, tuned = dissect(), dissect(tf32=True, autotune=True)
    assert tuned.labels.equals(plain.labels)
    assert tuned.manifest.store.activations == plain.manifest.store.activations
    assert (tuned.manifest.study["tf32"], tuned.manifest.study["autotune"]) == (True, True)
    images = {"plugin": "phantom", "options": {"patients": 2}}
    first, second = (
        mcd.embed("phantom-clip", dataset=images, device="cpu", progress=False, tf32=on, autotune=on).images
        for on in (False, True)
    )
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
