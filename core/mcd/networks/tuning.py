"""What a GPU may trade for speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["UNTUNED", "Tuning"]


@dataclass(frozen=True)
class Tuning:
    """What an NVIDIA GPU may trade for speed; elsewhere it changes nothing.

    Parameters
    ----------
    tf32
        Products in matrices and convolutions of float32 are of numbers with 10 bits of mantissa instead of 23; sums
        stay float32.
    autotune
        cuDNN times its deterministic algorithms for each new size of input and takes the fastest: perhaps another one
        in another run, with other last bits.
    """

    tf32: bool = False
    autotune: bool = False

    def on(self, device: torch.device) -> tuple[str, ...]:
        """Return the names of those that are on and change something on a device."""
        return tuple(name for name in ("tf32", "autotune") if device.type == "cuda" and getattr(self, name))

    def caution(self, device: torch.device) -> str:
        """Return what users are to know of a run on a device; empty where there is nothing."""
        if "autotune" not in self.on(device):
            return ""
        return "autotune: algorithms are chosen by their speed, so the same run may give other last bits another time"


UNTUNED = Tuning()
