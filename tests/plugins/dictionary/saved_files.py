"""State dicts of dictionaries, with the names that their tools give them, and the latents that these tools make.

Of four latents of three neurons, drawn. What the tools make is written here once more, from their documentation; that
it is theirs, ``tools/import_parity.py`` tries with the tools themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

__all__ = ["SAVED", "VALUES", "SavedAs", "drawn", "write_saved"]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return drawn numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


VALUES = 2 * drawn(200, 3, seed=100) + 0.5
W, D, B, C = drawn(4, 3, seed=1), drawn(4, 3, seed=2), drawn(4, seed=3), drawn(3, seed=4)
R, G, T = drawn(4, seed=5), drawn(4, seed=6), 0.3 + drawn(4, seed=7).abs()
CENTRED = (VALUES - C) @ W.T
LENGTHS = D.norm(dim=1)
LINEAR = {"encoder.weight": W, "encoder.bias": B, "decoder.weight": D.T}
LENS = {"W_enc": W.T, "W_dec": D, "b_enc": B, "b_dec": C}
FINAL = {"encoder.final_block.0.weight": W, "encoder.final_block.0.bias": B}
OVER = {**FINAL, "dictionary._weights": D, "dictionary.multiplier": torch.tensor(0.5)}
NORM = {
    "encoder.final_block.1.weight": R,
    "encoder.final_block.1.bias": G,
    "encoder.final_block.1.running_mean": B,
    "encoder.final_block.1.running_var": T,
    "encoder.final_block.1.num_batches_tracked": torch.tensor(9),
}
GATED = ((CENTRED + G) > 0) * (R.exp() * CENTRED + B).relu()


def above(products: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """Return what is positive and above a threshold."""
    return products.relu() * (products > threshold)


def highest(products: torch.Tensor, k: int) -> torch.Tensor:
    """Return what is positive of the highest."""
    return products.relu() * (products.argsort(dim=-1, descending=True).argsort(dim=-1) < k)


def lens(architecture: str, **more: object) -> dict[str, object]:
    """Return the settings that SAELens writes."""
    metadata = {"sae_lens_version": "6.54.12", "hook_name": "blocks.1.hook_resid_post"}
    return {"architecture": architecture, "d_in": 3, "d_sae": 4, "normalize_activations": "none", **more} | {
        "metadata": metadata
    }


def trainer(named: str, **more: object) -> dict[str, object]:
    """Return the settings that dictionary_learning writes."""
    return {
        "trainer": {"dict_class": named, "lm_name": "a", "submodule_name": "resid_post_layer_8", **more},
        "buffer": {},
    }


@dataclass(frozen=True)
class SavedAs:
    """A dictionary as a tool saved it: tensors, settings beside them, flags that it needs, and what the tool makes."""

    tensors: Mapping[str, torch.Tensor]
    expected: torch.Tensor
    format: str
    settings: Mapping[str, object] | None = None
    flags: tuple[str, ...] = ()


def _mammo(name: Callable[[str], str], component: bool) -> dict[str, torch.Tensor]:
    found = {f"encoder.{name('weight')}": W, f"encoder.{name('bias')}": B, f"decoder.{name('weight')}": D.T}
    found |= dict.fromkeys(("tied_bias", "pre_encoder_bias._bias_reference", "post_decoder_bias._bias_reference"), C)
    return {key: one[None] for key, one in found.items()} if component else found


_MAMMO, _LENS, _OVER, _LEARNED = "mammo-sae", "saelens", "overcomplete", "dictionary-learning"
_K = {"k": torch.tensor(2, dtype=torch.int32), "threshold": torch.tensor(0.7), "b_dec": C}

SAVED = {
    "Mammo-SAE": SavedAs(_mammo("_{}".format, component=True), (CENTRED + B).relu(), _MAMMO),
    "sparse_autoencoder": SavedAs(_mammo(str, component=False), (CENTRED + B).relu(), _MAMMO),
    "AutoEncoder": SavedAs({**LINEAR, "bias": C}, (CENTRED + B).relu() * LENGTHS, _LEARNED),
    "AutoEncoderNew": SavedAs({**LINEAR, "decoder.bias": C}, (VALUES @ W.T + B).relu(), _LEARNED),
    "AutoEncoderTopK": SavedAs({**LINEAR, **_K}, highest(CENTRED + B, 2), _LEARNED, trainer("AutoEncoderTopK")),
    "AutoEncoderTopK alone": SavedAs(
        {**LINEAR, **_K}, highest(CENTRED + B, 2), _LEARNED, flags=("--activation", "topk")
    ),
    "BatchTopKSAE": SavedAs({**LINEAR, **_K}, above(CENTRED + B, 0.7), _LEARNED, trainer("BatchTopKSAE")),
    "MatryoshkaBatchTopKSAE": SavedAs(
        {**LENS, **_K, "group_sizes": torch.tensor([1, 3])}, above(CENTRED + B, 0.7), _LEARNED
    ),
    "JumpReluAutoEncoder": SavedAs(
        {**LENS, "threshold": T}, above(VALUES @ W.T + B, T), _LEARNED, flags=("--format", _LEARNED)
    ),
    "GatedAutoEncoder": SavedAs(
        {
            "encoder.weight": W,
            "decoder.weight": D.T,
            "decoder_bias": C,
            "r_mag": R,
            "gate_bias": G,
            "mag_bias": B,
        },
        GATED,
        _LEARNED,
    ),
    "SAE": SavedAs(OVER, (VALUES @ W.T + B).relu(), _OVER, flags=("--activation", "relu")),
    "SAE with batch normalisation": SavedAs(
        {**OVER, **NORM},
        ((VALUES @ W.T + B - B) / (T + 1e-5).sqrt() * R + G).relu(),
        _OVER,
        flags=("--activation", "relu"),
    ),
    "TopKSAE": SavedAs(OVER, highest(VALUES @ W.T + B, 3), _OVER, flags=("--activation", "topk", "--k", "3")),
    "TopKSAE, tied": SavedAs(
        {"dictionary._weights": D, "dictionary.multiplier": torch.tensor(0.5), "encoder.tied_to._weights": D},
        highest(VALUES @ D.T * torch.tensor(0.5).exp(), 3),
        _OVER,
        flags=("--activation", "topk", "--k", "3"),
    ),
    "BatchTopKSAE of overcomplete": SavedAs(
        OVER, above(VALUES @ W.T + B, 0.7), _OVER, flags=("--activation", "batchtopk", "--threshold", "0.7")
    ),
    "JumpSAE": SavedAs({**OVER, "thresholds": T.log()}, above(VALUES @ W.T + B, T), _OVER),
    "RAJumpSAE": SavedAs(
        {**FINAL, "dictionary.C": D, "dictionary.W": torch.eye(4), "dictionary.Relax": 0 * D, "thresholds": T.log()},
        above(VALUES @ W.T + B, T),
        _OVER,
    ),
    "standard": SavedAs(LENS, (CENTRED + B).relu(), _LENS, lens("standard")),
    "standard without centre": SavedAs(
        LENS, (VALUES @ W.T + B).relu(), _LENS, lens("standard", apply_b_dec_to_input=False)
    ),
    "standard of version 5": SavedAs(
        LENS,
        highest(CENTRED + B, 2),
        _LENS,
        {"d_sae": 4, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}},
    ),
    "topk of version 5": SavedAs(
        LENS,
        highest(CENTRED + B, 2),
        _LENS,
        {"d_sae": 4, "architecture": "topk", "activation_fn_str": "relu", "activation_fn_kwargs": {"k": 2}},
    ),
    "topk": SavedAs(
        LENS, highest((CENTRED + B) * LENGTHS, 2), _LENS, lens("topk", k=2, rescale_acts_by_decoder_norm=True)
    ),
    "jumprelu": SavedAs({**LENS, "threshold": T}, above(CENTRED + B, T), _LENS, lens("jumprelu")),
    "jumprelu of version 5": SavedAs(
        {**LENS, "log_threshold": T.log()}, above(CENTRED + B, T), _LENS, lens("jumprelu", normalize_activations=False)
    ),
    "batchtopk": SavedAs(
        {**LENS, "topk_threshold": torch.tensor(0.7, dtype=torch.float64)},
        above(CENTRED + B, 0.7),
        _LENS,
        lens("batchtopk", k=1.5),
    ),
    "gated": SavedAs(
        {"W_enc": W.T, "W_dec": D, "b_dec": C, "r_mag": R, "b_gate": G, "b_mag": B}, GATED, _LENS, lens("gated")
    ),
}
"""By what the tool calls it."""


def write_saved(folder: Path, tensors: Mapping[str, torch.Tensor], settings: object = None, named: str = "") -> Path:
    """Write what a tool saved: as safetensors beside cfg.json, or by torch.save beside config.json."""
    if isinstance(settings, dict) and "d_sae" in settings:
        save_file(
            {key: one.clone().contiguous() for key, one in tensors.items()},
            folder / (named or "sae_weights.safetensors"),
        )
        (folder / "cfg.json").write_text(json.dumps(settings))
        return folder / (named or "sae_weights.safetensors")
    torch.save(dict(tensors), folder / (named or "ae.pt"))
    if settings is not None:
        (folder / "config.json").write_text(json.dumps(settings))
    return folder / (named or "ae.pt")
