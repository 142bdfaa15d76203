"""A plugin's package, examined by its text alone: nothing of it is imported, nothing of it runs."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mcd.components import Component, Kind
from mcd.errors import MCDError, UsageError, nearest
from mcd.files import read_regular
from mcd.hookspecs import PROJECT
from mcd.host.registration import HOOKS
from mcd.host.source_text import Hook, Module, Package, UnreadableModuleError
from mcd.host.sources import SETS
from mcd.host.targets import BASES
from mcd.lazy import HEAVY
from mcd.version import DISTRIBUTION, __version__

__all__ = ["Examined", "Finding", "examine_package"]

_MOST_BYTES = 2**20


@dataclass(frozen=True)
class Finding:
    """What is wrong with a package.

    Parameters
    ----------
    where
        File and line.
    message, hint
        What is wrong, and what to do.
    """

    where: str
    message: str
    hint: str


@dataclass
class Examined:
    """What the text of a package says.

    Attributes
    ----------
    name
        Of the distribution.
    components
        What it offers, as far as its text says; kind and name.
    findings
        What is wrong with it.
    """

    name: str
    components: list[tuple[Kind, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, where: str, message: str, hint: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(where, message, hint))


def examine_package(folder: Path) -> Examined:
    """Return what is wrong with the package of a plugin, and what it offers, without importing it.

    Parameters
    ----------
    folder
        That of its ``pyproject.toml``.

    Raises
    ------
    UsageError
        When there is no such file, or it cannot be read.
    """
    project = _project(folder)
    found = Examined(str(_table(project, "project").get("name", folder.name)))
    points = _table(_table(project, "project"), "entry-points")
    modules, files = _table(points, PROJECT), _table(points, SETS)
    if not modules and not files:
        found.find(
            "pyproject.toml",
            f"it has no entry points of group {PROJECT}: nothing finds the plugin",
            f'write [project.entry-points.{PROJECT}] with a line such as acme = "acme_backbone"',
        )
    _check_requirement(found, project, coded=bool(modules))
    package = Package(folder, _roots(project))
    for name, value in modules.items():
        _check_module(found, package, name, str(value))
    for name, value in files.items():
        _check_words(found, package, f"entry point '{name}'", str(value))
    return found


def _project(folder: Path) -> Mapping[str, object]:
    path = folder / "pyproject.toml"
    hint = "give the folder of the package, with its pyproject.toml"
    try:
        return tomllib.loads(read_regular(path, _MOST_BYTES).decode())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", hint) from None
    except ValueError as error:
        raise UsageError(f"{path} is no TOML: {error}", hint) from None


def _table(of: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def _roots(project: Mapping[str, object]) -> list[str]:
    """Return the folders that hold packages, as the common build backends are given them."""
    tool = _table(project, "tool")
    hatch = tool
    for name in ("hatch", "build", "targets", "wheel"):
        hatch = _table(hatch, name)
    packages = hatch.get("packages")
    roots = [str(Path(str(one)).parent) for one in packages] if isinstance(packages, list) else []
    setuptools = _table(_table(tool, "setuptools"), "package-dir")
    return roots + [str(one) for one in setuptools.values()]


def _check_requirement(found: Examined, project: Mapping[str, object], *, coded: bool) -> None:
    listed = _table(project, "project").get("dependencies")
    wanted = f'dependencies = ["{DISTRIBUTION}>={__version__},<0.3"]'
    ours = None
    for text in listed if isinstance(listed, list) else []:
        try:
            one = Requirement(str(text))
        except InvalidRequirement as error:
            found.find("pyproject.toml", f"dependency {text!r} cannot be read: {error}", "write it as pip takes it")
            continue
        ours = one if canonicalize_name(one.name) == DISTRIBUTION else ours
    if ours is None and not coded:
        return  # a vocabulary runs nothing of mcd
    if ours is None:
        found.find("pyproject.toml", f"it does not depend on {DISTRIBUTION}", f"write {wanted}")
    elif not ours.specifier.contains(__version__, prereleases=True):
        found.find("pyproject.toml", f"it is for {ours}, and this is {__version__}", f"try it with this one: {wanted}")


def _check_module(found: Examined, package: Package, name: str, value: str) -> None:
    module = package.module(value.partition(":")[0].strip())
    if module is None:
        found.find("pyproject.toml", f"entry point '{name}' names {value}, which is no module here", "correct the name")
        return
    if ":" in value:
        return  # an object that code makes: only an import shows it
    try:
        hooks = module.hooks()
        _check_light(found, package, module)
    except UnreadableModuleError as error:
        found.find(str(error), "its text is no Python", "correct it")
        return
    if not hooks:
        found.find(module.path.name, "it has no hooks: the plugin offers nothing", "see docs/reference/hooks.md")
    for hook in hooks:
        _check_hook(found, package, module, hook)


def _check_light(found: Examined, package: Package, module: Module) -> None:
    """Say which heavy packages are imported with a module, through modules of the same package too."""
    parents = module.name.split(".")
    left = [".".join(parents[: end + 1]) for end in range(len(parents))]
    seen: set[str] = set()
    while left:
        name = left.pop()
        one = package.module(name)
        if one is None or name in seen:
            continue
        seen.add(name)
        for imported, line in one.imports():
            if imported.partition(".")[0] in HEAVY and package.module(imported.partition(".")[0]) is None:
                found.find(
                    f"{one.path.name}, line {line}",
                    f"it imports {imported.partition('.')[0]}, and every mcd command imports it",
                    "import it in the module that a component names, which is imported when it is used",
                )
                break
            left.append(imported)


def _check_hook(found: Examined, package: Package, module: Module, hook: Hook) -> None:
    where = f"{module.path.name}, line {hook.line}"
    if hook.name not in HOOKS:
        found.find(where, f"there is no hook {hook.name}", nearest(hook.name, HOOKS))
        return
    if not hook.marked:
        found.find(where, f"{hook.name} is never called", "decorate it with @mcd.hookimpl")
    kind = next((one for one in Kind if one.hook == hook.name), None)
    for line, component in hook.components if kind is not None else ():
        at = f"{module.path.name}, line {line}"
        if isinstance(component, str):
            found.find(at, component, "see docs/reference/hooks.md")
        elif kind is not None:
            found.components.append((kind, component.name))
            _check_requires(found, at, component)
            _check_target(found, package, at, kind, component)


def _check_requires(found: Examined, where: str, component: Component) -> None:
    for text in component.requires:
        try:
            Requirement(text)
        except InvalidRequirement:
            found.find(where, f"'{component.name}' requires {text!r}", "write it as pip takes it")


def _check_target(found: Examined, package: Package, where: str, kind: Kind, component: Component) -> None:
    home, _, attribute = component.target.partition(":")
    if kind is Kind.CONCEPTS and attribute.endswith((".yaml", ".yml")):
        _check_words(found, package, where, component.target, listed=True)
        return
    module = package.module(home)
    if module is None:
        found.find(where, f"target of '{component.name}': there is no module {home} here", "correct the name")
        return
    try:
        names, defined = module.names(), module.methods(attribute)
    except UnreadableModuleError as error:
        found.find(str(error), "its text is no Python", "correct it")
        return
    if attribute.partition(".")[0] not in names:
        found.find(where, f"target of '{component.name}': {home} has no {attribute}", nearest(attribute, names))
        return
    if defined is not None and kind in BASES:
        _check_class(found, f"{module.path.name}: {attribute}", kind, *defined)


def _check_class(found: Examined, where: str, kind: Kind, bases: list[str], methods: list[str]) -> None:
    """Hold a class to its contract, where its bases are those of mcd by name."""
    home, *names = BASES[kind]
    if not bases:
        found.find(where, f"it is no subclass of mcd.{names[0]}", f"write class …(mcd.{names[0]})")
        return
    contract = getattr(importlib.import_module(home), bases[0], None) if len(bases) == 1 else None
    abstract = sorted(getattr(contract, "__abstractmethods__", ()))
    lacking = [one for one in abstract if one not in methods]
    if isinstance(contract, type) and lacking:
        found.find(where, f"it does not define {', '.join(lacking)}", f"mcd.{bases[0]} says what they return")


_WORDS = re.compile(r"\w+(\.\w+)*:.+\.ya?ml")


def _check_words(found: Examined, package: Package, where: str, target: str, *, listed: bool = False) -> None:
    from mcd.api.concepts import ConceptSet

    home, _, name = target.partition(":")
    path = package.file(home, name) if _WORDS.fullmatch(target) else None
    if path is None:
        found.find(where, f"{target} names no file here", "write package:file.yaml, a file of the package")
        return
    try:
        words = ConceptSet.from_file(path)
    except MCDError as error:
        found.find(path.name, error.message, error.hint)
        return
    if not listed:
        found.components.append((Kind.CONCEPTS, words.name))
