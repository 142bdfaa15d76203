"""What SAELens learns."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic
import torch

from mcd.errors import DataError
from mcd_plugins.dictionary.importing.saved import Asked, Imported, Saved, gated, imported, refused, uncentred

__all__ = ["knows", "layer", "read"]

_KINDS = {
    "standard": "standard",
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "matryoshka_batchtopk": "Matryoshka BatchTopK",
    "jumprelu": "JumpReLU",
    "gated": "gated",
}
_WHY = {
    "abstopk": "its latents may be negative",
    "temporal": "its latents depend on earlier positions",
    "matching_pursuit": "it codes step by step",
}
_AGAIN = "in SAELens: sae.{}(…), then sae.save_model(FOLDER)"
_NORMS = {
    "expected_average_only_in": (
        "it takes activations times a factor that the file does not hold",
        _AGAIN.format("fold_activation_norm_scaling_factor"),
    ),
    "covariance_whitening": (
        "it takes whitened activations, and the file does not hold by what",
        _AGAIN.format("fold_activation_whitening"),
    ),
    "layer_norm": ("it takes each position over its own deviation", ""),
    "constant_norm_rescale": ("it takes each position over its own length", ""),
}


class _Settings(pydantic.BaseModel):
    """What ``cfg.json`` says, as SAELens 6 and older versions write it."""

    architecture: str = "standard"
    apply_b_dec_to_input: bool = True
    normalize_activations: str | bool | None = None
    rescale_acts_by_decoder_norm: bool = False
    k: float | None = None
    activation_fn: str = pydantic.Field(
        default="relu", validation_alias=pydantic.AliasChoices("activation_fn", "activation_fn_str")
    )
    activation_fn_kwargs: Mapping[str, object] | None = None

    @pydantic.model_validator(mode="after")
    def _as_now(self) -> _Settings:
        """Say in the words of version 6 what earlier ones wrote."""
        if self.normalize_activations in (None, False):
            self.normalize_activations = "none"
        elif self.normalize_activations is True:
            self.normalize_activations = "expected_average_only_in"
        if self.architecture == "standard" and self.activation_fn == "topk":
            self.architecture = "topk"
        said = (self.activation_fn_kwargs or {}).get("k")
        if self.architecture == "topk" and self.k is None and isinstance(said, int):
            self.k = float(said)
        return self


def knows(saved: Saved) -> bool:
    """Say whether the settings beside a file are those of this format."""
    return "W_dec" in saved.tensors and ("d_sae" in saved.settings or "architecture" in saved.settings)


def layer(saved: Saved) -> str:
    """Return what ``cfg.json`` calls the layer; in version 6 it stands among the metadata."""
    more = saved.settings.get("metadata")
    for said in (saved.settings, more if isinstance(more, Mapping) else {}):
        for name in ("hook_name", "hook_point"):
            if isinstance(said.get(name), str):
                return str(said[name])
    return ""


def read(saved: Saved, asked: Asked) -> Imported:
    """Return the dictionary, as ``cfg.json`` beside the weights says."""
    asked.only(saved)
    settings = _settings(saved)
    kind = _KINDS[settings.architecture]
    encoder, decoder = saved.take("W_enc", "channels", "units"), saved.take("W_dec", "units", "channels")
    centre = saved.take("b_dec", "channels")
    saved.check_sizes(saved.settings, channels="d_in", units="d_sae")
    if settings.architecture == "gated":
        gate, bias = saved.take("b_gate", "units"), saved.take("b_mag", "units")
        magnitude = saved.take("r_mag", "units")
        if not settings.apply_b_dec_to_input:
            gate = uncentred(encoder, gate, centre)
            bias = uncentred(encoder * magnitude.exp()[:, None], bias, centre)
        return gated(saved, kind, encoder, decoder, magnitude=magnitude, gate=gate, bias=bias, centre=centre)
    bias = saved.take("b_enc", "units")
    if not settings.apply_b_dec_to_input:
        bias = uncentred(encoder, bias, centre)
    if settings.rescale_acts_by_decoder_norm:
        lengths = decoder.norm(dim=1).clamp(min=1e-8)
        encoder, decoder, bias = encoder * lengths[:, None], decoder / lengths[:, None], bias * lengths
    threshold, k = _threshold(saved, settings), None
    if settings.architecture == "topk":
        k = int(settings.k) if settings.k and settings.k.is_integer() else None
        if k is None:
            raise DataError(f"{saved.path}: cfg.json beside it does not say k", "put the cfg.json of this file there")
    return imported(saved, kind, encoder, decoder, bias=bias, centre=centre, threshold=threshold, k=k)


def _threshold(saved: Saved, settings: _Settings) -> torch.Tensor | float | None:
    if settings.architecture == "jumprelu":
        if "log_threshold" in saved.tensors:
            return saved.take("log_threshold", "units").exp()
        return saved.take("threshold", "units")
    if settings.architecture.endswith("batchtopk"):
        found = saved.number("topk_threshold")
        if found is None:
            raise DataError(f"{saved.path} has no tensor 'topk_threshold'", "save it again: sae.save_model(FOLDER)")
        return found
    return None


def _settings(saved: Saved) -> _Settings:
    if not saved.settings:
        raise DataError(f"{saved.path}: no cfg.json of SAELens lies beside it", "put it there, as SAELens saved both")
    try:
        found = _Settings.model_validate(saved.settings)
    except pydantic.ValidationError as error:
        where = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
        raise DataError(
            f"{saved.path}: cfg.json beside it says something else of '{where}'", "put the cfg.json of this file there"
        ) from None
    if found.architecture not in _KINDS:
        why = _WHY.get(found.architecture, "mcd knows no such architecture")
        if "transcoder" in found.architecture:
            why = "it rebuilds another layer than the one that it takes"
        raise refused(saved, f"of architecture '{found.architecture}'", why)
    if found.activation_fn not in ("relu", "topk"):
        raise refused(saved, f"of activation '{found.activation_fn}'", "no activation of a dictionary is like it")
    if found.normalize_activations != "none":
        why, hint = _NORMS.get(str(found.normalize_activations), ("mcd does not know what that is", ""))
        raise refused(saved, f"of normalize_activations '{found.normalize_activations}'", why, hint)
    return found
