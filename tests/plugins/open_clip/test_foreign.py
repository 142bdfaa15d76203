"""A configuration of somebody else sets nothing that fetches or runs code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcd.errors import CheckpointError
from mcd_plugins.open_clip.foreign import check_foreign
from mcd_plugins.transformers.foreign import check_settings

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1}
TEXT = {"context_length": 12, "hf_model_name": "owner/name", "hf_tokenizer_name": "owner/name"}


def written(folder: Path, text: dict[str, Any], vision: dict[str, Any] | None = None, **config: object) -> Path:
    model = {"embed_dim": 24, "vision_cfg": {**VISION, **(vision or {})}, "text_cfg": {**TEXT, **text}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
    return folder


@pytest.mark.parametrize(
    ("text", "vision", "config", "named"),
    [
        ({"tokenizer_kwargs": {"trust_remote_code": True}}, {}, {}, "trust_remote_code"),
        ({"tokenizer_kwargs": {"tokenizer_file": "/etc/passwd"}}, {}, {}, "tokenizer_file"),
        ({"tokenizer_kwargs": {"clean": {"a": 1}}}, {}, {}, "clean"),
        ({"tokenizer_kwargs": [1]}, {}, {}, "tokenizer"),
        ({"hf_model_name": "../elsewhere"}, {}, {}, "hf_model_name"),
        ({"hf_tokenizer_name": "/tmp"}, {}, {}, "hf_tokenizer_name"),
        ({}, {"timm_model_name": "local-dir:/tmp"}, {}, "timm_model_name"),
        ({}, {"timm_model_name": "hf-hub:owner/name"}, {}, "timm_model_name"),
        ({}, {}, {"attn_implementation": "owner/kernel"}, "attention 'owner/kernel'"),
        ({}, {}, {"_attn_implementation": "paged|owner/kernel:forward"}, "attention"),
        ({}, {}, {"text_config": {"attn_implementation": {"": "owner/kernel@main"}}}, "attention"),
        ({}, {}, {"auto_map": {"AutoModel": "code.Model"}}, "code of its own"),
        ({}, {}, {"trust_remote_code": True}, "trust_remote_code"),
    ],
)
def test_settings_that_run_code_or_leave_the_folder_are_refused(
    text: dict[str, Any], vision: dict[str, Any], config: dict[str, Any], named: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, text, vision, **config)
    with pytest.raises(CheckpointError, match=named):
        check_foreign(f"local-dir:{folder}", folder)


def test_settings_that_models_have_pass(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        {"tokenizer_kwargs": {"clean": "canonicalize", "strip_sep_token": True}},
        {"timm_model_name": "vit_tiny_patch16_224"},
        attn_implementation="sdpa",
    )
    check_foreign(f"local-dir:{folder}", folder)
    check_settings({"attn_implementation": None, "trust_remote_code": False}, "x")


@pytest.mark.parametrize(
    ("text", "vision", "named"),
    [
        ({}, {"layers": 10**8}, "layers"),
        ({"layers": [3, 10**5]}, {}, "layers"),
        ({}, {"image_size": [10**6, 10**6]}, "image_size"),
        ({"context_length": 10**9}, {}, "context_length"),
        ({"vocab_size": 10**12}, {}, "vocab_size"),
        ({}, {"width": 8_000, "layers": 900}, "GiB"),
    ],
)
def test_networks_beyond_all_networks_or_their_weights_are_refused(
    text: dict[str, Any], vision: dict[str, Any], named: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, text, vision)
    with pytest.raises(CheckpointError, match=named):
        check_foreign(f"local-dir:{folder}", folder)
