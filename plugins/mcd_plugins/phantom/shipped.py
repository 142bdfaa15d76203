"""The shipped weights, and what a phantom network takes as input."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TypeVar

from torch import nn

import mcd
from mcd.plugins import load_weights
from mcd_plugins.phantom.factors import HEIGHT, WIDTH
from mcd_plugins.phantom.network import MEAN, STD

__all__ = ["LICENCE", "PREPROCESSING", "loaded"]

LICENCE = "Apache-2.0"
PREPROCESSING = mcd.Preprocessing(height=HEIGHT, width=WIDTH, channels=1, mean=(MEAN,), std=(STD,))

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def loaded(network: NetworkT, name: str) -> NetworkT:
    """Return the network with the shipped weights ``weights/NAME``."""
    with as_file(files("mcd_plugins.phantom") / "weights" / name) as path:
        load_weights(network, path)
    return network.eval()
