"""``mcd layers``: what there is to dissect in a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mcd.cli.candidates import components
from mcd.cli.settings import dataset_choice
from mcd.cli.state import State
from mcd.cli.study_flags import MODEL, study_flags
from mcd.cli.terminal import echo, echo_lines
from mcd.components import Kind

if TYPE_CHECKING:
    from mcd.api.image import Image
    from mcd.api.model import Target
    from mcd.host import PluginHost
    from mcd.networks.layers import Layer
    from mcd.networks.pooling import Pooling
    from mcd.networks.trial import Response
    from mcd.study.study import Choice

__all__ = ["layers"]


@click.command()
@study_flags(*MODEL)
@click.option("--check", is_flag=True, help="Run one image, and show what each layer's neurons give for it.")
@click.option(
    "--dataset",
    default="phantom:1",
    show_default=True,
    metavar="NAME[:VALUE]",
    shell_complete=components(Kind.DATASET),
    help="With --check: where the image comes from; the first one is taken.",
)
@study_flags("models.pooling")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def layers(
    ctx: click.Context,
    model: str | None,
    model_arg: tuple[str, ...],
    layers: tuple[str, ...],
    check: bool,
    dataset: str,
    pooling: str,
    as_json: bool,
) -> None:
    """List the layers of a model with type, neurons and output shape.

    \b
    mcd layers --model-plugin timm:resnet50 --layers 'layer{1..4}'
    mcd layers --model-plugin timm:resnet50 --check --dataset images:DIR
    """
    host = ctx.ensure_object(State).host
    images = dataset_choice(host, dataset, ()) if check else None
    from mcd.errors import UsageError
    from mcd.extraction.reading import LITTLE_RANGE, little_range_warning
    from mcd.networks.pooling import Pooling
    from mcd.networks.selecting import pick_layers
    from mcd.networks.trial import responses, trial_pass
    from mcd.options import parse_pairs
    from mcd.study.preparer import Preparer
    from mcd.study.study import ModelChoice

    if not model:
        raise UsageError("no model given", "give --model-plugin NAME; see: mcd plugins list")
    try:
        how = Pooling.parse(pooling)
    except ValueError as error:
        raise UsageError(str(error), "see the poolings with: mcd dissect --help") from None
    choice = ModelChoice.model_validate({"plugin": model, "options": parse_pairs(model_arg, "--model-arg")})
    target, _ = Preparer(host).target(choice)
    image = _first_image(host, images, target, how) if images is not None else None
    trial = trial_pass(target, image)
    found = trial.layers
    if layers:
        found = pick_layers(layers, found, target.aliases)
    given = responses(target, trial, how, image) if image is not None else {}
    if as_json:
        echo_lines(json.dumps([_entry(layer, given) for layer in found], indent=2))
        return
    little = [little_range_warning(1)] if image is not None and image.range_used < LITTLE_RANGE else []
    for said in (*trial.remarks, *little):
        echo(f"note: {said}", err=True)
    _print(found, given, checked=check)
    readable = sum(not layer.reason for layer in found)
    echo(f"{target.name}: {len(found)} layer{'s' if len(found) != 1 else ''}, {readable} of them can be dissected")


def _first_image(host: PluginHost, dataset: Choice, target: Target, pooling: Pooling) -> Image:
    from mcd.api.dataset import Sample
    from mcd.errors import DataError, UsageError
    from mcd.extraction.reading import read_checked
    from mcd.study.preparer import Preparer

    images, _ = Preparer(host).dataset(dataset)
    if pooling.masked and not images.has_masks:
        raise UsageError(
            f"pooling '{pooling}' needs breast masks, which this data set does not have",
            "use a pooling without masks, such as --pooling avg",
        )
    for one in images.scan():
        looked = images.examine(one) if isinstance(one, Sample) else one
        if isinstance(looked, Sample):
            return read_checked(images, looked, target.preprocessing.values, masked=pooling.masked)
    raise DataError("the data set holds no image that can be read", "see why with: mcd data check DIR")


def _entry(layer: Layer, given: dict[str, Response]) -> dict[str, object]:
    fields = ("name", "type", "shape", "layout", "neurons", "reason", "remark", "also")
    entry: dict[str, object] = {name: getattr(layer, name) for name in fields}
    found = given.get(layer.name)
    if found is not None:
        entry["response"] = {"reason": found.reason} if found.reason else vars(found)
    return entry | {"choices": [_entry(one, given) for one in layer.choices]} if layer.choices else entry


def _read_as(layer: Layer) -> str:
    other = f"also called {', '.join(layer.also)}" if layer.also else ""
    return "; ".join(filter(None, (layer.layout or layer.reason, layer.remark, other)))


def _print(found: list[Layer], given: dict[str, Response], *, checked: bool) -> None:
    from mcd.cli.tables import print_table

    rows = []
    for layer in (way for one in found for way in (one, *one.choices)):
        row = [
            layer.name,
            layer.type,
            str(layer.neurons) if layer.neurons else "–",
            "×".join(map(str, layer.shape)) or "–",
            _read_as(layer),
        ]
        if checked:
            one = given.get(layer.name)
            row += (
                ["–", "–"]
                if one is None
                else ["pooling does not fit", "–"]
                if one.reason
                else [f"{one.lowest:.3g} … {one.highest:.3g}", str(one.silent)]
            )
        rows.append(row)
    header = ["layer", "type", "neurons", "output", "read as", *(["for one image", "at 0"] if checked else [])]
    print_table(header, rows, right=("neurons", "at 0"))
