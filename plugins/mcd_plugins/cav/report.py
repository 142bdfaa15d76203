"""What ``mcd cav`` writes: tables, files of directions, a record of what went in, and a page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pydantic
import torch

import mcd
from mcd.errors import UsageError, amount
from mcd.plugins import check_writable, csv_text, digest, outputs
from mcd_plugins.cav.asked import Asked
from mcd_plugins.cav.measuring import Direction, Found
from mcd_plugins.cav.page import page
from mcd_plugins.cav.tables import COLUMNS, NULL, null_of, table_of
from mcd_plugins.units.writing import unit_bytes

__all__ = ["FILES", "check_left", "file_of", "record_of", "write"]

Json = pydantic.JsonValue

FILES = ("cav.csv", "cav.parquet", "images.csv", "cav.json", "index.html")
"""What is written besides the folder of directions."""
_LONGEST = 200
"""Characters of a layer's name in that of a file."""
_IMAGES = (
    *("layer", "concept", "without", "method", "class", "image", "sensitivity", "null_low", "null_high", "outside"),
    *("null", "sets", "patients_fitted", "seed"),
)


def write(found: Found, folder: Path) -> pd.DataFrame:
    """Write everything, and return the table.

    Raises
    ------
    UsageError
        When something is in the way that mcd did not write.
    """
    table = table_of(found)
    rows = [[_cell(one) for one in row] for row in table.itertuples(index=False)]
    record = json.dumps(record_of(found), indent=2, ensure_ascii=False) + "\n"
    directions = _directions(found)
    with outputs(folder) as fresh:
        (fresh / "cav.csv").write_text(csv_text([[*COLUMNS], *rows]), encoding="utf-8", newline="")
        table.to_parquet(fresh / "cav.parquet", index=False)
        (fresh / "images.csv").write_text(csv_text(_images(found)), encoding="utf-8", newline="")
        (fresh / "cav.json").write_text(record, encoding="utf-8", newline="")
        (fresh / "index.html").write_bytes(page(found, table))
        (fresh / "directions").mkdir()
        for layer, path in file_of(found.asked, fresh).items():
            if layer in directions:
                path.write_bytes(directions[layer])
    for layer, path in file_of(found.asked, folder).items():
        if layer not in directions:
            path.unlink(missing_ok=True)  # of an earlier call, as `check_left` made sure
    return table


def check_left(asked: Asked, folder: Path) -> None:
    """Refuse a folder with directions of layers that are not written again, or that mcd did not write.

    Raises
    ------
    UsageError
        Naming the first.
    """
    paths, own = file_of(asked, folder).values(), folder / "directions"
    other = sorted({*own.glob("*.safetensors")} - {*paths})
    if other:
        raise UsageError(f"{own} holds {other[0].name}, which this call does not write", "choose another --output")
    for path in paths:
        check_writable(path, within=folder)


def file_of(asked: Asked, folder: Path) -> dict[str, Path]:
    """Return the file that the directions of each layer go to, by the layer's name.

    It is called like the layer, of whose name only letters, digits, dots, - and _ are left.
    """
    found: dict[str, str] = {}
    for layer in asked.layers:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", layer.name)[:_LONGEST]
        taken = stem.casefold() in {one.casefold() for one in found.values()}
        found[layer.name] = f"{stem}-{digest(layer.name)[:8]}" if taken else stem
    return {layer: folder / "directions" / f"{stem}.safetensors" for layer, stem in found.items()}


def _cell(value: object) -> str:
    if value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _images(found: Found) -> Iterator[list[str]]:
    """Yield the sensitivity of every image to every direction, with the null's band."""
    asked = found.asked
    yield [*_IMAGES]
    for row in found.rows:
        if row.band is None:
            continue
        one, tested = row.direction, asked.classes[row.at]
        named = [one.layer, one.concept, ", ".join(one.without), one.method, tested.name]
        null = [null_of(one), str(asked.settings.sets), str(one.counts["patients_fitted"]), str(asked.settings.seed)]
        ids = [name for name, own in zip(asked.ids, tested.rows.tolist(), strict=True) if own]
        for name, (score, low, high) in zip(ids, row.band.T.tolist(), strict=True):
            outside = "" if low <= score <= high else "above" if score > high else "below"
            yield [*named, name, f"{score:.6g}", f"{low:.6g}", f"{high:.6g}", outside, *null]


def _directions(found: Found) -> dict[str, bytes]:
    """Return a file of units for each layer that has directions, by the layer's name."""
    files: dict[str, bytes] = {}
    for layer in found.asked.layers:
        own = [one for one in found.directions if one.layer == layer.name and one.vector is not None]
        vectors = [one.vector for one in own if one.vector is not None]
        if vectors:
            files[layer.name] = unit_bytes({"directions": torch.stack(vectors)}, _about(found, layer.name, own))
    return files


def _about(found: Found, layer: str, own: Sequence[Direction]) -> dict[str, str]:
    several = len({one.method for one in found.directions}) > 1
    texts = {
        "names": [f"{one.name} ({one.method})" if several else one.name for one in own],
        "fitted": found.asked.digests(),
        "facts": _facts(found.asked, own),
    }
    return {"layer": layer, **{name: json.dumps(value, ensure_ascii=False) for name, value in texts.items()}}


def _facts(asked: Asked, own: Sequence[Direction]) -> dict[str, str]:
    areas = sorted(one.area.value for one in own if one.area is not None)
    without = dict.fromkeys(name for one in own for name in one.without)
    images, patients = asked.fitted_on
    facts = {
        "kind": "concept activation vectors",
        "method": ", ".join(dict.fromkeys(one.method for one in own)),
        "held-out AUROC": f"{areas[0]:.2f} to {areas[-1]:.2f}" if areas else "",
        "R² of the map to texts": "" if math.isnan(own[0].r2[0]) else f"{own[0].r2[0]:.2f}",
        "some without": ", ".join(without),
        "fitted on": f"{amount(images, 'image')} of {amount(patients, 'patient')}, seed {asked.settings.seed}",
    }
    return {name: text for name, text in facts.items() if text}


def record_of(found: Found) -> dict[str, Json]:
    """Return what went in, as plain data without paths and patients."""
    asked, tested = found.asked, found.asked.tested
    images, patients = asked.fitted_on
    concepts: list[Json] = [*asked.labels.names, *(asked.texts.names if asked.texts else ())]
    examples: list[Json] = [{"dataset": dict(one.dataset), "images": one.fingerprint} for one in asked.examples]
    classes: list[Json] = [
        {"name": one.name, "images": int(one.rows.sum()), "images of": one.images} for one in asked.classes
    ]
    return {
        "schema": "mcd.cav/1",
        "versions": {"mcd": mcd.__version__, "torch": str(torch.__version__)},
        "model": dict(tested.model),
        "network": tested.network,
        "dataset": dict(tested.dataset),
        "images": tested.fingerprint,
        "examples": examples,
        "dissector": dict(asked.texts.dissector) if asked.texts else None,
        "device": tested.device.type,
        "pooling": str(tested.pooling),
        "layers": [one.name for one in asked.layers],
        "classes": classes,
        "concepts": concepts,
        "left out": dict(asked.labels.left_out),
        "settings": asked.settings.model_dump(mode="json"),
        "fitted on": {"images": images, "patients": patients, "digest": digest(*asked.digests())},
        "images of unknown patients": asked.groups.unknown,
        "images that could not be decoded": asked.lost,
        "null": NULL,
    }
