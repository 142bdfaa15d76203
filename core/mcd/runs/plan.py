"""What a run will do: one explicit list of dissections, made before anything is computed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mcd.errors import UsageError
from mcd.study.study import Choice, DissectorChoice, ModelChoice, Study

__all__ = ["Plan", "PlannedRun", "RunControl", "control_folder", "default_output", "names_before_loading", "plan_of"]

RunControl = Literal["", "random weights", "random units", "random dissector"]
"""Controls that are runs of their own; those that only score again (such as shuffled rows) have no folder."""


@dataclass(frozen=True)
class PlannedRun:
    """One target with one dissector, in one run folder.

    Parameters
    ----------
    model, dissector
        Numbers in ``models`` and ``dissectors`` of the study.
    target, by
        What tables call them.
    layers
        Patterns that pick the target's layers.
    folder
        The run folder.
    control
        Which control of the study this run is; empty for a run proper.
    """

    model: int
    dissector: int
    target: str
    by: str
    layers: tuple[str, ...]
    folder: Path
    control: RunControl = ""


@dataclass(frozen=True)
class Plan:
    """The runs of a study in the order of its models and dissectors, and the controls of each.

    Parameters
    ----------
    runs
        The runs proper.
    controls
        For each of them the runs that are its controls: empty where the study asks for none.
    """

    runs: tuple[PlannedRun, ...]
    controls: tuple[tuple[PlannedRun, ...], ...]

    def __iter__(self) -> Iterator[PlannedRun]:
        """Yield every run: first the runs proper, then their controls."""
        yield from self.runs
        for name in ("random dissector", "random units", "random weights"):
            yield from (one for controls in self.controls for one in controls if one.control == name)

    def of_model(self, model: int) -> Plan:
        """Return the runs of one of the models, and their controls."""
        kept = [place for place, one in enumerate(self.runs) if one.model == model]
        return Plan(tuple(self.runs[place] for place in kept), tuple(self.controls[place] for place in kept))

    def lines(self) -> list[str]:
        """Return the plan as text: a line for each run with its layers, folder and the control that it is."""
        found = []
        for number, one in enumerate(self, start=1):
            layers = ", ".join(one.layers) or "no layers"
            control = f"  (control: {one.control})" if one.control else ""
            found += [f"{number}. {one.target} [{layers}] dissected by {one.by}{control}", f"   {one.folder}"]
        return found


def default_output(study: Study) -> Path:
    """Return the folder of a study that was given none: named after its first model."""
    return Path("runs") / _slug(study.models[0].plugin, "run")


def names_before_loading(choices: Sequence[ModelChoice] | Sequence[DissectorChoice]) -> list[str]:
    """Return what models or dissectors are called before they are loaded: in angle brackets where loading decides."""
    return [choice.name or f"<{_written(choice)}>" for choice in choices]


def _written(choice: Choice) -> str:
    first = next((str(value) for value in choice.options.values() if isinstance(value, str) and value), "")
    return f"{choice.plugin}:{first}" if first else choice.plugin


def plan_of(
    study: Study,
    output: Path,
    targets: Sequence[str],
    dissectors: Sequence[str],
    annotations: Sequence[bool] = (),
    randomised: Sequence[bool] = (),
) -> Plan:
    """Return the plan of a study.

    Several models, or dissectors, get a folder each inside ``output``, named after them. A control lies in the folder
    ``controls`` of its run.

    Parameters
    ----------
    targets, dissectors
        Their names, in the order of the study.
    annotations
        Which dissectors read annotations: a random dissector is no control of these. By default none.
    randomised
        Of which models all units have random counterparts, which are a control; by default where there are units.

    Raises
    ------
    UsageError
        When two models, or two dissectors, would share a folder.
    """
    above = _below(output, targets, "models")
    runs, controls = [], []
    for model, target in enumerate(targets):
        folders = _below(above[model], dissectors, "dissectors")
        for number, by in enumerate(dissectors):
            layers = study.models[model].layers
            runs.append(PlannedRun(model, number, target, by, layers, folders[number]))
            own = bool(annotations) and annotations[number]
            units = randomised[model] if randomised else bool(study.models[model].units)
            controls.append(_controls(runs[-1], annotations=own, units=units) if study.controls else ())
    return Plan(tuple(runs), tuple(controls))


def control_folder(folder: Path, control: RunControl) -> Path:
    """Return where a control of the run in a folder lies."""
    return folder / "controls" / control.replace(" ", "-")


def _controls(run: PlannedRun, *, annotations: bool, units: bool) -> tuple[PlannedRun, ...]:
    def named(control: RunControl, target: str, by: str) -> PlannedRun:
        return PlannedRun(
            run.model, run.dissector, target, by, run.layers, control_folder(run.folder, control), control
        )

    weights = named("random weights", f"{run.target} (random weights)", run.by)
    dissector = () if annotations else (named("random dissector", run.target, f"{run.by} (random dissector)"),)
    return (*dissector, *((named("random units", run.target, run.by),) if units else ()), weights)


def _below(output: Path, names: Sequence[str], key: str) -> list[Path]:
    """Return a folder for each name; a single one needs no level of its own."""
    if len(names) == 1:
        return [output]
    slugs = [name if name.startswith("<") else _slug(name, key) for name in names]
    repeated = sorted({slug for slug in slugs if slugs.count(slug) > 1 and not slug.startswith("<")})
    if repeated:
        raise UsageError(f"two {key} are called '{repeated[0]}'", "give each a name: in the study file")
    return [output / slug for slug in slugs]


def _slug(name: str, key: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or key
