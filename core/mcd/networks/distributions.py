"""Which installed distribution a module belongs to, read from metadata without importing anything."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from mcd.version import DISTRIBUTION

__all__ = ["Origin", "installed_version", "origin_of"]


@dataclass(frozen=True)
class Origin:
    """Where the code of a module comes from.

    Parameters
    ----------
    name
        The distribution, or ``python`` for the standard library.
    version
        Its version; for a source tree of mcd itself a digest of its files.
    """

    name: str
    version: str

    @property
    def fixed(self) -> bool:
        """Whether name and version say which code it is."""
        return bool(self.version)


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution, or an empty string."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def origin_of(module: str) -> Origin | None:
    """Return where a module comes from; None for code of the user's own.

    A file belongs to a distribution when it lies beside its metadata. So an editable install, a source tree, a file
    that is run and a notebook are the user's own; mcd in a source tree is mcd, without a version.
    """
    if module in sys.builtin_module_names:
        return _python()
    return _origin(module, _file_of(module))


def _file_of(module: str) -> str:
    found = sys.modules.get(module)
    if found is not None:
        # namespace packages have no file of their own
        return getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", ())), "")
    top = module.partition(".")[0]
    if top != module and top not in sys.modules:
        return ""  # to look for a submodule imports its parents
    try:
        specification = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):  # a parent that is no package, a module without a spec
        return ""
    return "" if specification is None else specification.origin or ""


@functools.cache
def _origin(module: str, file: str) -> Origin | None:
    top = module.partition(".")[0]
    if file in ("built-in", "frozen") or (top in sys.stdlib_module_names and _is_standard(file)):
        return _python()
    root = _root(file, len(module.split(".")))
    names = _beside(root).get(top, ()) if root is not None else ()
    if names:
        return Origin(*(" ".join(parts) for parts in zip(*map(_named, names), strict=True)))
    return Origin(DISTRIBUTION, _source(root / top)) if root is not None and top in _own() else None


@functools.cache
def _source(package: Path) -> str:
    """Return a digest of the files of a package of mcd in a source tree, which stands for its version.

    Its code is not walked as a user's is: it holds caches and registries that fill while it runs.
    """
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(f"{path.relative_to(package).as_posix()} ".encode() + path.read_bytes())
    return f"source-{total.hexdigest()[:16]}"


def _python() -> Origin:
    return Origin("python", platform.python_version())


def _is_standard(file: str) -> bool:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    above = Path(file).parents
    return not file or any(Path(folder) in above for folder in folders)


def _root(file: str, depth: int) -> Path | None:
    """Return the folder that a module ``depth`` names deep is imported from."""
    if not file:
        return None
    path = Path(file)
    inside = path.stem == "__init__" or not path.suffix
    levels = depth if inside else depth - 1
    folder = path if not path.suffix else path.parent
    for _ in range(levels):
        folder = folder.parent
    return folder


def _named(metadata: Path) -> tuple[str, str]:
    known = importlib.metadata.PathDistribution(metadata)
    return known.name, known.version


@functools.cache
def _beside(root: Path) -> dict[str, list[Path]]:
    """Return, for each top-level module of a folder, the metadata there of the distributions that bring it."""
    found: dict[str, list[Path]] = {}
    for metadata in sorted([*root.glob("*.dist-info"), *root.glob("*.egg-info")]):
        if metadata.suffix == ".egg-info" and root.name not in ("site-packages", "dist-packages"):
            continue  # what building leaves in a source tree
        for top in _tops(metadata):
            found.setdefault(top, []).append(metadata)
    return found


def _tops(metadata: Path) -> set[str]:
    """Return what a distribution puts beside its metadata. Reading the whole record as paths would take seconds."""
    tops: set[str] = set()
    for name in ("RECORD", "installed-files.txt", "top_level.txt"):
        try:
            text = (metadata / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            path = line.partition(",")[0].strip('"').removeprefix("../")
            top, slash, _ = path.partition("/")
            tops.add(top if slash else top.partition(".")[0])
    return {top for top in tops if top.isidentifier()}


@functools.cache
def _own() -> frozenset[str]:
    """Return the top-level packages of mcd's own distribution."""
    try:
        points = importlib.metadata.distribution(DISTRIBUTION).entry_points.select(group="mcd")
    except importlib.metadata.PackageNotFoundError:
        points = importlib.metadata.EntryPoints()
    return frozenset({"mcd", *(point.value.partition(":")[0].partition(".")[0] for point in points)})
