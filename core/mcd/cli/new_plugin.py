"""``mcd plugins new``: a package that installs, passes its own tests and runs, to be filled in."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
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

__all__ = ["Scaffolds", "new"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_.][A-Za-z0-9]+)*")
_LONGEST = 60


class Scaffolds:
    """The templates of plugins, as copier reads them: ``copier.yml`` has the kinds and how answers follow from them.

    Attributes
    ----------
    kinds
        What a plugin can offer.
    """

    def __init__(self) -> None:
        import jinja2
        import yaml

        found = yaml.safe_load((files("mcd.templates") / "copier.yml").read_text(encoding="utf-8"))
        self.kinds: list[str] = found["kind"]["choices"]
        self._derived = {name: one["default"] for name, one in found.items() if "default" in one}
        self._loader = jinja2.PackageLoader("mcd", "templates")
        self._environment = jinja2.Environment(  # noqa: S701 -- what is written is Python and Markdown, not HTML
            loader=self._loader, undefined=jinja2.StrictUndefined, **found["_envops"]
        )

    def answers(self, kind: str, name: str) -> dict[str, str]:
        """Return what the templates ask for.

        Raises
        ------
        UnknownNameError
            When there is no such kind.
        UsageError
            When the name cannot be that of a package.
        """
        if kind not in self.kinds:
            raise UnknownNameError(f"no kind of plugin is called '{kind}'", nearest(kind, self.kinds))
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise UsageError(
                f"'{name}' cannot be the name of a package",
                f"letters, digits and hyphens, a letter first, at most {_LONGEST} in all, such as acme-net",
            )
        answers = {"kind": kind, "name": name}
        for question, default in self._derived.items():
            answers[question] = self._rendered(default, answers)
        package = answers["package"]
        if keyword.iskeyword(package) or importlib.util.find_spec(package) is not None:
            raise UsageError(f"Python has a module '{package}' already", "choose another name")
        return answers

    def write(self, answers: Mapping[str, str], folder: Path) -> list[Path]:
        """Write the package into its folder below ``folder`` and return its files.

        Raises
        ------
        UsageError
            When its folder is there already.
        """
        target = folder / answers["name"]
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} exists", "choose another name, or another folder with -o DIR")
        written = []
        for place in self._loader.list_templates():
            top, *parts = (self._rendered(part, answers) for part in place.removesuffix(".jinja").split("/"))
            if top != "project" or not all(parts):  # a name that renders to nothing is that of another kind
                continue
            path = target.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._environment.get_template(place).render(answers), encoding="utf-8", newline="\n")
            written.append(path)
        return written

    def _rendered(self, text: str, answers: Mapping[str, str]) -> str:
        return self._environment.from_string(text).render(answers)


def _refuse_taken(host: PluginHost, kind: str, component: str) -> None:
    offers = [offer for one in Kind if one.slug == kind for offer in host.offers(one)]
    for offer in offers:
        if offer.component.name == component:
            raise UsageError(
                f"there is a {offer.kind.label} '{component}' already, of {offer.record}", "choose another name"
            )


@click.command()
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.option(
    "-o", "--output", "folder", type=PATH, default=Path(), help="Where the folder NAME is made, by default here."
)
@click.pass_obj
def new(state: HasHost, kind: str, name: str, folder: Path) -> None:
    """Write a plugin to start from into the folder NAME.

    KIND is one of model, dissector, dataset, preprocessing, units, scorer, reporter, concept-set, command, observer.
    What is written installs, passes its own tests and runs; its README says how.
    """
    scaffolds = Scaffolds()
    answers = scaffolds.answers(kind, name)
    _refuse_taken(state.host, kind, answers["component"])
    for path in scaffolds.write(answers, folder):
        echo(f"wrote {path}")
    echo(f"\nnext: cd {folder / name} && pip install -e '.[test]' && pytest")
