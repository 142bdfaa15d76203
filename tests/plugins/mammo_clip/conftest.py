"""Stand-ins for the released checkpoints: their keys and layout, rebuildable weights, a small text model."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

State = dict[str, torch.Tensor]
ROWS = 28996
"""Tokens of the vocabulary in the test data, and of Bio_ClinicalBERT's."""


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    return shared / "golden" / "mammo_clip"


@pytest.fixture(scope="session")
def fill(golden: Path) -> types.ModuleType:
    """The golden numbers' own way to make weights and images."""
    specification = importlib.util.spec_from_file_location("golden_fill", golden / "fill.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def filled(golden: Path, fill: types.ModuleType) -> Callable[..., State]:
    """Weights for the keys in some of the golden lists."""

    def make(*names: str, **shapes: list[int]) -> State:
        keys: dict[str, list[int]] = {}
        for name in names:
            keys |= json.loads((golden / f"keys_{name}.json").read_text())
        keys |= {key: shape for key, shape in shapes.items() if key in keys}
        return {key: torch.from_numpy(np.asarray(value)) for key, value in fill.make_state_dict(keys).items()}

    return make


@contextmanager
def omegaconf_present() -> Iterator[types.ModuleType]:
    """A module that pickles as omegaconf's containers do; gone again when the checkpoint is read."""
    listconfig, nodes, base = (types.ModuleType(f"omegaconf.{name}") for name in ("listconfig", "nodes", "base"))
    for home, name in ((listconfig, "ListConfig"), (nodes, "AnyNode"), (base, "ContainerMetadata")):
        cls = type(name, (), {"__module__": home.__name__, "__init__": lambda self, **state: vars(self).update(state)})
        setattr(home, name, cls)
    modules = {"omegaconf": types.ModuleType("omegaconf"), **{one.__name__: one for one in (listconfig, nodes, base)}}
    sys.modules.update(modules)
    try:
        joined = types.ModuleType("joined")
        joined.__dict__.update(vars(listconfig) | vars(nodes) | vars(base))
        yield joined
    finally:
        for name in modules:
            del sys.modules[name]


def released(state: State, path: Path, *, encoder: str, **changes: object) -> Path:
    """Save a checkpoint as training did: state, optimizer and scheduler, and the whole Hydra configuration."""
    with omegaconf_present() as omegaconf:
        made: Any = omegaconf
        whole = made.ListConfig()
        numbers = [
            made.AnyNode(_metadata=made.ContainerMetadata(optional=True), _parent=whole, _val=one) for one in (0.8, 1.2)
        ]
        vars(whole).update(_metadata=made.ContainerMetadata(key_type=int), _parent=None, _content=numbers)
        text = {
            "source": "huggingface",
            "name": "emilyalsentzer/Bio_ClinicalBERT",
            "pooling": "eos",
            "cache_dir": "/ocean/nobody/has/this",
        }
        config = {
            "model": {
                "name": "clip_custom",
                "temperature": 0.07,
                "image_encoder": {"source": "cnn", "name": encoder, "pretrained": True},
                "text_encoder": text,
                "projection_head": {"name": "linear", "proj_dim": 512},
            },
            "transform": {"train": {"affine_scale": whole}},
        }
        content = {
            "model": state,
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
            "scheduler": {"last_epoch": 3},
            "config": config,
            "epoch": 7,
            "train_loss": np.float64(0.5),
            **changes,
        }
        torch.save(content, path)
    return path


@pytest.fixture(scope="session")
def b2_state(filled: Callable[..., State]) -> State:
    return filled("b2", "tiny_text", **{"text_encoder.text_encoder.embeddings.word_embeddings.weight": [ROWS, 64]})


@pytest.fixture(scope="session")
def b2(b2_state: State, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole B2 checkpoint, the vocabulary beside it."""
    folder = tmp_path_factory.mktemp("released")
    (folder / "vocab.txt").write_bytes((shared / "data" / "bert_cased_vocab" / "vocab.txt").read_bytes())
    return released(b2_state, folder / "b2-model-best-epoch-10.tar", encoder="tf_efficientnetv2-detect")


def classifier_state(b2_state: State, classes: int, seed: int = 0) -> State:
    """A fine-tuned classifier: the tower, moved a little by the seed, and a head."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: one.clone() for name, one in b2_state.items() if name.startswith("image_encoder.")}
    state["image_encoder._conv_stem.weight"] *= 1 + 0.1 * seed
    state["classifier.classification_head.weight"] = torch.rand(classes, 1408, generator=generator) - 0.5
    state["classifier.classification_head.bias"] = torch.zeros(classes)
    return state


def saved_classifier(state: State, path: Path) -> Path:
    """Save it as fine-tuning did, with the predictions as a numpy array."""
    torch.save({"model": state, "predictions": np.random.default_rng(0).random((9, 2)), "epoch": 4, "auroc": 0.8}, path)
    return path
