"""What a run needs, created and validated: targets, dissectors, images, concepts, scorer, and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset
from mcd.api.dissector import AnnotationDissector, AnyDissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.api.units import Units
from mcd.extraction.fitted import Fitting
from mcd.extraction.parts import Part
from mcd.extraction.probe import count_images
from mcd.files import check_folder
from mcd.networks.pooling import Pooling
from mcd.networks.units import have_random
from mcd.runs.folder import check_study_folder
from mcd.runs.plan import Plan, PlannedRun, plan_of
from mcd.study.equipment import Equipment, equip, named_concepts
from mcd.study.preparer import Preparer
from mcd.study.study import Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Prepared", "PreparedDissector", "PreparedTarget", "prepare"]


@dataclass(frozen=True)
class PreparedTarget:
    """A target with what to record of it: patterns of layers, their pooling, and what they are seen through.

    ``neurons`` says whether those of a layer that is seen through units are kept too.
    """

    target: Target
    layers: Sequence[str]
    pooling: Pooling
    units: Sequence[Units] = ()
    neurons: bool = False


@dataclass(frozen=True)
class PreparedDissector:
    """A dissector with what it labels with; see `mcd.study.equipment.Equipment`."""

    dissector: AnyDissector
    equipment: Equipment

    @property
    def scorer(self) -> Scorer:
        """Its scorer."""
        return self.equipment.scorer

    @property
    def concepts(self) -> ConceptSet:
        """Its concepts; those that are annotated are known once the images are."""
        assert self.equipment.concepts is not None
        return self.equipment.concepts


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs, created and validated.

    ``host`` are the plugins that it was created with, and the observers of the run. ``targets`` and ``dissectors`` are
    those of the study, in its order; ``plan`` says which of them meet, and where. ``study`` is what manifests record:
    each its own target's and dissector's part of it (`study_of`), and of ``paths``, the texts in it that are paths,
    only what identifies no person. ``part`` is the part of the run that this process computes, None for all of it.
    """

    host: PluginHost
    study: Study
    plan: Plan
    targets: Sequence[PreparedTarget]
    dissectors: Sequence[PreparedDissector]
    dataset: Dataset
    reporters: Sequence[Reporter] = ()
    plugins: dict[str, str] = field(default_factory=dict)
    recipe: Preprocessing | None = None
    part: Part | None = None

    @property
    def fitting(self) -> Fitting | None:
        """The units of all targets that say what they were fitted on: the probe set is one for all."""
        return Fitting.of((one for target in self.targets for one in target.units), self.study.fitted_images)

    def study_of(self, run: PlannedRun) -> Study:
        """Return the part of the study that one run is; a control has that of its run, but for untrained networks."""
        own = self.dissectors[run.dissector].equipment
        chosen: dict[str, object] = {"scorer": own.scorer_choice, "concepts": own.concept_choices}
        if run.control:
            chosen["untrained"] = 0
        return self.study.only(run.model, run.dissector).model_copy(update=chosen)


def prepare(host: PluginHost, study: Study, output: Path, part: Part | None = None) -> Prepared:
    """Create every component of a study, and the plan of its runs.

    Raises
    ------
    mcd.errors.MCDError
        When a component cannot be created, or ``output`` cannot be a folder.
    """
    check_folder(output)
    preparer = Preparer(host)
    kinds = [preparer.dissector_class(one) for one in study.dissectors]
    scorer = study.scorer if study.given("scorer") else None
    concepts = named_concepts(preparer, study.concepts) if study.given("concepts") else None
    equipment = equip(preparer, kinds, scorer, concepts)
    dataset, dataset_choice = preparer.dataset(study.dataset)
    count_images(dataset)  # a folder without images is said before the networks are loaded
    recipe, recipe_choice = preparer.recipe(study.recipe)
    reporters = preparer.reporters(study.reporters)
    units = [preparer.units(model.units) for model in study.models]  # files are read before networks
    dissectors = [preparer.dissector(dissector) for dissector in study.dissectors]
    targets = [preparer.target(model) for model in study.models]
    resolved = study.model_copy(
        update={
            "dataset": dataset_choice,
            "recipe": recipe_choice,
            "dissectors": tuple(choice for _, choice in dissectors),
            "models": tuple(
                choice.model_copy(update={"units": chosen})
                for (_, choice), (_, chosen) in zip(targets, units, strict=True)
            ),
        }
    )
    names = [one.name for one, _ in targets], [one.name for one, _ in dissectors]
    randomised = [have_random(own) for own, _ in units]
    plan = plan_of(resolved, output, *names, [issubclass(one, AnnotationDissector) for one in kinds], randomised)
    check_study_folder(output, [one.folder for one in plan])
    return Prepared(
        host=host,
        study=resolved,
        plan=plan,
        targets=[
            PreparedTarget(target, one.layers, Pooling.parse(one.pooling), own, one.neurons)
            for (target, one), (own, _) in zip(targets, units, strict=True)
        ],
        dissectors=[PreparedDissector(one, own) for (one, _), own in zip(dissectors, equipment, strict=True)],
        dataset=dataset,
        reporters=reporters,
        plugins=preparer.plugins,
        recipe=recipe,
        part=part,
    )
