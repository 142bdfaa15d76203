"""``mcd layers``: what there is to dissect in a model."""

from __future__ import annotations

import json

import click

from mcd.cli import State
from mcd.cli.flags import model_flags, plugin_file_flag

__all__ = ["layers"]


@click.command()
@model_flags
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_file_flag
@click.pass_context
def layers(
    ctx: click.Context, model: str | None, model_arg: tuple[str, ...], layers: tuple[str, ...], as_json: bool
) -> None:
    """List the layers of a model with type, neurons and output shape.

    \b
    mcd layers --model-plugin timm:resnet50 --layers 'layer{1..4}'
    """  # noqa: D301 -- \b keeps click from rewrapping
    from mcd.errors import UsageError
    from mcd.extraction.layers import match_layers
    from mcd.options import parse_pairs
    from mcd.prepare import Preparer
    from mcd.study import ModelChoice
    from mcd.trial import trial_pass

    if not model:
        raise UsageError("no model given", "give --model-plugin NAME; see: mcd plugins list")
    choice = ModelChoice.model_validate({"plugin": model, "options": parse_pairs(model_arg, "--model-arg")})
    target, _ = Preparer(ctx.ensure_object(State).host).target(choice)
    found = trial_pass(target)
    if layers:
        names = set(match_layers(layers, [layer.name for layer in found], target.aliases))
        found = [layer for layer in found if layer.name in names]
    if as_json:
        click.echo(json.dumps([vars(layer) for layer in found], indent=2))
        return
    from mcd.cli.tables import print_table

    rows = [
        (layer.name, layer.type, str(layer.neurons) if layer.neurons else "–",
         "×".join(map(str, layer.shape)) or "–", layer.layout or layer.reason)
        for layer in found
    ]  # fmt: skip
    print_table(("layer", "type", "neurons", "output", "read as"), rows, right=("neurons",))
    readable = sum(not layer.reason for layer in found)
    click.echo(f"{target.name}: {len(found)} layers, {readable} of them can be dissected")
