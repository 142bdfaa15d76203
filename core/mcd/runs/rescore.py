"""A stored run under another scorer or another vocabulary; no images are needed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.base import digest
from mcd.api.concepts import ConceptSet
from mcd.api.dissector import AnnotationDissector, AnyDissector, Dissector
from mcd.api.scorer import Scorer
from mcd.components import Kind
from mcd.errors import DataError, MCDError, UsageError
from mcd.events import Clock, RunFinished, Warned
from mcd.extraction.probe_map import PRIVATE
from mcd.extraction.shared_store import OFF
from mcd.extraction.sharing import kept_small, shared_store
from mcd.extraction.texts import KnownTexts, TextEncoder
from mcd.files import MANIFEST, check_folder
from mcd.networks.controls import RANDOM_DISSECTOR
from mcd.networks.identity import identity_of
from mcd.networks.running import pick_device
from mcd.runs.annotations import AnnotationReader, named_by
from mcd.runs.dissection import SCORED, Dissection, read_study, write_study
from mcd.runs.folder import check_objects, differences, other_objects
from mcd.runs.given import not_at_hand, own_dissector, own_scorer
from mcd.runs.labelling import labeller_of, with_fitted_images
from mcd.runs.manifest import Inputs, Manifest, ScoreRecord, closing
from mcd.runs.material import gather
from mcd.runs.revived import concepts_of, found_again
from mcd.runs.stored_nulls import kept_nulls
from mcd.runs.vocabulary import write_concepts
from mcd.scoring.activations import Activations
from mcd.scoring.results import LABELS, Results
from mcd.scoring.rungs import UNTRAINED
from mcd.study.calibration import Calibration
from mcd.study.equipment import refuse_cosines
from mcd.study.objects import Concepts, as_concepts
from mcd.study.outputs import clear_leftovers
from mcd.study.preparer import Preparer, ScorerLike
from mcd.study.recording import recorded
from mcd.study.resolve import resolved, with_defaults
from mcd.study.study import Choice, DissectorChoice, Study
from mcd.study.wording import Wording

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["rescore", "same_dissector", "shared_texts", "untrained_of"]

_LONGEST_NAME = 100
"""Characters of scorer and concepts in the name of a folder."""
_HERE = "cpu"
"""Where a stored run is scored anew, wherever its own labels were scored."""


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
    shared: Path | None = None,
) -> Dissection:
    """Return a new dissection over the activations and embeddings of a stored one.

    Parameters
    ----------
    scorer, concepts, labels_per_neuron, calibration, prompts
        What to change; None and () keep the run's own.
    scorer_options
        Settings over the run's own scorer, when ``scorer`` is None.
    output
        Where its labels go; by default ``RUN/scored/SCORER-CONCEPTS``, with a digest of the settings where others are
        not as in the run, or not at their defaults. It refers to the run for activations.
    device
        Where new concepts are encoded.
    shared
        The store that keeps their embeddings, or ``off``; None for that of this user, or for ``off`` where the run had
        none.

    Raises
    ------
    mcd.errors.DataError
        When new concepts must be encoded and the dissector is no longer the one of the run.
    UsageError
        When the store cannot be used.
    """
    start = time.perf_counter()
    study = read_study(dissection.folder, dissection.manifest)
    host = dissection.host
    preparer = Preparer(host)
    if scorer is None:
        made, scorer_choice = _own_scorer(dissection, preparer, study.scorer, scorer_options or {})
    else:
        made, scorer_choice = preparer.scorer(scorer)
    concept_set, chosen = as_concepts(preparer, concepts) if concepts else (concepts_of(dissection), study.concepts)
    if dissection.manifest.store.annotations:
        refuse_cosines(host, made.name, type(made))
    made.check(dissection.manifest.images)
    changed = {
        "scorer": scorer_choice,
        "concepts": chosen,
        "labels_per_neuron": labels_per_neuron or study.labels_per_neuron,
        "calibration": calibration or study.calibration,
        "prompts": prompts or study.prompts,
    }
    new = _New(made, concept_set, _scored(study, changed))
    folder = _folder(dissection, preparer, study, new, output)
    clear_leftovers(dissection.store_folder / "embeddings")  # new concepts are kept in the run
    clock = Clock(host.emit)
    with clock.run(f"{dissection.manifest.target} scored anew with {made.name} on {concept_set.name}"):
        texts = shared_texts(study, shared, device)
        encoder = _reader(dissection, preparer, study.dissectors[0], device, texts)
        results, rungs = _labelled(dissection, study, new, encoder, texts, clock)
        manifest = _manifest(dissection, folder)
        results = replace(results, labels=with_fitted_images(results.labels, manifest))
        _record(manifest, new, results, encoder, clock)
        manifest.rungs = rungs
        manifest.study = recorded(host, new.study, before=(study, manifest.study))
        manifest.plugins = dict(sorted((manifest.plugins | preparer.plugins).items()))
        _write(folder, manifest, new, results)
        if said := kept_small(texts.shared):
            host.emit(Warned(said))
    host.emit(RunFinished(str(folder), time.perf_counter() - start))
    given = replace(dissection.given, scorer=made if scorer_choice.plugin == "object" else None, made=True)
    beside = [dissection.store_folder]
    return Dissection(folder, manifest, results, host, trust=dissection.trust, beside=beside, given=given)


@dataclass(frozen=True)
class _New:
    """What a run is scored anew with."""

    scorer: Scorer
    concepts: ConceptSet
    study: Study

    @functools.cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of what may be other than in the run."""
        return {
            "scorer": identity_of(self.scorer).content,
            "concepts": self.concepts.fingerprint(),
            "prompts": self.study.prompts.fingerprint(self.concepts.concepts),
        }


def _scored(own: Study, changed: Mapping[str, object]) -> Study:
    """Return the study of what is scored anew: that of the run with some settings changed, and without its controls."""
    scored = own.model_copy(update={**changed, "controls": False, "scoring_device": _HERE})
    return scored if scored.calibration.draws else scored.model_copy(update={"untrained": 0})


def _folder(dissection: Dissection, preparer: Preparer, own: Study, new: _New, output: Path | None) -> Path:
    """Return where the labels go; what lies there already is that of the same settings."""
    before = dissection.manifest.inputs
    inputs = Inputs({**before.fingerprints, **new.fingerprints}, before.preprocessing)
    objects = [inputs.fingerprints[what] for what in other_objects(new.study, before, inputs)]
    plain = _plain(preparer, own, new.study)
    name = _default_name(new.scorer.name, new.concepts.name, new.study, plain, objects)
    folder = output or dissection.folder / SCORED / name
    _check_ours(folder, dissection.store_folder, new.study, preparer.host, inputs)
    return folder


def _labelled(
    dissection: Dissection,
    own: Study,
    new: _New,
    encoder: TextEncoder | AnnotationReader,
    texts: KnownTexts,
    clock: Clock,
) -> tuple[Results, dict[str, str]]:
    """Return the tables of all layers, and the rungs that were asked for, as a manifest names them."""
    concepts, wording = new.concepts.concepts, new.study.prompts
    material = gather(dissection, new.concepts, wording, encoder)
    labeller = labeller_of(
        dissection,
        material,
        new.scorer,
        concepts,
        wording,
        new.study.calibration,
        new.study.labels_per_neuron,
        untrained_of(dissection, own),
        kept_nulls(texts.shared, lambda said: dissection.host.emit(Warned(said))),
    )
    remarks = [labeller.scorer.caution, wording.idle(concepts)]
    if len(material.annotations):
        remarks += named_by(material.annotations, dissection.manifest.dissector)
    if own.controls:
        remarks.append("the controls of the run are not scored anew")
    for remark in filter(None, remarks):
        clock.warn(remark)
    results = labeller.label(dissection.manifest.target, dissection.sources(), clock)
    return replace(results, annotations=material.annotations), labeller.ladder.problems


def _record(
    manifest: Manifest, new: _New, results: Results, encoder: TextEncoder | AnnotationReader, clock: Clock
) -> None:
    """Write into a manifest with what its labels were made."""
    manifest.scorer, manifest.summary = new.scorer.name, list(results.summary)
    manifest.scores = ScoreRecord.of(new.scorer)
    manifest.fingerprints |= new.fingerprints
    manifest.store.texts = encoder.keys
    if manifest.store.digests is not None:
        manifest.store.digests |= encoder.used
    of_images = [said for said in manifest.warnings if said not in manifest.label_warnings]
    manifest.seconds, manifest.label_warnings = clock.seconds, clock.warnings
    manifest.warnings = list(dict.fromkeys([*of_images, *clock.warnings]))


def _write(folder: Path, manifest: Manifest, new: _New, results: Results) -> None:
    """Write a folder of labels, its manifest last."""
    manifest.digests = None
    clear_leftovers(folder, deep=True)
    write_study(folder, new.study)
    with closing({folder: manifest}):
        manifest.digests = {**results.write(folder), **write_concepts(folder, new.concepts)}
        manifest.status = "finished"
        manifest.write(folder)


def _own_scorer(
    dissection: Dissection, preparer: Preparer, own: Choice, options: Mapping[str, object]
) -> tuple[Scorer, Choice]:
    if own.plugin == "object":
        given = dissection.given.scorer
        if given is None:
            raise not_at_hand(dissection, "scorer", "scorer", "or name another one: --scorer NAME")
        return own_scorer(dissection, given), own
    choice = Choice.model_validate({"plugin": own.plugin, "options": {**own.options, **options}})
    with found_again(dissection, Kind.SCORER, [own], preparer):
        return preparer.scorer(choice)


def untrained_of(dissection: Dissection, study: Study) -> Callable[[str], Iterator[Activations]] | str | None:
    """Return what the run kept of untrained networks, or why it kept nothing, where they were asked for."""
    if dissection.manifest.store.untrained:
        return dissection.untrained_by_neurons
    none = "the run kept no untrained networks: mcd dissect … --untrained 10"
    return (dissection.manifest.rungs.get(UNTRAINED) or none) if study.untrained else None


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")


def _default_name(scorer: str, concepts: str, scored: Study, plain: Study, objects: Sequence[str]) -> str:
    """Return the name of a folder: scorer, concepts, and a digest of settings that are not ``plain`` and of objects."""
    name = _slug(f"{scorer}-{concepts}")
    if scored.settings() == plain.settings() and not objects and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{digest(json.dumps(scored.settings(), sort_keys=True), *objects)[:8]}"


def _plain(preparer: Preparer, own: Study, scored: Study) -> Study:
    """Return what a run is scored anew with when no more than a scorer and concepts are named."""
    scorer, concepts = own.scorer, own.concepts
    if scored.scorer.plugin != own.scorer.plugin:
        with contextlib.suppress(MCDError):  # it has no defaults
            scorer = resolved(preparer.host, Kind.SCORER, Choice(plugin=scored.scorer.plugin))
    if [one.plugin for one in scored.concepts] != [one.plugin for one in own.concepts]:
        concepts = tuple(Choice(plugin=one.plugin) for one in scored.concepts)
    return own.model_copy(update={"scorer": scorer, "concepts": concepts, "controls": False, "scoring_device": _HERE})


def _check_ours(folder: Path, store: Path, scored: Study, host: PluginHost, inputs: Inputs) -> None:
    """Make sure that a folder is free, or holds the same labels of the same run, which may be made again.

    Raises
    ------
    UsageError
        When it holds something else.
    """
    check_folder(folder / PRIVATE)
    elsewhere = "choose another --output"
    relative = _between(folder, store)
    if not _is_utf8(relative):
        raise UsageError(
            f"labels in {folder} would have to refer to {relative}, which is not UTF-8: a manifest cannot",
            "leave out --output: labels then lie inside the run",
        )
    if not (folder / MANIFEST).exists():
        # what is killed before its manifest leaves its study
        if folder.is_dir() and any(path.name != PRIVATE and path.name[0] != "." for path in folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no labels of mcd", elsewhere)
        return
    manifest = Manifest.read(folder)
    if manifest.store.folder == "." or (folder / manifest.store.folder).resolve() != store.resolve():
        raise UsageError(f"{folder} holds another run", elsewhere)
    differing = differences(with_defaults(host, read_study(folder, manifest)), scored)
    if differing:
        raise UsageError(
            f"{folder} holds other labels of this run; they differ in {', '.join(differing)}",
            f"{elsewhere}, or remove that folder",
        )
    if (folder / LABELS).exists():
        check_objects(folder, scored, manifest.inputs, inputs)


def _manifest(dissection: Dissection, folder: Path) -> Manifest:
    record = dissection.manifest.store.model_copy(update={"folder": _between(folder, dissection.store_folder)})
    return dissection.manifest.model_copy(deep=True, update={"store": record})


def _between(folder: Path, store: Path) -> str:
    return Path(os.path.relpath(store.resolve(), folder.resolve())).as_posix()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shared_texts(study: Study, asked: Path | None, device: str) -> KnownTexts:
    """Return the embedded texts that lie outside of the run; of its own setting only ``off`` counts, not a path."""
    off = asked is None and str(study.store) == OFF
    return KnownTexts(shared_store(Path(OFF) if off else asked, pick_device(device)))


def _reader(
    dissection: Dissection, preparer: Preparer, choice: DissectorChoice, device: str, texts: KnownTexts
) -> TextEncoder | AnnotationReader:
    """Return what reads the concepts of a stored run."""
    record, store = dissection.manifest.store, dissection.store_folder

    def image_text() -> tuple[Dissector, str]:
        found, key = same_dissector(preparer, choice, dissection)
        assert isinstance(found, Dissector)  # it is that of the run
        return found, key

    def annotations() -> tuple[AnnotationDissector, str]:
        found, key = same_dissector(preparer, choice, dissection)
        assert isinstance(found, AnnotationDissector)
        return found, key

    if record.annotations:
        return AnnotationReader(store, record.texts, annotations)
    digests = record.digests or {}
    return TextEncoder(store, record.texts, image_text, pick_device(device), digests=digests, others=texts)


def same_dissector(preparer: Preparer, choice: DissectorChoice, dissection: Dissection) -> tuple[AnyDissector, str]:
    """Make the run's dissector again to encode new concepts, and make sure that it is the same; return its key too."""
    if dissection.manifest.control == RANDOM_DISSECTOR:
        raise DataError(
            f"{dissection.folder} is a control: its dissector knows no new concepts", "score the run itself"
        )
    if dissection.given.dissector is not None:
        given = own_dissector(dissection, dissection.given.dissector)
        return given, identity_of(given).key
    if choice.plugin == "object":
        raise not_at_hand(dissection, "dissector", "dissector", "new concepts are encoded by it")
    with found_again(dissection, Kind.DISSECTOR, [choice], preparer):
        dissector, _ = preparer.dissector(choice)
    return own_dissector(dissection, dissector), identity_of(dissector).key
