"""Parts of a run joined and labelled: to a bit what one process makes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from mcd.api.base import digest
from mcd.api.concepts import ConceptSet
from mcd.api.dissector import AnnotationDissector, Dissector
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.components import Kind
from mcd.errors import DataError, UsageError, amount
from mcd.events import Clock, RunFinished, Warned
from mcd.extraction.machine import deciding
from mcd.extraction.reading import little_range_warning
from mcd.extraction.remarks import ProbeRemarks
from mcd.extraction.sharing import kept_small
from mcd.extraction.texts import KnownTexts, TextEncoder
from mcd.networks.foreign import calling_scorer
from mcd.networks.identity import identity_of
from mcd.networks.running import pick_device
from mcd.runs.annotations import AnnotationReader, annotated, named_by, own_concepts
from mcd.runs.dissection import Dissection
from mcd.runs.finishing import not_decoded, several
from mcd.runs.folder import check_output_folder, check_study_folder
from mcd.runs.given import own_scorer
from mcd.runs.joining import Joined
from mcd.runs.labelling import labelled
from mcd.runs.manifest import closing
from mcd.runs.merged_maps import add_maps
from mcd.runs.partial import Partial, partial_runs, shown_differences
from mcd.runs.recorded import sample_of
from mcd.runs.remarks import said_by_all, said_by_first
from mcd.runs.report import write_reports
from mcd.runs.rescore import same_dissector, shared_texts, untrained_of
from mcd.runs.revived import found_again
from mcd.runs.stored_nulls import kept_nulls
from mcd.runs.vocabulary import kept_concepts, write_concepts
from mcd.scoring.labelling import no_patients
from mcd.study.preparer import Preparer
from mcd.study.resolve import names_function
from mcd.study.study import Choice

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["merge"]


def merge(
    parts: Sequence[Path],
    output: Path,
    host: PluginHost,
    *,
    scorer: Choice | None = None,
    allow_different: bool = False,
    device: str = "auto",
    shared: Path | None = None,
    reporters: Sequence[Reporter] | None = None,
    trust: bool = False,
) -> list[Dissection]:
    """Join all parts of a run, or of a study of several, and label it.

    Nothing that the study of the parts names is run or read but plugins, as in `mcd.score`; for maps of runs that are
    trusted the target and images are.

    Parameters
    ----------
    parts
        The folders that each part was written into, in any order.
    output
        The run folder, or the folder of the study. Files of the parts get a second name there, or are copied.
    scorer
        The scorer of the run where it is a file, which is run only when it is named.
    allow_different
        Whether parts may have been computed by other settings, versions or machines that decide last bits; then
        the manifest says so, and nothing stored counts as that of a run in one process.
    reporters
        What writes reports; by default those of the study.
    device, shared, trust
        As in `mcd.score`.

    Raises
    ------
    DataError
        When the parts do not make one run.
    UsageError
        When they were computed differently and that is not allowed, or ``output`` holds something else.
    """
    start, clock = time.perf_counter(), Clock(host.emit)
    runs = partial_runs(parts, host, trust=trust)
    each_of = (shown_differences(one, allowed=allow_different) for one in runs.values())
    different = list(dict.fromkeys(text for found in each_of for text in found))
    inside = next((one for one in parts if one.resolve() in output.resolve().parents), None)
    if inside is not None:
        raise UsageError(f"{output} lies in {inside}, which is a part", "choose another --output")
    folders = {name: output / name for name in runs}
    check_study_folder(output, list(folders.values()))
    texts = shared_texts(next(iter(runs.values()))[0].study, shared, device)
    joined = [Joined(one, folders[name], host, different, trust=trust) for name, one in runs.items()]
    joining = [_Merging(one, host, device, texts) for one in joined]
    taken = [one.prepare(scorer) for one in joining]
    if scorer is not None and not any(taken):
        raise UsageError(
            f"no run of these parts is labelled by {scorer.plugin}",
            "leave out --scorer; label anew when the parts are merged: mcd score RUN --scorer NAME",
        )
    made = _reporters(joined[-1], host) if reporters is None else reporters
    for each in joined:
        each.start()
    with clock.run(f"{amount(len(parts), 'part')} merged"), closing({each.folder: each.manifest for each in joined}):
        with clock.stage("join shards", len(joined), "runs") as advanced:
            for each in joined:
                each.join()
                advanced(1)
        said = _said(joining, clock)
        controls: dict[Path, dict[str, pd.DataFrame]] = {}
        found = []
        for one in joining:
            folder, control = one.joined.folder, one.joined.manifest.control
            labelled_run = one.label(controls.get(folder, {}), said, clock.seconds)
            if control:
                controls.setdefault(folder.parent.parent, {})[control] = labelled_run.labels
            else:
                found.append(labelled_run)
    add_maps(found, {one.folder: one.parts for one in joined}, host, trust=trust)
    write_reports(found, made)
    if warning := kept_small(texts.shared):
        host.emit(Warned(warning))
    host.emit(RunFinished(str(found[0].folder), time.perf_counter() - start))
    return found


def _reporters(joined: Joined, host: PluginHost) -> Sequence[Reporter]:
    """Return the reporters of the study of a run: of one that is not trusted none that reads a file."""
    preparer, chosen = Preparer(host), joined.study.reporters
    with found_again(joined.first, Kind.REPORTER, chosen, preparer):
        return preparer.reporters(chosen)


@dataclass
class _Merging:
    """One run, from its parts to its labels.

    Parameters
    ----------
    joined
        Its parts.
    host, device, texts
        What plugins there are, where texts are encoded that no part has, and where else texts may be found.
    """

    joined: Joined
    host: PluginHost
    device: str
    texts: KnownTexts
    scorer: Scorer = field(init=False)
    concepts: ConceptSet = field(init=False)

    def prepare(self, named: Choice | None) -> bool:
        """Find the scorer of the run again, and make the run folder, before anything is written into it.

        Returns
        -------
        bool
            Whether the scorer that is named is that of the run.

        Raises
        ------
        mcd.errors.MCDError
            When the scorer must be named, is another one or does not fit, or the folder holds something else.
        """
        joined, preparer = self.joined, Preparer(self.host)
        own, first = joined.study.scorer, joined.first
        code = names_function(own.plugin)
        taken = named is not None and (code or named.plugin == own.plugin)
        if code and not taken and not joined.trust:
            raise DataError(
                f"{first.folder} is labelled by code of a file, which is run only when it is named: {own.plugin}",
                f"if you trust that file: --scorer {shlex.quote(own.plugin)}",
            )
        with found_again(first, Kind.SCORER, [] if taken else [own], preparer):
            made, _ = preparer.scorer(named if named is not None and taken else own)
        self.scorer = own_scorer(first, made)
        several(joined.manifest.images)
        with calling_scorer(self.scorer):
            self.scorer.check(joined.manifest.images)
        try:
            pick_device(joined.study.scoring_device)
        except UsageError as error:
            raise UsageError(f"where the run is scored: {error.summary}", "merge where that device is") from None
        check_output_folder(joined.folder, joined.study, self.host)
        return taken

    @cached_property
    def annotating(self) -> AnnotationDissector | None:
        """The dissector of the run, where it reads annotations; made again, since what it reads is of all parts."""
        joined = self.joined
        if not joined.manifest.store.annotations:
            return None
        found, _ = same_dissector(Preparer(self.host), joined.study.dissectors[0], joined.first)
        assert isinstance(found, AnnotationDissector)
        return found

    def say_annotated(self) -> list[str]:
        """Find out which concepts the run labels with; return what is to be said of them where they are annotated."""
        joined, dissector = self.joined, self.annotating
        kept = kept_concepts(joined.first.folder, joined.first.manifest)
        assert kept is not None
        self.concepts = kept
        if dissector is None:
            return []
        samples = [sample_of(entry) for entry in joined.recorded().probe_map if entry["id"]]
        if not joined.study.concepts:
            self.concepts = own_concepts(dissector, samples)
            own = joined.study.prompts.fingerprint(self.concepts.concepts)
            joined.manifest.fingerprints |= {"concepts": self.concepts.fingerprint(), "prompts": own}
        found = annotated(dissector, samples, self.concepts.concepts)
        return named_by(found.table(self.concepts.concepts, [one.patient for one in samples]), dissector.name)

    def label(self, controls: Mapping[str, pd.DataFrame], said: _Said, seconds: Mapping[str, float]) -> Dissection:
        """Label the joined run, and close its manifest."""
        clock, joined = Clock(self.host.emit), self.joined
        manifest, recorded, study = joined.manifest, joined.recorded(), joined.study
        if study.calibration.exchangeable == "patient" and not any(recorded.patients):
            raise no_patients()
        results = labelled(
            recorded,
            manifest,
            study,
            self.concepts,
            self.scorer,
            self._reader(),
            controls,
            clock,
            untrained=untrained_of(recorded, study),
            nulls=kept_nulls(self.texts.shared, lambda text: self.host.emit(Warned(text))),
        )
        manifest.summary = list(results.summary)
        manifest.label_warnings = [*said.words, *clock.warnings]
        manifest.warnings = list(dict.fromkeys([*said.all, *clock.warnings]))
        count = manifest.store.shards
        manifest.store.digests = {
            **{place: one for shards in joined.stores for place, one in shards.digests(count).items()},
            **(manifest.store.digests or {}),
        }
        manifest.store.ids = digest(*recorded.image_ids)
        manifest.digests = {**results.write(joined.folder), **write_concepts(joined.folder, self.concepts)}
        for one in joined.stores:
            one.flush(count)
        joined.forget()
        if self.texts.shared is not None:
            joined.share(self.texts.shared)
        manifest.seconds = {**manifest.seconds, **seconds, **clock.seconds}
        manifest.status = "finished"
        manifest.write(joined.folder)
        return Dissection(joined.folder, manifest, results, self.host, trust=joined.trust)

    def _reader(self) -> TextEncoder | AnnotationReader:
        joined, annotating = self.joined, self.annotating
        if annotating is not None:
            return AnnotationReader(joined.folder, (), lambda: (annotating, identity_of(annotating).key))

        def image_text() -> tuple[Dissector, str]:
            found, key = same_dissector(Preparer(self.host), joined.study.dissectors[0], joined.first)
            assert isinstance(found, Dissector)
            return found, key

        digests = joined.first.manifest.store.digests or {}
        known = joined.manifest.store.texts
        where = pick_device(self.device)
        return TextEncoder(joined.folder, known, image_text, where, digests=digests, others=self.texts)


def _elsewhere(parts: Sequence[Partial]) -> Iterator[str]:
    """Yield what may decide last bits and differs: between processors of one instruction set, or of this process."""
    if len({one.record.machine for one in parts}) > 1:
        yield (
            "the parts were computed by different processors with the same instruction set, and last bits need not be "
            "those of one process"
        )
    how, here = parts[0].how(), deciding(torch.device("cpu"))
    for name in ("instruction set", "variables"):
        if (now := here.get(name, "")) != how[name]:
            yield (
                f"labels were made with other {name} ({now or 'none'}) than the parts ({how[name] or 'none'}): "
                "last bits need not be those of one process"
            )


@dataclass(frozen=True)
class _Said:
    """What a run of one process says before it labels: all, and what of it is of the words."""

    all: Sequence[str]
    words: Sequence[str]


def _said(joining: Sequence[_Merging], clock: Clock) -> _Said:
    """Return what the parts have to say, with the counts of all images, in the order of a run of one process."""
    one = joining[0].joined
    parts, digests = one.parts, one.digests
    known = [text for text in digests if text]
    remarks = ProbeRemarks(
        heard=tuple(said_by_all(parts, "heard")),
        listed=tuple(said_by_all(parts, "listed")),
        unreadable=one.unreadable,
        unidentified=len(digests) - len(known),
        repeats=len(known) - len(set(known)),
    )
    in_order = sorted(joining, key=lambda run: run.joined.parts[0].record.place)
    words = [*dict.fromkeys(text for run in in_order for text in run.say_annotated()), *said_by_all(parts, "words")]
    apart = "the parts of this run were computed differently, and last bits need not be those of one process: "
    different = [apart + "; ".join(one.different)] if one.different else [*_elsewhere(parts)]
    counted = [
        *([little_range_warning(one.little_range)] if one.little_range else []),
        *([not_decoded(one.failed)] if one.failed else []),
    ]
    found = [*different, *said_by_all(parts, "first"), *remarks.sentences(), *said_by_first(parts), *words]
    found += [*said_by_all(parts, "sweep"), *counted]
    for text in found:
        clock.warn(text)
    return _Said(found, words)
