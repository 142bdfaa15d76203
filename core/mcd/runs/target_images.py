"""A target and images with all that is known of them, ready to be read out or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pydantic
import torch
import torch.nn.functional as functional
from torch import nn

from mcd.api.base import digest
from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset, Sample
from mcd.api.dissector import Dissector
from mcd.api.image import Image
from mcd.api.model import Target
from mcd.components import Kind
from mcd.errors import ImageError, UsageError
from mcd.events import Clock
from mcd.extraction.columns import Column
from mcd.extraction.decoding import batches
from mcd.extraction.embedding import Embedder
from mcd.extraction.jobs import TargetJob
from mcd.extraction.keys import activation_key, found_again, image_key
from mcd.extraction.positions import Positions, each_position
from mcd.extraction.probe import count_images, examined
from mcd.extraction.reading import Reader
from mcd.extraction.shared_store import SharedStore
from mcd.extraction.sharing import kept_small
from mcd.extraction.store import Shards, layer_key, whole_key
from mcd.extraction.sweep import Sweep
from mcd.extraction.target_pass import TargetPass, Wanted
from mcd.host import PluginHost
from mcd.networks.differentiating import LayerUnit
from mcd.networks.identity import identity_of
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.networks.selecting import select_layers
from mcd.networks.trial import example_input, takes_known_input, trial_pass
from mcd.runs.run_target import Passed, passed
from mcd.runs.runnable import Runnable
from mcd.study.check import explicit
from mcd.study.objects import Component, Concepts, as_choice, as_concepts, as_dataset
from mcd.study.outputs import scratch_folder
from mcd.study.preparer import Preparer
from mcd.study.privacy import hidden, names_people
from mcd.study.recording import recorded_component
from mcd.study.selection import Selection
from mcd.study.study import Choice, DissectorChoice, ModelChoice

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

__all__ = ["Embedded", "TargetImages", "shown_component"]

_SHOWN = 6
"""Names of layers in a message."""


def shown_component(host: PluginHost, kind: Kind, chosen: object, name: str) -> dict[str, pydantic.JsonValue]:
    """Return a component as records show it: without folders, and of a data set without what may name people."""
    if not isinstance(chosen, Choice):
        return {"plugin": "object", "options": {"class": name}}
    return recorded_component(host, kind, Choice(plugin=chosen.plugin, options=chosen.options))


@dataclass(frozen=True, eq=False)
class Embedded:
    """Images and texts embedded by an image–text model.

    Parameters
    ----------
    images, texts
        ``(images, D)`` and ``(texts, D)`` float32 on the CPU, each of length 1.
    dissector
        The model as records show it.
    """

    images: torch.Tensor
    texts: torch.Tensor
    dissector: Mapping[str, pydantic.JsonValue]


@dataclass(frozen=True)
class TargetImages:
    """A target and its images.

    Parameters
    ----------
    through
        How the images go through the target.
    layers
        All layers of the target.
    shared
        The store that runs share; None for none.
    host
        The plugins.
    model, dataset
        The target and the data set as records show them: no folder of this machine, nothing that may name a person.
    choice
        The model's loader with all of its settings; None where it was given as an object.
    dissected
        Names of the layers that the run dissected whose images they are; empty without a run.
    pooling
        How activations are pooled: as the run has it, or ``avg``.
    """

    through: TargetPass
    layers: Sequence[Layer]
    shared: SharedStore | None
    host: PluginHost
    model: Mapping[str, pydantic.JsonValue]
    dataset: Mapping[str, pydantic.JsonValue]
    choice: ModelChoice | None
    dissected: tuple[str, ...] = ()
    pooling: Pooling = field(default_factory=lambda: Pooling("avg"))

    @property
    def target(self) -> Target:
        """The target."""
        return self.through.target

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The images, with all that is known of them."""
        return self.through.probe.samples

    @property
    def ids(self) -> tuple[str, ...]:
        """What outputs call the images."""
        return self.through.probe.ids

    @property
    def digests(self) -> tuple[str, ...]:
        """Content digests of the images, in order, empty texts where the data set gives none: `mcd.Units.fitted`."""
        return tuple(one.digest for one in self.samples)

    @property
    def images(self) -> Dataset:
        """The data set."""
        return self.through.reader.dataset

    @property
    def device(self) -> torch.device:
        """Where the target runs."""
        return self.through.device

    @property
    def memory_format(self) -> torch.memory_format:
        """The one that the target takes: channels-last where it can."""
        return self.through.memory_format

    @property
    def fingerprint(self) -> str:
        """Digest of the bytes of the images, in order, and of how they are read."""
        return digest(self.through.probe.fingerprint, self.through.reader.identity.content)

    @property
    def network(self) -> str:
        """Digest of weights and structure of the target, and of its preprocessing."""
        target = self.target
        return digest(identity_of(target.module).content, identity_of(target.preprocessing).content)

    def beside(self, dataset: Component | Dataset | TorchDataset[object], *, on_error: str = "stop") -> TargetImages:
        """Return the same target with all images of another data set, each checked and read in the same way.

        Raises
        ------
        mcd.errors.MCDError
            As `target_images`.
        """
        chosen, through = as_dataset(dataset), self.through
        if isinstance(chosen, Choice):
            chosen = explicit(self.host, Kind.DATASET, chosen)
        images, _ = Preparer(self.host).dataset(chosen)
        count_images(images)
        probe = examined(images, Selection(), Clock(self.host.emit), on_error=on_error, workers=through.workers)
        reader = Reader(images, through.reader.recipe, through.reader.cache)
        shown = shown_component(self.host, Kind.DATASET, chosen, type(images).__name__)
        return replace(self, through=replace(through, reader=reader, probe=probe.usable()), dataset=shown)

    def shown_condition(self, where: str) -> str:
        """Return a condition on the images as records show it: one that may name people is hidden."""
        return hidden(where) if names_people(where, public_labels=self.images.ids_are_public) else where

    def picked(self, patterns: Sequence[str]) -> list[Layer]:
        """Return the layers that patterns pick, in the order of the network.

        Raises
        ------
        UsageError
            When a pattern picks none, or one that cannot be read.
        """
        return select_layers(patterns, self.layers, self.target.name, self.target.aliases)

    def layer(self, pattern: str | None = None) -> Layer:
        """Return the one layer that a pattern picks; by default the one that the run dissected.

        Raises
        ------
        mcd.errors.MCDError
            When it picks none, several, or one that cannot be read.
        """
        found = self.picked(list(self.dissected) if pattern is None else [pattern])
        if len(found) > 1:
            names = ", ".join(one.name for one in found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
            raise UsageError(f"one layer is needed, and {len(found)} are chosen: {names}", f"--layers {found[-1].name}")
        return found[0]

    def passed(
        self,
        layers: Sequence[Layer],
        *,
        gradients_of: Sequence[int | LayerUnit] = (),
        images: Sequence[str] | None = None,
        skip: bool = False,
    ) -> Passed:
        """Return what the target gives for images: activations of layers, gradients at them, outputs; in one pass.

        Parameters
        ----------
        layers
            Of the target.
        gradients_of
            Of what gradients are taken: numbers of outputs, and units of later layers. Gradients are
            ``(images, of how many, neurons)``, each as in `mcd.run_target`.
        images
            Ids of the images, in this order; by default all.
        skip
            Whether images that cannot be decoded are left out; by default they are an error.

        Raises
        ------
        mcd.errors.MCDError
            As `mcd.run_target`.
        """
        through = replace(self.through, on_error="skip" if skip else "stop")
        one = Runnable(through, self.layers, (), self.pooling, self.through.probe.rows)
        wanted = Wanted(layers, self.pooling, list(gradients_of) or None)
        return passed(one, wanted, images=images, clock=Clock(self.host.emit))

    def vocabulary(self, chosen: Concepts) -> ConceptSet:
        """Return concepts as `mcd.dissect` takes them: names of concept sets, words, or objects."""
        return as_concepts(Preparer(self.host), chosen)[0]

    def embedded(self, dissector: Component | Dissector, texts: Sequence[str]) -> Embedded:
        """Return the embeddings of all images, and of texts, by an image–text model.

        Raises
        ------
        mcd.errors.MCDError
            When there is no such dissector, or it does not take the images.
        """
        chosen = dissector if isinstance(dissector, Dissector) else as_choice(dissector, DissectorChoice)
        through = self.through
        made = Preparer(self.host).image_text(chosen)
        embedder = Embedder(
            made,
            device=str(through.device),
            precision=through.precision,
            batch_size=through.batch_size,
            workers=through.workers,
            on_error="stop",
            emit=self.host.emit,
            shared=self.shared,
        )
        words = embedder.texts(texts)
        images = embedder.chosen(through.probe, through.reader).images
        record = shown_component(self.host, Kind.DISSECTOR, chosen, made.name)
        return Embedded(functional.normalize(images, dim=1), functional.normalize(words, dim=1), record)

    def positions(
        self,
        layer: Layer,
        each: Callable[[Positions], None],
        *,
        rows: Sequence[int] | None = None,
        masked: bool = False,
        skip: bool = False,
    ) -> None:
        """Run the target and hand over what a layer gives at every position, batch by batch.

        Parameters
        ----------
        layer
            As `layer` returns it.
        each
            Is given each batch.
        rows
            Which images, by default all.
        masked
            Whether breast masks are laid over the positions: those of the data set, or found in the pixels.
        skip
            Whether images that turn out to be unreadable are left out: they are in no batch. By default they are an
            error.

        Raises
        ------
        mcd.errors.MCDError
            When an image cannot be decoded, the network does not take it, masks cannot be laid over the positions, or
            the layer gives NaN or infinity.
        """
        through = replace(self.through, on_error="skip" if skip else "stop")
        groups = through.groups(rows)
        clock = Clock(self.host.emit)
        with clock.stage("read positions", sum(map(len, groups)), "images") as advanced:

            def hand_over(found: Positions) -> None:
                each(found)
                advanced(len(found.rows))

            each_position(through, layer, hand_over, groups=groups, masked=masked)

    def example(self) -> torch.Tensor:
        """Return a batch of two, ``(2, C, H, W)``, as the target takes it: noise and blocks, or the first image."""
        return example_input(self.target, self._first())

    def _first(self) -> Image | None:
        """Return the first image, where the size of an input follows from it alone."""
        reader, recipe = self.through.reader, self.target.preprocessing
        return None if takes_known_input(self.target) else reader.image(self.samples[0], reader.values(recipe))

    def outputs(self, module: nn.Module, layer: str) -> torch.Tensor:
        """Return what a layer of a network gives for all images, averaged over positions: ``(images, neurons)``.

        What the shared store has is not computed. Float32, on the CPU.

        Parameters
        ----------
        module
            A network that takes what the target takes: the target's own, or one with other weights or another head.
        layer
            Its name in the network.

        Raises
        ------
        mcd.errors.MCDError
            When an image cannot be decoded, or the network does not take it.
        """
        target, through = replace(self.target, module=module), self.through
        reader = through.reader
        trial = trial_pass(target, self._first())
        (picked,) = (one for one in trial.layers if one.name == layer)
        how = image_key(reader, through.device, through.precision, through.batch_size, through.tuning)
        images = through.probe.images(through.batch_size)
        network, pooling = identity_of(module), Pooling("avg")
        key = layer_key(activation_key(how, network, target, pooling, digest(layer)), layer, picked.layout)
        again = found_again(through.probe, reader, network, identity_of(target.preprocessing))
        shared = self.shared if again else None
        entry = shared.entry("activations", whole_key(key, images)) if shared is not None else None
        with scratch_folder() as folder:
            store = Shards(folder / "activations", key, {layer: picked.neurons}, images=images)
            column = Column(layer, picked.neurons, key, [store], entry)
            job = TargetJob(target, [picked], pooling, [column], memory_format=trial.memory_format)
            found = store.read(layer, self._sweep(job).run())
        kept_small(self.shared)
        return found

    def _sweep(self, job: TargetJob) -> Sweep:
        through = self.through
        return Sweep(
            targets=[job],
            dissectors=[],
            reader=through.reader,
            probe=through.probe,
            device=through.device,
            precision=through.precision,
            batch_size=through.batch_size,
            workers=through.workers,
            on_error=through.on_error,
            emit=self.host.emit,
            tuning=through.tuning,
        )

    def inputs(
        self, groups: Sequence[Sequence[int]], device: torch.device
    ) -> Iterator[tuple[tuple[int, ...], torch.Tensor]]:
        """Yield for each group of rows its images as the target takes them, ``(B, C, H, W)`` on the device, and rows.

        Raises
        ------
        mcd.errors.ImageError
            When one cannot be decoded.
        """
        recipe, through = self.target.preprocessing, self.through
        known = {recipe.fingerprint(): recipe}
        pin = device.type == "cuda"
        for batch in batches(through.reader, self.samples, known, groups, workers=through.workers, pin=pin):
            if batch.failed:
                row, reason = batch.failed[0]
                raise ImageError(
                    f"{self.samples[row].source or self.samples[row].id}: {reason}",
                    "leave it out of the data set: training needs all of its images",
                )
            yield batch.rows, batch.input(recipe, device).contiguous(memory_format=self.memory_format)
