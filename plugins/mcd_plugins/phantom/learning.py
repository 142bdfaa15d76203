"""How the networks of the phantom plugin are trained: losses, the loop, what is fine-tuned from what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mcd.plugins import echo
from mcd_plugins.phantom import evaluation
from mcd_plugins.phantom.captions import FACTORS, Statement, report, statements
from mcd_plugins.phantom.network import CALCIFICATIONS, EVERYDAY, MEAN, STD, PhantomClipNetwork, PhantomMammoNetwork

__all__ = [
    "Codes",
    "HeldOut",
    "Kinds",
    "Pixels",
    "as_input",
    "train_calc",
    "train_clip",
    "train_general",
    "train_mammo",
]

Pixels = NDArray[np.uint8]
Codes = NDArray[np.int8]
Kinds = NDArray[np.int64]
HeldOut = tuple[torch.Tensor, Codes]

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


def as_input(pixels: Pixels) -> torch.Tensor:
    """Return images as the networks take them, ``(B, 1, H, W)`` float32."""
    return (torch.from_numpy(pixels)[:, None].float() / 255 - MEAN) / STD


def _epochs(
    model: nn.Module,
    images: int,
    epochs: int,
    rate: float,
    rng: np.random.Generator,
    step: Callable[[NDArray[np.int64]], torch.Tensor],
    measure: Callable[[], dict[str, float]],
) -> None:
    """Run the training loop: AdamW, one cycle, batches in random order; report what is learnt after each pass.

    The model is left in eval mode.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    batches = images // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=batches * epochs, pct_start=0.15)
    start = time.perf_counter()
    for epoch in range(epochs):
        model.train()
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
        worst = min(areas, key=areas.__getitem__)
        echo(
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
    return model


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
    says = _says(model, pixels, evaluation.findings(codes))
    helper = nn.Linear(model.features, sum(len(values) for values in FACTORS.values()))

    def step(rows: NDArray[np.int64]) -> torch.Tensor:
        features, found = says(rows)
        return found + 0.5 * _naming_loss(helper(features).float(), codes[rows])

    both = nn.ModuleList([model, helper])
    _epochs(both, len(pixels), epochs, 3e-3, rng, step, lambda: evaluation.mammo_auroc(model, *held_out))
    return model


def train_calc(
    start: PhantomMammoNetwork, pixels: Pixels, codes: Codes, held_out: HeldOut, epochs: int, seed: int
) -> PhantomMammoNetwork:
    """Fine-tune phantom-mammo, all layers, to detect calcifications only; the head is new.

    No helping head names the other factors any more: what the network keeps of them is what nothing has overwritten.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = PhantomMammoNetwork(len(CALCIFICATIONS))
    trunk = {name: tensor for name, tensor in start.state_dict().items() if not name.startswith("head.")}
    model.load_state_dict(trunk, strict=False)
    model.to(memory_format=torch.channels_last)
    says = _says(model, pixels, evaluation.calcifications(codes))
    _epochs(
        model,
        len(pixels),
        epochs,
        3e-3,
        rng,
        lambda rows: says(rows)[1],
        lambda: evaluation.calc_auroc(model, *held_out),
    )
    return model


def train_general(
    pixels: Pixels, kinds: Kinds, held_out: tuple[torch.Tensor, Kinds], epochs: int, seed: int
) -> PhantomMammoNetwork:
    """Train phantom-mammo's architecture from scratch to classify everyday images."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = PhantomMammoNetwork(len(EVERYDAY))
    model.to(memory_format=torch.channels_last)
    truth = torch.from_numpy(kinds)

    def step(rows: NDArray[np.int64]) -> torch.Tensor:
        logits = model(as_input(pixels[rows]).contiguous(memory_format=torch.channels_last))
        return nn.functional.cross_entropy(logits.float(), truth[torch.from_numpy(rows)])

    _epochs(model, len(pixels), epochs, 3e-3, rng, step, lambda: evaluation.general_auroc(model, *held_out))
    return model


def _says(
    model: PhantomMammoNetwork, pixels: Pixels, truth: NDArray[np.bool_]
) -> Callable[[NDArray[np.int64]], tuple[torch.Tensor, torch.Tensor]]:
    """Return what gives the features and the loss of the outputs for rows of the images; rare positives weigh more."""
    true = torch.from_numpy(truth).float()
    weight = (1 - true.mean(0)) / true.mean(0).clamp_min(0.01)

    def step(rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        features = model.pool(as_input(pixels[rows]).contiguous(memory_format=torch.channels_last))
        logits = model.head(features).float()
        return features, nn.functional.binary_cross_entropy_with_logits(
            logits, true[torch.from_numpy(rows)], pos_weight=weight
        )

    return step
