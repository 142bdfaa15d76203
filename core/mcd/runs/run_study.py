"""A study in one call: `mcd.run`, and what ``mcd run`` does."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcd.documents import read_document, validate_document
from mcd.host import PluginHost
from mcd.networks.running import random_state_kept
from mcd.runs.dissection import Dissection
from mcd.runs.prepared import prepare
from mcd.runs.run import run
from mcd.study.check import checked_study
from mcd.study.located import located
from mcd.study.study import Study

__all__ = ["default_output", "run_study"]


@random_state_kept()  # networks that plugins build draw their first weights
def run_study(
    study: Study | Mapping[str, object] | str | Path,
    *,
    output: str | Path | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> list[Dissection]:
    """Run a study: every model dissected by every dissector in one pass over the images.

    Parameters
    ----------
    study
        A `mcd.Study`, the same as a mapping, or the path of a study file. Relative paths are from the current folder;
        those in a study file from the folder of the file.
    output
        A folder for the run folders, by default ``runs/NAME`` in the current folder. An interrupted run in it goes
        on.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files to load besides what is installed.

    Returns
    -------
    list of Dissection
        In the order of models, then dissectors; controls are in the tables of their runs.

    Raises
    ------
    mcd.errors.MCDError
        When anything asked for does not exist, does not fit or cannot be read.

    Examples
    --------
    >>> import mcd
    >>> mcd.run("study.yaml", output="runs/x")  # doctest: +SKIP
    """
    environment = dict(os.environ)
    if not progress:
        environment["MCD_DISABLE_PLUGINS"] = f"{environment.get('MCD_DISABLE_PLUGINS', '')},console"
    host = PluginHost.discover([Path(file) for file in plugin_files], environment)
    if isinstance(study, str | Path):
        path = Path(study)
        written = validate_document(read_document(path), Study)
        checked, name = checked_study(host, located(host, _written(written), path.parent)), path.stem
    else:
        settings = _written(study) if isinstance(study, Study) else study
        checked = checked_study(host, settings)
        name = default_output(checked.models[0].plugin).name
    return run(prepare(host, checked, Path("runs") / name if output is None else Path(output)))


def _written(study: Study) -> dict[str, object]:
    return study.model_dump(mode="json", by_alias=True, exclude_unset=True)


def default_output(plugin: str) -> Path:
    """Return the folder of a run that was given none: named after its first model."""
    return Path("runs") / (re.sub(r"[^A-Za-z0-9._-]+", "-", plugin).strip("-.") or "run")
