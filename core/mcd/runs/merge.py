"""Parts of a run joined in one call: `mcd.merge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcd.errors import UsageError
from mcd.files import check_folder, expanded
from mcd.networks.process import process_state_kept
from mcd.runs.dissection import Dissection
from mcd.runs.merging import merge as merged
from mcd.study.objects import Component, as_choice, host_for
from mcd.study.study import Choice

__all__ = ["merge"]


@process_state_kept()
def merge(
    parts: Sequence[str | Path],
    output: str | Path,
    *,
    scorer: Component | None = None,
    allow_different: bool = False,
    device: str = "auto",
    store: str | Path | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
    trust: bool = False,
) -> list[Dissection]:
    """Join all parts of a run, or of a study of several, and label it: to a bit what one process makes.

    The reporters of the study write their reports.

    Parameters
    ----------
    parts
        The folders that ``mcd.run(…, part=…)`` or ``mcd dissect … --part`` wrote, in any order.
    output
        The run folder, or that of the study. Files of the parts get a second name there, or are copied.
    scorer
        The scorer of the run where that is code of a file, ``"FILE.py:FUNCTION"``: it is run only when it is named.
    allow_different
        Merge parts that were computed by other settings, versions or machines that decide last bits: the manifest then
        says so.
    device, store
        Where texts are encoded that no part has, and the folder that keeps embedded texts and nulls for other runs.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files that the parts were made with.
    trust
        As in `mcd.load`.

    Returns
    -------
    list of Dissection
        In the order of models, then dissectors.

    Raises
    ------
    mcd.errors.MCDError
        When the parts do not make one run, were computed differently, or ``output`` holds something else.

    Examples
    --------
    >>> import mcd
    >>> places = [mcd.run("study.yaml", output=f"parts/{one}", part=f"{one}/2") for one in (1, 2)]  # doctest: +SKIP
    >>> mcd.merge(["parts/1", "parts/2"], "runs/x")  # doctest: +SKIP
    """
    folders = [expanded(one) for one in ([parts] if isinstance(parts, str | Path) else parts)]
    if not folders:
        raise UsageError("no part given", 'mcd.merge(["parts/1", "parts/2"], "runs/x")')
    folder = expanded(output)
    check_folder(folder)
    return merged(
        folders,
        folder,
        host_for(plugin_files, progress=progress),
        scorer=None if scorer is None else as_choice(scorer, Choice),
        allow_different=allow_different,
        device=device,
        shared=None if store is None else expanded(store),
        trust=trust,
    )
