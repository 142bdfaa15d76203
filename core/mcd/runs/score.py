"""A stored run scored anew in one call: `mcd.score`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from mcd.api.scorer import Scorer
from mcd.files import expanded
from mcd.networks.process import process_state_kept
from mcd.options import validate_options
from mcd.runs.dissection import Dissection, read_study
from mcd.runs.loading import opened
from mcd.runs.rescore import rescore
from mcd.study.calibration import Calibration
from mcd.study.objects import Component, Concepts, as_scorer, host_for
from mcd.study.wording import Wording

__all__ = ["score"]

SettingsT = TypeVar("SettingsT", Calibration, Wording)


@process_state_kept()
def score(
    run: Dissection | str | Path,
    *,
    scorer: Component | Scorer | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    concepts: Concepts | None = None,
    prompts: Mapping[str, object] | Wording | None = None,
    calibration: Mapping[str, object] | Calibration | None = None,
    labels_per_neuron: int | None = None,
    output: str | Path | None = None,
    device: str = "auto",
    store: str | Path | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
    trust: bool = False,
) -> Dissection:
    """Score a stored run anew with another scorer or other concepts. No images are needed.

    What is not given stays as it was in the run. A scorer or concept set that is given starts from its own defaults.

    Parameters
    ----------
    run
        A dissection or a run folder.
    scorer, concepts, prompts, calibration, labels_per_neuron
        As in `mcd.dissect`. Of ``prompts`` and ``calibration``, a mapping changes the settings that it names.
    output
        Where the new labels go; by default ``RUN/scored/SCORER-CONCEPTS``, with a digest of settings that are neither
        the run's nor defaults. They refer to the run for activations. What is there must be the same labels.
    device
        Where new concepts are encoded.
    store
        A folder that keeps their embeddings for other runs, or ``"off"``; by default that of the variable
        ``MCD_STORE``, or one of this user, and none where the run had none.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files that the run was made with, or that bring the scorer.
    trust
        As in `mcd.load`: needed where what is kept of the run is code or lies in files, such as its own scorer, or the
        weights that new concepts are encoded with.

    Raises
    ------
    mcd.errors.MCDError
        When the run cannot be read, anything asked for does not exist or does not fit, or new concepts must be encoded
        and the dissector is no longer the one of the run.

    Examples
    --------
    >>> import mcd
    >>> mcd.score("runs/x", scorer="cosine-cubed", concepts="technical")  # doctest: +SKIP
    """
    host = host_for(plugin_files, progress=progress)
    (stored,) = opened([run], host, trust=trust)
    own = read_study(stored.folder, stored.manifest)
    return rescore(
        stored,
        scorer=None if scorer is None else as_scorer(scorer),
        concepts=() if concepts is None else concepts,
        labels_per_neuron=labels_per_neuron,
        calibration=_changed(own.calibration, calibration, "calibration"),
        prompts=_changed(own.prompts, prompts, "prompts"),
        output=None if output is None else expanded(output),
        device=device,
        shared=None if store is None else expanded(store),
    )


def _changed(own: SettingsT, given: Mapping[str, object] | SettingsT | None, what: str) -> SettingsT:
    """Return a group of settings of a run with those changed that are given."""
    if given is None or not isinstance(given, Mapping):
        return own if given is None else given
    return validate_options(type(own), {**own.model_dump(), **given}, what)
