"""``mcd dictionary train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.errors import amount
from mcd.plugins import (
    PATH,
    SEED,
    FiniteRange,
    TargetFlags,
    echo_lines,
    option_group,
    print_table,
    say,
    with_target_flags,
)
from mcd_plugins.dictionary.kinds import AUTOENCODERS, KINDS, Kind, Recipe

if TYPE_CHECKING:
    from mcd_plugins.dictionary.training import Trained

__all__ = ["train"]

_OF_OTHERS = 32
"""Latents of kinds that are no autoencoders, by default."""


@click.command()
@with_target_flags
@option_group(
    "Dictionary",
    click.option("--layers", "layer", metavar="NAME", help="The layer.  [default: the one that RUN dissected]"),
    click.option(
        "--kind",
        type=click.Choice(list(KINDS)),
        default=Recipe.kind,
        show_default=True,
        help="Sparse autoencoder with the k highest latents of a position, with k on average, or with an L1 penalty; "
        "non-negative matrix factorisation, semi-NMF where the layer has negative values; k-means.",
    ),
    click.option(
        "--latents",
        type=click.IntRange(2, 1_000_000),
        metavar="N",
        help=f"How many units it has.  [default: {Recipe.latents}; nmf and kmeans: {_OF_OTHERS}]",
    ),
    click.option(
        "--k",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help=f"Of topk and batchtopk: how many respond at a position.  [default: {Recipe.k}]",
    ),
    click.option(
        "--sparsity",
        type=FiniteRange(0, 1_000_000, min_open=True),
        metavar="X",
        help=f"Of relu: the weight of the penalty.  [default: {Recipe.sparsity:g}]",
    ),
    click.option(
        "--steps",
        type=click.IntRange(1, 100_000_000),
        metavar="N",
        help=f"Of topk, batchtopk and relu: gradient steps.  [default: {Recipe.steps}]",
    ),
)
@option_group(
    "Positions",
    click.option(
        "--positions",
        type=click.IntRange(1, 1_000_000),
        default=100,
        show_default=True,
        metavar="N",
        help="How many are drawn of each patient, inside the breast; of each image where patients are not known.",
    ),
    click.option(
        "--share",
        type=FiniteRange(0, 1, min_open=True),
        default=0.5,
        show_default=True,
        metavar="X",
        help="Of patients that it is fitted on: a run leaves these out. 1 leaves none to test on.",
    ),
    click.option(
        "--seed", type=SEED, default=0, show_default=True, metavar="N", help="Decides patients, positions and the fit."
    ),
)
@option_group(
    "Output",
    click.option(
        "--output", "-o", type=PATH, required=True, metavar="FILE.safetensors", help="Where the dictionary goes."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print what is known of it as JSON."),
)
def train(
    target: TargetFlags,
    layer: str | None,
    kind: Kind,
    latents: int | None,
    k: int | None,
    sparsity: float | None,
    steps: int | None,
    positions: int,
    share: float,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Train a dictionary of a layer on positions inside the breasts.

    \b
    mcd dictionary train --model-plugin mammo-clip:FILE.tar --dataset dicom:DIR \\
        --layers blocks.6.2 -o sae.safetensors
    mcd dictionary train RUN --kind nmf -o nmf.safetensors

    It is fitted on half of the patients (--share) and measured on others. Runs that see a layer through it leave out
    those that it was fitted on. That it rebuilds the layer well is no reason to trust its latents: see their stability
    (mcd dictionary stability), and random dictionaries beside it (mcd dissect --units dictionary:FILE --controls).
    """
    import json

    from mcd_plugins.dictionary.factors import check_installed
    from mcd_plugins.dictionary.record import check_output
    from mcd_plugins.dictionary.training import train as run

    check_output(output)
    _refuse_foreign(kind, {"k": k, "sparsity": sparsity, "steps": steps})
    recipe = Recipe(
        kind=kind,
        latents=latents or (Recipe.latents if kind in AUTOENCODERS else _OF_OTHERS),
        k=k or Recipe.k,
        sparsity=sparsity or Recipe.sparsity,
        steps=steps or Recipe.steps,
    )
    check_installed(kind)
    done = run(
        target.images(),
        output,
        recipe,
        layer=layer,
        positions=positions,
        share=share,
        seed=seed,
        skip=target.skip,
    )
    if as_json:
        known = {"file": done.path.name, "layer": done.layer, **done.facts}
        echo_lines(json.dumps(known, indent=2, ensure_ascii=False))
        return
    _print(done, target)


def _refuse_foreign(kind: Kind, given: dict[str, int | float | None]) -> None:
    """Refuse settings that have no part in a kind."""
    from mcd.errors import UsageError

    parts = {"k": ("topk", "batchtopk"), "sparsity": ("relu",), "steps": ("topk", "batchtopk", "relu")}
    for name, value in given.items():
        if value is not None and kind not in parts[name]:
            raise UsageError(f"--{name} has no part in kind {kind}", f"leave it out; it is of {', '.join(parts[name])}")


def _print(done: Trained, target: TargetFlags) -> None:
    import shlex

    from mcd_plugins.dictionary.training import UNMEASURED, units_of

    facts = [["layer", f"{done.layer}, {amount(done.neurons, 'neuron')}"], *([*one] for one in done.facts.items())]
    print_table(["dictionary", str(done.path)], facts)
    for said in done.remarks:
        say(f"note: {said}")
    words = target.typed()
    if UNMEASURED in done.facts.values():
        echo_lines(f"for its stability: {shlex.join(['mcd', 'dictionary', 'stability', str(done.path), *words])}")
    named = shlex.join(words) if target.run is None else "…"
    layer = shlex.join(["--layers", done.layer, "--units", units_of(done.path)])
    echo_lines(f"to see the layer through it: mcd dissect {named} {layer} --neurons --controls --dissector …")
