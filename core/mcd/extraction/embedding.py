"""Embeddings by themselves: images or texts through a dissector, nothing else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as functional
from safetensors.torch import save

from mcd.api.dataset import Dataset, Sample
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.errors import DataError, UsageError, amount
from mcd.events import Clock, Event, RunFailed, RunFinished, RunStarted, Warned
from mcd.extraction.cache import ImageCache
from mcd.extraction.columns import Column
from mcd.extraction.jobs import IMAGES, DissectorJob
from mcd.extraction.keys import embedding_key, found_again, image_key, not_reused
from mcd.extraction.probe import ProbeSet, examined
from mcd.extraction.probe_map import PRIVATE, write_probe_map
from mcd.extraction.reading import Reader, little_range_warning
from mcd.extraction.shared_store import SharedStore
from mcd.extraction.sharing import damaged_warning, kept_small, not_kept_warning
from mcd.extraction.store import Shards, whole_key
from mcd.extraction.sweep import Sweep
from mcd.extraction.texts import KnownTexts, TextEncoder, warn_of_long
from mcd.files import check_name
from mcd.networks.identity import identity_of
from mcd.networks.running import Precision, pick_device
from mcd.networks.tuning import UNTUNED, Tuning
from mcd.study.outputs import check_writable, scratch_folder, write_output
from mcd.study.selection import Selection

__all__ = ["Embedder", "Vectors", "check_output", "write_vectors"]


@dataclass(frozen=True)
class Vectors:
    """Images of a probe set and their embeddings.

    Parameters
    ----------
    ids
        What outputs call the images, in order; those that could not be decoded are left out.
    samples
        The images, in the same order.
    images
        ``(len(samples), D)`` float32, not normalised.
    """

    ids: tuple[str, ...]
    samples: tuple[Sample, ...]
    images: torch.Tensor


class Embedder:
    """A dissector at work on images and texts.

    Parameters
    ----------
    dissector
        The image–text model.
    device, precision, batch_size, workers, on_error, selection, keep_identifiers, tuning
        As in a study; see `mcd.study.study.Study`.
    recipe, cache
        As in `mcd.extraction.reading.Reader`.
    shared
        The store that runs share; None for none.
    emit
        Receives the events.
    """

    def __init__(
        self,
        dissector: Dissector,
        *,
        device: str,
        precision: Precision,
        batch_size: int,
        workers: int | None,
        on_error: str,
        emit: Callable[[Event], None],
        selection: Selection | None = None,
        keep_identifiers: bool = False,
        recipe: Preprocessing | None = None,
        cache: ImageCache | None = None,
        tuning: Tuning = UNTUNED,
        shared: SharedStore | None = None,
    ) -> None:
        self.selection, self.keep_identifiers = selection or Selection(), keep_identifiers
        self.recipe, self.cache = recipe, cache
        self.dissector, self.precision, self.batch_size = dissector, precision, batch_size
        self.workers, self.on_error, self.emit = workers, on_error, emit
        self.device, self.tuning = pick_device(device), tuning
        self.identity = identity_of(dissector)
        self._shared = shared
        self._texts = KnownTexts(shared, frozenset((self.identity.key,) if self.identity.unknown else ()))
        self._kept: Shards | None = None

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), D)`` float32, not normalised; says which texts are too long."""
        warn_of_long(self.dissector, texts, Clock(self.emit))
        key = self.identity.key
        with scratch_folder() as folder:
            return TextEncoder(folder, [key], lambda: (self.dissector, key), self.device, others=self._texts).texts(
                texts
            )

    def images(self, dataset: Dataset, output: Path) -> Vectors:
        """Return the embeddings of a data set; what an interrupted call had finished is kept beside ``output``.

        Writes a probe map too, into a folder ``private`` beside it: which id is which file.

        Raises
        ------
        mcd.errors.MCDError
            When images cannot be used, or the dissector does not take them.
        """
        start = time.perf_counter()
        self.emit(RunStarted(f"images embedded by {self.dissector.name}"))
        try:
            found = self._images(dataset, output)
        except BaseException as error:  # an interrupt ends it too
            self.emit(RunFailed(str(error).splitlines()[0] if str(error) else type(error).__name__))
            raise
        self.emit(RunFinished(str(output), time.perf_counter() - start))
        return found

    def chosen(self, probe: ProbeSet, reader: Reader) -> Vectors:
        """Return the embeddings of images that were chosen and examined before; nothing is written.

        Raises
        ------
        mcd.errors.MCDError
            When one cannot be decoded, or the dissector does not take them.
        """
        with scratch_folder() as folder:
            return self._embedded(probe, reader, Clock(self.emit), folder / "vectors.safetensors")

    def _images(self, dataset: Dataset, output: Path) -> Vectors:
        clock = Clock(self.emit)
        reader = Reader(dataset, self.recipe, self.cache)
        unknown = not_reused(self.dissector.name, self.identity), not_reused("images", reader.identity)
        for said in filter(None, (self.dissector.caution, self.tuning.caution(self.device), *unknown)):
            clock.warn(said)
        probe = examined(
            dataset,
            self.selection,
            clock,
            on_error=self.on_error,
            keep_identifiers=self.keep_identifiers,
            workers=self.workers,
        )
        return self._embedded(probe, reader, clock, output)

    def _embedded(self, probe: ProbeSet, reader: Reader, clock: Clock, output: Path) -> Vectors:
        width = self.texts(["mammogram"]).shape[1]
        images = probe.images(self.batch_size)
        column = self._column(probe, reader, images, width)
        self._kept = store = Shards(_parts(output), column.key, {IMAGES: width}, images=images)
        column.stores.append(store)
        store.clear()
        sweep = Sweep(
            targets=(),
            dissectors=[DissectorJob(self.dissector, [column])],
            reader=reader,
            probe=probe,
            device=self.device,
            precision=self.precision,
            batch_size=self.batch_size,
            workers=self.workers,
            on_error=self.on_error,
            emit=self.emit,
            tuning=self.tuning,
        )
        shards = sweep.run()
        for said in (
            damaged_warning(self._shared),
            little_range_warning(sweep.little_range) if sweep.little_range else "",
            not_kept_warning(self._shared),
        ):
            if said:
                clock.warn(said)
        rows, failed = store.rows(shards)
        if failed:
            those, are = amount(len(failed), "image"), "is" if len(failed) == 1 else "are"
            clock.warn(f"{those} could not be decoded and {are} left out")
        if not rows:
            raise DataError("no image could be decoded", "see why with: mcd data check DIR")
        write_probe_map(probe_map_beside(output), probe, dict(failed), own=False)
        return Vectors(
            tuple(probe.ids[row] for row in rows), tuple(probe.samples[row] for row in rows), store.read(IMAGES, shards)
        )

    def finish(self, output: Path) -> None:
        """Remove what `images` kept beside ``output``, once that is written; keep the shared store small."""
        if self._kept is not None:
            self._kept.forget([path.name for path in _parts(output).iterdir()])
            with contextlib.suppress(OSError):  # somebody else's files lie in it
                _parts(output).rmdir()
        if said := kept_small(self._shared):
            self.emit(Warned(said))

    def _column(self, probe: ProbeSet, reader: Reader, images: Sequence[str], width: int) -> Column:
        """Return where the embeddings go, and where they may be found: under the same key as those of a run."""
        how = image_key(reader, self.device, self.precision, self.batch_size, self.tuning)
        seen = self.dissector.preprocessing
        key = embedding_key(how, self.identity, seen)
        known = self._shared is not None and found_again(probe, reader, self.identity, identity_of(seen))
        entry = self._shared.entry("embeddings", whole_key(key, images)) if self._shared and known else None
        return Column(IMAGES, width, key, [], entry)


def write_vectors(
    output: Path, embedder: Embedder, vectors: Vectors | None, texts: Sequence[str], *, normalise: bool
) -> dict[str, torch.Tensor]:
    """Write embeddings as safetensors and return the tensors.

    ``images`` and ``texts`` are float32 ``(rows, D)``. The metadata entry ``mcd`` is JSON: the dissector, its
    fingerprint, whether rows have length 1, and what each row is (``image_ids``, ``texts``).
    """
    tensors = {}
    if vectors is not None:
        tensors["images"] = vectors.images
    if texts:
        tensors["texts"] = embedder.texts(texts)
    if normalise:
        tensors = {name: functional.normalize(tensor, dim=1) for name, tensor in tensors.items()}
    record = {
        "schema": "mcd.vectors/1",
        "dissector": embedder.dissector.name,
        "fingerprint": embedder.identity.content,
        "normalised": normalise,
        "image_ids": list(vectors.ids) if vectors else [],
        "texts": list(texts),
    }
    write_output(output, save(tensors, metadata={"mcd": json.dumps(record, ensure_ascii=False)}))
    embedder.finish(output)
    return tensors


def probe_map_beside(output: Path) -> Path:
    """Return where the probe map of embedded images goes."""
    return output.parent / PRIVATE / f"{output.stem}.probe_map.csv"


def _parts(output: Path) -> Path:
    return output.with_name(f".{output.name}.parts")


def check_output(output: Path, suffix: str, *beside: Path, overwrite: bool = False) -> None:
    """Refuse a place that a file with this ending cannot be written to, before anything is computed.

    ``beside`` are other files that are written with it; ``overwrite`` allows to replace whatever is there.

    Raises
    ------
    UsageError
        Saying what is wrong with it.
    """
    check_name(output)
    if output.suffix != suffix:
        raise UsageError(f"output {output} does not end in {suffix}", f"write --output {output.with_suffix(suffix)}")
    if output.is_dir():
        raise UsageError(f"output {output} is a folder", "choose another --output")
    for path in (output, *beside):
        check_writable(path, overwrite=overwrite)
