"""An imported dictionary as a file."""

from __future__ import annotations

import json
from pathlib import Path

from mcd.errors import amount
from mcd.plugins import outputs
from mcd_plugins.dictionary.importing.formats import FORMATS, import_dictionary
from mcd_plugins.dictionary.importing.saved import Asked, Imported
from mcd_plugins.dictionary.record import check_output
from mcd_plugins.units.writing import unit_bytes

__all__ = ["import_file"]


def import_file(path: Path, output: Path, name: str | None, layer: str, asked: Asked) -> dict[str, str]:
    """Write a dictionary that another tool saved as a file of the unit source; return what is known of it.

    Parameters
    ----------
    path, name, asked
        As of `import_dictionary`.
    output
        The file, ``.safetensors``.
    layer
        The layer that it was made for; empty where any layer as wide may be seen through it.

    Raises
    ------
    UsageError
        When the output has another suffix or is in the way, or as `import_dictionary`.
    DataError
        As `import_dictionary`.
    """
    check_output(output)
    form, found = import_dictionary(path, name, asked)
    facts = _facts(form, found)
    about = {
        "layer": layer,
        "activation": found.activation,
        "k": "" if found.k is None else str(found.k),
        "facts": json.dumps(facts, ensure_ascii=False),
    }
    written = unit_bytes(found.tensors, {key: value for key, value in about.items() if value})
    with outputs(output.parent) as fresh:
        (fresh / output.name).write_bytes(written)
    return facts


def _facts(form: str, found: Imported) -> dict[str, str]:
    units, channels = found.tensors["decoder"].shape
    source, threshold = FORMATS[form], found.tensors.get("threshold")
    said = "" if found.k is None else f", k {found.k}"
    if threshold is not None and bool((threshold == threshold[0]).all()):
        said = f", threshold {float(threshold[0]):.4g}"
    return {
        "kind": found.kind + said,
        "activation": found.activation,
        "latents": f"{units:,} of {amount(channels, 'neuron')}",
        **({"made for": f"{found.layer}, as the tool calls it"} if found.layer else {}),
        **({"of length zero": f"{found.dead:,}, which never respond"} if found.dead else {}),
        "format": source.source,
        "licence": f"of the tool: {source.licence}; of these weights: not in the file",
        "fitted on": "unknown images",
    }
