"""Configurations of open_clip that come from a folder or the hub: only settings of known names reach a library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import open_clip
import transformers

from mcd.errors import CheckpointError
from mcd_plugins.transformers.foreign import check_settings, entries

__all__ = ["check_foreign"]

_TOKENIZER = frozenset({"clean", "language", "strip_sep_token", "reduction_mask", "lower", "additional_special_tokens"})
"""What a configuration may set of a tokenizer; all of it is plain text, numbers or truth values."""
_REPOSITORY = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_MODELS = ("hf_model_name", "hf_tokenizer_name", "timm_model_name")


def check_foreign(name: str, folder: Path | None) -> None:
    """Refuse a configuration that would run code, read files outside its folder, or set what is not known.

    Parameters
    ----------
    name
        What open_clip calls the folder or the repository.
    folder
        The folder, if it is one.

    Raises
    ------
    CheckpointError
        Naming the setting.
    """
    shown = str(folder or name)
    try:
        settings: object = open_clip.get_model_config(name)
    except Exception:  # whatever open_clip raises, it will raise again when it builds the model
        return
    check_settings(settings, shown)
    for key, value in entries(settings):
        if key == "tokenizer_kwargs":
            _check_tokenizer(value, shown)
        if key in _MODELS and value and not (isinstance(value, str) and _is_repository(value, key)):
            raise CheckpointError(
                f"{shown} names {str(value)[:60]!a} as {key}, which is no model's name",
                "a configuration names models of timm or the hub, not paths",
            )
    _check_text_tower(settings, folder, shown)
    if isinstance(settings, Mapping) and folder is not None:
        _check_size(settings, folder)


_SLACK, _ALWAYS = 16, 1 << 30
"""Bytes of a network for a byte of its weights, which may be of half precision or less; and bytes in any case."""


def _check_size(settings: Mapping[str, object], folder: Path) -> None:
    """Refuse a network that is far larger than its weights: open_clip makes it at random before they are read."""
    needed = 0.0
    for tower in (settings.get("vision_cfg"), settings.get("text_cfg")):
        said = tower if isinstance(tower, Mapping) else {}
        layers, width, words = (_number(said.get(key), 1) for key in ("layers", "width", "vocab_size"))
        needed += 4 * width * (12 * layers * width + words) + 4 * _number(said.get("context_length"), 1) ** 2
    there = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if needed > _SLACK * there + _ALWAYS:
        raise CheckpointError(
            f"{folder} describes a network of {needed / 2**30:,.0f} GiB; its files have {there / 2**30:.1f}",
            "correct its configuration, or put the weights beside it",
        )


def _number(value: object, default: float) -> float:
    found = sum(value) if isinstance(value, list) and all(isinstance(one, int) for one in value) else value
    return float(found) if isinstance(found, int | float) else default


def _check_tokenizer(settings: object, name: str) -> None:
    given = settings if isinstance(settings, Mapping) else {str(settings): None}
    unknown = [key for key, value in given.items() if key not in _TOKENIZER or isinstance(value, Mapping)]
    if unknown:
        raise CheckpointError(
            f"{name} sets {str(unknown[0])[:60]!a} of its tokenizer, which mcd does not pass on",
            f"tokenizer_kwargs may have: {', '.join(sorted(_TOKENIZER))}",
        )


def _is_repository(value: str, key: str) -> bool:
    return bool(_REPOSITORY.fullmatch(value)) and (key == "timm_model_name" or not Path(value).exists())


def _check_text_tower(settings: object, folder: Path | None, name: str) -> None:
    """Check the configuration of a text tower of transformers, which open_clip has transformers build."""
    text = settings.get("text_cfg") if isinstance(settings, Mapping) else None
    asked = text.get("hf_model_name") if isinstance(text, Mapping) else None
    if not asked:
        return
    local = folder is not None and (folder / "config.json").is_file()
    try:
        found: object = transformers.PreTrainedConfig.get_config_dict(str(folder) if local else str(asked))[0]
    except Exception:  # whatever transformers raises, it will raise again when the model is built
        return
    check_settings(found, name)
    if isinstance(found, Mapping) and found.get("auto_map"):
        raise CheckpointError(
            f"the text tower of {name} needs code of its own, which mcd never runs", "use a model that needs none"
        )
