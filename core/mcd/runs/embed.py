"""Embeddings in one call: `mcd.embed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mcd.api.dataset import Dataset
from mcd.api.dissector import Dissector
from mcd.errors import UsageError
from mcd.extraction.cache import ImageCache
from mcd.extraction.embedding import Embedder, check_output, probe_map_beside, write_vectors
from mcd.extraction.probe import count_images
from mcd.extraction.sharing import shared_store
from mcd.files import expanded
from mcd.networks.process import process_state_kept
from mcd.networks.running import Precision, pick_device
from mcd.networks.tuning import Tuning
from mcd.study.objects import Component, Concepts, as_choice, as_concepts, as_dataset, host_for
from mcd.study.outputs import scratch_folder
from mcd.study.preparer import Preparer
from mcd.study.selection import Selection
from mcd.study.study import Choice, DissectorChoice

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

__all__ = ["Embeddings", "embed"]


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of images, of texts, or of both by one dissector.

    Parameters
    ----------
    images
        ``(images, D)`` float32, rows as in ``image_ids``; None where no data set was given.
    texts
        ``(texts, D)`` float32, rows as the texts were given, those of concepts last; None where there are none.
    image_ids
        What outputs call the images; those that could not be decoded are left out.
    """

    images: torch.Tensor | None
    texts: torch.Tensor | None
    image_ids: tuple[str, ...] = ()


@process_state_kept()  # networks that plugins build draw their first weights
def embed(
    dissector: Component | Dissector,
    *,
    dataset: Component | Dataset | TorchDataset[object] | None = None,
    texts: Sequence[str] = (),
    concepts: Concepts | None = None,
    normalise: bool = True,
    where: str | None = None,
    limit: int | None = None,
    per_patient: int | None = None,
    seed: int | None = None,
    recipe: str | Mapping[str, object] | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    tf32: bool = False,
    autotune: bool = False,
    batch_size: int = 16,
    cache: str | Path | None = None,
    cache_size: int = 50,
    store: str | Path | None = None,
    keep_identifiers: bool = False,
    workers: int | None = None,
    on_error: str = "stop",
    output: str | Path | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> Embeddings:
    """Embed images, texts or both.

    Parameters
    ----------
    dissector
        The image–text model: a name or an `mcd.Dissector`.
    dataset
        Images: a name, a torch ``Dataset`` or an `mcd.Dataset`.
    texts
        Texts.
    concepts
        Concept sets, whose prompts are embedded after the texts.
    normalise
        Scale every embedding to length 1.
    where, limit, per_patient, seed, recipe, device, precision, batch_size, cache, cache_size, store, keep_identifiers
        As in `mcd.dissect`; what it has embedded is not embedded again, and the other way round.
    workers
        As in `mcd.dissect`.
    tf32, autotune
        As in `mcd.dissect`, for images.
    on_error
        ``stop`` refuses images that cannot be used, ``skip`` leaves them out.
    output
        A file ``….safetensors``, the same that ``mcd embed`` writes; the probe map in the folder ``private`` beside
        it says which id is which file. An interrupted call continues. By default nothing is kept.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files to load besides what is installed.

    Returns
    -------
    Embeddings

    Raises
    ------
    mcd.errors.MCDError
        When there is nothing to embed, or anything asked for does not exist, does not fit or cannot be read.

    Examples
    --------
    >>> import mcd
    >>> mcd.embed("phantom-clip", texts=["mass", "no mass"]).texts.shape  # doctest: +SKIP
    torch.Size([2, 64])
    """
    host = host_for(plugin_files, progress=progress)
    preparer = Preparer(host)
    every = list(texts)
    if concepts is not None:
        every += [concept.prompt for concept in as_concepts(preparer, concepts)[0].concepts]
    if dataset is None and not every:
        raise UsageError("nothing to embed", "give dataset, texts or concepts")
    images = None if dataset is None else preparer.dataset(as_dataset(dataset))[0]
    if images is not None:
        count_images(images)  # a folder that does not exist is said before the weights are loaded
    made_recipe, _ = preparer.recipe(None if recipe is None else as_choice(recipe, Choice))
    with ExitStack() as stack:
        if output is None:
            folder = stack.enter_context(scratch_folder())
        path = folder / "vectors.safetensors" if output is None else expanded(output)
        check_output(path, ".safetensors", *([] if images is None else [probe_map_beside(path)]))
        shared = shared_store(None if store is None else expanded(store), pick_device(device))
        chosen = dissector if isinstance(dissector, Dissector) else as_choice(dissector, DissectorChoice)
        made = preparer.image_text(chosen)
        embedder = Embedder(
            made,
            device=device,
            precision=precision,
            batch_size=batch_size,
            workers=workers,
            on_error=on_error,
            emit=host.emit,
            selection=Selection(where=where, limit=limit, per_patient=per_patient, seed=seed),
            keep_identifiers=keep_identifiers,
            recipe=made_recipe,
            cache=None if cache is None else ImageCache(expanded(cache), cache_size * 10**9),
            tuning=Tuning(tf32, autotune),
            shared=shared,
        )
        vectors = None if images is None else embedder.images(images, path)
        found = write_vectors(path, embedder, vectors, every, normalise=normalise)
    return Embeddings(found.get("images"), found.get("texts"), () if vectors is None else vectors.ids)
