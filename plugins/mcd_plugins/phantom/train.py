"""Train the networks of the phantom plugin: ``python -m mcd_plugins.phantom.train all --output DIR``.

Seeded from the first pixel to the last step; the shipped weights and MODEL_CARD.md come from this script with
its defaults. ``general`` and ``calc`` train one network each and leave the others as they are shipped.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from mcd.errors import MCDError
from mcd.plugins import PATH, check_writable, echo, echo_lines, outputs
from mcd_plugins.phantom import evaluation
from mcd_plugins.phantom.captions import code
from mcd_plugins.phantom.card import CARD, NETWORKS, Measured, card_of
from mcd_plugins.phantom.everyday import draw_everyday
from mcd_plugins.phantom.factors import draw_patient
from mcd_plugins.phantom.learning import (
    Codes,
    HeldOut,
    Kinds,
    Pixels,
    as_input,
    train_calc,
    train_clip,
    train_general,
    train_mammo,
)
from mcd_plugins.phantom.network import PhantomMammoNetwork
from mcd_plugins.phantom.render import render
from mcd_plugins.phantom.shipped import loaded

__all__ = ["HELD_OUT_SEED", "everyday", "main", "phantoms"]

HELD_OUT_SEED = 1_000_003
"""Seed of the patients and images that the model card is measured on; training never sees them."""
_OTHER_PATIENTS = 1
"""Added to the seed for fine-tuning: it sees other patients than phantom-mammo saw."""
_HALF = ("phantom_general", "phantom_calc")
"""Networks whose weights are stored in float16."""

Areas = Mapping[str, Mapping[str, float]]
Given = ParamSpec("Given")
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def _patient(key: tuple[int, int]) -> tuple[list[Pixels], list[Codes]]:
    views = draw_patient(*key).views
    return [render(view)[0] for view in views], [code(view) for view in views]


def phantoms(seed: int, patients: int, processes: int = 2) -> tuple[Pixels, Codes]:
    """Return the images ``(4 * patients, 320, 192)`` uint8 and their factor codes ``(4 * patients, factors)``."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        made = pool.map(_patient, [(seed, number) for number in range(patients)], chunksize=16)
    return np.stack([image for images, _ in made for image in images]), np.stack([c for _, cs in made for c in cs])


def everyday(seed: int, images: int, processes: int = 2) -> tuple[Pixels, Kinds]:
    """Return everyday images ``(images, 320, 192)`` uint8, and for each which of `EVERYDAY` it shows."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        made = pool.starmap(draw_everyday, [(seed, number) for number in range(images)], chunksize=64)
    return np.stack([image for image, _ in made]), np.array([kind for _, kind in made])


class _Script:
    """What one call of the script trains, and the images it needs, drawn when first asked for."""

    def __init__(self, patients: int, held_out: int, epochs: Mapping[str, int], seed: int) -> None:
        self.patients, self.held_out, self.epochs, self.seed = patients, held_out, epochs, seed
        self._start: PhantomMammoNetwork | None = None
        self._minutes = 0.0

    def _timed(self, train: Callable[Given, NetworkT], *given: Given.args, **named: Given.kwargs) -> NetworkT:
        """Train; drawing the images that are given is not counted."""
        began = time.perf_counter()
        model = train(*given, **named)
        self._minutes = (time.perf_counter() - began) / 60
        return model

    @cached_property
    def _held(self) -> HeldOut:
        pixels, codes = phantoms(HELD_OUT_SEED, self.held_out)
        return as_input(pixels), codes

    @cached_property
    def _drawn(self) -> tuple[Pixels, Codes]:
        return phantoms(self.seed, self.patients)

    def phantom_clip(self) -> tuple[nn.Module, Callable[[], Areas]]:
        """Train phantom-clip; return it, and what measures it."""
        model = self._timed(train_clip, *self._drawn, self._held, self.epochs["phantom_clip"], self.seed)
        return model, lambda: evaluation.zero_shot_by_value(model, *self._held)

    def phantom_mammo(self) -> tuple[nn.Module, Callable[[], Areas]]:
        """Train phantom-mammo."""
        model = self._timed(train_mammo, *self._drawn, self._held, self.epochs["phantom_mammo"], self.seed)
        self._start = model
        return model, lambda: _present(evaluation.mammo_auroc(model, *self._held))

    def phantom_general(self) -> tuple[nn.Module, Callable[[], Areas]]:
        """Train phantom-general, on as many images as the others see."""
        pixels, kinds = everyday(self.seed, 4 * self.patients)
        held_pixels, held_kinds = everyday(HELD_OUT_SEED, 4 * self.held_out)
        held = as_input(held_pixels), held_kinds
        model = self._timed(train_general, pixels, kinds, held, self.epochs["phantom_general"], self.seed)
        return model, lambda: _present(evaluation.general_auroc(model, *held))

    def phantom_calc(self) -> tuple[nn.Module, Callable[[], Areas]]:
        """Fine-tune the phantom-mammo trained in this call, or else the shipped one."""
        start = self._start or loaded(PhantomMammoNetwork(), "phantom_mammo.safetensors")
        pixels, codes = phantoms(self.seed + _OTHER_PATIENTS, self.patients)
        model = self._timed(train_calc, start, pixels, codes, self._held, self.epochs["phantom_calc"], self.seed)
        return model, lambda: _present(evaluation.calc_auroc(model, *self._held))

    def make(self, name: str, folder: Path) -> None:
        """Train a network; write its weights and what was measured of them, rounded as they are stored."""
        made: dict[str, Callable[[], tuple[nn.Module, Callable[[], Areas]]]] = {
            "phantom_clip": self.phantom_clip,
            "phantom_mammo": self.phantom_mammo,
            "phantom_general": self.phantom_general,
            "phantom_calc": self.phantom_calc,
        }
        model, measure = made[name]()
        state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
        if name in _HALF:
            state = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
            model.load_state_dict(state)
        path = folder / f"{name}.safetensors"
        save_file(state, path)
        Measured(
            patients=self.patients,
            held_out=self.held_out,
            epochs=self.epochs[name],
            seed=self.seed,
            minutes=self._minutes,
            threads=torch.get_num_threads(),
            size=path.stat().st_size,
            auroc=measure(),
        ).save(path.with_suffix(".json"))


def _present(areas: Mapping[str, float]) -> Areas:
    return {name: {"present": area} for name, area in areas.items()}


@click.command()
@click.argument("what", type=click.Choice([*(name.removeprefix("phantom_") for name in NETWORKS), "all"]))
@click.option("--output", type=PATH, required=True, help="Where weights and card go.")
@click.option("--patients", default=2500, show_default=True, help="Training patients, four views each.")
@click.option("--held-out", default=300, show_default=True, help="Patients the model card is measured on.")
@click.option("--epochs", default=11, show_default=True, help="Passes over the images for phantom-clip.")
@click.option("--mammo-epochs", default=4, show_default=True, help="Passes for phantom-mammo.")
@click.option("--general-epochs", default=4, show_default=True, help="Passes for phantom-general.")
@click.option("--calc-epochs", default=4, show_default=True, help="Passes for phantom-calc.")
@click.option("--seed", default=0, show_default=True)
def main(
    what: str,
    output: Path,
    patients: int,
    held_out: int,
    epochs: int,
    mammo_epochs: int,
    general_epochs: int,
    calc_epochs: int,
    seed: int,
) -> None:
    """Train one network of the phantom plugin, or all; write weights, measurements and model card.

    Of a network that is not trained the card says what was measured of the shipped one.
    """
    names = NETWORKS if what == "all" else (f"phantom_{what}",)
    for file in (CARD, *(f"{name}{end}" for name in names for end in (".safetensors", ".json"))):
        check_writable(output / file)  # before minutes of training
    start = time.perf_counter()
    passes = dict(zip(NETWORKS, (epochs, mammo_epochs, general_epochs, calc_epochs), strict=True))
    script = _Script(patients, held_out, passes, seed)
    for name in names:
        with outputs(output) as folder:
            script.make(name, folder)
    card = card_of(output)
    with outputs(output) as folder:
        (folder / CARD).write_text(card, encoding="utf-8")
    echo_lines(card)
    echo(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    try:
        main()
    except MCDError as error:
        sys.exit(f"error: {error}")
