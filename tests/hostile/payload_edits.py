"""Edits of the list of weights of a hostile exported program, one by one."""

from __future__ import annotations

from tests.hostile.edits import Edit

__all__ = ["payloads"]
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.hostile.watching import Canary


def payloads() -> Mapping[str, Edit]:
    """Return edits of ``model_weights_config.json``."""
    return {one.__name__.strip("_").replace("_", " "): one for one in _OF_PAYLOADS}


def _payload(document: Any, random: Random) -> Any:
    return random.choice(list(document["config"].values()))


def _a_path(document: Any, random: Random, canary: Canary) -> None:
    paths = (
        "../../victim",
        str(canary.victim),
        "weight_0/../weight_1",
        "tensor_0",
        "weight_",
        "weight_9",
        "Weight_0",
        "",
    )
    _payload(document, random)["path_name"] = random.choice(paths)


def _a_flag(document: Any, random: Random, _canary: Canary) -> None:
    flags = (True, 1, "true", "x", [0], {"a": 1}, None, 0, "", [])
    _payload(document, random)[random.choice(("use_pickle", "is_param"))] = random.choice(flags)


def _a_shape_beyond(document: Any, random: Random, _canary: Canary) -> None:
    meta = _payload(document, random)["tensor_meta"]
    size = random.choice((1 << 40, 1 << 62, 1000, -1, 0))
    meta["sizes"] = [{"as_int": size} for _ in range(random.choice((1, 2, 3)))]
    meta["strides"] = [{"as_int": random.choice((0, 1, 1 << 40, -1))} for _ in meta["sizes"]]


def _an_offset_beyond(document: Any, random: Random, _canary: Canary) -> None:
    _payload(document, random)["tensor_meta"]["storage_offset"] = {"as_int": random.choice((1, 1 << 40, -1))}


def _another_type(document: Any, random: Random, _canary: Canary) -> None:
    _payload(document, random)["tensor_meta"]["dtype"] = random.choice((0, 5, 8, 11, 28, 33, 35, 36, -1, True, "7"))


def _another_layout(document: Any, random: Random, _canary: Canary) -> None:
    _payload(document, random)["tensor_meta"]["layout"] = random.choice((0, 1, 6, 8))


def _a_size_that_depends(document: Any, random: Random, canary: Canary) -> None:
    text = random.choice(("Symbol('s0', integer=True)", f"__import__('os').system({canary.command!r})"))
    _payload(document, random)["tensor_meta"]["sizes"] = [{"as_expr": {"expr_str": text, "hint": {"as_int": 2}}}]


def _no_shape(document: Any, random: Random, _canary: Canary) -> None:
    _payload(document, random)["tensor_meta"] = None


def _a_name(document: Any, random: Random, _canary: Canary) -> None:
    name = random.choice(list(document["config"]))
    document["config"][random.choice(("", "__class__", "a..b", "x.\x1b[31m", "stem"))] = document["config"].pop(name)


_OF_PAYLOADS: tuple[Edit, ...] = (
    _a_path,
    _a_flag,
    _a_shape_beyond,
    _an_offset_beyond,
    _another_type,
    _another_layout,
    _a_size_that_depends,
    _no_shape,
    _a_name,
)
