"""A stored run evaluated in one call: `mcd.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from torch import nn

from mcd.api.dataset import Dataset
from mcd.api.model import Target
from mcd.errors import UsageError, amount
from mcd.evaluation.ablating import Ablating, Faithful, ablated
from mcd.evaluation.by_neuron import ByNeuron
from mcd.evaluation.choosing import chosen
from mcd.evaluation.faithfulness import Ablation
from mcd.evaluation.judging import Judging
from mcd.evaluation.references import TOP_SHARE
from mcd.evaluation.splitting import Split
from mcd.evaluation.tallying import FEWEST_UNITS
from mcd.events import Clock
from mcd.files import expanded
from mcd.networks.process import process_state_kept
from mcd.options import validate_options
from mcd.runs.dissection import Dissection
from mcd.runs.evaluated import EVALUATION, Evaluation, EvaluationRecord, labels_digest
from mcd.runs.loading import opened
from mcd.runs.revived import StoredScores
from mcd.runs.runnable import How
from mcd.study.objects import Component, as_dataset, as_model, host_for

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

__all__ = ["DRAWS", "evaluate", "evaluated"]

DRAWS = 100
"""Resamples of patients, where nothing else is said."""


@process_state_kept()
def evaluate(
    run: Dissection | str | Path,
    *,
    against: str | Sequence[str] | None = None,
    other: Dissection | str | Path | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    faithfulness: bool | Mapping[str, object] | Ablation = False,
    model: Component | Target | nn.Module | None = None,
    dataset: Component | Dataset | TorchDataset[object] | None = None,
    device: str | None = None,
    output: str | Path | None = None,
    progress: bool = True,
    trust: bool = False,
    plugin_files: Sequence[str | Path] = (),
) -> Evaluation:
    """Evaluate the labels of a stored run: half of its patients names the neurons anew, the other half judges.

    Parameters
    ----------
    run
        A dissection or a run folder.
    against
        What labels are judged against: ``"annotations"``, ``"held-out"`` (the run's own similarities of held-out
        images), ``"other-dissector"``, ``"truth"``, or several of them. By default annotations, or where these can
        judge nothing the held-out similarities; and the truth, where every image has it.
    other
        A run of the same images by another dissector.
    draws
        Resamples of patients, for intervals and stability; 0 leaves both out.
    seed
        Decides the halves, the resamples, and random labels and groups.
    faithfulness
        Also run the target on the held-out images, with the neurons that share a name ablated, and with random groups
        in their place. True, or settings of `mcd.evaluation.faithfulness.Ablation`:
        ``{"to": "zero", "outcomes": {"0": "mass"}}``.
    model, dataset, device
        For that, as in `mcd.run_target`.
    output
        The folder of the tables; by default ``RUN/evaluation``, where `mcd.Dissection.evaluation` finds them.
    progress
        Show progress bars on standard error.
    trust
        As in `mcd.load`: needed where the scorer of a run is code or lies in a file; for faithfulness, where its
        network or its images lie in files.
    plugin_files
        Local plugin files that the runs were made with.

    Returns
    -------
    mcd.Evaluation

    Raises
    ------
    mcd.errors.MCDError
        When a run cannot be read, its scorer has no name, it has too few images, or what was asked for can judge
        nothing.

    Examples
    --------
    >>> import mcd
    >>> found = mcd.evaluate("runs/x", against="annotations")  # doctest: +SKIP
    >>> found.summary.query("layer == '' and labels == 'first'")  # doctest: +SKIP
    """
    runs = [run] if other is None else [run, other]
    known = all(isinstance(one, Dissection) for one in runs) and not plugin_files  # each has its plugins
    stored, *others = opened(runs, None if known else host_for(plugin_files, progress=progress), trust=trust)
    names = () if against is None else (against,) if isinstance(against, str) else tuple(against)
    folder = stored.folder / EVALUATION if output is None else expanded(output)
    Evaluation.check(folder)
    ablating = None
    if faithfulness is not False:
        settings = {} if faithfulness is True else faithfulness
        ablating = Ablating(
            settings
            if isinstance(settings, Ablation)
            else validate_options(Ablation, settings, "faithfulness", "its settings are those of: mcd evaluate --help"),
            How(device=device),
            None if model is None else as_model(model),
            None if dataset is None else as_dataset(dataset),
        )
    found = evaluated(stored, names, others[0] if others else None, draws, seed, ablating)
    found.write(folder)
    return found


def evaluated(
    run: Dissection,
    against: Sequence[str] = (),
    other: Dissection | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    ablating: Ablating | None = None,
) -> Evaluation:
    """Return how right the labels of a run are; nothing is written. See `evaluate`.

    Parameters
    ----------
    ablating
        How faithfulness is tested; None does not test it.

    Raises
    ------
    MCDError
        As `evaluate`.
    """
    if draws < 0 or draws == 1:
        raise UsageError(f"no interval is computed from {amount(draws, 'draw')}", "give 0, or at least 2")
    clock = Clock(run.host.emit)
    split = Split(run, StoredScores(run), draws, seed)
    _ = split.labeller  # images that are too few are said before anything else
    judges = chosen(split, against, other)
    judging = Judging(split, judges, clock)
    tally = judging.judge()
    by_neuron = ByNeuron(split)
    stability, shapes = by_neuron.tables(clock)
    faithful = Faithful(pd.DataFrame()) if ablating is None else ablated(split, ablating, clock)
    people = split.own_units.patients
    summary = tally.summary()
    judged = set(summary["against"]) if len(summary) else set[str]()
    problems = [
        judges.problem,
        "" if judging.labelled else "half of the patients names no neuron: there are no labels to judge",
        *(
            f"no label by half of the patients is a concept that can be judged against {name}"
            for name in judges.names
            if judging.labelled and name not in judged
        ),
        "" if people >= FEWEST_UNITS else f"intervals need {FEWEST_UNITS} held-out {split.of}, and there are {people}",
        "" if run.manifest.store.untrained else "no random network beside it: the run keeps none; see --untrained",
        *by_neuron.problems,
        *faithful.problems,
    ]
    record = EvaluationRecord(
        labels=labels_digest(run.folder, run.manifest),
        scorer=run.manifest.scorer,
        against=judges.names,
        other="" if other is None else other.manifest.dissector,
        seed=seed,
        draws=draws,
        labelled=judging.labelled,
        held_out_patients=people if split.by_patient else None,
        held_out_images=int(split.held_out.sum()),
        settings={
            "top_share": TOP_SHARE,
            "alphas": {f"{name}: {kind}": list(one) for (name, kind), one in judging.alphas.items()},
            **({} if ablating is None else {"faithfulness": ablating.settings.model_dump(mode="json")}),
        },
        problems=[one for one in problems if one],
        notes=[
            *filter(None, [split.note(split.naming_images, "the naming half"), split.repeated]),
            *by_neuron.notes,
            *faithful.notes,
        ],
    )
    return Evaluation(record, summary, tally.neurons(), stability, shapes, faithful.table)
