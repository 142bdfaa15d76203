"""``mcd dictionary import``."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.plugins import PATH, FiniteRange, echo_lines, print_table, say

__all__ = ["import_saved"]

_FORMATS = ("mammo-sae", "saelens", "overcomplete", "dictionary-learning")
"""Of all readers; they import torch."""


@click.command("import")
@click.argument("file", type=PATH, metavar="FILE")
@click.option(
    "--format",
    "name",
    type=click.Choice(_FORMATS),
    help="How it was saved.  [default: as the names of tensors, and the settings beside it, say]",
)
@click.option(
    "--layer", default="", metavar="LAYER", help="The layer that it was made for: no other is then seen through it."
)
@click.option(
    "--activation",
    type=click.Choice(["relu", "topk", "batchtopk"]),
    help="Which latents respond, where the file does not say it.",
)
@click.option(
    "--k",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Of topk: how many at a position, where the file does not say it.",
)
@click.option(
    "--threshold",
    type=FiniteRange(0, 1_000_000),
    metavar="X",
    help="Of batchtopk: above what, where the file does not say it.",
)
@click.option("--output", "-o", type=PATH, required=True, metavar="FILE.safetensors", help="Where the dictionary goes.")
def import_saved(
    file: Path,
    name: str | None,
    layer: str,
    activation: str | None,
    k: int | None,
    threshold: float | None,
    output: Path,
) -> None:
    """Import a dictionary that another tool trained: Mammo-SAE, SAELens, overcomplete, dictionary_learning.

    \b
    mcd dictionary import sparse_autoencoder_final.pt -o mammo-sae.safetensors
    mcd dictionary import topk.pt --activation topk --k 16 --layer layer4 -o topk.safetensors

    FILE is a state dict, or the folder that SAELens or dictionary_learning wrote. Nothing in it is run. None of these
    files says on which images it was fitted: test it on others, of other patients.
    """
    import shlex

    from mcd_plugins.dictionary.importing.saved import Asked
    from mcd_plugins.dictionary.importing.writing import import_file

    facts = import_file(file, output, name, layer, Asked(activation, k, threshold))
    rows = [["layer", layer or "any that is as wide"], *([*one] for one in facts.items())]
    print_table(["dictionary", str(output)], rows)
    say("note: the file does not say on which images it was fitted: test it on others, of other patients.")
    chosen = ["--layers", layer or "LAYER"]
    units = shlex.join(["--units", f"dictionary:{output}"])
    echo_lines(f"to see the layer through it: mcd dissect … {shlex.join(chosen)} {units} --controls")
