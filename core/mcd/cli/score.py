"""``mcd score``: a stored run under another scorer or vocabulary, without its images."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli.flags import output_flag, trust_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import PATH, RUN_FOLDER
from mcd.cli.settings import given_settings, group_settings, named, overruled, with_arguments
from mcd.cli.state import State
from mcd.cli.study_flags import SCORING, study_flags
from mcd.cli.terminal import echo
from mcd.study.groups import Group

__all__ = ["score"]


@click.command()
@click.argument("run", type=RUN_FOLDER, metavar="RUN")
@study_flags(*SCORING, defaults=False)
@study_flags("reporters")
@option_group(
    Group.SPEED.value,
    click.option("--device", default="auto", show_default=True, help="Where new concepts are encoded."),
    click.option(
        "--store",
        type=PATH,
        metavar="DIR",
        help="The folder that keeps embedded texts for other runs, or off.  [default: that of the variable MCD_STORE, "
        "or one of this user; off where the run had none]",
    ),
)
@option_group(
    Group.OUTPUT.value,
    output_flag(
        "Where the new labels go.  [default: RUN/scored/SCORER-CONCEPTS, with a digest of settings that are neither "
        "the run's nor defaults]"
    ),
)
@trust_flag
@click.pass_context
def score(
    ctx: click.Context,
    /,
    run: Path,
    scorer: str | None,
    scorer_arg: tuple[str, ...],
    reporter: tuple[str, ...],
    reporter_arg: tuple[str, ...],
    output: Path | None,
    device: str,
    store: Path | None,
    trust: bool,
    **_flags: object,
) -> None:
    """Score a stored run anew with another scorer or other concepts. No images are needed.

    What no flag names stays as it was in the run. A scorer or concept set that is named starts from its own defaults.
    """
    from mcd.options import parse_pairs, validate_options
    from mcd.runs.dissection import read_study
    from mcd.runs.loading import load
    from mcd.runs.report import write_reports
    from mcd.runs.rescore import rescore
    from mcd.study.calibration import Calibration
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice
    from mcd.study.wording import Wording

    host = ctx.ensure_object(State).host
    reporters = with_arguments(named(reporter), reporter_arg, "--reporter-arg")
    made = Preparer(host).reporters([Choice.model_validate(one) for one in reporters])
    options = parse_pairs(scorer_arg, "--scorer-arg")
    stored = load(run, host, trust=trust)
    own, given = read_study(stored.folder, stored.manifest), given_settings(ctx)
    calibration = Calibration.model_validate(group_settings(ctx, "calibration", own.calibration.model_dump()))
    prompts = validate_options(Wording, group_settings(ctx, "prompts", own.prompts.model_dump()), "prompts")
    new_concepts = {"concepts.plugin", "concepts.options"} & given.keys()
    concepts = overruled("concepts", [one.model_dump() for one in own.concepts], given) if new_concepts else []
    labels = given.get("labels_per_neuron")
    assert labels is None or isinstance(labels, int)
    found = rescore(
        stored,
        scorer=Choice.model_validate({"plugin": scorer, "options": options}) if scorer else None,
        scorer_options=options,
        concepts=tuple(Choice.model_validate(one) for one in concepts),
        labels_per_neuron=labels,
        calibration=calibration,
        prompts=prompts,
        output=output,
        device=device,
        shared=store,
    )
    write_reports([found], made)
    echo(f"run folder: {found.folder}")
