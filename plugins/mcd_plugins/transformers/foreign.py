"""Configurations of others: what in them would make a library fetch or run code is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from mcd.errors import CheckpointError
from mcd.plugins import read_checkpoint

__all__ = ["check_folder", "check_settings", "entries"]

_ATTENTION = frozenset({"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"})
"""Parts of transformers and torch. Any other name is a kernel that transformers fetches from the hub and runs."""
_NEVER = frozenset({"trust_remote_code", "use_kernels", "kernel_config"})
_CAPS = {
    re.compile(r"layers|layer$|depth|blocks|stages|experts|levels|repeats"): 1_000,
    re.compile(r"size$|height$|width$|edge$|context_length|positions|embeddings|dim$"): 1 << 20,
    re.compile(r"(image|crop|pad|input)_size$|^size$|height$|^width$|edge$"): 8_192,
}
"""The most that settings of such names may say: beyond, networks are built and pictures made for hours."""


def check_settings(settings: object, name: str) -> None:
    """Refuse settings that name code, such as kernels of attention, and numbers beyond all networks and pictures.

    Parameters
    ----------
    settings
        The content of a configuration.
    name
        Of the model, for the message.

    Raises
    ------
    CheckpointError
        Naming the setting.
    """
    for key, value in entries(settings):
        named = list(value.values()) if isinstance(value, Mapping) else [value]
        if key.endswith("attn_implementation") and any(one is not None and one not in _ATTENTION for one in named):
            raise CheckpointError(
                f"{name} asks for the attention {str(value)[:60]!a}, which is code from elsewhere that mcd never runs",
                f"take {key} out of its config.json; then the attention of torch is used",
            )
        if key in _NEVER and value:
            raise CheckpointError(
                f"{name} sets {key} in its configuration: mcd never runs code that comes with a model",
                f"take {key} out of it, or use a model that needs no code of its own",
            )

        for pattern, most in _CAPS.items():
            if pattern.search(key) and (found := _largest(value)) > most:
                raise CheckpointError(
                    f"{name} asks for {found:.7g} as {key}; mcd builds networks of up to {most:,}",
                    "correct its configuration",
                )


def _largest(value: object) -> float:
    """Return the largest number in a value, of a list or a mapping too."""
    waiting, most = [value], 0.0
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, int | float):
            most = max(most, min(abs(one), 10**30))
    return most


_INDEX = ".index.json"
_SAFE = ("model.safetensors", f"model.safetensors{_INDEX}")
_PICKLED = ("pytorch_model.bin", f"pytorch_model.bin{_INDEX}")


def check_folder(folder: Path) -> None:
    """Refuse a folder of a model with something in it that a library might wait for, read elsewhere, or never finish.

    transformers reads weights itself: those in pickles are first read by the reader that knows what they may hold.

    Raises
    ------
    CheckpointError
        Naming the file.
    """
    for path in sorted(folder.rglob("*")):
        if not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path} is no file", "give the folder as it was downloaded")
        if path.name.endswith(_INDEX):
            _check_index(path)
    if not any((folder / name).is_file() for name in _SAFE):
        pickled = [folder / name for name in _PICKLED if (folder / name).is_file()]
        for path in pickled[:1]:
            read_checkpoint(path)


def _check_index(path: Path) -> None:
    try:
        names = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path} is no index of weights in shards", "it needs a weight_map") from None
    outside = [one for one in names if not isinstance(one, str) or PurePath(one).name != one or one == ".."]
    if outside:
        raise CheckpointError(
            f"{path} names {str(outside[0])[:60]!a}, which is no file beside it", "give the folder as it was downloaded"
        )


def entries(document: object) -> Iterator[tuple[str, object]]:
    """Yield every key of every object in a document, with its value."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            yield from ((str(key), value) for key, value in one.items())
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
