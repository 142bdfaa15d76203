"""What a tool saved: tensors by name, and the settings that it wrote beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mcd.errors import CheckpointError, DataError, UsageError
from mcd.plugins import calling, read_state_dict
from mcd_plugins.units.reading import check_tensor

__all__ = ["Asked", "Imported", "Saved", "above_or_at", "gated", "imported", "read_saved", "refused", "uncentred"]

_WEIGHTS = ("sae_weights.safetensors", "ae.pt")
"""What SAELens and dictionary_learning call the weights in the folder that they write."""
_SETTINGS = ("cfg.json", "config.json")
_LARGEST_SETTINGS = 4 << 20
_AS_STATE_DICT = "in the tool that made it, save the state dict: torch.save(MODEL.state_dict(), 'dictionary.pt')"


@dataclass(frozen=True)
class Asked:
    """What a user says where a file does not; None where nothing is said.

    Parameters
    ----------
    activation
        Which latents respond: ``"relu"``, ``"topk"``, ``"batchtopk"``.
    k
        Of ``topk``: how many at a position, at most.
    threshold
        Of ``batchtopk``: above what.
    """

    activation: str | None = None
    k: int | None = None
    threshold: float | None = None

    def only(self, saved: Saved, **said: str | float | None) -> None:
        """Refuse what differs from what is said of a file, or has no part in it.

        Raises
        ------
        UsageError
            Naming the first.
        """
        for name in ("activation", "k", "threshold"):
            asked = getattr(self, name)
            if asked is not None and asked != said.get(name):
                raise UsageError(
                    f"--{name} has no part in {saved.path}",
                    f"leave out --{name}: the file says it itself, or its latents have none",
                )


@dataclass(frozen=True)
class Imported:
    """A dictionary as the unit source has it.

    Parameters
    ----------
    kind
        What the tool calls it.
    tensors, activation, k
        As in the file of the unit source.
    dead
        How many latents have a row of length zero.
    layer
        What the tool calls the layer that it was made for; empty where that is not known.
    """

    kind: str
    tensors: Mapping[str, torch.Tensor]
    activation: str
    k: int | None
    dead: int
    layer: str = ""


@dataclass(frozen=True)
class Saved:
    """What a tool saved.

    Parameters
    ----------
    path
        The file.
    tensors
        By name.
    settings
        What a JSON file beside it says; empty where there is none.
    """

    path: Path
    tensors: Mapping[str, torch.Tensor]
    settings: Mapping[str, object]
    _sizes: dict[str, int] = field(default_factory=dict)

    def take(self, name: str, *axes: str) -> torch.Tensor:
        """Return a tensor, float32; of channels and units, turned to ``(units, channels)``.

        Raises
        ------
        DataError
            When it is not there, has other axes, is as long as no other tensor is, or holds NaN or infinity.
        """
        if name not in self.tensors:
            has = ", ".join(sorted(self.tensors)[:8]) or "none"
            raise DataError(
                f"{self.path} has no tensor '{name}'; its tensors are: {has}",
                "say another --format, or make the file again",
            )
        tensor = self.tensors[name]
        check_tensor(self.path, name, tensor, axes, self._sizes)
        return (tensor.T if axes == ("channels", "units") else tensor).float().contiguous()

    def check_sizes(self, said: Mapping[str, object], **names: str) -> None:
        """Refuse settings that are of another file: they say other sizes than the tensors that were taken have.

        Parameters
        ----------
        said
            Of the settings, the part that says sizes.
        names
            What they call the size of each axis.

        Raises
        ------
        DataError
            Naming the first that differs.
        """
        for axis, name in names.items():
            size, has = said.get(name), self._sizes.get(axis)
            if isinstance(size, int | float) and size != has:
                raise DataError(
                    f"{self.path} is of {has} {axis}, and the settings beside it say {name} {str(size)[:20]}",
                    "put those that the tool wrote with this file beside it",
                )

    def number(self, name: str) -> float | None:
        """Return the number that a tensor is; None where it is not there.

        Raises
        ------
        DataError
            When it is no number.
        """
        tensor = self.tensors.get(name)
        if tensor is None:
            return None
        if tensor.numel() != 1 or tensor.is_complex() or not bool(tensor.isfinite().all()):
            raise DataError(f"{self.path}: tensor '{name}' is no number", "make the file again")
        return float(tensor.flatten()[0])


def read_saved(path: Path) -> Saved:
    """Read a weights file, or that in the folder which a tool wrote, with the settings beside it. Nothing in it is run.

    Raises
    ------
    CheckpointError
        When it cannot be read as plain tensors.
    DataError
        When the settings are no JSON object.
    """
    if path.is_dir():
        path = next((path / name for name in _WEIGHTS if (path / name).is_file()), path)
    try:
        tensors = read_state_dict(path)
    except CheckpointError as error:
        if "holds Python objects" not in error.summary:
            raise
        raise CheckpointError(error.summary, _AS_STATE_DICT) from None
    return Saved(path, tensors, _settings(path))


def _settings(path: Path) -> Mapping[str, object]:
    """Return the settings that a tool wrote beside a file; of several files the first that says anything of it."""
    for name in _SETTINGS:
        beside = path.with_name(name)
        if not beside.is_file():
            continue
        with calling(f"{beside} cannot be read", kind=DataError), beside.open("rb") as file:
            text = file.read(_LARGEST_SETTINGS + 1)
        try:
            found: object = json.loads(text) if len(text) <= _LARGEST_SETTINGS else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise DataError(f"{beside} is no JSON object", f"it lies beside {path.name}: mend it, or move it away")
        if "trainer" in found or "d_sae" in found or "architecture" in found:
            return found
    return {}


def refused(saved: Saved, what: str, why: str, hint: str = "") -> DataError:
    """Return the error on a dictionary that the unit source cannot express."""
    return DataError(f"{saved.path} is {what}: {why}", hint or "see: mcd plugins show units dictionary")


def uncentred(encoder: torch.Tensor, bias: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Return the bias with which a centre may be subtracted before an encoder that was fitted without.

    The file of the unit source has one bias for both: subtracted before the encoder, and added after the decoder.
    """
    return (bias.double() + encoder.double() @ centre.double()).float()


def above_or_at(threshold: torch.Tensor) -> torch.Tensor:
    """Return the thresholds that are exceeded by what is as large as these or larger."""
    return torch.nextafter(threshold, torch.tensor(-torch.inf))


def gated(
    saved: Saved,
    kind: str,
    encoder: torch.Tensor,
    decoder: torch.Tensor,
    *,
    magnitude: torch.Tensor,
    gate: torch.Tensor,
    bias: torch.Tensor,
    centre: torch.Tensor,
) -> Imported:
    """Return a gated sparse autoencoder.

    Its gate and its magnitude take the same products, so that it is a JumpReLU with a threshold of its own for each
    latent: Rajamanoharan et al. 2024, arXiv 2404.16014, appendix B, where ``exp(magnitude)``, ``gate`` and ``bias`` are
    exp(r_mag), b_gate and b_mag.
    """
    factor = magnitude.exp()
    threshold = bias - factor * gate
    return imported(saved, kind, encoder * factor[:, None], decoder, bias=bias, centre=centre, threshold=threshold)


def imported(
    saved: Saved,
    kind: str,
    encoder: torch.Tensor | None,
    decoder: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    centre: torch.Tensor | None = None,
    threshold: torch.Tensor | float | None = None,
    k: int | None = None,
) -> Imported:
    """Return a dictionary; latents with a row of length zero never respond.

    Parameters
    ----------
    encoder
        None for codes of a factorisation.
    bias, centre, threshold, k
        The encoder's bias, the decoder's, what a latent is kept above, how many are kept. None for none.

    Raises
    ------
    DataError
        When ``k`` is more than there are latents, all latents are dead, or a number is out of range.
    """
    units = len(decoder)
    if k is not None and not 1 <= k <= units:
        raise DataError(f"{saved.path}: k {k} of {units} latents", "k is at most the number of latents")
    dead = (decoder == 0).all(dim=1)
    tensors = {"decoder": decoder}
    if encoder is not None:
        dead = dead | (encoder == 0).all(dim=1)
        tensors["encoder"] = encoder
    if bool(dead.all()):
        raise DataError(f"{saved.path}: all {units} latents have a row of length zero", "make the file again")
    if bias is not None:
        tensors["encoder_bias"] = bias
    tensors = _without(dead, tensors)
    if centre is not None:
        tensors["decoder_bias"] = centre
    if threshold is not None:
        tensors["threshold"] = torch.as_tensor(threshold, dtype=torch.float32).expand(units).contiguous()
    too_large = next((name for name, one in tensors.items() if not bool(one.isfinite().all())), None)
    if too_large is not None:
        raise DataError(f"{saved.path}: numbers of '{too_large}' are too large", "make the file again")
    activation = "topk" if k is not None else "relu" if threshold is None else "jumprelu"
    if encoder is None:
        activation = "nonnegative"
    return Imported(kind, tensors, activation, k, int(dead.sum()))


def _without(dead: torch.Tensor, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors with 0 for dead latents."""
    if not bool(dead.any()):  # spares a copy of each
        return dict(tensors)
    return {name: one.masked_fill(dead.view(-1, *[1] * (one.ndim - 1)), 0) for name, one in tensors.items()}
