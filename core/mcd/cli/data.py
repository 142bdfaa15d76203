"""``mcd data``: what is in a data set, before a run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.flags import dataset_arg_flag, folder_dataset_flag, workers_flag
from mcd.cli.paths import PATH
from mcd.cli.settings import chosen_selection, dataset_choice
from mcd.cli.state import State
from mcd.cli.study_flags import SELECTION, study_flags
from mcd.cli.terminal import echo
from mcd.errors import amount

if TYPE_CHECKING:
    from mcd.extraction.inspection import Inspection

__all__ = ["data"]

_SHOWN = 8
"""How many values, or images, a line of the table names."""


@click.group()
def data() -> None:
    """Look into data sets."""


@data.command()
@click.argument("folder", metavar="DIR", type=PATH)
@folder_dataset_flag
@dataset_arg_flag
@study_flags(*SELECTION)
@click.option("--json", "output", type=PATH, metavar="FILE.json", help="Write all of it there.")
@click.option("--keep-identifiers", is_flag=True, help="Name images in FILE.json as the data set does.")
@workers_flag
@click.pass_context
def check(
    ctx: click.Context,
    /,
    folder: Path,
    dataset: str,
    dataset_arg: tuple[str, ...],
    output: Path | None,
    keep_identifiers: bool,
    workers: int | None,
    **_selection: object,
) -> None:
    """Inspect the images below DIR before a run: every one is decoded.

    \b
    mcd data check dicoms/
    mcd data check pngs/ --dataset images --json report.json

    Exit code 4 when a run would refuse some of them.
    """
    host = ctx.ensure_object(State).host
    choice = dataset_choice(host, f"{dataset}:{folder}", dataset_arg)
    from mcd.api.dataset import Sample, Unreadable
    from mcd.events import Clock
    from mcd.extraction.embedding import check_output
    from mcd.extraction.examining import examination
    from mcd.extraction.inspection import inspect
    from mcd.extraction.remarks import remarks_on
    from mcd.study.preparer import Preparer

    images, _ = Preparer(host).dataset(choice)
    if output is not None:
        check_output(output, ".json")
    with examination(workers=workers, verify=True) as how:
        listed = list(images.scan())
        samples = [one for one in listed if isinstance(one, Sample)]
        chosen = chosen_selection(ctx.params).choose(samples)
        broken = [one for one in listed if isinstance(one, Unreadable)]
        with Clock(host.emit).stage("decode images", len(chosen), "images") as advanced:
            found = inspect(images, [*broken, *chosen], workers=workers, advanced=advanced)
    found = replace(found, remarks=(*found.remarks, *(how.remarks() if how.differing else ()), *remarks_on(samples)))
    _print(found)
    if output is not None:
        _write(output, found, public=images.ids_are_public or keep_identifiers)
        echo(f"all of it: {output}")
    if any(not one.passed_over for one in found.unreadable) or not found.samples:
        ctx.exit(4)


def _print(found: Inspection) -> None:
    from mcd.cli.tables import print_table

    rows = []
    for name, counts in found.counts.items():
        shown = list(counts.items())[:_SHOWN]
        if len(counts) > len(shown):
            shown.append((f"{len(counts) - len(shown)} other values", sum(list(counts.values())[_SHOWN:])))
        rows += [["" if at else name, value, str(count)] for at, (value, count) in enumerate(shown)]
    print_table(["", "value", "images"], rows, right=("images",))
    _print_findings(found)
    patients, lacking = found.patients
    of = f" of {patients} patient{'s' if patients != 1 else ''}" if patients else ""
    unsaid = f"; {lacking} have no patient" if lacking and patients else ""
    images = f"{len(found.samples)} image{'s' if len(found.samples) != 1 else ''}"
    echo(f"{images}{of} can be used{unsaid}")
    for title, lines in _problems(found).items():
        if lines:
            echo(f"\n{title}: {len(lines)}")
        for line in lines[:_SHOWN]:
            echo(f"  {line}")
        if len(lines) > _SHOWN:
            echo(f"  … and {len(lines) - _SHOWN} more")
    for reason, count in Counter(one.reason for one in found.whole).most_common():
        echo(f"\nnote: the whole frame is kept in {count} of {amount(len(found.samples), 'image')}: {reason}")
    for remark in found.remarks:
        echo(f"\nnote: {remark}")


def _print_findings(found: Inspection) -> None:
    from mcd.cli.tables import print_table

    if found.findings:
        counted = [[name, *map(str, counts)] for name, counts in found.findings.items()]
        print_table(["finding", "present", "absent", "unknown"], counted, right=("present", "absent", "unknown"))
    if found.boxes:
        marked = [[name or "not named", *map(str, counts)] for name, counts in found.boxes.items()]
        print_table(["boxes of", "boxes", "images"], marked, right=("boxes", "images"))


def _problems(found: Inspection) -> dict[str, list[str]]:
    return {
        "cannot be used": [f"{one.source}: {one.reason}" for one in found.unreadable if not one.passed_over],
        "passed over": [f"{one.source}: {one.reason}" for one in found.unreadable if one.passed_over],
        "groups of images with the same pixels": [" = ".join(one.id for one in group) for group in found.duplicates],
        "no mammograms by their own account": [f"{one.sample.id}: {one.reason}" for one in found.foreign],
        "kept whole, since no breast is found": [f"{one.sample.id}: {one.reason}" for one in found.whole],
        "use less than a tenth of the range from black to white": [
            f"{one.sample.id}: {one.reason}" for one in found.little_range
        ],
    }


def _write(output: Path, found: Inspection, *, public: bool) -> None:
    from mcd.api.dataset import Sample
    from mcd.study.outputs import write_output
    from mcd.study.privacy import public_id, salt

    secret = "" if public else salt()

    def shown(sample: Sample) -> str:
        return sample.id if public else public_id(sample.id, sample.collection, secret)

    report = {
        "schema": "mcd.data-check/1",
        "images": len(found.samples),
        "patients": found.patients[0],
        "images_without_patient": found.patients[1],
        "counts": found.counts,
        "findings": {
            name: dict(zip(("present", "absent", "unknown"), counts, strict=True))
            for name, counts in found.findings.items()
        },
        "boxes": {name: dict(zip(("boxes", "images"), counts, strict=True)) for name, counts in found.boxes.items()},
        "unreadable": [
            {"reason": one.reason, **({"source": one.source} if public else {})} for one in found.unreadable
        ],
        "duplicates": [[shown(one) for one in group] for group in found.duplicates],
        "foreign": [{"image": shown(one.sample), "reason": one.reason} for one in found.foreign],
        "little_range": [{"image": shown(one.sample), "reason": one.reason} for one in found.little_range],
        "kept_whole": [{"image": shown(one.sample), "reason": one.reason} for one in found.whole],
        "remarks": list(found.remarks),
    }
    write_output(output, (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
