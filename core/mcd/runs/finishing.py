"""From stored shards to a whole dissection: labels, controls, maps, and the manifest closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from mcd.api.base import digest
from mcd.api.dissector import AnnotationDissector
from mcd.errors import DataError, StoreError, amount
from mcd.events import Clock, Warned
from mcd.extraction.fitted import OUT
from mcd.extraction.keys import arithmetic
from mcd.extraction.map_store import FILE as MAPS
from mcd.extraction.map_store import MapStore
from mcd.extraction.maps import MapPass
from mcd.extraction.probe import ProbeSet
from mcd.extraction.probe_map import PROBE_MAP, write_probe_map
from mcd.extraction.reading import Reader
from mcd.extraction.target_pass import TargetPass
from mcd.extraction.texts import EMBEDDINGS, KnownTexts, TextEncoder
from mcd.runs.annotations import AnnotationReader
from mcd.runs.dissection import Dissection
from mcd.runs.given import Given
from mcd.runs.labelling import labelled
from mcd.runs.opening import OpenRun
from mcd.runs.parts import Said, part_record, write_images
from mcd.runs.prepared import Prepared
from mcd.runs.recorded import Recorded
from mcd.runs.stored_nulls import kept_nulls
from mcd.runs.vocabulary import write_concepts
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.results import Results
from mcd.scoring.rungs import UNTRAINED
from mcd.study.digests import Sums
from mcd.study.study import Choice

__all__ = ["MAPS", "Finisher", "KeptMaps", "not_decoded", "several"]


def several(images: int) -> None:
    """Refuse a probe set of one image.

    Raises
    ------
    DataError
        Saying why.
    """
    if images == 1:
        raise DataError("one image cannot tell neurons apart", "give a probe set of more images")


def not_decoded(images: int) -> str:
    """Return the warning about images that turned out in the sweep to be unreadable."""
    those = f"{amount(images, 'image')} could not be decoded and {'is' if images == 1 else 'are'}"
    return f"{those} left out; the probe map says which and why"


@dataclass(frozen=True)
class KeptMaps:
    """Where the maps of a run lie, None where it has none, and which layers have none, and why."""

    store: MapStore | None
    said: Sequence[str]


@dataclass
class Finisher:
    """Makes dissections of runs whose shards are stored.

    Parameters
    ----------
    prepared, reader, probe, device
        Of the study.
    clock
        Of the study; what concerns a single run goes into a clock of its own.
    shards
        How many there are.
    texts
        What the run has encoded so far, and the store that runs share.
    said
        What was said so far.
    """

    prepared: Prepared
    reader: Reader
    probe: ProbeSet
    device: torch.device
    clock: Clock
    shards: int
    texts: KnownTexts
    said: Said
    nulls: KeptNulls = field(init=False)
    _maps: dict[str, MapStore] = field(default_factory=dict, init=False)
    _failed: dict[int, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.nulls = kept_nulls(self.texts.shared, lambda said: self.clock.emit(Warned(said)))

    @property
    def computing(self) -> tuple[str, str]:
        """How images are read, and what of this machine decides last bits."""
        return self.reader.identity.content, arithmetic(self.device)

    def all(self, runs: Sequence[OpenRun]) -> list[Dissection]:
        """Return the dissections of the runs proper; their controls are finished first."""
        of = {run.planned: run for run in runs}
        found = []
        for planned, controls in zip(self.prepared.plan.runs, self.prepared.plan.controls, strict=True):
            labels: dict[str, pd.DataFrame] = {one.control: self._finish(of[one], {}).labels for one in controls}
            found.append(self._finish(of[planned], labels))
        return found

    def parts(self, runs: Sequence[OpenRun]) -> list[Path]:
        """Return the folders of the runs proper, each finished as a part without labels, as its controls are."""
        assert self.prepared.part is not None
        for place, run in enumerate(runs):
            self._stored(run)
            own = self.prepared.dissectors[run.planned.dissector]
            manifest, texts = run.manifest, Sums(run.folder / EMBEDDINGS).read()
            manifest.part = part_record(self.prepared.part, place, self.probe, self.said, *self.computing)
            write_images(run.folder, self.probe)
            manifest.store.digests = {
                **{place: one for shards in run.stores for place, one in shards.digests(self.shards).items()},
                **{f"{EMBEDDINGS}/{name}": one for name, one in texts.items()},
            }
            manifest.digests = write_concepts(run.folder, own.concepts)
            manifest.rungs = {UNTRAINED: run.without} if run.without else {}
            self._close(run, Clock(self.clock.emit), "partial")
        return [planned.folder for planned in self.prepared.plan.runs]

    def maps(self, runs: Sequence[OpenRun]) -> list[KeptMaps]:
        """Keep the maps of the runs proper, whose labels stay as they are."""
        found = []
        for run in runs:
            if not run.planned.control:
                rows, clock = run.layers[0].rows(self.shards)[0], Clock(self.clock.emit)
                run.manifest.store.shards = self.shards
                recorded = Recorded(run.folder, run.manifest.store, run.manifest.layers, len(rows))
                found.append(KeptMaps(self._keep_maps(run, recorded, rows, clock), clock.warnings))
        return found

    def _stored(self, run: OpenRun) -> list[int]:
        """Note what is stored of a run, and write its probe map; return the rows that it holds."""
        manifest, probe = run.manifest, self.probe
        rows, failed = run.layers[0].rows(self.shards)
        if any(rows != one.rows(self.shards)[0] for one in run.stores):
            raise StoreError(
                f"{run.folder}: activations, embeddings and image statistics hold different images",
                "remove the run folder, and make the run again",
            )
        self._say_lost(dict(failed))
        write_probe_map(run.folder / PROBE_MAP, probe, dict(failed))
        manifest.store.shards = self.shards
        manifest.images = len(rows)
        if probe.left_out or failed:
            manifest.left_out = {"unreadable": len(probe.left_out), "not decoded": len(failed)}
        if probe.out:
            manifest.left_out[OUT] = probe.out
        return rows

    def _finish(self, run: OpenRun, controls: Mapping[str, pd.DataFrame]) -> Dissection:
        manifest, rows = run.manifest, self._stored(run)
        several(len(rows))
        own = self.prepared.dissectors[run.planned.dissector]
        own.scorer.check(len(rows))
        recorded = Recorded(run.folder, manifest.store, manifest.layers, len(rows))
        clock = Clock(self.clock.emit)  # a warning about one run is not in the manifests of the others
        results = self._label(run, recorded, controls, clock)
        manifest.summary = list(results.summary)
        manifest.label_warnings = [*self.said.of("words"), *clock.warnings]  # the maps have not warned yet
        kept = self._keep_maps(run, recorded, rows, clock)
        manifest.store.maps = kept.key if kept else ""
        manifest.store.digests = {
            **{place: one for shards in run.stores for place, one in shards.digests(self.shards).items()},
            **(manifest.store.digests or {}),
            **({MAPS: kept.digest} if kept else {}),
        }
        manifest.store.ids = digest(*recorded.image_ids)
        manifest.digests = {**results.write(run.folder), **write_concepts(run.folder, own.concepts)}
        self._close(run, clock, "finished")
        given = self._given(run)
        return Dissection(run.folder, manifest, results, self.prepared.host, trust=True, given=given)

    def _close(self, run: OpenRun, clock: Clock, status: Literal["finished", "partial"]) -> None:
        manifest = run.manifest
        for one in run.stores:
            one.flush(self.shards)
        run.forget()
        manifest.seconds = self.clock.seconds | clock.seconds
        manifest.warnings = list(dict.fromkeys([*self.clock.warnings, *clock.warnings]))
        manifest.status = status
        manifest.write(run.folder)

    def _given(self, run: OpenRun) -> Given:
        """Return the parts of a run that have no name to find them again by."""
        prepared, planned = self.prepared, run.planned
        study, own = prepared.study_of(planned), prepared.dissectors[planned.dissector]

        def nameless(choice: Choice) -> bool:
            return choice.plugin == "object"

        return Given(
            model=prepared.targets[planned.model].target if nameless(study.models[0]) else None,
            dissector=own.dissector if nameless(study.dissectors[0]) else None,
            dataset=prepared.dataset if nameless(study.dataset) else None,
            scorer=own.scorer if nameless(study.scorer) else None,
            units=tuple(prepared.targets[planned.model].units) if any(map(nameless, study.models[0].units)) else None,
            made=True,
        )

    def _say_lost(self, failed: dict[int, str]) -> None:
        """Warn of images that could not be decoded: once, since all models of a sweep miss the same ones."""
        if failed and not self._failed:
            self.clock.warn(not_decoded(len(failed)))
        self._failed |= failed

    def _label(self, run: OpenRun, recorded: Recorded, controls: Mapping[str, pd.DataFrame], clock: Clock) -> Results:
        own = self.prepared.dissectors[run.planned.dissector]
        return labelled(
            recorded,
            run.manifest,
            self.prepared.study,
            own.concepts,
            own.scorer,
            self._reader(run, clock),
            controls,
            clock,
            untrained=(run.without or recorded.untrained_by_neurons) if run.untrained or run.without else None,
            nulls=self.nulls,
        )

    def _reader(self, run: OpenRun, clock: Clock) -> TextEncoder | AnnotationReader:
        """Return what reads the concepts of a run; annotations are read anew: what is said of the images may change."""
        dissector, key = run.dissector, run.identity.key
        if isinstance(dissector, AnnotationDissector):
            return AnnotationReader(run.folder, (), lambda: (dissector, key))
        known = run.manifest.store.texts
        return TextEncoder(
            run.folder, known, lambda: (dissector, key), self.device, damaged=clock.warn, others=self.texts
        )

    def _keep_maps(self, run: OpenRun, recorded: Recorded, rows: Sequence[int], clock: Clock) -> MapStore | None:
        """Keep maps where they are asked for, once for all dissectors of a target; return where they are."""
        study, job = self.prepared.study, run.job
        store = run.maps(study.maps)
        if not study.maps or run.planned.control:
            store.forget()
            return None
        made = self._maps.setdefault(store.key, store)
        if made is not store:
            store.take_over(made)
        elif not store.whole():
            through = TargetPass(
                job.target,
                self.reader,
                self.probe,
                self.device,
                study.precision,
                study.batch_size,
                study.workers,
                memory_format=job.memory_format,
                tuning=study.tuning,
            )
            MapPass(through, job.layers).into(store, rows, recorded.activations, study.maps, clock)
        for name, reason in store.without().items():
            clock.warn(f"layer {name} has no maps: {reason}")
        return store
