"""What a run needs, created and validated: targets, dissectors, images, concepts, scorer, and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.files import check_folder
from mcd.networks.pooling import Pooling
from mcd.runs.folder import check_study_folder
from mcd.runs.plan import Plan, PlannedRun, plan_of
from mcd.study.preparer import Preparer
from mcd.study.study import Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Prepared", "PreparedTarget", "prepare"]


@dataclass(frozen=True)
class PreparedTarget:
    """A target with what to record of it: patterns of layers, and their pooling."""

    target: Target
    layers: Sequence[str]
    pooling: Pooling


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs, created and validated.

    ``host`` are the plugins that it was created with, and the observers of the run. ``targets`` and ``dissectors`` are
    those of the study, in its order; ``plan`` says which of them meet, and where. ``study`` is what manifests record:
    each its own target's and dissector's part of it (`Study.only`), and of ``paths``, the texts in it that are paths,
    only what identifies no person.
    """

    host: PluginHost
    study: Study
    plan: Plan
    targets: Sequence[PreparedTarget]
    dissectors: Sequence[Dissector]
    dataset: Dataset
    concepts: ConceptSet
    scorer: Scorer
    reporters: Sequence[Reporter] = ()
    plugins: dict[str, str] = field(default_factory=dict)
    recipe: Preprocessing | None = None

    def study_of(self, run: PlannedRun) -> Study:
        """Return the part of the study that one run is; a control has that of the run it belongs to."""
        return self.study.only(run.model, run.dissector)


def prepare(host: PluginHost, study: Study, output: Path) -> Prepared:
    """Create every component of a study, and the plan of its runs.

    Raises
    ------
    mcd.errors.MCDError
        When a component cannot be created, or ``output`` cannot be a folder.
    """
    check_folder(output)
    preparer = Preparer(host)
    scorer, scorer_choice = preparer.scorer(study.scorer)
    concepts, concept_choices = preparer.concepts(study.concepts)
    dataset, dataset_choice = preparer.dataset(study.dataset)
    len(dataset)  # a folder without images is said before the networks are loaded
    recipe, recipe_choice = preparer.recipe(study.recipe)
    reporters = preparer.reporters(study.reporters)
    dissectors = [preparer.dissector(dissector) for dissector in study.dissectors]
    targets = [preparer.target(model) for model in study.models]
    resolved = study.model_copy(
        update={
            "scorer": scorer_choice,
            "dataset": dataset_choice,
            "recipe": recipe_choice,
            "concepts": concept_choices,
            "dissectors": tuple(choice for _, choice in dissectors),
            "models": tuple(choice for _, choice in targets),
        }
    )
    plan = plan_of(resolved, output, [one.name for one, _ in targets], [one.name for one, _ in dissectors])
    check_study_folder(output, [one.folder for one in plan])
    return Prepared(
        host=host,
        study=resolved,
        plan=plan,
        targets=[PreparedTarget(target, one.layers, Pooling.parse(one.pooling)) for target, one in targets],
        dissectors=[dissector for dissector, _ in dissectors],
        dataset=dataset,
        concepts=concepts,
        scorer=scorer,
        reporters=reporters,
        plugins=preparer.plugins,
        recipe=recipe,
    )
