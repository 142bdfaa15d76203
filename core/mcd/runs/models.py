"""The targets and dissectors of a plan, random counterparts included, and what decides the numbers of each."""

from __future__ import annotations

from dataclasses import replace

from mcd.api.dissector import AnnotationDissector, AnyDissector, Dissector
from mcd.extraction.keys import not_reused
from mcd.networks.controls import RANDOM_DISSECTOR, RANDOM_UNITS, RandomDissector, with_random_weights
from mcd.networks.identity import identity_of
from mcd.networks.units import with_random_units
from mcd.networks.untrained import Untrained, tracking, untrained
from mcd.runs.plan import PlannedRun, RunControl
from mcd.runs.prepared import Prepared, PreparedTarget

__all__ = ["Key", "Models"]

Key = tuple[int, RunControl]
"""Number in the study, and which of its random counterparts is meant: empty for itself."""


class Models:
    """The targets and dissectors that the runs of a plan need, random counterparts included, each made once.

    Attributes
    ----------
    targets, dissectors
        In the order of the study; random counterparts come last.
    networks
        What decides the numbers of each target.
    units
        What decides those of the units that its layers are seen through: units of two layers may share a name.
    readers
        What decides the numbers of each dissector.
    untrained
        For each target of the study its networks that have not been trained.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.targets: dict[Key, PreparedTarget] = {}
        self.dissectors: dict[Key, AnyDissector] = {}
        seed = prepared.study.calibration.null_seed
        for run in prepared.plan:
            if (key := self._target(run)) not in self.targets:
                self.targets[key] = _target(prepared.targets[run.model], seed, key[1])
            if (key := self._dissector(run)) not in self.dissectors:
                self.dissectors[key] = _dissector(
                    prepared.dissectors[run.dissector].dissector, seed, random=bool(key[1])
                )
        count = prepared.study.untrained
        self.untrained = {
            model: untrained(prepared.targets[model].target, count, seed)
            for model in sorted({run.model for run in prepared.plan.runs} if count else ())
        }
        # before anything runs: a network may keep what it has computed
        self.networks = {key: identity_of(one.target.module) for key, one in self.targets.items()}
        self.units = {
            key: {units: identity_of(units.module) for units in one.units} for key, one in self.targets.items()
        }
        self.readers = {key: identity_of(one) for key, one in self.dissectors.items()}
        self._towers = {
            key: identity_of(one.image_tower).content
            for key, one in self.image_text.items()
            if one.image_tower is not None
        }

    @property
    def estimate(self) -> bool:
        """Whether some untrained network has normalisations, which are estimated from images."""
        return any(tracking(network.module) for one in self.untrained.values() for network in one.networks)

    def untrained_of(self, run: PlannedRun) -> Untrained:
        """Return the networks that a run is compared with; none where none were asked for, as for controls."""
        return Untrained() if run.control else self.untrained.get(run.model, Untrained())

    @property
    def image_text(self) -> dict[Key, Dissector]:
        """Those of the dissectors that look at images; the others read annotations."""
        return {key: one for key, one in self.dissectors.items() if isinstance(one, Dissector)}

    @staticmethod
    def _target(run: PlannedRun) -> Key:
        return run.model, "" if run.control == RANDOM_DISSECTOR else run.control

    @staticmethod
    def _dissector(run: PlannedRun) -> Key:
        return run.dissector, run.control if run.control == RANDOM_DISSECTOR else ""

    def keys(self, run: PlannedRun) -> tuple[Key, Key]:
        """Return where the target and the dissector of a run are found."""
        return self._target(run), self._dissector(run)

    def tower_of(self, key: Key) -> Dissector | None:
        """Return the dissector whose image tower is the target, if one is."""
        target = self.targets[key].target
        seen = identity_of(target.preprocessing).content
        for number, tower in self._towers.items():
            dissector = self.image_text[number]
            same = dissector.image_tower is target.module or tower == self.networks[key].content
            if same and identity_of(dissector.preprocessing).content == seen:
                return dissector
        return None

    def not_reused(self) -> list[str]:
        """Return of which models nothing stored will be used again, and why, a sentence each."""
        named = [(one.target.name, self.networks[key]) for key, one in self.targets.items()]
        named += [(units.name, one) for own in self.units.values() for units, one in own.items()]
        named += [(one.name, self.readers[key]) for key, one in self.dissectors.items()]
        return [said for name, one in named if (said := not_reused(name, one))]


def _target(prepared: PreparedTarget, seed: int, control: RunControl) -> PreparedTarget:
    if not control:
        return prepared
    if control == RANDOM_UNITS:
        return replace(prepared, units=with_random_units(prepared.units, seed))
    return replace(prepared, target=with_random_weights(prepared.target, seed))


def _dissector(one: AnyDissector, seed: int, *, random: bool) -> AnyDissector:
    if not random or isinstance(one, AnnotationDissector):
        return one
    return RandomDissector(one.name, one.preprocessing, seed)
