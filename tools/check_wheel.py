"""Check what is in a built wheel: ``python tools/check_wheel.py WHEEL``."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

TOPLEVEL = {"mcd", "mcd_plugins", "mcd_concepts"}
NEEDED = (
    "mcd/py.typed",
    "mcd_plugins/py.typed",
    "mcd_concepts/py.typed",
    "mcd_concepts/birads.yaml",
    "mcd_concepts/birads-core.yaml",
    "mcd_concepts/birads-everyday.yaml",
    "mcd_concepts/everyday.yaml",
    "mcd_concepts/technical.yaml",
    "mcd_plugins/phantom/weights/phantom_clip.safetensors",
    "mcd_plugins/phantom/weights/phantom_mammo.safetensors",
    "mcd_plugins/phantom/MODEL_CARD.md",
)
CLIP_LIMIT = 8 * 2**20
"""Bytes that the weights of phantom-clip may have."""


def problems(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel, one line each."""
    root = Path(__file__).resolve().parent.parent
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    found = [f"missing: {name}" for name in NEEDED if name not in sizes]
    tops = {name.split("/")[0] for name in sizes if ".dist-info" not in name}
    found += [f"does not belong there: {name}" for name in sorted(tops ^ TOPLEVEL)]
    found += [f"a test: {name}" for name in sizes if "test_" in name or "/tests/" in name or "conftest" in name]
    sources = {
        path.relative_to(folder).as_posix()
        for folder in (root / "core", root / "plugins", root / "concept_sets")
        for path in folder.rglob("*.py")
    }
    found += [f"left out: {name}" for name in sorted(sources - set(sizes))]
    if sizes.get("mcd_plugins/phantom/weights/phantom_clip.safetensors", 0) > CLIP_LIMIT:
        found.append("phantom_clip.safetensors is over 8 MiB")
    return found


def main() -> None:
    """Print the problems and exit with 1 if there are any."""
    wheel = Path(sys.argv[1])
    found = problems(wheel)
    print("\n".join(found) or f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, all there")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
