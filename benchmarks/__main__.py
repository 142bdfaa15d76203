"""``python -m benchmarks [NAME …] [options]``: measure, store, render README.md."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import get_args, get_origin, get_type_hints

from benchmarks import CHAPTERS, LONG, page, report

EVERY = [name for names in CHAPTERS.values() for name in names]


def module(name: str) -> ModuleType:
    return import_module(f"benchmarks.{name}")


def parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """Return what reads the options; those of a benchmark too where one is named."""
    text = module(names[0]).__doc__ if len(names) == 1 else "Measure, store the results and render README.md."
    found = argparse.ArgumentParser(
        prog=" ".join(["python -m benchmarks", *names]),
        usage="python -m benchmarks [NAME ...] [options]",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--toy", action="store_true", help="take seconds; implies --dry")
    found.add_argument("--dry", action="store_true", help="store nothing")
    found.add_argument("--list", action="store_true", help="list the benchmarks")
    found.add_argument("--render", action="store_true", help="render README.md from what is stored, measure nothing")
    if len(names) == 1:
        settings = module(names[0]).Settings
        hints, group = get_type_hints(settings), found.add_argument_group("options of this benchmark", settings.__doc__)
        for one in dataclasses.fields(settings):
            add(group, one, hints[one.name])
    return found


def add(group: argparse._ArgumentGroup, one: dataclasses.Field[object], hint: type) -> None:
    option, default = f"--{one.name.replace('_', '-')}", argparse.SUPPRESS
    shown = f"usually {one.default}"
    if hint is bool:
        group.add_argument(option, action=argparse.BooleanOptionalAction, default=default, help=shown)
    elif get_origin(hint) is tuple:
        group.add_argument(option, type=get_args(hint)[0], nargs="+", default=default, help=shown)
    else:
        group.add_argument(option, type=hint, default=default, help=shown)


def settings(name: str, toy: bool, given: dict[str, object]) -> object:
    """Return the settings of a benchmark, changed as asked."""
    found = module(name)
    changed = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return dataclasses.replace(found.TOY if toy else found.Settings(), **changed)


def command(name: str, given: dict[str, object]) -> str:
    """Return the command that measures this again; paths of this machine are left out."""
    parts = ["python -m benchmarks", name]
    for key, value in given.items():
        option = key.replace("_", "-")
        if isinstance(value, bool):
            parts.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, Path):
            parts.append(f"--{option} {key.upper()}")
        else:
            values = value if isinstance(value, list) else [value]
            parts.append(f"--{option} {' '.join(shlex.quote(str(one)) for one in values)}")
    return " ".join(parts)


def measured(name: str, toy: bool, stored: bool, given: dict[str, object]) -> bool:
    """Measure, print and, if asked, store; return whether every goal holds."""
    before = os.getloadavg()[0]
    found = module(name).measure(settings(name, toy, given))
    result = report.stored(found, command(name, given), f"{before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print("\n\n".join([f"# {name}", *page.paragraphs(result)]))
    print("".join(["\n", *map(page.line, found.lines)]), flush=True)
    if stored:
        report.write(name, result)
    return all(line.holds is not False for line in found.lines)


def main(arguments: Sequence[str]) -> int:
    names = list(takewhile(lambda one: not one.startswith("-"), arguments))
    for name in names:
        if name not in EVERY:
            print(f"there is no benchmark {name!r}; there is: {', '.join(EVERY)}", file=sys.stderr)
            return 2
    given = vars(parser(names).parse_args(arguments[len(names) :]))
    toy, dry, listed, rendering = (given.pop(one) for one in ("toy", "dry", "list", "render"))
    if listed:
        for name in EVERY:
            title = (module(name).__doc__ or "").partition("\n")[0]
            print(f"{name:<22}{title}{' Only when named.' if name in LONG else ''}")
        return 0
    chosen = [] if rendering else names or [name for name in EVERY if toy or name not in LONG]
    held = [measured(name, toy, not (toy or dry), given) for name in chosen]
    if not (toy or dry):
        page.README.write_text(page.page(), encoding="utf-8")
    return 0 if toy or all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
