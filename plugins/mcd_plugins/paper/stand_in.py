"""A folder of the right shapes for who has not the files: Mammo-CLIP B2 with drawn weights, phantoms as VinDr-Mammo."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import yaml
from torch import nn
from transformers import BertConfig, BertModel

import mcd
from mcd.plugins import write_atomically
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing
from mcd_plugins.mammo_clip.tokenizer import Tokenizer
from mcd_plugins.mammo_clip.tower import HEAD, empty_tower, released_names
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.phantom.export import write_dicom

__all__ = ["SETTINGS", "write_stand_in"]

SETTINGS = "settings.yaml"
_SIZE = {"height": 96, "width": 64}
_PATIENTS, _TRAINING = 20, 2
"""Exams, and how many of them are of the training split."""
_EVERY = 3
"""Of so many images one is shown to batch norms."""
_TEXT_WIDTH, _COMMON = 64, 16
_CLASSES: Mapping[str, int] = {"density": 4, "mass": 1, "calcification": 1, "birads": 5}


def _shows(finding: str, sample: mcd.Sample) -> bool:
    return bool(sample.findings[finding])


_VINDR: Mapping[str, str] = {
    "mass": "Mass",
    "calcifications": "Suspicious Calcification",
    "architectural distortion": "Architectural Distortion",
    "asymmetry": "Asymmetry",
    "skin thickening": "Skin Thickening",
}
_TEXTS: Mapping[str, Callable[[mcd.Sample], bool]] = {
    **{ours: partial(_shows, ours) for ours in _VINDR},
    "suspicious calcifications": partial(_shows, "calcifications"),
    "the breast is almost entirely fatty": lambda one: one.density == "a",
    "scattered areas of fibroglandular density": lambda one: one.density == "b",
    "the breast is heterogeneously dense": lambda one: one.density == "c",
    "the breast is extremely dense": lambda one: one.density == "d",
    "left breast": lambda one: one.laterality == "L",
    "right breast": lambda one: one.laterality == "R",
}
"""Prompts that the stand-in's dissector understands, and of which images they are true."""
_GAIN = 0.5
"""Variance of a weight by its number of inputs. With 2, as usual, random gates magnify last bits layer after layer."""
_SPREAD = 0.2
"""How far training on moves the weights of a classifier's last stage, in deviations of their own."""

State = dict[str, torch.Tensor]


def write_stand_in(folder: Path) -> None:
    """Write everything that ``mcd paper`` needs for its six set-ups: 180 MB.

    The weights are drawn, then each batch norm is set to what it sees of phantoms, so that neurons respond. The heads
    of the classifiers are fitted by least squares. The vocabulary is letters. What comes out says nothing about
    Mammo-CLIP.
    """
    dataset = PhantomDataset(PhantomDataset.Options(patients=_PATIENTS, seed=0))
    samples = [one for one in dataset.scan() if isinstance(one, mcd.Sample)]
    images = [dataset.read(one) for one in samples]
    recipe = MammoClipPreprocessing.model_validate(_SIZE)
    batch = recipe.finalize(torch.stack([recipe.prepare(one) for one in images]))
    _write_vindr(folder / "vindr-mammo", samples, images)
    mammo, general = (_calibrated(_drawn(empty_tower("b2"), at), batch) for at in (0, 1))
    with torch.no_grad():
        pooled = mammo(batch)
    write_atomically(folder / "vocab.txt", "".join(f"{one}\n" for one in _vocabulary()).encode())
    state = _released(mammo) | _text_and_heads(folder / "vocab.txt", pooled, samples)
    _save(folder / "b2-model-best-epoch-10.tar", {"model": state, "config": _CONFIG, "epoch": 10})
    safetensors.torch.save_file(general.state_dict(), folder / "imagenet-b2.safetensors")
    for at, (task, classes) in enumerate(_CLASSES.items()):
        tuned = _released(_tuned(mammo, batch, 10 + at))
        head = _head(pooled, _wanted(task, classes, samples))
        _save(folder / f"{task}.pth", {"model": tuned | head, "predictions": np.zeros((len(samples), 1)), "epoch": 29})
    settings = {
        "note": "A stand-in: its weights are drawn and its images are phantoms. It says nothing about Mammo-CLIP.",
        "preprocessing": _SIZE,
        "resamples": 20,
        "study": {
            "concepts": ["birads-core", "technical"],
            "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 12}},
            "calibration": {"draws": 100, "most_draws": 400},
            "labels_per_neuron": 3,
            "workers": 0,
        },
    }
    text = "# What the studies of a stand-in are run with: small images, few draws.\n" + yaml.safe_dump(
        settings, sort_keys=False
    )
    write_atomically(folder / SETTINGS, text.encode())


_CONFIG = {
    "model": {
        "name": "clip_custom",
        "temperature": 0.07,
        "image_encoder": {"source": "cnn", "name": "tf_efficientnetv2-detect", "pretrained": True},
        "text_encoder": {"source": "huggingface", "name": "emilyalsentzer/Bio_ClinicalBERT", "pooling": "eos"},
        "projection_head": {"name": "linear", "proj_dim": _COMMON},
    }
}


def _save(path: Path, content: Mapping[str, object]) -> None:
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_atomically(path, buffer.getvalue())


def _drawn(network: nn.Module, seed: int) -> nn.Module:
    """Return a network with weights drawn by the width of their input."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, one in network.named_parameters():
            if one.ndim > 1:
                one.copy_(torch.randn(one.shape, generator=generator) * (_GAIN / one[0].numel()) ** 0.5)
            else:
                one.fill_(1.0 if name.endswith("weight") else 0.0)
    return network


@torch.no_grad()
def _calibrated(tower: nn.Module, batch: torch.Tensor) -> nn.Module:
    """Return a tower whose batch norms know the mean and variance of what they see.

    They see noise as well, and no channel is given much less variance than the others of its layer: whatever is unlike
    these images would be magnified layer after layer.
    """
    some = batch[::_EVERY]
    noise = torch.randn(some.shape, generator=torch.Generator().manual_seed(0))
    norms = [one for one in tower.modules() if isinstance(one, nn.BatchNorm2d)]
    for one in norms:
        one.train()
        one.reset_running_stats()
        one.momentum = 1.0
    tower(torch.cat([some, noise]))
    for one in norms:
        if one.running_var is not None:
            one.running_var.clamp_(min=0.2 * one.running_var.mean())
    return tower.train(False)


def _tuned(mammo: nn.Module, batch: torch.Tensor, seed: int) -> nn.Module:
    """Return the tower with its last stage moved a little."""
    tower = empty_tower("b2")
    tower.load_state_dict(mammo.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for one in tower.get_submodule("blocks.6").parameters():
            if one.ndim > 1:
                one.add_(torch.randn(one.shape, generator=generator) * one.std() * _SPREAD)
    return _calibrated(tower, batch)


def _released(tower: nn.Module) -> State:
    names = released_names(tower)
    return {names[name]: tensor.clone() for name, tensor in tower.state_dict().items()}


@torch.no_grad()
def _text_and_heads(vocabulary: Path, pooled: torch.Tensor, samples: Sequence[mcd.Sample]) -> State:
    """Return a drawn text model, and heads under which some texts are near the images that show what they say.

    Parameters
    ----------
    pooled
        ``(images, 1408)``: what the tower makes of the images.
    """
    generator = torch.Generator().manual_seed(0)
    config = BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=_TEXT_WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=2 * _TEXT_WIDTH,
        max_position_embeddings=256,
    )
    with torch.random.fork_rng(devices=[]):
        text = BertModel(config).train(False)
    text.load_state_dict(
        {name: torch.randn(one.shape, generator=generator) / 2 for name, one in text.state_dict().items()}
    )
    weight = torch.randn(_COMMON, pooled.shape[1], generator=generator) / pooled.shape[1] ** 0.5
    images = (pooled - pooled.mean(dim=0)) @ weight.T
    ids, mask = Tokenizer(vocabulary, len(_vocabulary()))(list(_TEXTS))
    ends = text(input_ids=ids, attention_mask=mask).last_hidden_state[torch.arange(len(ids)), mask.sum(dim=1) - 1]
    shown = torch.tensor([[says(one) for one in samples] for says in _TEXTS.values()]).float()
    wanted = _mean(shown, images) - _mean(1 - shown, images)
    text_weight, text_bias = _ridge(ends, wanted / wanted.norm(dim=1, keepdim=True), 0.1)
    return {
        **{f"text_encoder.text_encoder.{name}": one for name, one in text.state_dict().items()},
        "image_projection.projection.weight": weight,
        "image_projection.projection.bias": -weight @ pooled.mean(dim=0),
        "text_projection.projection.weight": text_weight,
        "text_projection.projection.bias": text_bias,
        "logit_scale": torch.tensor(2.659),
    }


def _mean(weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return weights @ rows / weights.sum(dim=1, keepdim=True)


def _ridge(inputs: torch.Tensor, wanted: torch.Tensor, penalty: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight ``(outputs, inputs)`` and bias of a linear layer fitted to rows, by ridge regression."""
    rows, targets = inputs.double(), wanted.double()
    centred = rows - rows.mean(dim=0)
    inner = centred @ centred.T + penalty * torch.eye(len(rows), dtype=torch.float64)
    weight = torch.linalg.solve(inner, targets - targets.mean(dim=0)).T @ centred
    return weight.float(), (targets.mean(dim=0) - weight @ rows.mean(dim=0)).float()


def _vocabulary() -> list[str]:
    letters = [chr(one) for one in range(ord("!"), ord("~") + 1) if not chr(one).isupper()]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{one}" for one in letters)]


def _head(pooled: torch.Tensor, wanted: torch.Tensor) -> State:
    """Return a head that separates what it is shown."""
    weight, bias = _ridge(pooled, wanted, len(pooled))
    return {f"{HEAD}weight": weight, f"{HEAD}bias": bias}


def _wanted(task: str, classes: int, samples: Sequence[mcd.Sample]) -> torch.Tensor:
    """Return what a head should answer, ``(images, classes)``."""
    if task in ("mass", "calcification"):
        name = "mass" if task == "mass" else "calcifications"
        return torch.tensor([[2.0 * bool(one.findings[name]) - 1] for one in samples])
    found = torch.full((len(samples), classes), -1.0)
    for row, one in enumerate(samples):
        found[row, "abcd".index(one.density) if task == "density" else int(_assessment(one)) - 1] = 1.0
    return found


def _assessment(sample: mcd.Sample) -> str:
    """Return a BI-RADS that fits what is drawn."""
    if sample.findings["mass"]:
        return "5" if sample.findings["calcifications"] else "4"
    if sample.findings["calcifications"]:
        return "3"
    return "2" if _named(sample) else "1"


def _named(sample: mcd.Sample) -> list[str]:
    return [theirs for ours, theirs in _VINDR.items() if sample.findings[ours]]


def _write_vindr(root: Path, samples: Sequence[mcd.Sample], images: Sequence[mcd.Image]) -> None:
    """Write images and tables as VinDr-Mammo has them."""
    breasts, findings = [], []
    for sample, image in zip(samples, images, strict=True):
        folder = root / "images" / sample.patient
        folder.mkdir(parents=True, exist_ok=True)
        write_dicom(folder / f"{sample.id}.dicom", image.pixels.astype(np.uint8), sample)
        height, width = image.pixels.shape
        split = "training" if int(sample.patient.partition("-")[2]) < _TRAINING else "test"
        birads = f"BI-RADS {_assessment(sample)}"
        common = [sample.patient, sample.patient, sample.id, sample.laterality, sample.view, height, width]
        breasts.append([*common, birads, f"DENSITY {sample.density.upper()}", split])
        rows = [[one] for one in _named(sample)] or [["No Finding"]]
        findings += [
            [*common, birads, f"DENSITY {sample.density.upper()}", str(one), birads, "", "", "", "", split]
            for one in rows
        ]
    image_columns = ["study_id", "series_id", "image_id", "laterality", "view_position", "height", "width"]
    breast_columns = [*image_columns, "breast_birads", "breast_density"]
    box = ["finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax"]
    _write_csv(root / "breast-level_annotations.csv", [[*breast_columns, "split"], *breasts])
    _write_csv(root / "finding_annotations.csv", [[*breast_columns, *box, "split"], *findings])


def _write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
