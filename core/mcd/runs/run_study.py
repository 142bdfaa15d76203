"""A study in one call: `mcd.run`, and what ``mcd run`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

from mcd.events import Warned
from mcd.extraction.parts import part_folder
from mcd.files import expanded
from mcd.networks.process import process_state_kept
from mcd.runs.cluster import part_or_address
from mcd.runs.dissection import Dissection
from mcd.runs.plan import default_output
from mcd.runs.prepared import prepare
from mcd.runs.run import run, run_part
from mcd.study.check import checked_study
from mcd.study.located import as_written, study_file
from mcd.study.objects import host_for
from mcd.study.reach import code_lines
from mcd.study.study import Study

__all__ = ["run_study"]


@overload
def run_study(
    study: Study | Mapping[str, object] | str | Path,
    *,
    output: str | Path | None = ...,
    part: None = ...,
    engine: str | None = ...,
    parts: int | None = ...,
    progress: bool = ...,
    plugin_files: Sequence[str | Path] = ...,
) -> list[Dissection]: ...


@overload
def run_study(
    study: Study | Mapping[str, object] | str | Path,
    *,
    output: str | Path | None = ...,
    part: str,
    progress: bool = ...,
    plugin_files: Sequence[str | Path] = ...,
) -> list[Path]: ...


@process_state_kept()  # networks that plugins build draw their first weights
def run_study(
    study: Study | Mapping[str, object] | str | Path,
    *,
    output: str | Path | None = None,
    part: str | None = None,
    engine: str | None = None,
    parts: int | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> list[Dissection] | list[Path]:
    """Run a study: every model dissected by every dissector in one pass over the images.

    Parameters
    ----------
    study
        A `mcd.Study`, the same as a mapping, or the path of a study file. Relative paths are from the current folder;
        those in a study file from the folder of the file.
    output
        A folder for the run folders, by default ``runs/NAME`` in the current folder. An interrupted run in it goes
        on.
    part
        Which part of the run is computed, such as ``"3/16"``, without labels: `mcd.merge` joins the parts. Without
        ``output`` it goes into ``runs/NAME.parts``.
    engine, parts
        ``ray`` or ``ray://HOST:PORT``: compute the run in so many parts on Ray, and merge them. By default this process
        computes all of it. Needs ``pip install 'mammo-clip-dissect[ray]'``.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files to load besides what is installed.

    Returns
    -------
    list of Dissection
        In the order of models, then dissectors; controls are in the tables of their runs. Of a part, the run folders:
        it has no labels.

    Raises
    ------
    mcd.errors.MCDError
        When anything asked for does not exist, does not fit or cannot be read.

    Examples
    --------
    >>> import mcd
    >>> mcd.run("study.yaml", output="runs/x")  # doctest: +SKIP
    """
    host = host_for(plugin_files, progress=progress)
    own, address = part_or_address(part, engine, parts)
    if isinstance(study, str | Path):
        settings: Mapping[str, object] = study_file(host, expanded(study))
        checked, folder = checked_study(host, settings), Path("runs") / Path(study).stem
    else:
        settings = as_written(study) if isinstance(study, Study) else study
        checked = checked_study(host, settings)
        folder = default_output(checked)
    folder = part_folder(folder, own) if output is None else expanded(output)
    for line in code_lines(host, checked):
        host.emit(Warned(line))
    if own is not None:
        return run_part(prepare(host, checked, folder, own))
    if address is None:
        return run(prepare(host, checked, folder))
    from mcd.runs.on_ray import on_ray

    return on_ray(host, settings, folder, address=address, parts=parts)
