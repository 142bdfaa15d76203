"""Kills a command at its n-th rename, or fills the disk at its n-th write: what `test_kills.py` runs in one process.

    python -m tests.e2e.killing JOB.json

The job names commands that prepare, the one that is killed, folders to look at, and at which renames. A command runs in
a forked child, so that nothing is imported twice; the parent never computes, so a fork of it is safe. Printed is JSON.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import pkgutil
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

IMPORTED = (
    "mcd",
    *(f"mcd_plugins.{name}" for name in ("console", "datasets", "explorer", "phantom", "reporters", "scorers")),
)
"""Not the plugins of networks: their libraries take as long again."""

TEMPORARY = re.compile(r"\.mcd-[0-9a-f]{16}\.tmp")


def forked(run: Callable[[], None]) -> int:
    """Run something in a child and return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # a child prints it, whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def command(arguments: Sequence[str], hook: Callable[[str, tuple[object, ...]], None] | None = None) -> int:
    """Run ``mcd`` in a child under an audit hook; return its exit code."""

    def run() -> None:
        import torch

        from mcd.cli import main

        torch.set_num_threads(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if hook is not None:
            sys.addaudithook(hook)
        main(list(arguments))

    return forked(run)


def counted(folder: Path, events: tuple[str, ...], at: int, act: Callable[[], None]) -> Callable[..., None]:
    """Return a hook that acts at the n-th such event below a folder."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in events or not str(arguments[0]).startswith(str(folder)):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        seen += 1
        if seen == at:
            (folder.parent / "acted").touch()
            act()

    return hook


def killed() -> None:
    """End as a killed process does: nothing is flushed, nothing cleaned up."""
    os._exit(137)


def full() -> None:
    """Refuse a write as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tree(folder: Path) -> dict[str, str]:
    """Return the digests of all files; of a manifest without its times, without the store, which a kill keeps short."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_relative_to(folder / "store"):
            data = path.read_bytes()
            if path.name == "manifest.json":
                data = json.dumps({**json.loads(data), "seconds": 0}).encode()
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(data).hexdigest()
    return found


def torn(folder: Path) -> Iterator[str]:
    """Yield what is wrong with what a killed command left: finished runs whose tables are not those of the manifest.

    Then files of the store that are not what they are called after.
    """
    for path in (folder / "store").rglob("*-*.safetensors"):
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem.partition("-")[2]:
            yield f"{path} is damaged"
    for manifest in folder.rglob("manifest.json"):
        found = json.loads(manifest.read_bytes())
        if found["status"] != "finished":
            continue
        for name, digest in (found["digests"] or {}).items():
            path = manifest.parent / name
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                yield f"{path} is not that of its manifest"


def tried(job: dict[str, list[str]], base: Path, work: Path, how: str, at: int) -> list[str] | None:
    """Kill the command at one event and run it again; return what is wrong then, None where it ended before."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work, symlinks=True)
    events, act = (("os.rename", "os.link"), killed) if how == "kill" else (("open", "os.mkdir"), full)
    acted = work.parent / "acted"
    acted.unlink(missing_ok=True)
    code = command(job["command"], counted(work, events, at, act))
    if not acted.exists():
        return None
    wrong = [*torn(work)]
    if code not in ((137,) if how == "kill" else (0, 4)):  # 0: what is not needed was refused, such as a folder again
        wrong.append(f"exit code {code}")
    again = command(job["command"])
    if again != 0:
        return [*wrong, f"the same command again: exit code {again}"]
    left = [str(path) for path in work.rglob("*") if TEMPORARY.fullmatch(path.name)]
    return [*wrong, *(f"{path} is left" for path in left)]


def import_all() -> None:
    """Import what the jobs import, once for all children: most of the time of a small run."""
    for name in IMPORTED:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if module.name != "mcd.__main__":
                importlib.import_module(module.name)


def main() -> None:
    """Do a job and print what is wrong, by the number of the event."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import_all()
    work, base = Path(job["work"]), Path(job["work"] + ".base")
    for arguments in job["prepare"]:
        assert command(arguments) == 0, arguments
    work.mkdir(exist_ok=True)
    shutil.copytree(work, base, symlinks=True)
    assert command(job["command"]) == 0
    whole, found, count = tree(work), {}, 0
    for at in job["at"] or range(1, 10_000):
        wrong = tried(job, base, work, job["how"], at)
        if wrong is None:
            break
        count += 1
        different = sorted(name for name in {*tree(work), *whole} if tree(work).get(name) != whole.get(name))
        wrong += [f"{name} differs" for name in different]
        if wrong:
            found[at] = wrong
    sys.stdout.write(json.dumps({"tried": count, "wrong": found}) + "\n")


if __name__ == "__main__":
    main()
