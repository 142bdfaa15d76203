"""The version of mcd, and those of what decides its numbers, read from installed metadata: nothing is imported."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["DISTRIBUTION", "__version__", "versions"]

__version__ = "0.2.0.dev0"  # the one place: the build reads it here

DISTRIBUTION = "mammo-clip-dissect"
_REPORTED = ("torch", "torchvision", "timm", "open_clip_torch", "transformers", "numpy", "pydicom", "pluggy")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """Return the versions of mcd, Python and the libraries that decide numbers."""
    found = {"mcd": __version__, "python": platform.python_version()}
    return found | {name: _installed(name) for name in _REPORTED}
