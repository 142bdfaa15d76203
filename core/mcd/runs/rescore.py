"""A stored run under another scorer or another vocabulary; no images are needed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcd.api.dissector import Dissector
from mcd.api.scorer import Scorer
from mcd.components import Kind
from mcd.errors import DataError, StoreError, UsageError
from mcd.events import Clock, RunFinished, RunStarted
from mcd.extraction.texts import TextEncoder
from mcd.files import check_folder
from mcd.networks.controls import RANDOM_DISSECTOR
from mcd.networks.identity import identity_of
from mcd.networks.running import pick_device
from mcd.runs.dissection import SCORED, Dissection, read_study, write_study
from mcd.runs.manifest import Manifest
from mcd.runs.material import bound, gather
from mcd.runs.revived import concepts_of, found_again
from mcd.runs.vocabulary import write_concepts
from mcd.scoring.labelling import Labeller
from mcd.study.calibration import Calibration
from mcd.study.objects import Concepts, as_concepts
from mcd.study.preparer import Preparer, ScorerLike
from mcd.study.privacy import recorded
from mcd.study.study import Choice, DissectorChoice
from mcd.study.wording import Wording

__all__ = ["rescore"]


def rescore(
    dissection: Dissection,
    *,
    scorer: ScorerLike | None = None,
    scorer_options: Mapping[str, object] | None = None,
    concepts: Concepts | Sequence[Choice] = (),
    labels_per_neuron: int | None = None,
    calibration: Calibration | None = None,
    prompts: Wording | None = None,
    output: Path | None = None,
    device: str = "auto",
) -> Dissection:
    """Return a new dissection over the activations and embeddings of a stored one.

    Parameters
    ----------
    scorer, concepts, labels_per_neuron, calibration, prompts
        What to change; None and () keep the run's own.
    scorer_options
        Settings over the run's own scorer, when ``scorer`` is None.
    output
        Where its labels go; by default ``RUN/scored/SCORER-CONCEPTS``. It refers to the run for activations.

    Raises
    ------
    mcd.errors.DataError
        When new concepts must be encoded and the dissector is no longer the one of the run.
    """
    start = time.perf_counter()
    store = dissection.store_folder
    study = read_study(dissection.folder, dissection.manifest)
    host = dissection.host
    preparer = Preparer(host)
    if scorer is None:
        made, scorer_choice = _own_scorer(dissection, preparer, study.scorer, scorer_options or {})
    else:
        made, scorer_choice = preparer.scorer(scorer)
    concept_set, chosen = as_concepts(preparer, concepts) if concepts else (concepts_of(dissection), study.concepts)
    made.check(dissection.manifest.images)
    wording = prompts or study.prompts
    names = [made.name, concept_set.name]
    if wording != study.prompts:  # each wording its own folder
        names.append(wording.fingerprint(concept_set.concepts)[:8])
    folder = output or dissection.folder / SCORED / _slug("-".join(names))
    _open(folder)
    host.emit(RunStarted(f"{dissection.manifest.target} scored anew with {made.name} on {concept_set.name}"))

    encoder = TextEncoder(
        store,
        dissection.manifest.store.texts,
        lambda: _same_dissector(preparer, study.dissectors[0], dissection),
        pick_device(device),
    )
    material = gather(dissection, concept_set, wording, encoder)
    clock = Clock(host.emit)
    scorer_here = bound(made, material, wording)
    remarks = [scorer_here.caution, wording.idle(concept_set.concepts)]
    if study.controls:
        remarks.append("the controls of the run are not scored anew")
    for remark in filter(None, remarks):
        clock.warn(remark)
    kept = labels_per_neuron or study.labels_per_neuron
    labeller = Labeller(
        scorer_here,
        material.similarity,
        concept_set.concepts,
        calibration or study.calibration,
        dissection.patients,
        kept,
    )
    results = labeller.label(dissection.manifest.target, dissection.sources(), clock)
    manifest = _manifest(dissection, folder, store)
    scored = study.model_copy(
        update={
            "scorer": scorer_choice,
            "concepts": chosen,
            "labels_per_neuron": kept,
            "calibration": calibration or study.calibration,
            "prompts": wording,
            "controls": False,
        }
    )
    settings = scored.settings()
    manifest.study = settings if study.keep_identifiers else recorded(settings, frozenset(preparer.paths))
    write_study(folder, scored)
    manifest.scorer, manifest.summary = made.name, list(results.summary)
    manifest.fingerprints |= {
        "scorer": identity_of(made).content,
        "concepts": concept_set.fingerprint(),
        "prompts": wording.fingerprint(concept_set.concepts),
    }
    manifest.store.texts = encoder.keys
    manifest.plugins = dict(sorted((manifest.plugins | preparer.plugins).items()))
    manifest.seconds, manifest.warnings = clock.seconds, clock.warnings
    write_concepts(folder, concept_set)
    results.write(folder)
    manifest.write(folder)
    host.emit(RunFinished(str(folder), time.perf_counter() - start))
    return Dissection(folder, manifest, results, host, trust=dissection.trust, beside=[store])


def _own_scorer(
    dissection: Dissection, preparer: Preparer, own: Choice, options: Mapping[str, object]
) -> tuple[Scorer, Choice]:
    if own.plugin == "object":
        raise UsageError("the run's scorer was given in Python; it has no name", "give --scorer NAME")
    choice = Choice.model_validate({"plugin": own.plugin, "options": {**own.options, **options}})
    with found_again(dissection, Kind.SCORER, [own], preparer):
        return preparer.scorer(choice)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")


def _open(folder: Path) -> None:
    check_folder(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / "labels.parquet").exists():
        raise UsageError(f"{folder} is not empty and holds no labels of mcd", "choose another --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {folder}: {error.strerror}", "choose another --output") from None


def _manifest(dissection: Dissection, folder: Path, store: Path) -> Manifest:
    relative = os.path.relpath(store.resolve(), folder.resolve())
    record = dissection.manifest.store.model_copy(update={"folder": Path(relative).as_posix()})
    return dissection.manifest.model_copy(deep=True, update={"store": record})


def _same_dissector(preparer: Preparer, choice: DissectorChoice, dissection: Dissection) -> tuple[Dissector, str]:
    """Make the run's dissector again to encode new concepts, and make sure that it is the same; return its key too."""
    if dissection.manifest.control == RANDOM_DISSECTOR:
        raise DataError(
            f"{dissection.folder} is a control: its dissector knows no new concepts", "score the run itself"
        )
    if choice.plugin == "object":
        raise DataError("the run's dissector was a Python object; new concepts cannot be encoded", "run mcd.dissect")
    with found_again(dissection, Kind.DISSECTOR, [choice], preparer):
        dissector, _ = preparer.dissector(choice)
    found = identity_of(dissector)
    if found.content != dissection.manifest.fingerprints["dissector"]:
        why = found.unknown or "it has other weights, settings or code"
        raise DataError(
            f"it cannot be said that dissector '{choice.plugin}' is that of the run: {why}", "run mcd dissect again"
        )
    return dissector, found.key
