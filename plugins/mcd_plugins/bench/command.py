"""``mcd bench``: labelling methods on planted units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import mcd
from mcd.plugins import PATH, SEED, check_writable, echo, echo_lines, option_group, parse_pairs, say, with_plugin_files

if TYPE_CHECKING:
    from mcd_plugins.bench.contract import Method
    from mcd_plugins.bench.material import Material
    from mcd_plugins.bench.report import Report
    from mcd_plugins.bench.running import Size

__all__ = ["bench"]


@dataclass(frozen=True)
class _Data:
    """What is planted into, as the flags say it."""

    data: str | None
    layer: str | None
    model: str | None
    model_arg: tuple[str, ...]
    dissector: str | None
    dissector_arg: tuple[str, ...]
    dataset_arg: tuple[str, ...]
    concepts: str | None
    untrained: int


_SIZES = ("default", "toy")
FILES = ("bench.html", "bench.csv", "bench.tex", "bench.json")
_SORTS = ("precision", "recall", "fdr", "calibration", "name", "cluster")


@click.command()
@option_group(
    "Planted into",
    click.option(
        "--data",
        metavar="RUN|DIR|NAME:VALUE",
        help="Plant into a network on your images: a run folder, a folder of images, or a data set with its value. "
        "[default: phantoms]",
    ),
    click.option(
        "--layer",
        metavar="NAME",
        help="Of the network with --data.  [default: the last one of the run; of images, layer4 of resnet50]",
    ),
    click.option("--dataset-arg", multiple=True, metavar="KEY=VALUE", help="A setting of the data set. Repeatable."),
    click.option(
        "--model",
        metavar="NAME[:VALUE]",
        help="The network, where --data are images.  [default: timm:resnet50, trained]",
    ),
    click.option("--model-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
    click.option(
        "--dissector",
        metavar="NAME[:VALUE]",
        help="The image–text model, where --data are images.  [default: open-clip:ViT-B-16, openai]",
    ),
    click.option("--dissector-arg", multiple=True, metavar="KEY=VALUE", help="A setting of it. Repeatable."),
    click.option("--concepts", metavar="NAME|FILE", help="The vocabulary, where --data are images.  [default: birads]"),
    click.option(
        "--untrained",
        type=click.IntRange(0, 100),
        default=0,
        show_default=True,
        metavar="N",
        help="Networks with random weights beside it, where --data are images; 10 or more.",
    ),
)
@option_group(
    "Methods",
    click.option("--method", "wanted", multiple=True, metavar="NAME", help="Try this method only. Repeatable."),
    click.option(
        "--scorer",
        "scorers",
        multiple=True,
        metavar="FILE.py:FUNCTION",
        help="Also try a scorer of yours, as it is and with the null of mcd. Its code runs. Repeatable.",
    ),
    click.option(
        "--sort",
        type=click.Choice(_SORTS),
        default="precision",
        show_default=True,
        help="Which measure puts the methods in order.",
    ),
)
@option_group(
    "Size",
    click.option("--size", type=click.Choice(_SIZES), default="default", show_default=True, help="How much is drawn."),
    click.option(
        "--repeats",
        type=click.IntRange(1, 1000),
        metavar="N",
        help="How often units are planted anew.  [default: 5; toy: 2]",
    ),
    click.option(
        "--seed", type=SEED, default=0, show_default=True, metavar="N", help="Decides what is drawn and planted."
    ),
)
@option_group(
    "Output",
    click.option(
        "--output",
        "-o",
        type=PATH,
        default=Path("mcd-bench"),
        show_default=True,
        metavar="DIR",
        help="Where bench.html, bench.csv, bench.tex and bench.json go.",
    ),
)
@with_plugin_files
def bench(
    plugin_files: Sequence[Path],
    data: str | None,
    layer: str | None,
    model: str | None,
    model_arg: tuple[str, ...],
    dissector: str | None,
    dissector_arg: tuple[str, ...],
    dataset_arg: tuple[str, ...],
    concepts: str | None,
    untrained: int,
    wanted: tuple[str, ...],
    scorers: tuple[str, ...],
    size: str,
    repeats: int | None,
    seed: int,
    sort: str,
    output: Path,
) -> None:
    """Try labelling methods on units of which it is known what they follow, for they were planted.

    \b
    mcd bench                               # minutes, on phantoms
    mcd bench --scorer mine.py:score        # a row for a scorer of yours
    mcd bench --data runs/x --layer layer4  # into the layer of a run
    mcd bench --data DIR                    # resnet50, fetched, on your images
    """
    from mcd_plugins.bench.report import Report
    from mcd_plugins.bench.running import SIZES, cases_of, one_thread, outcomes

    methods = _methods(wanted, scorers)
    for name in FILES:
        check_writable(output / name)  # before minutes are spent
    chosen = SIZES[size]
    with one_thread():
        given = _Data(data, layer, model, model_arg, dissector, dissector_arg, dataset_arg, concepts, untrained)
        material = _material(given, chosen, seed, plugin_files)
        cases = cases_of(material, chosen.counts, repeats or chosen.repeats, seed)
        found = outcomes(cases, methods, lambda one: say(f"done: {one.name}", err=True))
    settings = {
        "size": size,
        "repeats": len(cases),
        "seed": seed,
        "images": len(material.activations),
        "patients": len(set(material.patients) - {""}),
        "concepts": len(material.concepts),
        "confounded with": material.shortcuts(),
        "units of a case": dict(chosen.counts),
    }
    report = Report(material.name, material.truth_is, settings, tuple(found)).sorted_by(sort)
    _print(report)
    _write(report, output)


def _methods(wanted: Sequence[str], scorers: Sequence[str]) -> list[Method]:
    """Return the methods to be tried; the code of scorers that are named here is imported."""
    from mcd.errors import UnknownNameError, nearest
    from mcd.plugins import import_function
    from mcd_plugins.bench.methods import published
    from mcd_plugins.bench.methods.ours import OURS, of_scorer

    known = {one.name: one for one in (*published(), *OURS)}
    for name in wanted:
        if name not in known:
            raise UnknownNameError(f"no method of the bench is called '{name}'", nearest(name, list(known)))
    chosen = [one for one in known.values() if not wanted or one.name in wanted]
    for reference in scorers:
        function: Callable[..., object] = import_function(reference)
        where, _, name = reference.rpartition(":")
        chosen += of_scorer(f"{Path(where).name}:{name}", function)
    return chosen


def _material(images: _Data, size: Size, seed: int, plugin_files: Sequence[Path]) -> Material:
    """Return what is planted into: phantoms, a stored run, or images that are dissected first."""
    rest = {
        "--model": images.model,
        "--model-arg": images.model_arg or None,
        "--dissector": images.dissector,
        "--dissector-arg": images.dissector_arg or None,
        "--dataset-arg": images.dataset_arg or None,
        "--concepts": images.concepts,
        "--untrained": images.untrained or None,
    }
    if images.data is None:
        from mcd_plugins.bench.phantoms import phantoms

        _refuse({"--layer": images.layer, **rest}, "without --data there are phantoms alone")
        say(f"drawing {4 * size.patients} phantoms", err=True)
        return phantoms(size.patients, size.untrained, seed)
    from mcd_plugins.bench.data import dissected, images_of, is_run, of_run

    path = Path(images.data).expanduser()
    if is_run(path):
        _refuse(rest, f"{images.data} is a run folder")
        return of_run(mcd.load(path), images.layer, seed)
    options = {
        "model": parse_pairs(images.model_arg, "--model-arg"),
        "dissector": parse_pairs(images.dissector_arg, "--dissector-arg"),
        "dataset": parse_pairs(images.dataset_arg, "--dataset-arg"),
    }
    chosen = images_of(images.data, images.model, images.layer, images.dissector, options)
    chosen = replace(chosen, concepts=images.concepts or chosen.concepts, untrained=images.untrained)
    return of_run(dissected(chosen, plugin_files), None, seed)


def _refuse(flags: Mapping[str, object], why: str) -> None:
    from mcd.errors import UsageError

    for flag, value in flags.items():
        if value is not None:
            raise UsageError(f"{flag} has no part here: {why}", f"leave out {flag}")


def _print(report: Report) -> None:
    from mcd_plugins.bench.report import MEASURES, PLANT_HEADS, table

    say(f"{report.material}. {report.truth}")
    echo("\nOver all plants\n")
    echo_lines(table(["method", *MEASURES.values()], report.measures()))
    echo()
    say(
        "prec, recall: is a claimed unit one that follows a concept, and the reverse. FDR: claimed, but the unit "
        "follows none or the name is wrong. p≤.05, KS: p on noise, share and distance from uniform. name: claimed "
        "units with a right name; alike: or a near-synonym."
    )
    echo("\nBy plant; noise, dead, conf: share claimed; others: claimed and named alike\n")
    echo_lines(table(["method", *PLANT_HEADS.values()], report.plants()))
    echo()
    for line in report.lacking():
        say(f"not tried: {line}")
    for line in report.not_made_for():
        say(line)
    echo()
    say(f"cite as: {report.citation}")


def _write(report: Report, folder: Path) -> None:
    from mcd.plugins import outputs, write_atomically
    from mcd_plugins.bench.page import page

    with outputs(folder) as fresh:
        for name, content in zip(FILES, (page(report), report.csv(), report.latex(), report.json()), strict=True):
            write_atomically(fresh / name, content)
    for name in FILES:
        echo(f"written: {folder / name}")
