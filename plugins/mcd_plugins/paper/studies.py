"""From what is in a folder to studies: one a probe set, every target of it in one pass over the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydantic
import yaml

from mcd.errors import ConfigError, DataError
from mcd.plugins import import_concepts, outputs
from mcd_plugins.paper.inventory import Found, ProbeSet, inventory

__all__ = [
    "CLASSIFIERS",
    "GENERAL",
    "MAMMO",
    "OWN_CONCEPTS",
    "PaperSettings",
    "Planned",
    "check",
    "plan",
    "read_settings",
]

GENERAL, MAMMO = "G", "M"
CLASSIFIERS: Mapping[str, str] = {
    "C-density": "density",
    "C-mass": "mass",
    "C-calcification": "calcification",
    "C-birads": "birads",
}
"""Names of the classifiers' runs, and what they are in the inventory."""
OWN_CONCEPTS = "birads-everyday"
_WITH_CLASSES = ("density", "birads")
"""Classifiers whose classes are dissected too; of a layer of one neuron the published score is always 0."""
_LAYERS = "blocks.*.*"
_OURS = ("schema", "models", "dissectors", "dataset")
_LARGEST = 2**20


class PaperSettings(pydantic.BaseModel):
    """The file of ``--settings``.

    Attributes
    ----------
    note
        What the report says above everything.
    files
        Id of the inventory → a path below the folder, for what is called otherwise.
    preprocessing
        Changes to the preprocessing ``mammo-clip`` of every model.
    resamples
        How many probe sets are drawn for intervals.
    study
        Settings of a study, besides models, dissector and data set.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    note: str = ""
    files: Mapping[str, str] = {}
    preprocessing: Mapping[str, pydantic.JsonValue] = {}
    resamples: int = pydantic.Field(default=200, ge=0, le=100_000)
    study: Mapping[str, pydantic.JsonValue] = {}

    @pydantic.field_validator("study")
    @classmethod
    def _not_what_the_folder_decides(cls, study: Mapping[str, pydantic.JsonValue]) -> Mapping[str, pydantic.JsonValue]:
        for name in _OURS:
            if name in study:
                raise ValueError(f"'{name}' follows from the folder")
        return study


def read_settings(path: Path | None) -> PaperSettings:
    """Return the settings of a file; the published ones without a file.

    Raises
    ------
    ConfigError
        When it cannot be read, or holds something else.
    """
    if path is None:
        return PaperSettings()
    hint = "such as\n  resamples: 200\n  study: {batch_size: 4}"
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path} has more than 1 MB", hint)
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return PaperSettings.model_validate({} if data is None else data)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())[:200]}", hint) from None
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ConfigError(f"{path}: {where}: {first['msg']}", hint) from None


@dataclass(frozen=True)
class Planned:
    """A study of one probe set.

    Parameters
    ----------
    probe_set
        Id of the inventory.
    names
        Of the runs, in order.
    study
        As `mcd.run` takes it.
    """

    probe_set: str
    names: tuple[str, ...]
    study: Mapping[str, object]


def plan(found: Mapping[str, Found], settings: PaperSettings, output: Path) -> list[Planned]:
    """Return the studies of everything that can be run; the paper's concepts are imported into ``output``."""
    concepts = _concepts(found, output)
    planned = []
    for name in inventory().probe_sets:
        one = found[name]
        if one.usable and one.layout is not None and isinstance(one.item, ProbeSet):
            planned.append(_study(one, one.item, found, settings, concepts))
    return planned


def check(found: Mapping[str, Found]) -> None:
    """Refuse a folder of which nothing can be run, or of which something that is there cannot.

    Raises
    ------
    DataError
        Naming what.
    """
    broken = [one for one in found.values() if one.path is not None and not one.usable]
    if broken:
        lines = [f"{one.path}: {one.trouble}" for one in broken]
        raise DataError(
            f"{len(broken)} of the files and data sets that are there cannot be used",
            "mend them, or move them out of the folder to run without them",
            lines,
        )
    lacking = [found[name] for name in ("mammo-clip", "vocabulary") if not found[name].usable]
    problems = [f"{one.item.title}: {one.item.source}" for one in lacking]
    if not any(found[name].usable for name in inventory().probe_sets):
        problems.append("a probe set, such as VinDr-Mammo: " + inventory().probe_sets["vindr"].source)
    if problems:
        raise DataError(
            "nothing can be run yet: every set-up needs the dissector, its vocabulary and a probe set",
            "put what is missing into the folder (mcd paper DIR --list), or try without: mcd paper --stand-in DIR",
            [f"missing: {one}" for one in problems],
        )


def _concepts(found: Mapping[str, Found], output: Path) -> str:
    """Return the paper's concepts where both of their files are there, imported; ours otherwise."""
    pair = [found[name].path for name in ("concept-list", "concept-workbook") if found[name].usable]
    paths = [path for path in pair if path is not None]
    if len(paths) < 2:
        return OWN_CONCEPTS
    made = import_concepts(paths, "mammo-clip-dissect", licence="CC-BY-NC-4.0", controls=["Environmental_and_Natural"])
    with outputs(output) as fresh:
        (fresh / "concepts.yaml").write_bytes(made.document.encode())
    return str(output / "concepts.yaml")


def _study(one: Found, item: ProbeSet, found: Mapping[str, Found], settings: PaperSettings, concepts: str) -> Planned:
    preprocessing = {**item.preprocessing, **settings.preprocessing}

    def options(name: str, **more: object) -> dict[str, object]:
        return {"checkpoint": str(found[name].path), "preprocessing": preprocessing, **more}

    models: list[dict[str, object]] = []
    if found["imagenet"].usable:
        network = "b2" if "b2" in found["imagenet"].item.names[0] else "b5"
        general = options("imagenet", network=network)
        models.append({"plugin": "mammo-clip-imagenet", "name": GENERAL, "options": general, "layers": [_LAYERS]})
    models.append({"plugin": "mammo-clip", "name": MAMMO, "options": options("mammo-clip"), "layers": [_LAYERS]})
    for name, task in CLASSIFIERS.items():
        if found[task].usable:
            layers = [_LAYERS, "classifier"] if task in _WITH_CLASSES else [_LAYERS]
            models.append({"plugin": "mammo-clip-classifier", "name": name, "options": options(task), "layers": layers})
    assert one.layout is not None
    study: dict[str, object] = {
        "concepts": concepts,
        "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 100, "prior": "layer"}},
        "batch_size": 4,
        **({"where": item.where} if item.where else {}),
        **settings.study,
        "models": models,
        "dissectors": {
            "plugin": "mammo-clip",
            "options": options("mammo-clip", tokenizer=str(found["vocabulary"].path)),
        },
        "dataset": {"plugin": one.layout.plugin, "options": {one.layout.option: str(one.path)}},
    }
    return Planned(one.id, tuple(str(model["name"]) for model in models), study)
