"""What a run needs, created and validated: targets, dissectors, images, concepts, scorer, and where results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.networks.pooling import Pooling
from mcd.runs.controls import RandomDissector, with_random_weights
from mcd.study.study import Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Prepared", "PreparedTarget", "with_controls"]


@dataclass(frozen=True)
class PreparedTarget:
    """A target with what to record of it, and the folders of its runs: one for each dissector, None without it."""

    target: Target
    layers: Sequence[str]
    pooling: Pooling
    folders: Sequence[Path | None]


@dataclass
class Prepared:
    """Everything a run needs, created and validated.

    ``host`` are the plugins that it was created with; they are told what happens. ``study`` is what manifests record:
    each its own target's and dissector's part of it (`Study.only`), and of ``paths``, the texts in it that are paths,
    only what tells nobody's name.
    """

    host: PluginHost
    study: Study
    targets: Sequence[PreparedTarget]
    dissectors: Sequence[Dissector]
    dataset: Dataset
    concepts: ConceptSet
    scorer: Scorer
    reporters: Sequence[Reporter] = ()
    plugins: dict[str, str] = field(default_factory=dict)
    recipe: Preprocessing | None = None
    paths: frozenset[str] = frozenset()

    def study_of(self, model: int, dissector: int) -> Study:
        """Return the part of the study that one target with one dissector is; controls are that of their originals."""
        return self.study.only(model % len(self.study.models), dissector % len(self.study.dissectors))


def with_controls(prepared: Prepared) -> Prepared:
    """Return the study with its controls: after each target one of random weights, after the dissectors random ones."""
    seed = prepared.study.calibration.null_seed
    count = len(prepared.dissectors)
    dissectors = [RandomDissector(one.name, one.preprocessing, seed) for one in prepared.dissectors]

    def below(folders: Sequence[Path | None], name: str) -> list[Path | None]:
        return [None if folder is None else folder / "controls" / name for folder in folders]

    real = [replace(one, folders=[*one.folders, *below(one.folders, "random-dissector")]) for one in prepared.targets]
    random = [
        replace(
            one,
            target=with_random_weights(one.target, seed),
            folders=[*below(one.folders, "random-weights"), *[None] * count],
        )
        for one in prepared.targets
    ]
    return replace(prepared, targets=[*real, *random], dissectors=[*prepared.dissectors, *dissectors])
