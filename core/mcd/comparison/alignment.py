"""Which runs may be laid side by side, and which of their layers belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Literal

from mcd.errors import UnknownNameError, UsageError, nearest
from mcd.runs.dissection import Dissection

__all__ = ["Alignment", "LayerPair", "align", "check_comparable", "check_same_rows", "depths", "differences"]

Alignment = Literal["auto", "name", "depth"]


@dataclass(frozen=True)
class LayerPair:
    """A layer of the reference run, and the layer of another run that it is compared with."""

    reference: str
    other: str


def depths(layers: Sequence[str]) -> dict[str, float]:
    """Return for each dissected layer how deep it lies: 0 the first of them, 1 the last."""
    last = max(1, len(layers) - 1)
    return {layer: at / last for at, layer in enumerate(layers)}


def align(
    reference: Sequence[str], other: Sequence[str], how: Alignment | Mapping[str, str] = "auto"
) -> tuple[LayerPair, ...]:
    """Return which layers are compared, in the order of the reference.

    Parameters
    ----------
    reference, other
        Layers of the two runs, in module order.
    how
        ``"name"``: those that both have. ``"depth"``: each layer of the run that has fewer with the nearest by depth,
        computed over the layers that were dissected. ``"auto"``: by name where one run has all names of the other, by
        depth where not. A mapping names pairs.

    Raises
    ------
    UnknownNameError
        When a mapping names a layer that was not dissected.
    UsageError
        When no layer is left, or a mapping names a layer of the other run twice.
    """
    if isinstance(how, Mapping):
        return _mapped(reference, other, how)
    shared = [layer for layer in reference if layer in set(other)]
    if how == "name" or (how == "auto" and len(shared) == min(len(reference), len(other))):
        if not shared:
            raise UsageError("the runs have no layer of the same name", "use --align depth, or --map LAYER=LAYER")
        return tuple(LayerPair(layer, layer) for layer in shared)
    few, many = (reference, other) if len(reference) <= len(other) else (other, reference)
    step = (len(many) - 1) / max(1, len(few) - 1)
    # A lone layer is a last one more often than a first one.
    nearest_at = [len(many) - 1] if len(few) == 1 else [floor(at * step + 0.5) for at in range(len(few))]
    pairs = [(layer, many[at]) for layer, at in zip(few, nearest_at, strict=True)]
    return tuple(LayerPair(a, b) if few is reference else LayerPair(b, a) for a, b in pairs)


def _mapped(reference: Sequence[str], other: Sequence[str], pairs: Mapping[str, str]) -> tuple[LayerPair, ...]:
    for layers, asked, whose in ((reference, pairs.keys(), "first"), (other, pairs.values(), "second")):
        for layer in asked:
            if layer not in layers:
                raise UnknownNameError(f"the {whose} run has no layer '{layer}'", nearest(layer, layers))
    for layer in pairs.values():
        if list(pairs.values()).count(layer) > 1:
            raise UsageError(f"layer '{layer}' of the second run is mapped twice", "map each layer once")
    return tuple(LayerPair(layer, pairs[layer]) for layer in reference if layer in pairs)


def differences(one: Dissection, other: Dissection, parts: Sequence[str]) -> list[str]:
    """Return in which of some parts two runs differ, by their fingerprints, or else in how many images they have."""
    mine, theirs = one.manifest, other.manifest
    found = [name for name in parts if mine.fingerprints.get(name) != theirs.fingerprints.get(name)]
    if mine.images != theirs.images and "probe set" not in found:
        found.append(f"images that could be decoded ({mine.images} and {theirs.images})")
    return found


def check_comparable(one: Dissection, other: Dissection) -> None:
    """Refuse two runs whose labels do not answer the same question: other images, words, scorer, dissector or level.

    Raises
    ------
    UsageError
        Saying in what they differ.
    """
    differing = differences(one, other, ("probe set", "concepts", "prompts", "scorer", "dissector"))
    differing += [f"calibration ({name})" for name in _levels(one, other)]
    if differing:
        raise UsageError(
            f"{one.folder} and {other.folder} cannot be compared: they differ in {', '.join(differing)}",
            "dissect both models in one study, or score one run as the other: mcd score RUN --scorer … --concepts …",
        )


def _levels(one: Dissection, other: Dissection) -> list[str]:
    """Return the settings of significance that differ."""
    mine, theirs = (run.manifest.study.get("calibration") for run in (one, other))
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return []
    return [name for name in ("q", "correction", "exchangeable") if mine.get(name) != theirs.get(name)]


def check_same_rows(runs: Sequence[Dissection]) -> None:
    """Make sure that the rows of several runs are of the same images, by the data set's own names of them.

    Raises
    ------
    UsageError
        When they are not.
    """
    first, *others = [[entry["own_id"] for entry in run.probe_map if not entry["left_out"]] for run in runs]
    for run, rows in zip(runs[1:], others, strict=True):
        if rows != first:
            raise UsageError(
                f"{runs[0].folder} and {run.folder} cannot be compared: they left out different images",
                "dissect both models in one study",
            )
