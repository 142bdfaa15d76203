"""``mcd embed``: vectors of images and texts, for people who want no more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.candidates import components
from mcd.cli.flags import output_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import PATH
from mcd.cli.settings import dataset_choice
from mcd.cli.state import State
from mcd.cli.study_flags import PROBE, study_flags
from mcd.cli.terminal import echo
from mcd.components import Kind
from mcd.errors import amount
from mcd.study.groups import Group

if TYPE_CHECKING:
    from mcd.api.dataset import Dataset
    from mcd.extraction.embedding import Embedder
    from mcd.study.study import Choice

__all__ = ["asked_dataset", "embed", "embedder_and_dataset"]


@click.command()
@study_flags(*PROBE, single=True)
@option_group(
    "Texts",
    click.option("--text", "given", multiple=True, metavar="TEXT", help="A text to embed. Repeatable."),
    click.option("--texts", "file", type=PATH, metavar="FILE", help="Texts to embed, one a line."),
    click.option(
        "--concepts",
        metavar="NAME|FILE",
        shell_complete=components(Kind.CONCEPTS, or_file=True),
        help="A concept set, whose prompts are embedded.",
    ),
)
@option_group(
    Group.OUTPUT.value,
    click.option("--raw", is_flag=True, help="Leave the vectors as they are.  [default: scaled to length 1]"),
    output_flag("Where the vectors go; an interrupted run continues.", metavar="FILE.safetensors", required=True),
)
@click.pass_context
def embed(
    ctx: click.Context,
    /,
    given: tuple[str, ...],
    file: Path | None,
    concepts: str | None,
    raw: bool,
    output: Path,
    **_flags: object,
) -> None:
    """Write the embeddings of images, texts or both.

    \b
    mcd embed --dissector mammo-clip:FILE.tar --dataset images:DIR \\
        -o vectors.safetensors
    mcd embed --dissector mammo-clip:FILE.tar --text 'no mass' --text mass \\
        -o words.safetensors

    The file holds the tensors "images" and "texts", one row each; its metadata says what each row is.
    """
    asked = asked_dataset(ctx)
    from mcd.documents import read_text
    from mcd.errors import UsageError
    from mcd.extraction.embedding import check_output, probe_map_beside, write_vectors
    from mcd.study.vocabularies.loading import load_concepts

    texts = list(given)
    if file is not None:
        texts += [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if concepts is not None:
        texts += [concept.prompt for concept in load_concepts(ctx.ensure_object(State).host, concepts).concepts]
    if not texts and asked is None:
        raise UsageError("nothing to embed", "give --dataset NAME:VALUE, --text TEXT, --texts FILE or --concepts NAME")
    check_output(output, ".safetensors", *([] if asked is None else [probe_map_beside(output)]))
    embedder, dataset = embedder_and_dataset(ctx, asked)
    vectors = None if dataset is None else embedder.images(dataset, output)
    for name, found in write_vectors(output, embedder, vectors, texts, normalise=not raw).items():
        echo(f"{name}: {amount(found.shape[0], 'vector')} of {found.shape[1]} numbers")
    echo(f"vectors: {output}")
    if vectors is not None:
        echo(f"which id is which file: {probe_map_beside(output)} (not for sharing)")


def asked_dataset(ctx: click.Context) -> Choice | None:
    """Return the data set that the probe flags of a command name, once it is known to be there; None where none is."""
    if not ctx.params["dataset"]:
        return None
    return dataset_choice(ctx.ensure_object(State).host, ctx.params["dataset"], ctx.params["dataset_arg"])


def embedder_and_dataset(ctx: click.Context, asked: Choice | None) -> tuple[Embedder, Dataset | None]:
    """Return what the probe flags of a command ask for, given what `asked_dataset` returned.

    Raises
    ------
    mcd.errors.MCDError
        When something asked for does not exist or does not fit.
    """
    from mcd.cli.settings import chosen_selection
    from mcd.errors import ConfigError
    from mcd.extraction.cache import ImageCache
    from mcd.extraction.embedding import Embedder
    from mcd.extraction.probe import count_images
    from mcd.extraction.sharing import shared_store
    from mcd.networks.running import pick_device
    from mcd.networks.tuning import Tuning
    from mcd.options import parse_pairs
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice, DissectorChoice

    flags, state = ctx.params, ctx.ensure_object(State)
    if not flags["dissector"]:
        raise ConfigError("no dissector given", "give --dissector NAME; see: mcd plugins list")
    preparer = Preparer(state.host)

    def chosen(kind: str) -> dict[str, object]:
        return {"plugin": flags[kind], "options": parse_pairs(flags[f"{kind}_arg"], f"--{kind}-arg")}

    dataset = preparer.dataset(asked)[0] if asked is not None else None
    if dataset is not None:
        count_images(dataset)  # a missing folder is reported before the weights are loaded
    recipe, _ = preparer.recipe(Choice.model_validate(chosen("recipe")) if flags["recipe"] else None)
    cache = ImageCache(flags["cache"], flags["cache_size"] * 10**9) if flags["cache"] else None
    shared = shared_store(flags["store"], pick_device(flags["device"]))
    embedder = Embedder(
        preparer.image_text(DissectorChoice.model_validate(chosen("dissector"))),
        device=flags["device"],
        precision=flags["precision"],
        batch_size=flags["batch_size"],
        workers=flags["workers"],
        on_error=flags["on_error"],
        emit=state.host.emit,
        selection=chosen_selection(flags),
        keep_identifiers=flags["keep_identifiers"],
        recipe=recipe,
        cache=cache,
        tuning=Tuning(flags["tf32"], flags["autotune"]),
        shared=shared,
    )
    return embedder, dataset
