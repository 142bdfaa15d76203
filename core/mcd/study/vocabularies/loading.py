"""From what a user types to a concept set: a file, or the name of one that a plugin offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mcd.api.concepts import ConceptSet, ConceptSource, join
from mcd.components import Kind
from mcd.errors import ConfigError, PluginLoadError
from mcd.files import expanded
from mcd.networks.foreign import calling

if TYPE_CHECKING:
    from mcd.host import PluginHost
    from mcd.study.study import Choice

__all__ = ["load_concepts", "means_file", "names_file", "split_choices", "split_references"]

_FILES = (".yaml", ".yml", ".toml", ".txt")  # a .toml file is a file: its reader says what to write instead
_NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


def load_concepts(host: PluginHost, reference: str, options: Mapping[str, object] = _NO_OPTIONS) -> ConceptSet:
    """Return the concept set that a reference means.

    Parameters
    ----------
    host
        The plugins.
    reference
        A path to a ``.yaml``, ``.yml`` or ``.txt`` file; or the name of a concept set, ``name`` or
        ``plugin/name``. ``NAME:VALUE`` sets the primary option of a set that is made by code. Several, with commas
        between, are joined.
    options
        Settings of a set that is made by code.

    Raises
    ------
    mcd.errors.MCDError
        When there is no such file or name, or it is not a valid concept set.
    """
    parts = split_references(reference)
    if len(parts) > 1:
        _refuse(options, f"the union {reference}")
        return join([load_concepts(host, part) for part in parts])
    if means_file(host, reference):
        _refuse(options, f"the file {reference}")
        return ConceptSet.from_file(Path(reference))
    name = reference.partition(":")[0]
    found = host.load(Kind.CONCEPTS, name)
    if isinstance(found, type) and issubclass(found, ConceptSource):
        return _made(host, reference, options)
    if not isinstance(found, Traversable):  # a pathlib.Path is one, too
        raise PluginLoadError(
            f"concept set '{name}' is neither a file nor an mcd.ConceptSource",
            "its author has to mend it; see: mcd plugins check",
        )
    _refuse(options, f"concept set '{name}'")
    if reference != name:
        raise ConfigError(f"concept set '{name}' takes no value", f"write {name}")
    try:
        return ConceptSet.from_file(found)
    except ConfigError as error:  # whoever published the file is at fault, not the user
        offer = host.find(Kind.CONCEPTS, name)
        raise PluginLoadError(f"{offer} is not valid: {error.summary}", error.hint, error.lines) from error


def split_choices(choices: Iterable[Choice]) -> tuple[Choice, ...]:
    """Return one choice a concept set; each choice is of one set, or of several with commas between.

    Raises
    ------
    ConfigError
        As `split_references`, and when several sets are given settings, which would be ambiguous.
    """
    found: list[Choice] = []
    for choice in choices:
        parts = split_references(choice.plugin)
        if len(parts) > 1:
            _refuse(choice.options, f"the union {choice.plugin}")
        found += [choice.model_copy(update={"plugin": part}) for part in parts]
    return tuple(found)


def split_references(reference: str, base: Path | None = None) -> list[str]:
    """Return what stands between the commas; a file may have some in its name, and a ``NAME:VALUE`` in its value.

    Parameters
    ----------
    reference
        What was typed.
    base
        Where a file is looked for; by default here.

    Raises
    ------
    ConfigError
        When there is nothing between two of them.

    Examples
    --------
    >>> split_references("birads,words.txt,from-list:mass,cyst")
    ['birads', 'words.txt', 'from-list:mass,cyst']
    """
    if "," not in reference or names_file(reference, base):
        return [reference]
    parts: list[str] = []
    for part in reference.split(","):
        if parts and ":" in parts[-1]:
            parts[-1] += f",{part}"
        else:
            parts.append(part.strip())
    if not all(parts):
        raise ConfigError(f"there is a comma too many in '{reference}'", "write NAME,NAME or FILE,NAME")
    return parts


def names_file(text: str, base: Path | None = None) -> bool:
    """Say whether a text is the path of a file there is, from ``base`` or from here."""
    try:
        return ((base or Path()) / expanded(text)).is_file()
    except OSError:  # words in a row, longer than a name may be
        return False


def means_file(host: PluginHost, reference: str) -> bool:
    """Say whether a reference to one concept set is that of a file, not a name that a plugin offers."""
    name, colon, _ = reference.partition(":")
    if colon and any(name in (offer.component.name, offer.qualified) for offer in host.offers(Kind.CONCEPTS)):
        return False  # from-csv:words.txt gives a file to a source
    if reference.lower().endswith(_FILES) or (Path(reference).suffix and names_file(reference)):
        return True  # a name has no dot
    # one slash may be plugin/name; no file without an ending can be read, so a name never hides one
    paths = reference.startswith((".", "/", "~")) or reference.count("/") > 1 or "\\" in reference
    return paths or ("/" in reference and Path(reference).exists())


def _refuse(options: Mapping[str, object], what: str) -> None:
    if options:
        raise ConfigError(f"{what} takes no settings, but got {', '.join(options)}", "leave --concepts-arg out")


def _made(host: PluginHost, reference: str, options: Mapping[str, object]) -> ConceptSet:
    from mcd.study.resolve import created, resolve_options
    from mcd.study.study import Choice

    choice = Choice.model_validate({"plugin": reference, "options": dict(options)})
    offer = host.find(Kind.CONCEPTS, reference.partition(":")[0])
    with calling(
        f"{offer} failed", f"see what is wrong with it: mcd plugins check {offer.plugin}", kind=PluginLoadError
    ):
        cls, options_made = resolve_options(host, Kind.CONCEPTS, choice)
        concepts = created(cls, options_made, ConceptSource, str(offer)).load()
    if not isinstance(concepts, ConceptSet):
        raise PluginLoadError(
            f"{offer} returned {type(concepts).__name__}, not an mcd.ConceptSet",
            "its author has to mend it; see: mcd plugins check",
        )
    return concepts
