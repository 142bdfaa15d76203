"""With which scorer and concepts each dissector of a study labels: the study's, or its own where it names none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcd.api.concepts import ConceptSet
from mcd.api.dissector import AnnotationDissector, AnyDissector
from mcd.api.scorer import Scorer
from mcd.components import Kind
from mcd.errors import ConfigError, MCDError, UsageError
from mcd.study.preparer import Preparer, ScorerLike
from mcd.study.study import DEFAULT_CONCEPTS, DEFAULT_SCORER, Choice, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Equipment", "equip", "named_concepts", "refuse_cosines", "unnamed"]

Chosen = tuple[ConceptSet, tuple[Choice, ...]]


@dataclass(frozen=True)
class Equipment:
    """What a dissector labels with.

    Parameters
    ----------
    scorer, scorer_choice
        The scorer, and what the manifest records of it.
    concepts, concept_choices
        The concepts, and what the manifest records of them; None and nothing where they are those that are annotated,
        which the images say.
    """

    scorer: Scorer
    scorer_choice: Choice
    concepts: ConceptSet | None
    concept_choices: tuple[Choice, ...]


def equip(
    preparer: Preparer, kinds: Iterable[type[AnyDissector]], scorer: ScorerLike | None, concepts: Chosen | None
) -> list[Equipment]:
    """Return what each dissector labels with; nothing is created that none of them uses.

    Parameters
    ----------
    kinds
        The class of each dissector.
    scorer, concepts
        Those of the study; None where it names none.

    Raises
    ------
    mcd.errors.MCDError
        When a component cannot be created, or the scorer takes no annotations.
    """
    made: dict[str, tuple[Scorer, Choice]] = {}
    words: list[Chosen] = []

    def scored(default: Choice) -> tuple[Scorer, Choice]:
        wanted = default if scorer is None else scorer
        name = wanted.plugin if isinstance(wanted, Choice) else ""
        if name not in made:
            made[name] = preparer.scorer(wanted)
        return made[name]

    found = []
    for kind in kinds:
        if issubclass(kind, AnnotationDissector):
            own, choice = scored(Choice(plugin=kind.default_scorer))
            refuse_cosines(preparer.host, own.name, type(own))
            found.append(Equipment(own, choice, *(concepts or (None, ()))))
            continue
        if concepts is None and not words:
            words.append(preparer.concepts((DEFAULT_CONCEPTS,)))
        found.append(Equipment(*scored(DEFAULT_SCORER), *(concepts or words[0])))
    return found


def refuse_cosines(host: PluginHost, name: str, scorer: type[Scorer]) -> None:
    """Refuse a scorer that takes no annotations, given what it is called.

    Raises
    ------
    UsageError
        With the reason, and the scorers that do.
    """
    if scorer.takes_annotations:
        return
    raise UsageError(
        f"scorer {name} is made for cosines of images and concepts; annotations say present, absent or not known",
        f"leave out --scorer for the default, or use one that takes annotations: {', '.join(_taking(host))}",
    )


def _taking(host: PluginHost) -> Sequence[str]:
    """Return the names of the scorers that take annotations; one that does not load is none of them."""
    names = []
    for offer in host.offers(Kind.SCORER):
        try:
            found = host.load(Kind.SCORER, offer.component.name)
        except MCDError:
            continue
        if isinstance(found, type) and issubclass(found, Scorer) and found.takes_annotations:
            names.append(offer.component.name)
    return names


def unnamed(study: Study, kinds: Mapping[str, type[AnyDissector]]) -> list[str]:
    """Return what dissectors of annotations use where a study names nothing, a sentence each; ``kinds`` by name."""
    said = []
    for name, kind in kinds.items():
        if issubclass(kind, AnnotationDissector):
            used = [] if study.given("scorer") else [f"scorer {kind.default_scorer}"]
            used += [] if study.given("concepts") else ["the concepts that are annotated"]
            said += [f"{name} uses {' and '.join(used)}: the study names none"] if used else []
    return said


def named_concepts(preparer: Preparer, choices: Sequence[Choice]) -> Chosen:
    """Return the concepts that a study names.

    Raises
    ------
    ConfigError
        When it names none.
    """
    if not choices:
        raise ConfigError("concepts: no concept set is named", "name one, or leave the setting out")
    return preparer.concepts(choices)
