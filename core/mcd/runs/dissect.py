"""The Python API: `dissect` in one call."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import pydantic
import torch
from torch import nn

from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset
from mcd.api.dissector import Dissector
from mcd.api.model import Target
from mcd.errors import ConfigError
from mcd.host import PluginHost
from mcd.networks.pooling import Pooling
from mcd.runs.dissection import Dissection
from mcd.runs.plan import plan_of
from mcd.runs.prepared import Prepared, PreparedTarget
from mcd.runs.run import run
from mcd.study.preparer import DatasetLike, Preparer, ScorerLike
from mcd.study.study import Choice, DissectorChoice, ModelChoice, Study

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

    from mcd.api.scorer import Scorer

__all__ = ["dissect"]

ChoiceT = TypeVar("ChoiceT", bound=Choice)
_Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def dissect(
    model: str | Mapping[str, object] | Target | nn.Module,
    *,
    layers: str | Sequence[str],
    dataset: str | Mapping[str, object] | Dataset | TorchDataset[object] = "phantom",
    dissector: str | Mapping[str, object] | Dissector = "phantom-clip",
    concepts: str | Sequence[str] | ConceptSet = "birads",
    scorer: str | Mapping[str, object] | Scorer | _Function = "soft-wpmi",
    pooling: str = "avg",
    labels_per_neuron: int = 10,
    calibration: Mapping[str, object] | None = None,
    prompts: Mapping[str, object] | None = None,
    output: str | Path | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    batch_size: int = 16,
    workers: int | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    where: str | None = None,
    limit: int | None = None,
    per_patient: int | None = None,
    seed: int | None = None,
    recipe: str | Mapping[str, object] | None = None,
    cache: str | Path | None = None,
    keep_identifiers: bool = False,
    controls: bool = False,
    maps: int = 0,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> Dissection:
    """Dissect a model: label its neurons with concepts.

    Every part is the name of a plugin (``"timm:resnet50"``, or ``{"plugin": "timm", "options": {…}}``) or a
    plain object.

    Parameters
    ----------
    model
        The target: a name, an ``nn.Module`` (which then sees images as they are, in 0…1), or an `mcd.Target`
        with its preprocessing.
    layers
        Patterns that pick layers: ``"blocks.*"``, ``"layer{1..4}"``.
    dataset
        The probe set: a name, a torch ``Dataset`` or an `mcd.Dataset`.
    dissector
        The image–text model: a name or an `mcd.Dissector`.
    concepts
        The name or file of a concept set, a list of words, or an `mcd.ConceptSet`.
    scorer
        A name, an `mcd.Scorer`, or a function ``(A, P) -> S``.
    pooling
        How a map or a row of tokens becomes one number a neuron: ``avg``, ``max``, ``cls``, ``tokens``,
        ``gem:EXPONENT``, ``top-fraction:FRACTION``, ``masked-avg``, ``masked-max``; see `mcd.networks.pooling.Pooling`.
    labels_per_neuron
        How many concepts a neuron keeps.
    calibration
        How labels are told from chance: ``{"q": 0.1, "exchangeable": "image"}``; see
        `mcd.study.calibration.Calibration`.
    prompts
        How concepts are put to the dissector: ``{"templates": ["a mammogram showing {concept}"]}``; see
        `mcd.study.wording.Wording`.
    output
        A run folder to keep; an interrupted run in it goes on. By default a temporary one that goes with the
        dissection; `Dissection.save` keeps it.
    device, precision, batch_size, workers, on_error, where, limit, per_patient, seed, recipe, cache, keep_identifiers,
    controls, maps
        As in a study file; see `mcd.study.study.Study`.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files to load besides what is installed.

    Returns
    -------
    Dissection

    Raises
    ------
    mcd.errors.MCDError
        When anything asked for does not exist, does not fit or cannot be read.

    Examples
    --------
    >>> import mcd
    >>> found = mcd.dissect("phantom-mammo", layers="stages.*", progress=False)  # doctest: +SKIP
    >>> found.labels.query("rank == 1")[["layer", "neuron", "concept"]]  # doctest: +SKIP
    """
    environment = dict(os.environ)
    if not progress:
        environment["MCD_DISABLE_PLUGINS"] = f"{environment.get('MCD_DISABLE_PLUGINS', '')},console"
    host = PluginHost.discover([Path(file) for file in plugin_files], environment)
    preparer = Preparer(host)
    patterns = (layers,) if isinstance(layers, str) else tuple(layers)
    target, model_choice = preparer.target(
        model if isinstance(model, Target | nn.Module) else _choice(model, ModelChoice)
    )
    made_dissector, dissector_choice = preparer.dissector(
        dissector if isinstance(dissector, Dissector) else _choice(dissector, DissectorChoice)
    )
    made_dataset, dataset_choice = preparer.dataset(_dataset(dataset))
    made_scorer, scorer_choice = preparer.scorer(_scorer(scorer))
    concept_set, concept_choices = _concepts(preparer, concepts)
    made_recipe, recipe_choice = preparer.recipe(None if recipe is None else _choice(recipe, Choice))
    study = _study(
        models=({**model_choice.model_dump(), "layers": patterns, "pooling": pooling},),
        dissectors=dissector_choice,
        dataset=dataset_choice,
        scorer=scorer_choice,
        concepts=concept_choices,
        labels_per_neuron=labels_per_neuron,
        calibration=dict(calibration or {}),
        prompts=dict(prompts or {}),
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        on_error=on_error,
        where=where,
        limit=limit,
        per_patient=per_patient,
        seed=seed,
        recipe=recipe_choice,
        cache=cache,
        keep_identifiers=keep_identifiers,
        controls=controls,
        maps=maps,
    )
    folder = Path(tempfile.mkdtemp(prefix="mcd-")) if output is None else Path(output)
    prepared = Prepared(
        host,
        study,
        plan_of(study, folder, [target.name], [made_dissector.name]),
        [PreparedTarget(target, patterns, Pooling.parse(pooling))],
        [made_dissector],
        made_dataset,
        concept_set,
        made_scorer,
        plugins=preparer.plugins,
        recipe=made_recipe,
        paths=frozenset(preparer.paths),
    )
    try:
        found = run(prepared)[0]
    except BaseException:
        if output is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if output is None:
        weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def _study(**values: object) -> Study:
    try:
        return Study.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _choice(value: str | Mapping[str, object], kind: type[ChoiceT]) -> ChoiceT:
    try:
        return kind.model_validate(value if isinstance(value, str) else dict(value))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"{value!r} does not name a component: {first['msg']}", 'give a name or {"plugin": …, "options": {…}}'
        ) from None


def _dataset(value: str | Mapping[str, object] | Dataset | TorchDataset[object]) -> DatasetLike:
    return _choice(value, Choice) if isinstance(value, str | Mapping) else value


def _scorer(value: str | Mapping[str, object] | Scorer | _Function) -> ScorerLike:
    return _choice(value, Choice) if isinstance(value, str | Mapping) else value


def _concepts(preparer: Preparer, value: str | Sequence[str] | ConceptSet) -> tuple[ConceptSet, tuple[Choice, ...]]:
    if isinstance(value, str):
        return preparer.concepts([Choice(plugin=value)])
    concept_set = value if isinstance(value, ConceptSet) else ConceptSet.from_words(value)
    return concept_set, (Choice(plugin="object", options={"name": concept_set.name}),)
