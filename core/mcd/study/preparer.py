"""From a study, or from plain Python objects, to what the engine runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.utils.data import Dataset as TorchDataset

from mcd.api.base import Configured
from mcd.api.concepts import ConceptSet, join
from mcd.api.dataset import CompositeDataset, Dataset
from mcd.api.dissector import AnnotationDissector, AnyDissector, Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import ModelLoader, Target
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.api.units import Units, UnitSource
from mcd.components import Kind
from mcd.errors import PluginLoadError, UsageError, printable
from mcd.host.importing import import_function
from mcd.networks.fitness import check_network, no_network
from mcd.networks.foreign import calling
from mcd.networks.units import check_units
from mcd.study.adapters import FunctionScorer
from mcd.study.resolve import created, names_function, resolve_options, resolve_recipe, resolved
from mcd.study.study import Choice, DissectorChoice, ModelChoice, UnitsChoice
from mcd.study.torch_images import TorchImages
from mcd.study.vocabularies.loading import load_concepts, means_file, split_choices

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["DatasetLike", "Preparer", "ScorerLike", "UnitsLike"]

ComponentT = TypeVar("ComponentT", bound=Configured)
ChoiceT = TypeVar("ChoiceT", bound=Choice)
DatasetLike = Choice | Dataset | TorchDataset[object]
UnitsLike = UnitsChoice | Units | UnitSource
ScorerLike = Choice | Scorer | Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Preparer:
    """Turns choices and objects into components, noting which plugins they come from."""

    def __init__(self, host: PluginHost) -> None:
        self.host = host
        self.plugins: dict[str, str] = {}

    def _create(self, kind: Kind, choice: ChoiceT, base: type[ComponentT]) -> tuple[ComponentT, ChoiceT]:
        """Create a component; note its plugin."""
        self._note(kind, choice)
        known = resolved(self.host, kind, choice)
        cls, options = resolve_options(self.host, kind, known)
        return created(cls, options, base, f"{kind.label} '{known.plugin}'"), known

    def _note(self, kind: Kind, choice: Choice) -> None:
        offer = self.host.find(kind, choice.plugin.partition(":")[0])
        record = next(one for one in self.host.plugins if one.name == offer.plugin)
        origin = f"{record.distribution} {record.version}".strip() or f"plugin '{record.name}'"  # a file, without place
        self.plugins[f"{kind.label} {offer.component.name}"] = origin

    def target(self, model: ModelChoice | Target | nn.Module) -> tuple[Target, ModelChoice]:
        """Return a target, and the choice that the manifest records."""
        if isinstance(model, nn.Module):
            model = Target(type(model).__name__, model)
        if isinstance(model, Target):
            if not isinstance(model.module, nn.Module):
                raise no_network(model.module)
            check_network(model.module, model.name)
            choice = ModelChoice(plugin="object", options={"class": type(model.module).__qualname__})
            return _named(model, model.name), choice
        loader, choice = self._create(Kind.MODEL, model, ModelLoader)
        with calling(f"model loader '{model.plugin}' failed", _DEBUG, kind=PluginLoadError):
            target = loader.load()
        if not isinstance(target, Target) or not isinstance(target.module, nn.Module):
            raise PluginLoadError(
                f"model loader '{model.plugin}' did not return an mcd.Target with an nn.Module",
                "its author has to mend it; see: mcd plugins check",
            )
        check_network(target.module, target.name)
        return _named(target, model.name or target.name), choice

    def units(self, chosen: Sequence[UnitsLike]) -> tuple[tuple[Units, ...], tuple[UnitsChoice, ...]]:
        """Return what layers are seen through, each checked by itself, and the choices that the manifest records."""
        found = [self._units(one) for one in chosen]
        return tuple(_harmless(one) for one, _ in found), tuple(choice for _, choice in found)

    def _units(self, chosen: UnitsLike) -> tuple[Units, UnitsChoice]:
        if isinstance(chosen, Units):
            check_units(chosen)
            return chosen, UnitsChoice(plugin="object", name=chosen.name)
        source, choice = chosen, UnitsChoice(plugin="object")
        if isinstance(chosen, UnitsChoice):
            source, choice = self._create(Kind.UNITS, chosen, UnitSource)
        assert isinstance(source, UnitSource)
        what = f"unit source '{choice.plugin}'" if isinstance(chosen, UnitsChoice) else type(source).__qualname__
        with calling(f"{what} failed", _DEBUG, kind=PluginLoadError):
            units = source.load()
        if not isinstance(units, Units):
            raise PluginLoadError(
                f"{what} did not return mcd.Units", "its author has to mend it; see: mcd plugins check"
            )
        units = replace(units, name=choice.name or units.name)
        check_units(units)
        return units, choice.model_copy(update={"name": units.name})

    def dissector_class(self, dissector: DissectorChoice | AnyDissector) -> type[AnyDissector]:
        """Return the class of a dissector, which says whether it reads pixels or annotations; nothing is created."""
        if not isinstance(dissector, DissectorChoice):
            return type(dissector)
        cls, _ = resolve_options(self.host, Kind.DISSECTOR, dissector)
        assert issubclass(cls, Dissector | AnnotationDissector)  # or it would not have been loaded
        return cls

    def dissector(self, dissector: DissectorChoice | AnyDissector) -> tuple[AnyDissector, DissectorChoice]:
        """Return a dissector with its weights, and the choice that the manifest records."""
        if not isinstance(dissector, DissectorChoice):
            _load(dissector, type(dissector).__qualname__)
            return dissector, DissectorChoice.model_validate(_object(dissector).model_dump())
        made: AnyDissector
        if issubclass(self.dissector_class(dissector), AnnotationDissector):
            made, choice = self._create(Kind.DISSECTOR, dissector, AnnotationDissector)
        else:
            made, choice = self._create(Kind.DISSECTOR, dissector, Dissector)
        _load(made, dissector.plugin)
        if dissector.name:
            made.name = dissector.name
        return made, choice

    def image_text(self, dissector: DissectorChoice | AnyDissector) -> Dissector:
        """Return a dissector that embeds images and texts.

        Raises
        ------
        UsageError
            When it reads annotations.
        """
        made, _ = self.dissector(dissector)
        if isinstance(made, AnnotationDissector):
            raise UsageError(
                f"dissector {made.name} reads what is annotated: it embeds neither images nor texts",
                "choose an image–text model; see: mcd plugins list",
            )
        return made

    def dataset(self, dataset: DatasetLike) -> tuple[Dataset, Choice]:
        """Return a data set, and the choice that the manifest records."""
        if isinstance(dataset, Dataset):
            return dataset, _object(dataset)
        if isinstance(dataset, Choice):
            made, choice = self._create(Kind.DATASET, dataset, Dataset)
            return made, self._assembled(made, choice)
        return TorchImages(dataset), _object(dataset)

    def _assembled(self, made: Dataset, choice: Choice) -> Choice:
        """Create the parts of a data set that is made of others; return its choice with theirs resolved."""
        if not isinstance(made, CompositeDataset):
            return choice
        asked = choice.options["parts"]
        assert isinstance(asked, list)
        parts, choices = [], []
        for one in asked:
            assert isinstance(one, dict)
            part, own = self.dataset(Choice.model_validate({"plugin": one["plugin"], "options": one["options"]}))
            parts.append(part)
            choices.append(one | own.model_dump(mode="json"))
        made.assemble(parts)
        return choice.model_copy(update={"options": choice.options | {"parts": choices}})

    def scorer(self, scorer: ScorerLike) -> tuple[Scorer, Choice]:
        """Return a scorer, and the choice that the manifest records."""
        if isinstance(scorer, Scorer):
            return scorer, _object(scorer)
        if isinstance(scorer, Choice) and names_function(scorer.plugin):
            return FunctionScorer(import_function(scorer.plugin)), scorer
        if isinstance(scorer, Choice):
            made, choice = self._create(Kind.SCORER, scorer, Scorer)
            if not isinstance(getattr(made, "name", None), str):
                raise PluginLoadError(f"scorer '{scorer.plugin}' has no name", "set name in its class")
            return made, choice
        return FunctionScorer(scorer), Choice(plugin="object", options={"function": getattr(scorer, "__name__", "")})

    def reporters(self, choices: Sequence[Choice]) -> list[Reporter]:
        """Return the reporters: created before the run, so that a wrong setting is said before hours are spent."""
        made = []
        for choice in choices:
            reporter, known = self._create(Kind.REPORTER, choice, Reporter)
            reporter.called = known.plugin
            made.append(reporter)
        return made

    def recipe(self, choice: Choice | None) -> tuple[Preprocessing | None, Choice | None]:
        """Return a preprocessing recipe, and the choice that the manifest records."""
        if choice is None:
            return None, None
        self._note(Kind.PREPROCESSING, choice)
        known = resolved(self.host, Kind.PREPROCESSING, choice)
        made = resolve_recipe(self.host, known)
        return made, known

    def concepts(self, choices: Sequence[Choice]) -> tuple[ConceptSet, tuple[Choice, ...]]:
        """Return the concept sets joined into one, and the choices that the manifest records: one a set."""
        each = split_choices(choices)
        found = [load_concepts(self.host, choice.plugin, choice.options) for choice in each]
        for choice in each:
            if not means_file(self.host, choice.plugin):
                self._note(Kind.CONCEPTS, choice)
        return (found[0] if len(found) == 1 else join(found)), each


def _named(target: Target, name: str) -> Target:
    """Return a target whose name can be written anywhere; that of a file may be no UTF-8."""
    return target if target.name == printable(name) else replace(target, name=printable(name))


def _harmless(units: Units) -> Units:
    """Return units of which all texts can be written anywhere: a file may hold any."""
    facts = {printable(what): printable(said) for what, said in units.facts.items()}
    return replace(units, names=tuple(map(printable, units.names)), facts=facts)


_DEBUG = "in a terminal, --debug shows where"


def _load(dissector: AnyDissector, name: str) -> None:
    """Load the weights of a dissector, unless they are there; make sure that it has set what the engine needs."""
    if not hasattr(dissector, "module"):
        with calling(f"dissector '{name}' failed to load", _DEBUG, kind=PluginLoadError):
            dissector.load()
    needed: tuple[tuple[str, type], ...] = (("name", str),)
    if isinstance(dissector, Dissector):
        needed = (("module", nn.Module), ("preprocessing", Preprocessing), *needed)
    for attribute, wanted in needed:
        if not isinstance(getattr(dissector, attribute, None), wanted):
            what = f"dissector '{name}' has no {attribute} after load()"
            raise PluginLoadError(what, f"set self.{attribute} in its method load")


def _object(value: object) -> Choice:
    return Choice(plugin="object", options={"class": type(value).__qualname__})
