"""The target of a stored run and its images, ready to be read out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pydantic

from mcd.errors import DataError
from mcd.extraction.probe import ProbeSet
from mcd.networks.layers import Layer
from mcd.networks.process import process_state_kept
from mcd.networks.running import Precision
from mcd.runs.dissection import Dissection
from mcd.runs.loading import opened
from mcd.runs.runnable import How, of_run
from mcd.runs.target_images import TargetImages
from mcd.study.objects import host_for

__all__ = ["run_images"]


class _Recorded(pydantic.BaseModel):
    """What of the study in a manifest says which target and images there are."""

    models: tuple[dict[str, pydantic.JsonValue], ...]
    dataset: dict[str, pydantic.JsonValue]
    where: pydantic.JsonValue = None
    limit: pydantic.JsonValue = None
    per_patient: pydantic.JsonValue = None
    seed: pydantic.JsonValue = None

    def images(self) -> dict[str, pydantic.JsonValue]:
        """Return data set and selection, as `target_images` records them."""
        chosen = {"where": self.where, "limit": self.limit, "per_patient": self.per_patient, "seed": self.seed}
        return {**self.dataset, **{name: one for name, one in chosen.items() if one is not None}}


@process_state_kept()  # networks that plugins build draw their first weights
def run_images(
    run: Dissection | str | Path,
    *,
    trust: bool = False,
    device: str | None = None,
    precision: Precision | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> TargetImages:
    """Return the target and the images of a stored run, as `target_images` returns those of names.

    Parameters
    ----------
    run
        A dissection or a run folder.
    trust
        As in `mcd.load`: needed where the network or the images of the run lie in files.
    device, precision, batch_size, workers, progress, plugin_files
        As in `mcd.dissect`; by default those of the run.

    Raises
    ------
    mcd.errors.MCDError
        When the run's target or images are no longer the same, or need trust.
    """
    host = host_for(plugin_files, progress=progress)
    (stored,) = opened([run], host, trust=trust)
    found = of_run(stored, How(device, precision, batch_size, workers))
    probe = found.through.probe
    if not found.rows:
        raise DataError(f"no image of {stored.folder} could be used", "see why in its probe map: private/probe_map.csv")
    own = ProbeSet(tuple(probe.samples[row] for row in found.rows), tuple(probe.ids[row] for row in found.rows))
    study = _Recorded.model_validate(stored.manifest.study)
    return TargetImages(
        replace(found.through, probe=own),
        found.layers,
        None,
        host,
        {name: study.models[0][name] for name in ("plugin", "options")},
        study.images(),
        None,
        tuple(dict.fromkeys(map(_own_name, found.dissected))),
        found.pooling,
    )


def _own_name(layer: Layer) -> str:
    """Return the name of a layer; of one that is seen through units, that of the layer itself."""
    return layer.name if layer.units is None else layer.name.removesuffix(f"/{layer.units.name}")
