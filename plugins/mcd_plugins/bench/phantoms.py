"""Phantoms as material: drawn images of which everything is known, phantom-mammo's layer, and P of phantom-clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

import mcd
from mcd.plugins import image_statistics
from mcd_plugins.bench.contract import Located, Matrix
from mcd_plugins.bench.material import Material, fixed_by, normalised
from mcd_plugins.phantom.concepts import PhantomConcepts
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.phantom.factors import HEIGHT, WIDTH, Patient, draw_patient
from mcd_plugins.phantom.network import MEAN, STD, PhantomClipNetwork, PhantomMammoNetwork
from mcd_plugins.phantom.render import render
from mcd_plugins.phantom.shipped import loaded

__all__ = ["phantoms"]

_SEED = 101
"""Of the patients of bench seed 0; the networks were trained on those of seed 0."""
_HIDDEN = "Acquisition and quality"
"""What confounded units follow is not in the vocabulary: no name for them is right."""
_RARE = 0.15
"""Share of the patients that go against a confounder who are kept all the same."""
_BATCH = 32
_EMPTY = "mammogram"
_LOCATED = {
    "mass": "mass",
    "calcification": "calcifications",
    "architectural distortion": "architectural distortion",
    "asymmetry": "asymmetry",
    "skin thickening": "skin thickening",
    "lymph node": "intramammary lymph node",
    "biopsy clip": "biopsy clip",
}
"""Beginning of a category → the finding whose box shows its concepts."""


def phantoms(patients: int, untrained: int, seed: int, advanced: Callable[[int], None] = lambda _: None) -> Material:
    """Draw phantoms and run the networks over them.

    The sample is biased, as collected data are: calcifications are more often on film, masses more often on the left.

    Parameters
    ----------
    patients
        How many, four images each.
    untrained
        How many networks with random weights beside phantom-mammo.
    seed
        Of patients and random weights.
    advanced
        Called with the number of images that were drawn and seen since.
    """
    views = [view for patient in _biased(patients, _SEED + seed) for view in patient.views]
    wanted = {view.id for view in views}
    most = 1 + max(view.patient.number for view in views)
    options = PhantomDataset.Options(patients=most, seed=_SEED + seed)
    samples = {one.id: one for one in PhantomDataset(options).scan() if isinstance(one, mcd.Sample)}
    known = [samples[view.id] for view in views if view.id in wanted]
    concepts = tuple(one for one in PhantomConcepts().load().concepts if one.broad_category != _HIDDEN)
    truth = np.array([[float(bool(one.findings[word.term])) for word in concepts] for one in known])
    seen = _Seen(untrained, seed)
    boxes = []
    for start in range(0, len(views), _BATCH):
        part = views[start : start + _BATCH]
        drawn = [render(view) for view in part]
        seen.add(np.stack([pixels for pixels, _ in drawn]))
        boxes += [tuple(_located(found, concepts, known[start + at])) for at, (_, found) in enumerate(drawn)]
        advanced(len(part))
    texts = seen.texts([*(one.prompt for one in concepts), _EMPTY])
    images = normalised(np.concatenate(seen.images))
    maps = np.concatenate(seen.maps)
    facts = {
        "view": [one.view for one in known],
        "laterality": [one.laterality for one in known],
        "vendor": [one.vendor for one in known],
        "implant": ["yes" if one.implant else "no" for one in known],
    }
    return Material(
        name=f"{len(views)} phantoms of {patients} patients, phantom-mammo stages.3, phantom-clip",
        activations=maps.mean(axis=(2, 3), dtype=np.float64).astype(np.float32),
        similarity=(images.astype(np.float64) @ texts[:-1].T.astype(np.float64)).astype(np.float32),
        images=images,
        texts=texts[:-1],
        empty=texts[-1],
        truth=truth,
        truth_is="annotations",
        annotations=truth.astype(np.float32),
        patients=tuple(one.patient for one in known),
        concepts=concepts,
        confounders={
            "scanner (film)": np.array([float(one.vendor == "film") for one in known]),
            "side (left)": np.array([float(one.laterality == "L") for one in known]),
        },
        facts=facts,
        statistics=fixed_by(np.stack(seen.statistics)),
        untrained=tuple(np.concatenate(one) for one in seen.random),
        maps=maps,
        boxes=tuple(boxes),
    )


def _biased(count: int, seed: int) -> Iterator[Patient]:
    """Yield patients, of whom those are rarer whose calcifications or masses are not where the confounders are."""
    rng = np.random.default_rng([seed, 1])
    number, found = 0, 0
    while found < count:
        patient = draw_patient(seed, number)
        number += 1
        lesions = (patient.left, patient.right)
        calcium = any(one.calcifications is not None for one in lesions)
        left, right = (one.mass is not None for one in lesions)
        kept = 1.0 if (patient.scanner == "film") == calcium else _RARE
        kept *= _RARE if right and not left else 1.0
        if rng.random() < kept:
            found += 1
            yield patient


def _located(
    boxes: Sequence[tuple[str, int, int, int, int]], concepts: Sequence[mcd.Concept], sample: mcd.Sample
) -> Iterator[Located]:
    """Yield where an image shows each concept that has a box and is true of it."""
    for number, concept in enumerate(concepts):
        category = concept.category.lower()
        finding = next((name for start, name in _LOCATED.items() if category.startswith(start)), "")
        if sample.findings[concept.term]:
            for name, x0, y0, x1, y1 in boxes:
                if name == finding:
                    yield Located(number, x0 / WIDTH, y0 / HEIGHT, x1 / WIDTH, y1 / HEIGHT)


class _Seen:
    """What the networks give for images, a batch at a time.

    Attributes
    ----------
    images, maps, random, statistics
        Batches of the dissector's embeddings, of the layer's maps and of those of random networks, averaged; and the
        statistics of each image.
    """

    def __init__(self, untrained: int, seed: int) -> None:
        self._dissector = loaded(PhantomClipNetwork(), "phantom_clip.safetensors")
        self._target = loaded(PhantomMammoNetwork(), "phantom_mammo.safetensors")
        self._random = [_random_network(seed, number) for number in range(untrained)]
        self.images: list[Matrix] = []
        self.maps: list[Matrix] = []
        self.random: list[list[Matrix]] = [[] for _ in self._random]
        self.statistics: list[Matrix] = []

    def add(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        """Run all networks over images ``(B, 320, 192)`` uint8."""
        batch = (torch.from_numpy(pixels).float()[:, None] / 255 - MEAN) / STD
        with torch.inference_mode():
            self.images.append(self._dissector.image_tower(batch).numpy())
            self.maps.append(_stages(self._target, batch).numpy())
            for network, found in zip(self._random, self.random, strict=True):
                found.append(_stages(network, batch).mean(dim=(2, 3)).numpy())
        self.statistics += [image_statistics(mcd.Image(one, 255.0)) for one in pixels]

    def texts(self, words: Sequence[str]) -> Matrix:
        """Return the dissector's embeddings of texts, each of length 1."""
        with torch.inference_mode():
            return normalised(self._dissector.text_tower(words).numpy())


def _stages(network: PhantomMammoNetwork, batch: torch.Tensor) -> torch.Tensor:
    """Return the maps of the last stage, ``(B, 128, 10, 6)``."""
    found: torch.Tensor = network.stem(batch)
    for stage in network.stages:
        found = stage(found)
    return found


def _random_network(seed: int, number: int) -> PhantomMammoNetwork:
    """Return phantom-mammo's architecture with weights drawn anew; batch norms see the statistics of each batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1_000_003 * seed + number)
        return PhantomMammoNetwork().train()
