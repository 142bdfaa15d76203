"""A pass of images through one target, in the batches of the sweep: outputs, activations, gradients, edited or not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from mcd.api.model import Target
from mcd.errors import DataError, ImageError, UsageError
from mcd.extraction.decoding import Batch, batches
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.networks.differentiating import Differentiating, LayerUnit, Scalar, pooled_gradient, scalar_of
from mcd.networks.editing import LayerEdit, edited
from mcd.networks.foreign import calling, enough_memory
from mcd.networks.layers import Layer, unit_axis
from mcd.networks.outputs import main_output
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder
from mcd.networks.running import Precision, at_work, autocast
from mcd.networks.taps import Taps
from mcd.networks.tuning import UNTUNED, Tuning

__all__ = ["PassedBatch", "TargetPass", "Wanted", "outputs_of"]

_NONE: Mapping[str, torch.Tensor] = {}


@dataclass(frozen=True)
class Wanted:
    """What is kept of a pass.

    Parameters
    ----------
    layers
        Whose pooled activations are.
    pooling
        How they are pooled.
    gradients_of
        Of what gradients at these layers are taken; None takes none. Of several in one pass: those of each.
    """

    layers: Sequence[Layer] = ()
    pooling: Pooling = field(default_factory=lambda: Pooling("avg"))
    gradients_of: Scalar | LayerUnit | Sequence[Scalar | LayerUnit] | None = None


@dataclass(frozen=True, eq=False)
class PassedBatch:
    """What a target gave for the images of one batch.

    Parameters
    ----------
    rows
        Which of the probe set they are.
    output
        What the network returned, as it is, on its device.
    activations
        Of layers, pooled: ``(B, neurons)`` float32 on the CPU.
    gradients
        At layers, summed over positions: ``(B, neurons)`` float32 on the CPU, of several numbers an image
        ``(B, numbers, neurons)``. Empty where none are taken.
    raw, raw_gradients
        Outputs ``(B, …)`` of layers and the gradients with respect to them, on the device. Empty where none are taken,
        or those of several numbers an image.
    """

    rows: tuple[int, ...]
    output: object
    activations: Mapping[str, torch.Tensor] = field(default_factory=dict)
    gradients: Mapping[str, torch.Tensor] = field(default_factory=dict)
    raw: Mapping[str, torch.Tensor] = field(default_factory=dict)
    raw_gradients: Mapping[str, torch.Tensor] = field(default_factory=dict)


def _pooled(gradients: Mapping[str, torch.Tensor], layers: Sequence[Layer]) -> dict[str, torch.Tensor]:
    return {layer.name: pooled_gradient(gradients[layer.name], layer).cpu() for layer in layers}


def outputs_of(output: object, images: int) -> torch.Tensor:
    """Return the outputs of a network as numbers, ``(B, K)``; of one number an image, ``(B, 1)``.

    Raises
    ------
    UsageError
        When what it returned is nothing of the kind.
    """
    found, what = main_output(output), f"the network returns {type(output).__name__}, in which no tensor stands for it"
    if found is not None:
        what = f"the network returns {found.dtype} of shape {tuple(found.shape)} for {images} images"
        if found.shape == (images,):
            found = found[:, None]
        if found.ndim == 2 and len(found) == images and found.is_floating_point():
            return found
    raise UsageError(
        f"{what}: not one row of numbers an image, as logits are", "give a network with its classification head"
    )


@dataclass(frozen=True)
class TargetPass:
    """How images of a probe set go through one target: as in the sweep.

    Parameters
    ----------
    target, reader, probe
        What sees what.
    device, precision, batch_size, workers, on_error, memory_format, tuning
        How, as in the sweep.
    """

    target: Target
    reader: Reader
    probe: ProbeSet
    device: torch.device
    precision: Precision
    batch_size: int
    workers: int | None
    on_error: str = "stop"
    memory_format: torch.memory_format = torch.channels_last
    tuning: Tuning = UNTUNED

    def groups(self, rows: Sequence[int] | None = None, *, as_swept: bool = False) -> list[list[int]]:
        """Return the batches of these rows of the probe set, by default of all.

        Parameters
        ----------
        as_swept
            Whether images share a batch only where they did in the sweep, so that the last bits are the same where
            the rows are all that it decoded. So it is in any case where the size of the input is not fixed.
        """
        size, recipe = self.batch_size, self.target.preprocessing
        if rows is None:
            rows, as_swept = self.probe.rows, True
        if recipe.height and recipe.width and not as_swept:
            return [list(rows[at : at + size]) for at in range(0, len(rows), size)]
        swept = [group for shard in self.probe.shards(size).values() for group in shard]
        number = {row: at for at, group in enumerate(swept) for row in group}
        groups: dict[int, list[int]] = {}
        for row in rows:
            groups.setdefault(number[row], []).append(row)
        return list(groups.values())

    def forward(
        self,
        groups: Sequence[Sequence[int]],
        hooks: Sequence[contextlib.AbstractContextManager[object]],
        each: Callable[[Batch, object], None],
        *,
        before: Callable[[Batch, torch.Tensor], None] = lambda batch, inputs: None,
        masked: bool = False,
        gradients: bool = False,
    ) -> None:
        """Run the target batch by batch, in eval mode.

        Parameters
        ----------
        groups
            Rows of the probe set, batch by batch.
        hooks
            What is open meanwhile, in the order given.
        each
            Is given a batch and what the network returned for it.
        before
            Is given a batch and the input ``(B, C, H, W)`` made of it, before the network runs.
        masked
            Whether batches carry breast masks.
        gradients
            Whether autograd records what is computed.

        Raises
        ------
        ImageError
            When an image cannot be decoded.
        UsageError
            When the network fails.
        """

        def through(batch: Batch, inputs: torch.Tensor) -> None:
            before(batch, inputs)
            each(batch, self._called(inputs))

        self._decoded(groups, hooks, through, masked=masked, gradients=gradients)

    def _decoded(
        self,
        groups: Sequence[Sequence[int]],
        hooks: Sequence[contextlib.AbstractContextManager[object]],
        through: Callable[[Batch, torch.Tensor], None],
        *,
        masked: bool = False,
        gradients: bool = False,
    ) -> None:
        """Hand over each batch with the input made of it, while the network is in eval mode; see `forward`."""
        recipe, module = self.target.preprocessing, self.target.module
        key = recipe.fingerprint()
        loader = batches(
            self.reader,
            self.probe.samples,
            {key: recipe},
            groups,
            masked={key} if masked else frozenset(),
            workers=self.workers,
            pin=self.device.type == "cuda",
        )
        hint, many = f"try a batch size of {max(1, self.batch_size // 2)}", f"batches of {self.batch_size} images"
        with at_work(module, self.device, self.memory_format, self.tuning), ExitStack() as stack:
            for hook in hooks:
                stack.enter_context(hook)
            stack.enter_context(torch.set_grad_enabled(gradients))
            for batch in loader:
                self._refuse(batch)
                if batch.rows:
                    with enough_memory(self.device, hint, many):
                        through(batch, batch.input(recipe, self.device))

    def _called(self, inputs: torch.Tensor) -> object:
        module = self.target.module
        with autocast(self.device, self.precision), calling(f"{self.target.name} failed", network=module):
            output: object = module(inputs.contiguous(memory_format=self.memory_format))
        return output

    def _refuse(self, batch: Batch) -> None:
        if batch.failed and self.on_error == "stop":
            row, reason = batch.failed[0]
            sample = self.probe.samples[row]
            raise ImageError(
                f"{sample.source or sample.id}: {reason}",
                "where it could be read before: leave the images alone while a run is on, and run again",
            )

    def run(
        self,
        wanted: Wanted,
        each: Callable[[PassedBatch], None],
        *,
        groups: Sequence[Sequence[int]] | None = None,
        edits: Sequence[LayerEdit] = (),
        means: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Run the target, and hand over what is wanted of each batch.

        Without edits and gradients the activations are those of the sweep, to the last bit where batches are.

        Parameters
        ----------
        wanted
            What is kept.
        each
            Is given it, batch by batch.
        groups
            Rows of the probe set, batch by batch; by default as `groups` gives them.
        edits
            What is changed on the way; activations and gradients at an edited layer are those of the edited output.
        means
            As `means` returns them, where edits set units to their means; by default taken of the same images.

        Raises
        ------
        mcd.errors.MCDError
            As `forward`; when a layer does not run, when an edit or a function of the outputs fails, and when there is
            no gradient at a layer.
        DataError
            When a layer gives NaN or infinity.
        """
        if wanted.gradients_of is not None and self.precision == "fp16":
            raise UsageError("small gradients are 0 in fp16", "use precision fp32 or bf16")
        groups = self.groups() if groups is None else groups
        by_means = list({one.layer.name: one.layer for one in edits if one.by_means}.values())
        if means is None and by_means:
            means = self.means(by_means, groups)
        prefix, module, of = self.target.first_tokens(), self.target.module, wanted.gradients_of
        scalars = [] if of is None else [*of] if isinstance(of, Sequence) else [of]
        later = [one.layer for one in scalars if isinstance(one, LayerUnit)]
        recorded = list({one.name: one for one in (*wanted.layers, *later)}.values())
        recorder = Recorder(module, recorded, wanted.pooling, prefix)
        differentiating = Differentiating(module, wanted.layers if of is not None else ())
        recipe = self.target.preprocessing

        def before(batch: Batch, inputs: torch.Tensor) -> None:
            recorder.mask = batch.mask(recipe, self.device) if wanted.pooling.masked else None

        def hand_over(batch: Batch, output: object) -> None:
            taken = recorder.take()
            activations = {layer.name: taken[layer.name].detach().cpu() for layer in wanted.layers}
            asked = [
                one.of(taken) if isinstance(one, LayerUnit) else scalar_of(one, outputs_of(output, len(batch.rows)))
                for one in scalars
            ]
            raw, raw_gradients, gradients = _NONE, _NONE, _NONE
            if of is not None and not isinstance(of, Sequence):
                raw, raw_gradients = differentiating.gradients(asked[0])
                gradients = _pooled(raw_gradients, wanted.layers)
            elif asked:
                of_each = [_pooled(one, wanted.layers) for one in differentiating.each(asked)]
                gradients = {
                    layer.name: torch.stack([one[layer.name] for one in of_each], 1) for layer in wanted.layers
                }
            for what, found in (("activations", activations), ("gradients", gradients)):
                self.check_finite(what, found, batch)
            each(PassedBatch(batch.rows, output, activations, gradients, raw, raw_gradients))

        hooks: list[contextlib.AbstractContextManager[object]] = [
            edited(module, edits, means),
            differentiating,
            recorder,
        ]  # those after an edit see what it made
        self.forward(groups, hooks, hand_over, before=before, masked=wanted.pooling.masked, gradients=of is not None)

    def check_finite(self, what: str, found: Mapping[str, torch.Tensor], batch: Batch) -> None:
        """Refuse what layers gave, ``(B, …)`` each, where it is NaN or infinite, by the name of the image."""
        for name, tensor in found.items():
            broken = (~torch.isfinite(tensor)).flatten(1).any(dim=1).nonzero().flatten().tolist()
            if broken:
                sample = self.probe.samples[batch.rows[broken[0]]]
                raise DataError(
                    f"{what} of layer {name} of {self.target.name} are NaN or infinite for image "
                    f"{sample.source or sample.id}",
                    "try precision fp32" if self.precision != "fp32" else "check the edits, the image and the weights",
                )

    def outputs(
        self,
        variants: Sequence[Sequence[LayerEdit]],
        each: Callable[[tuple[int, ...], int, torch.Tensor], None],
        *,
        groups: Sequence[Sequence[int]] | None = None,
        means: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Run the target without edits, then with each of several sets of edits, every image decoded once.

        Parameters
        ----------
        variants
            The sets of edits.
        each
            Is given the rows of a batch, 0 for the network without edits or the number of the set from 1, and its
            outputs ``(B, K)`` float32 on the CPU.
        groups
            Rows of the probe set, batch by batch; by default as `groups` gives them.
        means
            As in `run`.

        Raises
        ------
        mcd.errors.MCDError
            As `run`; when the network returns no such outputs.
        """

        def through(batch: Batch, inputs: torch.Tensor) -> None:
            for number, edits in enumerate([(), *variants]):
                with edited(self.target.module, edits, means):
                    output = self._called(inputs.clone())  # a network may change its input in place
                each(batch.rows, number, outputs_of(output, len(batch.rows)).float().cpu())

        self._decoded(self.groups() if groups is None else groups, [], through)

    def means(self, layers: Sequence[Layer], groups: Sequence[Sequence[int]] | None = None) -> dict[str, torch.Tensor]:
        """Return the mean of each unit of layers over images and positions, of raw outputs: ``(neurons,)`` float32."""
        sums = {layer.name: torch.zeros(layer.neurons, dtype=torch.float64) for layer in layers}
        places = dict.fromkeys(sums, 0)

        def add(layer: Layer, tensor: torch.Tensor) -> None:
            units = tensor.movedim(unit_axis(layer), 0).flatten(1)
            sums[layer.name] += units.double().sum(dim=1).cpu()
            places[layer.name] += units.shape[1]

        taps = Taps(self.target.module, layers, add)
        self.forward(self.groups() if groups is None else groups, [taps], lambda batch, output: taps.begin())
        silent = [name for name, count in places.items() if not count]
        if silent:
            raise DataError(f"layer {silent[0]} did not run: its units have no means", "edit another layer")
        return {name: (one / places[name]).float() for name, one in sums.items()}
