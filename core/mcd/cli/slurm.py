"""``mcd run STUDY --emit slurm``: scripts that submit the parts of a study to a cluster, and what merges them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mcd.cli.state import State
from mcd.errors import UsageError
from mcd.extraction.parts import parts_folder
from mcd.files import as_argument
from mcd.study.outputs import outputs
from mcd.study.privacy import salt
from mcd.study.study import Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["emit_slurm"]

_OWN = frozenset({"study", "output", "part", "parts", "emit", "quiet", "dry_run", "schema"})
"""Parameters that the scripts set themselves, or that say what is done here."""

_CPUS = 8

_PART = """#!/bin/sh
#SBATCH --job-name={name}
#SBATCH --array=1-{parts}
#SBATCH --cpus-per-task={cpus}
#SBATCH --output={logs}/%a.log
# Part N of the run; the same command again continues one that ended early.
set -eu
cd {here}
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-{cpus}}}"  # parts with other numbers of threads are not merged
exec {command} --part "$SLURM_ARRAY_TASK_ID/{parts}" --output {places}/"$SLURM_ARRAY_TASK_ID-of-{parts}" --quiet
"""

_MERGE = """#!/bin/sh
#SBATCH --job-name={name}-merge
#SBATCH --cpus-per-task={cpus}
#SBATCH --output={logs}/merge.log
# Joins the parts and labels; needs a GPU and images for maps only.
set -eu
cd {here}
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-{cpus}}}"
exec {command} {places}/*-of-{parts} --output {output}
"""

_SUBMIT = """#!/bin/sh
# Submits the parts, and the merge once all of them have ended well; if one fails, the merge is cancelled. What stands
# behind this script's name goes to sbatch for the parts: sh submit.sh --partition=gpu --gres=gpu:1 --time=4:00:00
set -eu
cd {here}
job=$(sbatch --parsable "$@" {places}/part.sh)
sbatch --kill-on-invalid-dep=yes --dependency="afterok:${{job%%;*}}" {places}/merge.sh
"""


def emit_slurm(ctx: click.Context, path: Path, study: Study, output: Path, parts: int) -> Path:
    """Write the scripts of a study into ``OUTPUT.parts``; return the one that submits the others.

    Parameters
    ----------
    ctx
        Of ``mcd run``: what stands on its command line stands in the scripts.
    path, study
        The study file, and what it resolves to.
    output
        The folder that the parts are merged in.
    parts
        How many.

    Raises
    ------
    UsageError
        When something is in the way that mcd did not write, or a path has a line break.
    """
    places = parts_folder(output)
    logs = Path.cwd() / places
    if "\n" in str(logs) or "\r" in str(logs):
        raise UsageError("a line of #SBATCH cannot hold a path with a line break", "choose another --output or folder")
    if not study.keep_identifiers:
        salt()  # it is made on first use: several machines must not each make one
    state = ctx.ensure_object(State)
    mcd = [sys.executable, "-m", "mcd", *(["--offline"] if state.offline else [])]
    files = [word for one in state.plugin_files for word in ("--plugin-file", str(one))]
    texts = {
        "name": shlex.quote(f"mcd-{output.name}"),
        "parts": str(parts),
        "cpus": str(_CPUS),
        "here": shlex.quote(str(Path.cwd())),
        "logs": shlex.quote(str(logs).replace("%", "%%")),  # a % alone is a field of sbatch
        "places": shlex.quote(as_argument(places)),
        "output": shlex.quote(str(output)),
    }
    run = shlex.join([*mcd, "run", as_argument(path), *files, *_given(ctx)])
    merge = shlex.join([*mcd, "merge", *files, *_of_merge(state.host, study)])
    with outputs(places) as folder:
        for name, text, command in (("part", _PART, run), ("merge", _MERGE, merge), ("submit", _SUBMIT, "")):
            (folder / f"{name}.sh").write_bytes(os.fsencode(text.format(**texts, command=command)))
    return places / "submit.sh"


def _given(ctx: click.Context) -> Iterator[str]:
    """Yield the flags that stand on the command line, as words."""
    for one in ctx.command.params:
        name = one.name or ""
        if name in _OWN or name not in ctx.params or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value: object = ctx.params[name]
        if isinstance(value, bool) and isinstance(one, click.Option):
            yield one.opts[0] if value else one.secondary_opts[0]
            continue
        for each in value if isinstance(value, tuple) else (value,):
            yield from (one.opts[0], str(each))


def _of_merge(host: PluginHost, study: Study) -> Sequence[str]:
    """Return the flags of the merge besides the parts: what it opens or runs is named by whoever submits it."""
    from mcd.components import Kind
    from mcd.study.reach import reaches
    from mcd.study.resolve import names_function

    opened = study.maps or any(any(reaches(host, Kind.REPORTER, one)) for one in study.reporters)
    trusted = ["--trust"] if opened else []  # maps are made of images, and a reporter may read a file
    kept = ["--store", str(study.store)] if study.store else []
    scorer = ["--scorer", study.scorer.plugin] if names_function(study.scorer.plugin) else []
    return [*trusted, *kept, *scorer]
