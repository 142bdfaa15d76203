"""``mcd preprocess``: a folder of images as a recipe makes them."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mcd.cli.candidates import components, settings
from mcd.cli.flags import dataset_arg_flag, folder_dataset_flag, workers_flag
from mcd.cli.paths import PATH
from mcd.cli.settings import chosen_selection, dataset_choice
from mcd.cli.state import State
from mcd.cli.study_flags import SELECTION, study_flags
from mcd.cli.terminal import echo
from mcd.components import Kind

__all__ = ["preprocess"]


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("output", metavar="OUT", type=PATH)
@click.option(
    "--recipe",
    required=True,
    metavar="NAME",
    shell_complete=components(Kind.PREPROCESSING),
    help="The preprocessing, such as mammo-clip.",
)
@click.option(
    "--recipe-arg",
    multiple=True,
    shell_complete=settings(Kind.PREPROCESSING, "--recipe"),
    metavar="KEY=VALUE",
    help="A setting of it. Repeatable.",
)
@folder_dataset_flag
@dataset_arg_flag
@study_flags(*SELECTION)
@click.option(
    "--names",
    type=click.Choice(["path", "id"]),
    default="path",
    show_default=True,
    help="Keep each image's path below DIR, or name it by its id, which identifies no patient.",
)
@workers_flag
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="Images that cannot be used: refuse to go on, or leave them out.",
)
@click.pass_context
def preprocess(
    ctx: click.Context,
    /,
    folder: Path,
    output: Path,
    recipe: str,
    recipe_arg: tuple[str, ...],
    dataset: str,
    dataset_arg: tuple[str, ...],
    names: str,
    workers: int | None,
    on_error: str,
    **_selection: object,
) -> None:
    """Write the images below DIR into OUT as a recipe makes them, as PNG. No GPU is needed.

    \b
    mcd preprocess dicoms/ pngs/ --recipe mammo-clip

    The same command again continues where it was interrupted, and makes anew only what has changed.
    """
    host = ctx.ensure_object(State).host
    choice = dataset_choice(host, f"{dataset}:{folder}", dataset_arg)
    from mcd.errors import UsageError
    from mcd.events import Clock, RunFailed, RunFinished, RunStarted
    from mcd.extraction.pictures import places, write_pictures
    from mcd.extraction.probe import examined
    from mcd.extraction.reading import little_range_warning
    from mcd.options import parse_pairs
    from mcd.study.preparer import Preparer
    from mcd.study.resolve import resolve_recipe
    from mcd.study.study import Choice

    settings = resolve_recipe(
        host, Choice.model_validate({"plugin": recipe, "options": parse_pairs(recipe_arg, "--recipe-arg")})
    )
    images, _ = Preparer(host).dataset(choice)
    if output.exists() and not output.is_dir():
        raise UsageError(f"OUT {output} is a file", "choose another OUT")
    if output.resolve() == folder.resolve() or folder.resolve() in output.resolve().parents:
        raise UsageError(f"OUT {output} lies in DIR, where it would be read as input", "choose an OUT beside DIR")
    start, clock = time.perf_counter(), Clock(host.emit)
    host.emit(RunStarted(f"{folder} preprocessed as {recipe}"))
    try:
        probe = examined(images, chosen_selection(ctx.params), clock, on_error=on_error, workers=workers)
        where_to = places(probe, folder, output, by_id=names == "id")
        work = dict(zip(where_to, probe.shown, strict=True))
        with clock.stage("preprocess", len(work), "images") as advanced:
            outcome = write_pictures(
                images, settings, work, workers=workers, stop=on_error == "stop", advanced=advanced
            )
        if outcome.little_range:
            clock.warn(little_range_warning(outcome.little_range))
    except BaseException as error:  # an interrupt ends it too
        host.emit(RunFailed(type(error).__name__))
        raise
    host.emit(RunFinished(str(output), time.perf_counter() - start))
    for source, reason in [
        *((bad.source, bad.reason) for bad in probe.left_out),
        *((sample.source, reason) for sample, reason in outcome.failed),
    ]:
        echo(f"left out: {source}: {reason}")
    for remark, of in outcome.remarks.items():
        echo(f"{remark}: {len(of)} images, first {of[0].source}")
    kept = f", {outcome.kept} were there" if outcome.kept else ""
    left = len(probe.left_out) + len(outcome.failed)
    echo(f"{output}: {outcome.written} written{kept}" + (f", {left} left out" if left else ""))
