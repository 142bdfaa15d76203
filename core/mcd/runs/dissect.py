"""The Python API: `dissect` in one call."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, TypeVar

import pydantic
import torch
from torch import nn
from torch.utils.data import Dataset as TorchDataset

from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset
from mcd.api.dissector import AnnotationDissector, Dissector
from mcd.api.model import Target
from mcd.api.scorer import Scorer
from mcd.errors import ConfigError, UsageError
from mcd.files import expanded
from mcd.networks.pooling import Pooling
from mcd.networks.process import process_state_kept
from mcd.networks.units import have_random
from mcd.options import in_words
from mcd.runs.cluster import address_of
from mcd.runs.dissection import Dissection
from mcd.runs.given import check_named
from mcd.runs.plan import plan_of
from mcd.runs.prepared import Prepared, PreparedDissector, PreparedTarget
from mcd.runs.run import run
from mcd.study.calibration import Calibration
from mcd.study.equipment import equip
from mcd.study.located import as_written
from mcd.study.objects import (
    UnitsGiven,
    as_choice,
    as_choices,
    as_concepts,
    as_dataset,
    as_model,
    as_patterns,
    as_scorer,
    as_units,
    host_for,
)
from mcd.study.outputs import scratch_folder
from mcd.study.preparer import Preparer
from mcd.study.study import Choice, DissectorChoice, FittedImages, Study
from mcd.study.wording import Wording

__all__ = ["dissect"]

ChoiceT = TypeVar("ChoiceT", bound=Choice)
_Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@process_state_kept()  # networks that plugins build draw their first weights
def dissect(
    model: str | Mapping[str, object] | Target | nn.Module,
    *,
    layers: str | nn.Module | Sequence[str | nn.Module],
    units: UnitsGiven | Sequence[UnitsGiven] = (),
    neurons: bool = False,
    pooling: str = "avg",
    dissector: str | Mapping[str, object] | Dissector | AnnotationDissector,
    dataset: str | Mapping[str, object] | Dataset | TorchDataset[object],
    where: str | None = None,
    limit: int | None = None,
    per_patient: int | None = None,
    seed: int | None = None,
    fitted_images: FittedImages = "leave-out",
    recipe: str | Mapping[str, object] | None = None,
    concepts: str | Mapping[str, object] | Sequence[str] | Sequence[Mapping[str, object]] | ConceptSet | None = None,
    prompts: Mapping[str, object] | Wording = Wording(),  # noqa: B008 -- it is frozen, and help() shows its defaults
    scorer: str | Mapping[str, object] | Scorer | _Function | None = None,
    reporters: str | Mapping[str, object] | Sequence[str | Mapping[str, object]] = (),
    calibration: Mapping[str, object] | Calibration = Calibration(),  # noqa: B008 -- as prompts
    controls: bool = False,
    untrained: int = 0,
    maps: int = 0,
    labels_per_neuron: int = 10,
    device: str = "auto",
    scoring_device: str = "cpu",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    tf32: bool = False,
    autotune: bool = False,
    batch_size: int = 16,
    cache: str | Path | None = None,
    cache_size: int = 50,
    store: str | Path | None = None,
    keep_identifiers: bool = False,
    workers: int | None = None,
    verify: bool = False,
    on_error: Literal["stop", "skip"] = "stop",
    output: str | Path | None = None,
    engine: str | None = None,
    parts: int | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> Dissection:
    """Dissect a model: label its neurons with concepts.

    Every part is the name of a plugin (``"timm:resnet50"``, or ``{"plugin": "timm", "options": {…}}``) or a
    plain object. All but ``output``, ``engine``, ``parts``, ``progress`` and ``plugin_files`` are settings of
    a study file, with the same names and defaults; docs/reference/study.md describes them in full.

    Parameters
    ----------
    model
        The target: a name, an ``nn.Module`` (which then sees images as they are, in 0…1), or an `mcd.Target`
        with its preprocessing.
    layers
        Patterns that pick layers: ``"blocks.*"``, ``"layer{1..4}"``; or modules of the network themselves.
    units
        What each layer is seen through in place of its neurons: ``"directions:FILE"``, an `mcd.Units`, an
        `mcd.UnitSource`, or several. The layer is then called ``LAYER/NAME``, after the stem of the file.
    neurons
        Keep the neurons of layers too that are seen through units.
    pooling
        How a map or a row of tokens becomes one number a neuron: ``avg``, ``max``, ``cls``, ``tokens``,
        ``gem:EXPONENT``, ``top-fraction:FRACTION``, ``masked-avg``, ``masked-max``; see `mcd.networks.pooling.Pooling`.
    dissector
        The image–text model, or ``"annotations"``: a name, an `mcd.Dissector` or an `mcd.AnnotationDissector`.
    dataset
        The probe set: a name, a torch ``Dataset`` or an `mcd.Dataset`.
    where, limit, per_patient, seed
        Which of its images are used: those that fit ``where``, at most ``per_patient`` of each patient and ``limit``
        in all, drawn at random with ``seed``, by default the first ones.
    fitted_images
        What becomes of images of patients that units were fitted on, which are no test of these: ``leave-out``,
        ``keep``, or ``refuse`` the run.
    recipe
        Preprocessing of every image before each model's own: a name.
    concepts
        The name or file of a concept set, a list of words, categories with their words
        (``{"masses": ["mass", "cyst"]}``), or an `mcd.ConceptSet`. By default ``birads``; for annotations what is
        annotated.
    prompts
        How concepts are written as prompts: ``{"templates": ["a mammogram showing {concept}"]}``.
    scorer
        A name, an `mcd.Scorer`, or a function ``(A, P) -> S``. By default ``soft-wpmi``; for annotations ``auroc``.
    reporters
        What is written into ``report/`` of the run folder: a name, or several.
    calibration
        How significance is computed: ``{"q": 0.1, "exchangeable": "image"}``.
    controls
        Also label random weights, random units where there are units, shuffled rows, a random rotation, a random
        dissector and shuffled names: controls.
    untrained
        Also run so many networks of the same architecture, 10 or more, with weights drawn anew, and test labels
        against their neurons.
    maps
        Keep small maps of where each neuron responds in so many of its top images.
    labels_per_neuron
        How many concepts a neuron keeps, best first.
    device, precision, batch_size, workers
        Where and how the models run; by default on the GPU if there is one.
    scoring_device
        Where labels are scored and their nulls drawn.
    tf32, autotune
        What an NVIDIA GPU may trade for speed: digits of products of float32 numbers, and the same last bits each time.
    cache, cache_size
        A folder that keeps decoded images and what models read of them, and the most that it may hold, in GB.
    store
        A folder that keeps activations, embeddings and texts for other runs, or ``"off"``; by default that of the
        variable ``MCD_STORE``, or one of this user.
    keep_identifiers
        Show the data set's own image ids, and whole paths in the manifest.
    verify
        Read and hash every image file anew, even where it has not changed since an earlier run, and say how many
        differ.
    on_error
        What becomes of images that cannot be used: ``stop`` refuses the run, ``skip`` leaves them out.
    output
        A run folder to keep; an interrupted run in it continues. By default a temporary one that goes with the
        dissection; `Dissection.save` keeps it.
    engine, parts
        As in `mcd.run`: every part is then named, and ``output`` given.
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
    >>> found = mcd.dissect(
    ...     "phantom-mammo", layers="stages.*", dissector="phantom-clip", dataset="phantom"
    ... )  # doctest: +SKIP
    >>> found.labels.query("rank == 1")[["layer", "neuron", "concept"]]  # doctest: +SKIP
    """
    address = address_of(engine, parts)
    if address is not None and output is None:
        raise UsageError("a run on Ray needs a folder that its workers see", 'output="runs/x"')
    host = host_for(plugin_files, progress=progress)
    preparer = Preparer(host)
    # What is cheap comes first: a folder without images is said before the networks are loaded.
    made_dataset, dataset_choice = preparer.dataset(as_dataset(dataset))
    len(made_dataset)
    words = None if concepts is None else as_concepts(preparer, concepts)
    made_units, units_choices = preparer.units(as_units(units))
    made_recipe, recipe_choice = preparer.recipe(None if recipe is None else as_choice(recipe, Choice))
    chosen_reporters = as_choices(reporters)
    made_reporters = preparer.reporters(chosen_reporters)
    chosen = as_choice(dissector, DissectorChoice) if isinstance(dissector, str | Mapping) else dissector
    kind = preparer.dissector_class(chosen)
    (equipment,) = equip(preparer, [kind], None if scorer is None else as_scorer(scorer), words)
    made_dissector, dissector_choice = preparer.dissector(chosen)
    target, model_choice = preparer.target(as_model(model))
    patterns = as_patterns(layers, target)
    study = _study(
        models=(
            {
                **model_choice.model_dump(),
                "layers": patterns,
                "units": units_choices,
                "neurons": neurons,
                "pooling": pooling,
            },
        ),
        dissectors=dissector_choice,
        dataset=dataset_choice,
        scorer=equipment.scorer_choice,
        concepts=equipment.concept_choices,
        reporters=chosen_reporters,
        labels_per_neuron=labels_per_neuron,
        calibration=dict(calibration) if isinstance(calibration, Mapping) else calibration,
        prompts=dict(prompts) if isinstance(prompts, Mapping) else prompts,
        device=device,
        scoring_device=scoring_device,
        precision=precision,
        tf32=tf32,
        autotune=autotune,
        batch_size=batch_size,
        workers=workers,
        verify=verify,
        on_error=on_error,
        where=where,
        limit=limit,
        per_patient=per_patient,
        seed=seed,
        fitted_images=fitted_images,
        recipe=recipe_choice,
        cache=cache,
        cache_size=cache_size,
        store=store,
        keep_identifiers=keep_identifiers,
        controls=controls,
        untrained=untrained,
        maps=maps,
    )
    if address is not None and output is not None:
        from mcd.runs.on_ray import on_ray

        check_named(study)
        by_silence = {name for name, given in (("scorer", scorer), ("concepts", concepts)) if given is None}
        settings = {name: value for name, value in as_written(study).items() if name not in by_silence}
        return on_ray(host, settings, expanded(output), address=address, parts=parts)[0]
    with ExitStack() as scratch:
        folder = scratch.enter_context(scratch_folder()) if output is None else expanded(output)
        prepared = Prepared(
            host,
            study,
            plan_of(
                study,
                folder,
                [target.name],
                [made_dissector.name],
                [issubclass(kind, AnnotationDissector)],
                [have_random(made_units)],
            ),
            [PreparedTarget(target, patterns, Pooling.parse(pooling), made_units, neurons)],
            [PreparedDissector(made_dissector, equipment)],
            made_dataset,
            reporters=made_reporters,
            plugins=preparer.plugins,
            recipe=made_recipe,
        )
        found = run(prepared)[0]
        weakref.finalize(found, scratch.pop_all().close)
    return found


def _study(**values: object) -> Study:
    try:
        return Study.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"{'.'.join(str(part) for part in first['loc'])}: {in_words(first)}",
            "see the keywords with: help(mcd.dissect)",
        ) from None
