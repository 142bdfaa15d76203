"""A study in one file, and the keys that a run makes of it."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import torch

import mcd
from mcd.extraction import keys
from mcd.extraction.map_store import MapStore
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.store import layer_key, whole_key
from mcd.networks.identity import identity_of
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling

SOURCE = '''
"""A study in one file of the user's own."""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import mcd

SLOPE = 0.1
TABLE = {"gain": [1.0, 2.0]}

def helper(x):
    return F.leaky_relu(x, SLOPE)

def scaled(x, by=1.5):
    return x * by

def closing(weight):
    def inner(x):
        return x + weight
    return inner

class Base(nn.Module):
    power = 2
    def squared(self, x):
        return x**self.power

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.scale, self.plain = torch.tanh, 2.0, torch.ones(3)
        self.late = functools.partial(scaled, by=3.0)
        self.shift = closing(torch.ones(2))
        self.each = [lambda x: x + 1]
        self.register_buffer("grid", torch.arange(3.0), persistent=False)
    def forward(self, x):
        return self.act(x) * self.scale * TABLE["gain"][0]

class Net(Base):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.block, self.drop = nn.Conv2d(1, 4, 3), Block(), nn.Dropout(0.5)
    def forward(self, x):
        return torch.relu(helper(self.block(self.squared(self.conv(x)))))

class Recipe(mcd.Preprocessing):
    gamma: float = 1.0
    def picture(self, image):
        return mcd.Image(image.pixels**self.gamma, image.maximum)

class Own(mcd.Preprocessing):
    def finalize(self, batch):
        return batch - 0.5

class Tokenizer:
    def __call__(self, text):
        return len(text)

class Reads(mcd.Dissector):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.name, self.module, self.preprocessing = "reads", nn.Linear(2, 3), Own()
        self.tokenizer, self.temperature = Tokenizer(), 0.07
    def encode_images(self, batch):
        return self.module(batch.mean((1, 2))[:, :2])
    def encode_texts(self, texts):
        return torch.tensor([[self.tokenizer(text), 1.0, 2.0] for text in texts])

class Images(mcd.Dataset):
    decoders = ("numpy",)
    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = gain
    def __len__(self):
        return 2
    def scan(self):
        return iter([mcd.Sample(str(at), f"digest {at}") for at in range(2)])
    def read(self, sample):
        return mcd.Image(np.linspace(0, self.gain * math.sqrt(0.5), 64, dtype=np.float32).reshape(8, 8), 1.0)
'''


def module(source: str) -> Any:
    """Return a module made of a source text, as the importer of the user's files makes one."""
    found = ModuleType("_users_file")
    sys.modules[found.__name__] = found
    exec(compile(source, "/users/file.py", "exec"), vars(found))
    return found


def parts(source: str = SOURCE) -> dict[str, Any]:
    """Return all ingredients of the keys."""
    own = module(source)
    samples = tuple(own.Images().scan())
    return {
        "dataset": own.Images(),
        "recipe": own.Recipe(),
        "probe": ProbeSet(samples, ("a", "b")),
        "target": mcd.Target("net", own.Net(), own.Own(mean=(0.1,)), prefix_tokens=1),
        "dissector": own.Reads(),
        "layers": [Layer("conv", "Conv2d", (4, 6, 6), "NCHW", 4)],
        "pooling": Pooling("gem", 3.0),
        "device": torch.device("cpu"),
        "precision": "fp32",
        "batch_size": 16,
        "maps": 9,
    }


def keys_of(**one: Any) -> dict[str, str]:
    """Return the keys that a run makes of its ingredients."""
    reader = Reader(one["dataset"], one["recipe"])
    network, dissector = identity_of(one["target"].module), identity_of(one["dissector"])
    images = keys.image_key(reader, one["device"], one["precision"], one["batch_size"])
    network_key = keys.activation_key(images, network, one["target"], one["pooling"])
    (activations,) = [layer_key(network_key, layer.name, layer.layout) for layer in one["layers"]]
    embeddings = keys.embedding_key(images, dissector, one["dissector"].preprocessing)
    shown = one["probe"].images(one["batch_size"])
    activations, embeddings = whole_key(activations, shown), whole_key(embeddings, shown)
    return {
        "image": reader.fingerprint(),
        "activations": activations,
        "embeddings": embeddings,
        "texts": dissector.key,
        "maps": MapStore.key_of(activations, one["maps"]),
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(keys_of(**parts())))
