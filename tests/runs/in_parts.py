"""Runs that are computed in parts, and what of them is compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.command_line import Outcome
from tests.runs.tiny import written

from mcd.files import MANIFEST

__all__ = ["Command", "Made", "manifests", "reports"]

Command = Callable[..., Outcome]


class Made:
    """Folders of one module: the plugin file, the study, what one process makes of it, and parts that were computed."""

    def __init__(self, folder: Path, command: Command) -> None:
        self.folder, self.command = folder, command
        self.plugin, self.study = written(folder)

    def run(self, output: Path, *flags: object, **environment: str) -> Outcome:
        given = "--plugin-file", self.plugin, "-o", output, "-q", "--store", "off", *flags
        return self.command("run", self.study, *given, **environment)

    def one(self, output: Path, *flags: object, **environment: str) -> Outcome:
        """Compute the run of the first network by the small dissector alone, without controls."""
        given = "--plugin-file", self.plugin, "-o", output, "-q", "--batch-size", 8, "--workers", 0, "--draws", 20
        own = "--model-plugin", "first", "--layers", "two", "--dissector", "tiny", "--dataset", "tiny-images"
        more = "--store", "off", "--most-draws", 20, "--on-error", "skip", "--device", "cpu"
        return self.command("dissect", *given, *own, *more, *flags, **environment)

    def part(self, number: int, of: int) -> Path:
        """Return the folder of a part of the run of `one`, computed when it is first asked for."""
        place = self.folder / f"{number}-of-{of}"
        if not place.exists():
            done = self.one(place, "--part", f"{number}/{of}")
            assert done.code == 0, done.err
        return place

    def merge(self, output: Path, *parts: object) -> Outcome:
        return self.command("merge", "--plugin-file", self.plugin, *parts, "-o", output, "--reporter", "json")


def manifests(folder: Path) -> dict[str, object]:
    """Return the manifests below a folder without times and machine."""
    found = {path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in folder.rglob(MANIFEST)}
    for one in found.values():
        del one["seconds"], one["machine"], one["checksum"]
    return found


def reports(names: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in names.items() if "report/" not in name}
