"""EfficientNet weights under the names of the widespread PyTorch port, renamed to timm's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["looks_ported", "ported", "renamed"]

_BLOCK = re.compile(r"_blocks\.(\d+)\.(.+)")
_PLAIN = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_COMMON = {"_depthwise_conv": "conv_dw", "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_EXPANDED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}
# A block that does not expand has no first convolution, and timm counts from what is there.
_NOT_EXPANDED = {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def looks_ported(names: Iterable[str]) -> bool:
    """Say whether tensor names are those of the port: ``_conv_stem.weight``, ``_blocks.0._bn1.weight`` …."""
    return all(name.startswith(("_conv_stem", "_bn", "_blocks.", "_conv_head", "_fc")) for name in names)


def renamed(names: Iterable[str], blocks_per_stage: Sequence[int]) -> Mapping[str, str]:
    """Return timm's name for each of the port's; names of neither stay as they are.

    Parameters
    ----------
    names
        All tensor names of the file.
    blocks_per_stage
        How many blocks each stage of the timm network has: the port numbers blocks through, timm within stages.
    """
    names = list(names)
    places = [(stage, at) for stage, count in enumerate(blocks_per_stage) for at in range(count)]
    expanded = {found[1] for name in names if (found := _BLOCK.match(name)) and found[2].startswith("_expand_conv")}
    return {name: _one(name, places, expanded) for name in names}


def ported(names: Iterable[str], blocks_per_stage: Sequence[int]) -> Mapping[str, str]:
    """Return the port's name for each of timm's: the inverse of `renamed`."""
    names = list(names)
    places = [(stage, at) for stage, count in enumerate(blocks_per_stage) for at in range(count)]
    plain = {ours: theirs for theirs, ours in _PLAIN.items()}
    found = {
        name: f"{plain[head]}.{tail}" for name in names for head, _, tail in [name.partition(".")] if head in plain
    }
    for number, (stage, at) in enumerate(places):
        block = f"blocks.{stage}.{at}."
        inside = [name.removeprefix(block) for name in names if name.startswith(block)]
        expanded = any(one.startswith("conv_pwl.") for one in inside)
        parts = {ours: theirs for theirs, ours in (_COMMON | (_EXPANDED if expanded else _NOT_EXPANDED)).items()}
        for part, _, tail in (one.rpartition(".") for one in inside):
            found[f"{block}{part}.{tail}"] = f"_blocks.{number}.{parts[part]}.{tail}"
    return found


def _one(name: str, places: Sequence[tuple[int, int]], expanded: set[str]) -> str:
    found = _BLOCK.match(name)
    if found is None:
        head, _, tail = name.partition(".")
        return f"{_PLAIN.get(head, head)}.{tail}"
    number, (part, _, tail) = int(found[1]), found[2].partition(".")
    if number >= len(places):
        return name
    stage, at = places[number]
    parts = _COMMON | (_EXPANDED if found[1] in expanded else _NOT_EXPANDED)
    return f"blocks.{stage}.{at}.{parts.get(part, part)}.{tail}"
