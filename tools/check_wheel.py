"""Check what is in a built wheel: ``python tools/check_wheel.py WHEEL``."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

TOPLEVEL = {"mcd", "mcd_plugins", "mcd_concepts"}
TEMPLATES = "mcd/templates/"
WEIGHTS = "mcd_plugins/phantom/weights/"
WEIGHTS_LIMIT = 12 * 10**6
"""Bytes that the weights of the phantoms' networks may have in all."""


def problems(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel, one line each."""
    root = Path(__file__).resolve().parent.parent
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    found = []
    tops = {name.split("/")[0] for name in sizes if ".dist-info" not in name}
    found += [f"does not belong there: {name}" for name in sorted(tops ^ TOPLEVEL)]
    own = [name for name in sizes if not name.startswith(TEMPLATES)]  # what mcd plugins new writes has tests
    found += [f"a test: {name}" for name in own if "test_" in name or "/tests/" in name or "conftest" in name]
    sources = {
        path.relative_to(folder).as_posix()
        for folder in (root / "core", root / "plugins", root / "concept_sets")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    found += [f"left out: {name}" for name in sorted(sources - set(sizes))]
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        description = archive.read(metadata).decode()
    nowhere = re.findall(r"\]\((?!https?://|#)[^)]*\)", description)
    found += [f"a link of the description leads nowhere: {link}" for link in nowhere]
    weights = sum(size for name, size in sizes.items() if name.startswith(WEIGHTS))
    if weights > WEIGHTS_LIMIT:
        found.append(f"the phantoms' weights have {weights:,} bytes, over {WEIGHTS_LIMIT:,}")
    return found


def main() -> None:
    """Print the problems and exit with 1 if there are any."""
    wheel = Path(sys.argv[1])
    found = problems(wheel)
    print("\n".join(found) or f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, all there")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
