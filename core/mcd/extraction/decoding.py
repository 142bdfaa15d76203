"""Decode each image once and prepare it for every model of the run, in worker processes, in order."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from types import TracebackType

import torch
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from mcd.api.dataset import Sample
from mcd.api.image import Levels, Preprocessing
from mcd.errors import ImageError, MCDError, passes_through, place_of, said_by, worker_killed, worker_lost
from mcd.extraction.cached_files import Input
from mcd.extraction.inputs import STATISTICS, Inputs
from mcd.extraction.reading import LITTLE_RANGE, Reader
from mcd.extraction.workers import PREFETCHED, fitting
from mcd.host.importing import ImportedFiles

__all__ = ["Batch", "batches"]


@dataclass(frozen=True)
class Batch:
    """Decoded images: which rows of the probe set they are, and their tensors by preprocessing fingerprint.

    ``ranges`` holds, of tensors in 8 or 16 bits, what of each image is black and how far above it white is, ``(B, 2)``;
    `input` and `mask` give them as models take them. ``failed`` holds (row, reason) of images that could not be
    decoded; they are not among ``rows``. ``masks`` are breast masks ``(B, 1, H, W)`` of the preprocessings that were
    asked for some; ``problem`` is what keeps a worker from using the cache; ``little_range`` counts images of nearly
    one brightness; ``statistics`` are those of `mcd.extraction.image_statistics`, a row an image, without columns
    where they were not asked for.
    """

    rows: tuple[int, ...]
    tensors: Mapping[str, torch.Tensor]
    failed: tuple[tuple[int, str], ...] = ()
    masks: Mapping[str, torch.Tensor] = field(default_factory=dict)
    problem: str = ""
    little_range: int = 0
    statistics: torch.Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    ranges: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def input(self, recipe: Preprocessing, device: torch.device) -> torch.Tensor:
        """Return what models with a preprocessing get, ``(B, C, H, W)`` on a device, in memory of its own."""
        key = recipe.fingerprint()
        values, ranges = self.tensors[key], self.ranges.get(key)
        if ranges is None:
            return recipe.finalize(values.to(device, non_blocking=True, copy=True))
        if device.type in ("cpu", "cuda"):  # others may round another way when they divide
            values, ranges = values.to(device, non_blocking=True), ranges.to(device, non_blocking=True)
        # a tensor, not a number: CUDA multiplies by the reciprocal of numbers, which differs in the last bit
        black, span = ranges.view(-1, 2, 1, 1, 1).unbind(1)
        return recipe.finalize(values.to(torch.float32).sub_(black).div_(span).to(device))

    def mask(self, recipe: Preprocessing, device: torch.device) -> torch.Tensor:
        """Return the breast masks as a preprocessing shows them, float32 ``(B, 1, H, W)`` on a device."""
        return self.masks[recipe.fingerprint()].to(device, non_blocking=True).to(torch.float32)

    def share(self) -> None:
        """Move the batch to shared memory: a queue would do so, too, but what it raises is lost, and the run waits."""
        for tensor in (*self.tensors.values(), *self.ranges.values(), *self.masks.values(), self.statistics):
            tensor.share_memory_()  # type: ignore[no-untyped-call]  # torch's

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; the loader calls this where a GPU is to be fed."""
        tensors, ranges, masks = (
            {key: tensor.pin_memory() for key, tensor in kept.items()}
            for kept in (self.tensors, self.ranges, self.masks)
        )
        return replace(self, tensors=tensors, ranges=ranges, masks=masks)


@dataclass(frozen=True)
class _Decoded:
    row: int
    inputs: Mapping[str, Input]
    error: str = ""
    problem: str = ""

    @property
    def bytes(self) -> int:
        """What it takes in shared memory."""
        tensors = [one for each in self.inputs.values() for one in (each.levels.values, each.mask) if one is not None]
        return sum(one.nbytes for one in tensors)


class _Decoder(TorchDataset[_Decoded]):
    """What the workers run: decode one sample, check it, prepare it once per distinct preprocessing."""

    def __init__(self, inputs: Inputs, samples: Sequence[Sample]) -> None:
        self._files = ImportedFiles()  # pickled first: the others may be of classes of a user's file
        self._inputs, self._samples = inputs, samples

    def most_bytes(self) -> int | None:
        """Return how many bytes an image takes at most, in three channels of float32 and with its mask."""
        sizes = [(one.height, one.width) for one in self._inputs.preprocessings.values()]
        return sum(16 * (height or 0) * (width or 0) for height, width in sizes) if all(map(all, sizes)) else None

    def __getitem__(self, row: int) -> _Decoded:
        # An error crosses the process boundary as text: the loader would otherwise re-raise it as a RuntimeError
        # whose message is a worker's traceback.
        try:
            return _Decoded(row, self._inputs.read(self._samples[row]), problem=self._inputs.reader.problem)
        except MCDError as error:
            return _Decoded(row, {}, error=error.message)
        except BaseException as error:  # a recipe of a plugin may raise anything
            if passes_through(error):
                raise
            return _Decoded(row, {}, error=f"{said_by(error)}{place_of(error)}")


def _collate(decoded: Sequence[_Decoded]) -> Batch:
    good = [one for one in decoded if not one.error]
    failed = tuple((one.row, one.error) for one in decoded if one.error)
    tensors, ranges, masks = {}, {}, {}
    for key in good[0].inputs if good else ():
        kept = [one.inputs[key] for one in good]
        parts, black_and_white = _alike([one.levels for one in kept])
        channels = max(part.shape[0] for part in parts)  # grey and colour may meet in one batch
        parts = [part.expand(channels, -1, -1) for part in parts]
        if len({part.shape for part in parts}) > 1:
            sizes = ", ".join(sorted({f"{part.shape[1]}×{part.shape[2]}" for part in parts}))
            return Batch((), {}, tuple((one.row, f"the images differ in size ({sizes})") for one in good))
        tensors[key] = torch.stack(parts)
        if black_and_white:
            ranges[key] = torch.tensor(black_and_white, dtype=torch.float32)
        if known := [one.mask for one in kept if one.mask is not None]:
            masks[key] = _stacked(known)
    problem = next((one.problem for one in good if one.problem), "")
    little = sum(any(each.range_used < LITTLE_RANGE for each in one.inputs.values()) for one in good)
    statistics = tensors.pop(STATISTICS).flatten(1) if STATISTICS in tensors else torch.zeros(len(good), 0)
    batch = Batch(tuple(one.row for one in good), tensors, failed, masks, problem, little, statistics, ranges)
    if get_worker_info() is not None:
        batch.share()
    return batch


def _alike(levels: Sequence[Levels]) -> tuple[list[torch.Tensor], list[tuple[float, float]]]:
    """Return the values of images in one type that holds them all, and their blacks and spans if that is of levels."""
    known = [(one.black, one.span) for one in levels if one.span is not None]
    if len(known) < len(levels):
        return [one.numbers() for one in levels], []
    kind = max((one.values.dtype for one in levels), key=lambda one: one.itemsize)
    return [one.values.to(kind) for one in levels], known


def _stacked(masks: Sequence[torch.Tensor]) -> torch.Tensor:
    exact = all(one.dtype == torch.uint8 for one in masks)
    return torch.stack([one if exact else one.to(torch.float32) for one in masks])


def _begin(_worker: int) -> None:
    """Prepare a worker for Ctrl-C, which reaches the whole process group: the run itself answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _unless_gone


def _unless_gone(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    # A thread of the worker hands tensors over; that the run no longer takes them is not worth a traceback.
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, traceback)


def batches(
    reader: Reader,
    samples: Sequence[Sample],
    preprocessings: Mapping[str, Preprocessing],
    rows: Sequence[Sequence[int]],
    *,
    masked: Set[str] = frozenset(),
    with_masks: bool = False,
    statistics: str = "",
    workers: int | None,
    pin: bool,
    say: Callable[[str], None] = lambda said: None,
) -> Iterator[Batch]:
    """Yield one decoded batch for each list of rows, in that order whatever the number of workers.

    ``masked`` names the preprocessings, by fingerprint, that need the breast masks too; ``with_masks`` reads images
    with theirs although nothing here needs them; ``statistics`` asks for those of the images, of their ``"displayed"``
    or ``"stored"`` values. ``workers`` None chooses their number; ``say`` is given what is to be known of it.

    Raises
    ------
    DataError
        When a worker is killed.
    ImageError
        When images that must share a batch differ in size.
    """
    inputs = Inputs(reader, preprocessings, masked=masked, with_masks=with_masks, statistics=statistics)
    decoder = _Decoder(inputs, samples)
    workers, said = fitting(workers, sum(map(len, rows)), lambda enough: _largest(decoder, rows, enough))
    if said:
        say(said)
    inputs.expect(samples, workers)
    loader = DataLoader(
        decoder,
        batch_sampler=[list(group) for group in rows],
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin,
        prefetch_factor=PREFETCHED if workers else None,
        worker_init_fn=_begin,
    )
    for batch in _alive(loader):
        if not batch.rows and batch.failed and "differ in size" in batch.failed[0][1]:
            raise ImageError(
                batch.failed[0][1] + ", so they cannot share a batch",
                "give the target a preprocessing with height and width",
            )
        yield batch


def _alive(loader: Iterable[Batch]) -> Iterator[Batch]:
    """Yield what a loader does; say in one sentence that a worker has gone."""
    iterator = iter(loader)
    try:
        yield from iterator
    except (RuntimeError, ConnectionError, EOFError) as error:  # what a decoder raises is text in a batch
        lost = worker_lost(error)
        if lost is None and isinstance(error, RuntimeError):
            raise
        with contextlib.suppress(RuntimeError):  # the signal of the process that has gone may arrive only now
            if isinstance(iterator, _MultiProcessingDataLoaderIter):
                iterator._shutdown_workers()
        raise lost or worker_killed() from error


_TRIED = 3
"""Images, until one can be decoded."""


def _largest(decoder: _Decoder, rows: Sequence[Sequence[int]], enough: int) -> int:
    """Return how many bytes the largest batch takes: an upper bound where that is enough, else by one of its images."""
    count = max(map(len, rows), default=0)
    bound = decoder.most_bytes()
    if bound is not None and bound * count <= enough:
        return bound * count
    some = (decoder[row] for row in [row for group in rows for row in group][:_TRIED])
    return count * next((one.bytes for one in some if not one.error), 0)
