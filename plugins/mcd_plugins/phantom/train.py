"""Train phantom-clip and phantom-mammo: ``python -m mcd_plugins.phantom.train all --output DIR``.

Seeded from the first pixel to the last step; the shipped weights and MODEL_CARD.md come from this script with
its defaults.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from mcd_plugins.phantom import evaluation
from mcd_plugins.phantom.captions import FACTORS, Statement, code, report, statements
from mcd_plugins.phantom.card import Measured, write_card
from mcd_plugins.phantom.factors import draw_patient
from mcd_plugins.phantom.network import MEAN, STD, PhantomClipNetwork, PhantomMammoNetwork
from mcd_plugins.phantom.render import render

__all__ = ["main", "phantoms", "train_clip", "train_mammo"]

Pixels = NDArray[np.uint8]
Codes = NDArray[np.int8]
HeldOut = tuple[torch.Tensor, Codes]

HELD_OUT_SEED = 1_000_003
"""Seed of the patients that the model card is measured on; training never sees them."""
_BATCH = 64
_TEXTS = 160
_WEIGHTS = {
    "mass shape": 6.0,
    "mass margin": 4.0,
    "mass density": 3.0,
    "calcification morphology": 3.0,
    "calcification distribution": 3.0,
}
"""What is hard to see weighs more."""


def _patient(key: tuple[int, int]) -> tuple[list[Pixels], list[Codes]]:
    views = draw_patient(*key).views
    return [render(view)[0] for view in views], [code(view) for view in views]


def phantoms(seed: int, patients: int, processes: int = 2) -> tuple[Pixels, Codes]:
    """Return the images ``(4 * patients, 320, 192)`` uint8 and their factor codes ``(4 * patients, factors)``."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        made = pool.map(_patient, [(seed, number) for number in range(patients)], chunksize=16)
    return np.stack([image for images, _ in made for image in images]), np.stack([c for _, cs in made for c in cs])


def as_input(pixels: Pixels) -> torch.Tensor:
    """Return images as the networks take them, ``(B, 1, H, W)`` float32."""
    return (torch.from_numpy(pixels)[:, None].float() / 255 - MEAN) / STD


def _epochs(
    model: nn.Module, images: int, epochs: int, rate: float, rng: np.random.Generator,
    step: Callable[[NDArray[np.int64]], torch.Tensor], measure: Callable[[], dict[str, float]],
) -> None:  # fmt: skip
    """Run the training loop: AdamW, one cycle, batches in random order; tell what is learnt after each pass."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    batches = images // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=batches * epochs, pct_start=0.15)
    start = time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        for rows in _shuffled(images, batches, rng):
            with torch.autocast("cpu", dtype=torch.bfloat16):  # twice as fast where the processor has it
                loss = step(rows)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        model.eval()
        areas = measure()
        model.train()
        worst = min(areas, key=areas.__getitem__)
        click.echo(
            f"epoch {epoch + 1}/{epochs}: loss {total / batches:.4f}, AUROC mean {np.mean(list(areas.values())):.3f}, "
            f"lowest {areas[worst]:.3f} ({worst}), {time.perf_counter() - start:.0f} s"
        )


def _shuffled(images: int, batches: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = rng.permutation(images)
    for number in range(batches):
        yield order[number * _BATCH : (number + 1) * _BATCH]


def train_clip(pixels: Pixels, codes: Codes, held_out: HeldOut, epochs: int, seed: int) -> PhantomClipNetwork:
    """Train the image–text model.

    A batch of images meets a batch of texts: one report-like caption of each image, and short statements.
    Each pair is a positive when the text is true of the image (the sigmoid loss of SigLIP, Zhai et al. 2023,
    with several positives). Positives and negatives weigh the same for every text; a negative to which
    the text could have applied (another margin, not no mass at all) weighs four times the others. A linear
    head that names every factor helps the image tower along; it is thrown away afterwards.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = PhantomClipNetwork()
    tower = model.image_tower
    tower.to(memory_format=torch.channels_last)
    helper = nn.Linear(tower.features, sum(len(values) for values in FACTORS.values()))

    def step(rows: NDArray[np.int64]) -> torch.Tensor:
        batch = codes[rows]
        texts = [report(row, rng) for row in batch]
        texts += [statements()[int(at)] for at in rng.integers(len(statements()), size=_TEXTS)]
        said = [text.phrases[int(rng.integers(len(text.phrases)))] for text in texts]
        images = as_input(pixels[rows]).contiguous(memory_format=torch.channels_last)
        features = tower.pool(images)
        image, text = tower.head(features), model.text_tower(said)
        cosine = nn.functional.normalize(image.float()) @ nn.functional.normalize(text.float()).T
        contrast = _loss(model.scale.exp() * cosine + model.bias, texts, batch)
        return contrast + 2 * _naming_loss(helper(features).float(), batch)

    _epochs(
        nn.ModuleList([model, helper]),
        len(pixels),
        epochs,
        3e-3,
        rng,
        step,
        lambda: evaluation.zero_shot_auroc(model, *held_out),
    )
    return model.eval()


def _loss(logits: torch.Tensor, texts: list[Statement], codes: Codes) -> torch.Tensor:
    true = torch.from_numpy(np.stack([text.true_of(codes) for text in texts], axis=1))
    near = torch.from_numpy(np.stack([text.applies_to(codes) for text in texts], axis=1))
    weight = torch.where(true, 1.0, 1.0 + 3.0 * near)
    positive, negative = weight * true, weight * ~true
    share = positive / positive.sum(0).clamp_min(1e-6) + negative / negative.sum(0).clamp_min(1e-6)
    each = nn.functional.binary_cross_entropy_with_logits(logits, true.float(), reduction="none")
    return (each * share).sum(0).mean()


def _naming_loss(logits: torch.Tensor, codes: Codes) -> torch.Tensor:
    """Return the mean cross-entropy of the factors, each over the images it applies to; descriptors weigh more."""
    each = torch.split(logits, [len(values) for values in FACTORS.values()], dim=1)
    truth = torch.from_numpy(codes.astype(np.int64))
    losses = [
        _WEIGHTS.get(factor, 1.0) * nn.functional.cross_entropy(part, truth[:, at], ignore_index=-1)
        for at, (factor, part) in enumerate(zip(FACTORS, each, strict=True))
        if bool((truth[:, at] >= 0).any())
    ]
    return torch.stack(losses).mean()


def train_mammo(pixels: Pixels, codes: Codes, held_out: HeldOut, epochs: int, seed: int) -> PhantomMammoNetwork:
    """Train the target on the findings, with the same helping head."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = PhantomMammoNetwork()
    model.to(memory_format=torch.channels_last)
    truth = torch.from_numpy(evaluation.findings(codes)).float()
    weight = (1 - truth.mean(0)) / truth.mean(0).clamp_min(0.01)
    helper = nn.Linear(model.features, sum(len(values) for values in FACTORS.values()))

    def step(rows: NDArray[np.int64]) -> torch.Tensor:
        features = model.pool(as_input(pixels[rows]).contiguous(memory_format=torch.channels_last))
        found = nn.functional.binary_cross_entropy_with_logits(
            model.head(features).float(), truth[torch.from_numpy(rows)], pos_weight=weight
        )
        return found + 0.5 * _naming_loss(helper(features).float(), codes[rows])

    both = nn.ModuleList([model, helper])
    _epochs(both, len(pixels), epochs, 3e-3, rng, step, lambda: evaluation.mammo_auroc(model, *held_out))
    return model.eval()


@click.command()
@click.argument("what", type=click.Choice(["clip", "mammo", "all"]))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Where weights and card go.")
@click.option("--patients", default=2500, show_default=True, help="Training patients, four views each.")
@click.option("--held-out", default=300, show_default=True, help="Patients the model card is measured on.")
@click.option("--epochs", default=11, show_default=True, help="Passes over the images for phantom-clip.")
@click.option("--mammo-epochs", default=4, show_default=True, help="Passes for phantom-mammo.")
@click.option("--seed", default=0, show_default=True)
def main(what: str, output: Path, patients: int, held_out: int, epochs: int, mammo_epochs: int, seed: int) -> None:
    """Train the networks of the phantom plugin and write weights and model card."""
    output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    pixels, codes = phantoms(seed, patients)
    held_pixels, held_codes = phantoms(HELD_OUT_SEED, held_out)
    held: HeldOut = (as_input(held_pixels), held_codes)
    click.echo(f"{len(pixels)} + {len(held_pixels)} images in {time.perf_counter() - start:.0f} s")

    def finish(model: nn.Module, name: str, passes: int, began: float, areas: dict[str, dict[str, float]]) -> None:
        path = output / f"{name}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, path)
        Measured(
            patients=patients, held_out=held_out, epochs=passes, seed=seed,
            minutes=(time.perf_counter() - began) / 60, threads=torch.get_num_threads(), size=path.stat().st_size,
            auroc=areas,
        ).save(output / f"{name}.json")  # fmt: skip

    if what in ("clip", "all"):
        began = time.perf_counter()
        clip = train_clip(pixels, codes, held, epochs, seed)
        finish(clip, "phantom_clip", epochs, began, evaluation.zero_shot_by_value(clip, *held))
    if what in ("mammo", "all"):
        began = time.perf_counter()
        mammo = train_mammo(pixels, codes, held, mammo_epochs, seed)
        found = {name: {"present": area} for name, area in evaluation.mammo_auroc(mammo, *held).items()}
        finish(mammo, "phantom_mammo", mammo_epochs, began, found)
    write_card(output)
    click.echo((output / "MODEL_CARD.md").read_text(encoding="utf-8"))
    click.echo(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
