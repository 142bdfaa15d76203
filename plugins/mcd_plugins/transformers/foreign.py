"""Configurations of others: what in them would make a library fetch or run code is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mcd.errors import CheckpointError

__all__ = ["check_settings", "entries"]

_ATTENTION = frozenset({"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"})
"""Parts of transformers and torch. Any other name is a kernel that transformers fetches from the hub and runs."""
_NEVER = frozenset({"trust_remote_code", "use_kernels", "kernel_config"})


def check_settings(settings: object, name: str) -> None:
    """Refuse settings that name code: kernels of attention, and leave to run what comes with a model.

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
