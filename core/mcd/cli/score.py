"""``mcd score``: a stored run under another scorer or vocabulary, without its images."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from mcd.cli import State
from mcd.cli.flags import (
    choices,
    chosen_calibration,
    chosen_wording,
    concept_choices,
    plugin_file_flag,
    scoring_flags,
)

__all__ = ["score"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@scoring_flags
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the new labels go.  [default: RUN/scored/SCORER-CONCEPTS]",
)
@click.option("--device", default="auto", show_default=True, help="Where new concepts are encoded.")
@plugin_file_flag
@click.pass_context
def score(
    ctx: click.Context,
    /,
    run: Path,
    concepts: tuple[str, ...],
    concepts_arg: tuple[str, ...],
    scorer: str | None,
    scorer_arg: tuple[str, ...],
    labels_per_neuron: int,
    reporters: tuple[str, ...],
    reporter_arg: tuple[str, ...],
    output: Path | None,
    device: str,
    **_calibration: object,
) -> None:
    """Score a stored run anew with another scorer or other concepts. No images are needed.

    What no flag names stays as it was in the run. A scorer or concept set that is named starts from its own defaults.
    """
    from mcd.options import parse_pairs, validate_options
    from mcd.runs.dissection import load
    from mcd.runs.rescore import rescore
    from mcd.runs.run import write_reports
    from mcd.study.calibration import Calibration
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice
    from mcd.study.wording import Wording

    host = ctx.ensure_object(State).host
    made = Preparer(host).reporters(
        [Choice.model_validate(one) for one in choices(reporters or ("console",), reporter_arg, "--reporter-arg")]
    )
    options = parse_pairs(scorer_arg, "--scorer-arg")
    stored = load(run, host)
    before = stored.manifest.study.get("calibration")
    calibration = Calibration.model_validate(chosen_calibration(ctx, before if isinstance(before, dict) else {}))
    worded = stored.manifest.study.get("prompts")
    prompts = validate_options(Wording, chosen_wording(ctx, worded if isinstance(worded, dict) else {}), "prompts")
    given = ctx.get_parameter_source("labels_per_neuron")
    found = rescore(
        stored,
        scorer=Choice.model_validate({"plugin": scorer, "options": options}) if scorer else None,
        scorer_options=options,
        concepts=tuple(Choice.model_validate(one) for one in concept_choices(concepts, concepts_arg)),
        labels_per_neuron=labels_per_neuron if given is ParameterSource.COMMANDLINE else None,
        calibration=calibration,
        prompts=prompts,
        output=output,
        device=device,
    )
    write_reports(found, made)
    click.echo(f"run folder: {found.folder}")
