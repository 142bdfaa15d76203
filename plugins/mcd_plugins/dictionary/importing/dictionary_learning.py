"""What ``dictionary_learning`` learns."""

from __future__ import annotations

from collections.abc import Mapping

from mcd.errors import DataError, UsageError
from mcd_plugins.dictionary.importing.saved import Asked, Imported, Saved, gated, imported, refused, uncentred

__all__ = ["knows", "layer", "read"]


def knows(saved: Saved) -> bool:
    """Say whether the names of tensors, or the settings beside them, are those of this format."""
    names = saved.tensors.keys()
    return {"encoder.weight", "decoder.weight"} <= names or "group_sizes" in names or "trainer" in saved.settings


def layer(saved: Saved) -> str:
    """Return what ``config.json`` calls the layer."""
    named = _settings(saved).get("submodule_name")
    return named if isinstance(named, str) else ""


def read(saved: Saved, asked: Asked) -> Imported:
    """Return the dictionary.

    Which class it is, ``config.json`` beside it says, or else its names. Two classes share their names.
    """
    found = _read(saved, asked, _class_of(saved, asked))
    saved.check_sizes(_settings(saved), channels="activation_dim", units="dict_size")
    return found


def _read(saved: Saved, asked: Asked, named: str) -> Imported:
    if named not in ("AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        asked.only(saved)
    match named:
        case "AutoEncoder":
            return _autoencoder(saved)
        case "AutoEncoderNew":
            return _without_centre(saved, "encoder.bias", "decoder.bias")
        case "AutoEncoderTopK":
            return _top_k(saved, asked)
        case "BatchTopKSAE" | "MatryoshkaBatchTopKSAE":
            return _batch_top_k(saved, asked, named)
        case "JumpReluAutoEncoder":
            return _jump_relu(saved)
        case "GatedAutoEncoder":
            return gated(
                saved,
                named,
                saved.take("encoder.weight", "units", "channels"),
                saved.take("decoder.weight", "channels", "units"),
                magnitude=saved.take("r_mag", "units"),
                gate=saved.take("gate_bias", "units"),
                bias=saved.take("mag_bias", "units"),
                centre=saved.take("decoder_bias", "channels"),
            )
    raise refused(saved, f"a {named}", "none of the dictionaries of dictionary_learning 0.1.0 that are linear")


def _settings(saved: Saved) -> Mapping[str, object]:
    trainer = saved.settings.get("trainer")
    return trainer if isinstance(trainer, Mapping) else {}


def _class_of(saved: Saved, asked: Asked) -> str:
    names, said = saved.tensors.keys(), _settings(saved).get("dict_class")
    if isinstance(said, str):
        return said
    for name, found in (
        ("group_sizes", "MatryoshkaBatchTopKSAE"),
        ("r_mag", "GatedAutoEncoder"),
        ("W_enc", "JumpReluAutoEncoder"),
        ("decoder.bias", "AutoEncoderNew"),
        ("bias", "AutoEncoder"),
    ):
        if name in names:
            return found
    if asked.activation in ("topk", "batchtopk"):
        return "AutoEncoderTopK" if asked.activation == "topk" else "BatchTopKSAE"
    raise UsageError(
        f"{saved.path} may be of AutoEncoderTopK or of BatchTopKSAE, whose names are the same",
        "put its config.json beside it, or say it: --activation topk, or --activation batchtopk",
    )


def _autoencoder(saved: Saved) -> Imported:
    """Return an ``AutoEncoder``, with rows of the decoder of length 1: so its ``from_pretrained`` gives it."""
    decoder = saved.take("decoder.weight", "channels", "units")
    lengths = decoder.norm(dim=1)
    return imported(
        saved,
        "AutoEncoder",
        saved.take("encoder.weight", "units", "channels") * lengths[:, None],
        decoder / lengths.where(lengths > 0, 1)[:, None],
        bias=saved.take("encoder.bias", "units") * lengths,
        centre=saved.take("bias", "channels"),
    )


def _without_centre(saved: Saved, bias: str, centre: str) -> Imported:
    encoder, middle = saved.take("encoder.weight", "units", "channels"), saved.take(centre, "channels")
    return imported(
        saved,
        "AutoEncoderNew",
        encoder,
        saved.take("decoder.weight", "channels", "units"),
        bias=uncentred(encoder, saved.take(bias, "units"), middle),
        centre=middle,
    )


def _top_k(saved: Saved, asked: Asked) -> Imported:
    own, trained = saved.number("k"), _settings(saved).get("k")
    if own is not None and not own.is_integer():
        raise DataError(f"{saved.path}: k {own:g} is no whole number", "make the file again")
    k = int(own) if own is not None else trained if isinstance(trained, int) else asked.k
    if k is None:
        raise UsageError(f"{saved.path} does not say how many latents respond at a position", "say it: --k N")
    asked.only(saved, activation="topk", k=k)
    return imported(
        saved,
        "AutoEncoderTopK",
        saved.take("encoder.weight", "units", "channels"),
        saved.take("decoder.weight", "channels", "units"),
        bias=saved.take("encoder.bias", "units"),
        centre=saved.take("b_dec", "channels"),
        k=k,
    )


def _batch_top_k(saved: Saved, asked: Asked, named: str) -> Imported:
    own = saved.number("threshold")
    threshold = own if own is not None and own >= 0 else asked.threshold
    if threshold is None:
        raise UsageError(
            f"{saved.path}: its threshold was never set, and without one {named} takes positions together",
            "train it for more steps than threshold_start_step, or say it: --threshold X",
        )
    asked.only(saved, activation="batchtopk", threshold=threshold)
    if named == "BatchTopKSAE":
        encoder = saved.take("encoder.weight", "units", "channels")
        decoder, bias = saved.take("decoder.weight", "channels", "units"), saved.take("encoder.bias", "units")
    else:
        encoder, decoder = saved.take("W_enc", "channels", "units"), saved.take("W_dec", "units", "channels")
        bias = saved.take("b_enc", "units")
    return imported(
        saved, named, encoder, decoder, bias=bias, centre=saved.take("b_dec", "channels"), threshold=threshold
    )


def _jump_relu(saved: Saved) -> Imported:
    """Return a ``JumpReluAutoEncoder``, which its trainer makes with ``apply_b_dec_to_input`` False."""
    if "threshold" not in saved.tensors:
        raise DataError(f"{saved.path} has no tensor 'threshold'", "a file of SAELens has its cfg.json beside it")
    encoder, centre = saved.take("W_enc", "channels", "units"), saved.take("b_dec", "channels")
    return imported(
        saved,
        "JumpReluAutoEncoder",
        encoder,
        saved.take("W_dec", "units", "channels"),
        bias=uncentred(encoder, saved.take("b_enc", "units"), centre),
        centre=centre,
        threshold=saved.take("threshold", "units"),
    )
