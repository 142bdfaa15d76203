"""``mcd plugins new``: a package that installs, passes its own tests and runs, to be filled in."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.paths import PATH
from mcd.cli.terminal import echo
from mcd.components import Kind
from mcd.errors import UnknownNameError, UsageError, nearest

if TYPE_CHECKING:
    from mcd.cli.plugins import HasHost
    from mcd.host import PluginHost

__all__ = ["new", "scaffold"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_.][A-Za-z0-9]+)*")
_LONGEST = 60


def scaffold(kind: str, name: str, folder: Path) -> list[Path]:
    """Write the package ``name`` of a plugin below ``folder`` and return its files.

    Raises
    ------
    UnknownNameError
        When there is no such kind.
    UsageError
        When the name cannot be that of a package, or its folder is there already.
    """
    answers = _answers(kind, name)
    target = folder / name
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists", "choose another name, or another folder with -o DIR")
    written = []
    for place, text in _rendered(answers):
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def _answers(kind: str, name: str) -> dict[str, str]:
    """Return what the template asks for; ``copier.yml`` says how the rest follows from kind and name."""
    import jinja2

    template = _Template.read()
    if kind not in template.kinds:
        raise UnknownNameError(f"no kind of plugin is called '{kind}'", nearest(kind, template.kinds))
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"'{name}' cannot be the name of a package",
            f"letters, digits and hyphens, a letter first, at most {_LONGEST} in all, such as acme-net",
        )
    answers = {"kind": kind, "name": name}
    for question, default in template.defaults.items():
        answers[question] = jinja2.Template(default).render(answers)
    package = answers["package"]
    if keyword.iskeyword(package) or importlib.util.find_spec(package) is not None:
        raise UsageError(f"Python has a module '{package}' already", "choose another name")
    return answers


@dataclass(frozen=True)
class _Template:
    """What ``copier.yml`` says: the kinds there are, how the other answers follow, and how Jinja is set."""

    kinds: list[str]
    defaults: dict[str, str]
    trim_blocks: bool
    keep_trailing_newline: bool

    @classmethod
    def read(cls) -> _Template:
        import yaml

        found = yaml.safe_load((files("mcd.templates") / "copier.yml").read_text(encoding="utf-8"))
        asked = {name: one for name, one in found.items() if not name.startswith("_")}
        defaults = {name: one["default"] for name, one in asked.items() if "default" in one}
        return cls(asked["kind"]["choices"], defaults, **found["_envops"])


def _refuse_taken(host: PluginHost, kind: str, component: str) -> None:
    offers = [offer for one in Kind if one.label.replace(" ", "-") == kind for offer in host.offers(one)]
    for offer in offers:
        if offer.component.name == component:
            raise UsageError(
                f"there is a {offer.kind.label} '{component}' already, of {offer.record}", "choose another name"
            )


def _rendered(answers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of every file, as copier makes them."""
    import jinja2

    root, template = files("mcd.templates"), _Template.read()
    environment = jinja2.Environment(  # noqa: S701 -- what is written is Python and Markdown, not HTML
        loader=jinja2.FunctionLoader(lambda part: (root / part).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=template.trim_blocks,
        keep_trailing_newline=template.keep_trailing_newline,
    )
    for place, file in _below(root / "project", ""):
        parts = [environment.from_string(part).render(answers) for part in place.removesuffix(".jinja").split("/")]
        if all(parts):  # a name that renders to nothing is that of another kind
            text = file.read_text(encoding="utf-8")
            yield "/".join(parts), environment.from_string(text).render(answers) if place.endswith(".jinja") else text


def _below(folder: Traversable, place: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _below(entry, f"{place}{entry.name}/")
        else:
            yield place + entry.name, entry


@click.command()
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.option(
    "-o", "--output", "folder", type=PATH, default=Path(), help="Where the folder NAME is made, by default here."
)
@click.pass_obj
def new(state: HasHost, kind: str, name: str, folder: Path) -> None:
    """Write a plugin to start from into the folder NAME.

    KIND is one of model, dissector, dataset, preprocessing, scorer, reporter, concept-set, command, observer. What is
    written installs, passes its own tests and runs; its README says how.
    """
    _refuse_taken(state.host, kind, _answers(kind, name)["component"])
    written = scaffold(kind, name, folder)
    for path in written:
        echo(f"wrote {path}")
    echo(f"\nnext: cd {folder / name} && pip install -e '.[test]' && pytest")
