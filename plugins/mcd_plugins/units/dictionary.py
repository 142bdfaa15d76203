"""The unit source ``dictionary``."""

from __future__ import annotations

from pathlib import Path

import pydantic
import torch

import mcd
from mcd.errors import DataError
from mcd_plugins.units.affine import units_of
from mcd_plugins.units.codes import ACTIVATIONS, PRODUCTS, latents, random_latents
from mcd_plugins.units.reading import UnitFile, read_units

__all__ = ["Dictionary"]


class Dictionary(mcd.UnitSource):
    """Latents of a sparse autoencoder or another dictionary.

    The file has ``decoder`` ``(units, channels)``: a row for each latent, what it adds. It may have ``decoder_bias``
    ``(channels,)``, subtracted from the neurons before anything else. Its metadata says the ``activation``:

    - ``none``, ``relu``, ``topk``, ``jumprelu``: of the products with the rows of ``encoder`` ``(units, channels)``,
      plus ``encoder_bias`` ``(units,)`` where there is one, all, what is positive, at most ``k`` of these at a position
      (metadata ``k``; Gao et al. 2024, arXiv 2406.04093, equation 1), or what is above the latent's ``threshold``
      ``(units,)`` (Rajamanoharan et al. 2024, arXiv 2407.14435, equation 4; BatchTopK is one with a common threshold).
    - ``nonnegative``: the codes that are not negative and rebuild the position best from the rows of ``decoder``, by
      at most 200 steps of non-negative least squares: NMF and semi-NMF.
    - ``nearest``: 1 for the nearest row of ``decoder``, the first of several, and 0 for the others: k-means.

    ``nonnegative`` and ``nearest`` do without ``encoder``; one that is there plays no part.

    The metadata may say which ``layer`` it was fitted on, and the ``names``. A latent of length zero in all its rows is
    dead: it keeps its number and never responds. Random units have rows drawn uniformly, and at each position as many
    respond as of the dictionary's own, at most.
    """

    class Options(mcd.Options):
        """Settings of the source."""

        file: Path = pydantic.Field(
            description="a .safetensors file with the tensors encoder and decoder, whose metadata says the activation"
        )

    options: Options

    def load(self) -> mcd.Units:
        """Return the units."""
        rows = ("units", "channels")
        file = read_units(
            self.options.file,
            {"decoder": rows},
            {"encoder": rows, "encoder_bias": ("units",), "decoder_bias": ("channels",), "threshold": ("units",)},
        )
        activation, k = _activation(file), file.about.k
        _check_rows(file, activation)
        own = latents(activation, file.tensors, k)
        return units_of(file, own, lambda seed: random_latents(activation, file.tensors, k, seed))


def _activation(file: UnitFile) -> str:
    """Return the activation of a file, which has what it takes and nothing that it does not."""
    activation, k, units = file.about.activation, file.about.k, file.sizes["units"]
    if activation not in ACTIVATIONS:
        said = f"says activation '{activation}'" if activation else "does not say the activation"
        raise DataError(f"{file.path} {said}", f"its metadata says one of {', '.join(ACTIVATIONS)}")
    if (activation == "topk") != (k is not None) or (k or 0) > units:
        raise DataError(
            f"{file.path}: activation {activation} with k {k} of {units} latents",
            "topk needs k, at most the number of latents; no other activation has one",
        )
    for name, takes in (("encoder", activation in PRODUCTS), ("threshold", activation == "jumprelu")):
        if takes and name not in file.tensors:
            raise DataError(f"{file.path} has no tensor '{name}'", f"activation {activation} needs it")
    if "threshold" in file.tensors and activation != "jumprelu":
        raise DataError(f"{file.path}: activation {activation} with a threshold", "only jumprelu has one")
    return activation


def _check_rows(file: UnitFile, activation: str) -> None:
    """Refuse rows of length zero, but of latents that are dead in all: these keep their numbers."""
    if activation == "nearest":  # A centroid may lie anywhere.
        return
    names = ("encoder", "decoder") if activation in PRODUCTS else ("decoder",)
    empty = torch.stack([(file.tensors[name] == 0).all(dim=1) for name in names])
    bias = file.tensors.get("encoder_bias")
    dead = empty.all(dim=0)
    if bias is not None and activation in PRODUCTS:
        dead &= bias <= 0
    for name, rows in zip(names, empty, strict=True):
        wrong = (rows & ~dead).nonzero().flatten().tolist()
        if wrong:
            raise DataError(
                f"{file.path}: row {wrong[0]} of '{name}' has length zero, which is no direction",
                "leave the latent out, or make the file again; a dead one has length zero in all rows, and no bias",
            )
    if bool(dead.all()):
        raise DataError(f"{file.path}: all rows of 'decoder' have length zero", "make the file again")
