"""Mammo-SAE, and what else the package ``sparse_autoencoder`` saved."""

from __future__ import annotations

from dataclasses import replace

from mcd.errors import DataError
from mcd_plugins.dictionary.importing.saved import Asked, Imported, Saved, imported

__all__ = ["knows", "read"]

_BIASES = ("tied_bias", "pre_encoder_bias._bias_reference")
"""One parameter under the names of all modules that hold it."""
_READ = (*_BIASES, "encoder.", "decoder.")
"""What the names of the tensors that are read begin with."""


def knows(saved: Saved) -> bool:
    """Say whether the names of tensors are those of this format."""
    return any(name in saved.tensors for name in _BIASES)


def read(saved: Saved, asked: Asked) -> Imported:
    """Return the dictionary.

    All tensors begin with an axis of components, the layers that were trained at once: one. Latents are
    ReLU(W (x - b) + c), with b, which is added after the decoder again, the tied bias.
    """
    asked.only(saved)
    saved = _component(saved)
    weight, bias = ("_weight", "_bias") if "encoder._weight" in saved.tensors else ("weight", "bias")
    tied = next((name for name in _BIASES if name in saved.tensors), _BIASES[0])
    return imported(
        saved,
        "ReLU",
        saved.take(f"encoder.{weight}", "units", "channels"),
        saved.take(f"decoder.{weight}", "channels", "units"),
        bias=saved.take(f"encoder.{bias}", "units"),
        centre=saved.take(tied, "channels"),
    )


def _component(saved: Saved) -> Saved:
    """Return the tensors that are read without their first axis, where they have one."""
    tied = next((saved.tensors[name] for name in _BIASES if name in saved.tensors), None)
    if tied is None or tied.ndim == 1:
        return saved
    read = {name: one for name, one in saved.tensors.items() if name.startswith(_READ)}
    wrong = next((name for name, one in read.items() if one.ndim == 0 or one.shape[0] != 1), None)
    if wrong is not None:
        raise DataError(
            f"{saved.path}: tensor '{wrong}' is of shape {tuple(read[wrong].shape)}; "
            "the first axis is that of one component, 1",
            "of several, save one: {name: tensor[[0]] for name, tensor in state_dict.items()}",
        )
    return replace(saved, tensors={name: one[0] for name, one in read.items()})
