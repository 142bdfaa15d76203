"""``mcd dissect`` and ``mcd run``: the same run, described by flags or by a study file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.flags import output_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import PATH
from mcd.cli.settings import study_settings
from mcd.cli.state import State
from mcd.cli.study_flags import DEFAULT_REPORTER, study_flags
from mcd.cli.terminal import echo, echo_lines
from mcd.extraction.parts import MOST_PARTS, part_folder
from mcd.files import as_argument
from mcd.study.groups import Group

if TYPE_CHECKING:
    from mcd.errors import UsageError
    from mcd.extraction.parts import Part
    from mcd.runs.dissection import Dissection
    from mcd.study.study import Study

__all__ = ["dissect", "run_study"]

_ENDS = option_group(
    Group.OUTPUT.value,
    output_flag("The run folder; an interrupted run in it continues.  [default: runs/NAME]"),
    click.option(
        "--part",
        metavar="N/OF",
        help="Compute one part of the run, such as 3/16, without labels; mcd merge joins the parts.",
    ),
    click.option(
        "--engine",
        metavar="ray[://ADDRESS]",
        help="Compute the parts of the run on Ray, started here or at ray://HOST:10001, and merge them.",
    ),
    click.option(
        "--parts",
        type=click.IntRange(1, MOST_PARTS),
        metavar="N",
        help="With --engine: into how many parts; by default as many as have room.",
    ),
    click.option("--dry-run", is_flag=True, help="Print the resolved study and stop."),
    click.option("--quiet", "-q", is_flag=True, help="Leave out the summary and the next steps."),
)


@click.command()
@study_flags()
@_ENDS
@click.pass_context
def dissect(
    ctx: click.Context,
    /,
    output: Path | None,
    part: str | None,
    engine: str | None,
    parts: int | None,
    dry_run: bool,
    quiet: bool,
    **_flags: object,
) -> None:
    """Dissect a model: label its neurons with concepts.

    \b
    mcd dissect --model-plugin timm:resnet50 --layers 'layer{1..4}' \\
        --dataset images:DIR --dissector phantom-clip --concepts birads -o runs/x
    """
    settings = study_settings(ctx, {})
    how = _how(part, engine, parts)
    _execute(ctx.ensure_object(State), settings, output, how, dry_run=dry_run, quiet=quiet)


@click.command(name="run")
@click.argument("study", type=PATH, required=False)
@study_flags()
@_ENDS
@option_group(
    Group.OUTPUT.value,
    click.option("--schema", is_flag=True, help="Print the JSON schema of study files and stop."),
    click.option(
        "--emit",
        type=click.Choice(["slurm"]),
        help="Write scripts that submit --parts of the study to a SLURM cluster, and merge them; run nothing.",
    ),
)
@click.pass_context
def run_study(
    ctx: click.Context,
    /,
    study: Path | None,
    output: Path | None,
    part: str | None,
    engine: str | None,
    parts: int | None,
    dry_run: bool,
    quiet: bool,
    schema: bool,
    emit: str | None,
    **_flags: object,
) -> None:
    """Run a study file (YAML). Flags overrule it."""
    from mcd.errors import UsageError

    if schema:
        import json

        from mcd.study.study import Study

        echo_lines(json.dumps(Study.model_json_schema(by_alias=True), indent=2))
        return
    if study is None:
        raise UsageError("no study file given", "mcd run STUDY.yaml")
    if study.is_dir():
        raise _folder_for_study(study)
    from mcd.components import Kind
    from mcd.study.check import explicit
    from mcd.study.located import study_file
    from mcd.study.study import Choice

    state = ctx.ensure_object(State)
    # the data set first: to know what the options of models mean, torch is imported
    first = study_settings(ctx, study_file(state.host, study, ["dataset"])).get("dataset")
    if first is not None:
        explicit(state.host, Kind.DATASET, Choice.model_validate(first))
    settings = study_settings(ctx, study_file(state.host, study))
    if emit or (parts and not engine):
        if part or engine:
            other = "--part computes one part" if part else "--engine computes them"
            raise UsageError(f"{other}, --emit writes scripts for all", "give one of them")
        _emit(ctx, study, settings, output or Path("runs") / study.stem, emit, parts, dry_run=dry_run)
        return
    how = _how(part, engine, parts)
    _execute(state, settings, output, how, dry_run=dry_run, quiet=quiet, named=Path("runs") / study.stem)


@dataclass(frozen=True)
class _How:
    """Which part of a run is computed, or the address of Ray, which computes all of so many."""

    part: Part | None = None
    address: str | None = None
    parts: int | None = None


def _how(part: str | None, engine: str | None, parts: int | None) -> _How:
    from mcd.runs.cluster import part_or_address

    return _How(*part_or_address(part, engine, parts), parts)


def _emit(
    ctx: click.Context,
    path: Path,
    settings: dict[str, object],
    output: Path,
    emit: str | None,
    parts: int | None,
    *,
    dry_run: bool,
) -> None:
    """Write the scripts that compute a study in parts elsewhere."""
    from mcd.cli.slurm import emit_slurm
    from mcd.errors import UsageError
    from mcd.extraction.parts import Part
    from mcd.extraction.probe import count_images
    from mcd.files import check_folder
    from mcd.study.check import checked_study
    from mcd.study.preparer import Preparer
    from mcd.study.reach import code_lines

    if not (emit and parts):
        raise UsageError("--emit and --parts belong together", "mcd run STUDY.yaml --emit slurm --parts 16")
    check_folder(output)
    host = ctx.ensure_object(State).host
    study = checked_study(host, settings)
    images = count_images(Preparer(host).dataset(study.dataset)[0])  # at most so many: listing them may take long
    Part(1, parts).rows(min(images, study.limit or images), study.batch_size)
    if dry_run:
        _print_plan(ctx.ensure_object(State), study, output, code_lines(host, study))
        return
    submit = emit_slurm(ctx, path, study, output, parts)
    echo(f"submit the {parts} parts and their merge: sh {shlex.quote(as_argument(submit))}")


def _folder_for_study(folder: Path) -> UsageError:
    """Return what is wrong with a folder in the place of a study file, and what may be meant."""
    from mcd.errors import UsageError
    from mcd.files import MANIFEST

    written = shlex.quote(as_argument(folder))
    if (folder / MANIFEST).exists():
        again = f"its labels by another scorer or vocabulary: mcd score {written}\na page of it: mcd report {written}"
        return UsageError(f"{folder} is a run folder, not a study file", again)
    studies = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    hint = "\n".join(f"mcd run {shlex.quote(as_argument(one))}" for one in studies[:6]) or "mcd run STUDY.yaml"
    return UsageError(f"{folder} is a folder, not a study file", hint)


def _execute(
    state: State,
    settings: dict[str, object],
    output: Path | None,
    how: _How,
    *,
    dry_run: bool,
    quiet: bool,
    named: Path | None = None,
) -> None:
    from mcd.cli.tables import say
    from mcd.files import check_folder
    from mcd.runs.plan import default_output
    from mcd.study.check import checked_study
    from mcd.study.reach import code_lines

    if output is not None:
        check_folder(output)
    part = how.part
    study = checked_study(state.host, settings)
    folder = output or part_folder(named or default_output(study), part)
    code = code_lines(state.host, study)
    if dry_run:
        _check_units(state, study)
        _print_plan(state, study, folder, code)
        return
    for line in code:
        say(f"note: {line}", err=True)
    if part is not None:
        from mcd.runs.prepared import prepare
        from mcd.runs.run import run_part

        run_part(prepare(state.host, study, folder, part))
        echo(f"part {part}: {folder}")
        if not quiet:
            echo("next: the other parts, then mcd merge PART… -o RUN")
        return
    found = _dissections(state, settings, study, folder, how, quiet=quiet)
    for dissection in found:
        echo(f"run folder: {dissection.folder}")
    if not quiet:
        steps = _next_steps([one.folder for one in found], _needed(state, study))
        for lead, line in zip_longest(["next:"], steps, fillvalue="     "):
            echo(f"{lead} {line}")


def _dissections(
    state: State, settings: Mapping[str, object], study: Study, folder: Path, how: _How, *, quiet: bool
) -> list[Dissection]:
    """Compute and label all of a run, in this process or on Ray."""
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice

    console = None
    if "reporters" not in settings and not quiet:  # a person at a terminal sees a summary; the study does not record it
        console = Preparer(state.host).reporters([Choice(plugin=DEFAULT_REPORTER)])
    if how.address is None:
        from mcd.runs.prepared import prepare
        from mcd.runs.run import run

        prepared = prepare(state.host, study, folder)
        return run(prepared if console is None else replace(prepared, reporters=console))
    from mcd.runs.on_ray import on_ray

    return on_ray(state.host, settings, folder, address=how.address, parts=how.parts, reporters=console)


def _check_units(state: State, study: Study) -> None:
    """Read the files of units, where a study names any: whether they fit a layer, only its network says."""
    chosen = [one for model in study.models for one in model.units]
    if chosen:
        from mcd.study.preparer import Preparer

        Preparer(state.host).units(chosen)


def _print_plan(state: State, study: Study, folder: Path, code: Sequence[str]) -> None:
    import yaml

    from mcd.api.dissector import AnnotationDissector
    from mcd.runs.plan import names_before_loading, plan_of
    from mcd.study.equipment import unnamed
    from mcd.study.preparer import Preparer
    from mcd.study.privacy import hidden, names_people

    names = names_before_loading(study.models), names_before_loading(study.dissectors)
    kinds = [Preparer(state.host).dissector_class(one) for one in study.dissectors]
    plan = plan_of(study, folder, *names, [issubclass(one, AnnotationDissector) for one in kinds])
    used = unnamed(study, dict(zip(names[1], kinds, strict=True)))
    for line in ["What this study does:", *plan.lines(), *used, *code]:
        echo(f"# {line}")
    shown = study.settings()
    if study.where is not None and names_people(study.where):
        echo("# where: not shown, since it may identify people; the study file, or --where, has it")
        shown["where"] = hidden(study.where)
    echo_lines(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))


def _needed(state: State, study: Study) -> str:
    """Return the flags without which no command can score a run again: its plugin files, and trust in its scorer."""
    from mcd.components import Kind
    from mcd.study.reach import reaches

    files = "".join(f" --plugin-file {shlex.quote(str(one))}" for one in state.plugin_files)
    return files + (" --trust" if any(reaches(state.host, Kind.SCORER, study.scorer)) else "")


def _next_steps(folders: Sequence[Path], needed: str) -> list[str]:
    """Return commands for what can be done with runs; where a reporter wrote a page, how to open it.

    ``needed`` are flags that those which score again are given.
    """
    runs = " ".join(shlex.quote(as_argument(one)) for one in folders)
    pages = [path for one in folders for path in sorted((one / "report").glob("*.html"))]
    several = len(folders) > 1
    beside = f" -o {shlex.quote(str(folders[0].parent / 'report'))}" if several else ""
    return [
        *(f"open {shlex.quote(as_argument(page))}" for page in pages),
        *([] if pages else [f"mcd report {runs}{beside}"]),
        f"mcd compare {runs}{needed}" if several else f"mcd evaluate {runs}{needed}",
        f"mcd figures {runs}{needed} -o figures",
    ]
