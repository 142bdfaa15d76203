"""Whole models, large vocabularies and very many images: seconds and peak memory of scoring and calibration.

python benchmarks/scale.py b5          39 layers, 6,992 neurons, 763 concepts, 4,000 images of 1,000 patients
python benchmarks/scale.py words       the same images and one layer of 512 neurons, 20,000 concepts
python benchmarks/scale.py images      1,000,000 images, 64 neurons, 763 concepts; N × C would be 2.8 GiB
"""

from __future__ import annotations

import argparse
import resource
import time
from functools import partial

import torch

from mcd.api.concepts import Concept
from mcd.scoring.labelling import Labeller
from mcd.scoring.similarity import Cosines
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

# Neurons of the 39 blocks of EfficientNet-B5, as Mammo-CLIP has it.
B5 = [24] * 3 + [40] * 5 + [64] * 5 + [128] * 7 + [176] * 7 + [304] * 9 + [512] * 3
SCENES = {"b5": (4_000, 763, B5), "words": (4_000, 20_000, [512]), "images": (1_000_000, 763, [64])}


def planted(images: int, concepts: int, width: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings whose cosines spread as those of CLIP do: images near a common direction, a few factors."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(width, generator=generator)
    factors = torch.randn(24, width, generator=generator)
    seen = common + 0.6 * torch.randn(images, 24, generator=generator) @ factors / 24**0.5
    words = common + 0.6 * torch.randn(concepts, 24, generator=generator) @ factors / 24**0.5
    return seen, words + 0.3 * torch.randn(concepts, width, generator=generator)


def layer(images: torch.Tensor, neurons: int, seed: int) -> torch.Tensor:
    """Return activations ``(images, neurons)``: half of them read a direction of the embeddings, half are noise."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(len(images), neurons, generator=generator)
    half = neurons // 2
    reads = images @ torch.randn(images.shape[1], half, generator=generator)
    found[:, :half] += reads / reads.std(dim=0)
    return found


def main(scene: str) -> None:
    images, concepts, widths = SCENES[scene]
    seen, words = planted(images, concepts)
    layers = {f"block {at}": layer(seen, width, at) for at, width in enumerate(widths)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    known = [Concept(f"c{at}", f"category {at % 40}", "broad") for at in range(concepts)]
    patients = [f"p{at // 4}" for at in range(images)]
    start = time.perf_counter()
    cosines = Cosines(seen, words, [""] * images, [one.term for one in known])
    labeller = Labeller(SoftWPMI(), cosines, known, Calibration(), patients, 10)
    significant, draws = 0, 0
    for found in labeller.scored({name: partial(layers.__getitem__, name) for name in layers}):
        assert found.judged is not None
        significant, draws = significant + found.judged.significant, max(draws, found.judged.draws)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{scene}: {images:,} images, {concepts:,} concepts, {len(widths)} layers, {sum(widths):,} neurons, "
        f"{torch.get_num_threads()} threads: {seconds:.2f} s, {significant:,} significant, up to {draws:,} draws, "
        f"{peak - before:,.0f} MiB above the inputs; N × C would be {images * concepts * 4 / 2**20:,.0f} MiB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", choices=SCENES)
    main(parser.parse_args().scene)
