"""The versions of mcd and of what decides its numbers, read from installed metadata without importing anything."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["DISTRIBUTION", "__version__", "versions"]

DISTRIBUTION = "mammo-clip-dissect"
_REPORTED = ("torch", "torchvision", "timm", "open_clip_torch", "transformers", "numpy", "pydicom", "pluggy")


def _installed(name: str, otherwise: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return otherwise


__version__ = _installed(DISTRIBUTION, "0+unknown")  # unknown: run from a source tree that was never installed


def versions() -> dict[str, str]:
    """Return the versions of mcd, Python and the libraries that decide numbers."""
    found = {"mcd": __version__, "python": platform.python_version()}
    return found | {name: _installed(name, "not installed") for name in _REPORTED}
