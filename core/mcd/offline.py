"""Whether the network may be used."""

from __future__ import annotations

import os

__all__ = ["offline"]


def offline() -> bool:
    """Say whether downloads are ruled out, by ``--offline`` or by ``HF_HUB_OFFLINE`` as the hub reads it."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")
