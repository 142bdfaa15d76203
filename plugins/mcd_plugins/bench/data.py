"""A real network on the user's images as material: a stored run, or images that are dissected for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mcd
from mcd.errors import DataError, UnknownNameError, UsageError, nearest
from mcd.plugins import ABSENT, PRESENT, StoredScores, presence
from mcd_plugins.bench.contract import Matrix, Values
from mcd_plugins.bench.material import Material, correlations, fixed_by, normalised
from mcd_plugins.bench.plants import ALIKE, can_be_planted

__all__ = ["FEWEST", "Images", "confounders_of", "dissected", "images_of", "is_run", "of_run"]

FEWEST = 50
"""Images that a bench needs."""
_MOST_UNITS = 512
"""Of a wider layer so many units are drawn."""
_FEWEST_SHARE = 0.1
_CELL = ("view", "laterality", "vendor")


MODEL, LAYER, DISSECTOR = "timm:resnet50", "layer4", "open-clip:ViT-B-16"
"""What images are run through where nothing else is said, with `MODEL_OPTIONS` and `DISSECTOR_OPTIONS`."""
MODEL_OPTIONS: Mapping[str, object] = {"pretrained": True}
DISSECTOR_OPTIONS: Mapping[str, object] = {"pretrained": "openai"}


@dataclass(frozen=True)
class Images:
    """What a network on images is dissected with; components as in a study, ``{"plugin": …, "options": …}``.

    Parameters
    ----------
    dataset, model, dissector
        The components.
    layer
        The one layer that units are planted into.
    concepts
        Name or file of the vocabulary.
    untrained
        How many networks with random weights.
    """

    dataset: Mapping[str, object]
    model: Mapping[str, object]
    layer: str
    dissector: Mapping[str, object]
    concepts: str = "birads"
    untrained: int = 0


def is_run(path: Path) -> bool:
    """Return whether a path is a run folder."""
    return (path / "manifest.json").is_file()


def dissected(images: Images, plugin_files: Sequence[Path]) -> mcd.Dissection:
    """Run a network over images; the run folder goes with the dissection.

    Raises
    ------
    MCDError
        As `mcd.dissect`.
    """
    return mcd.dissect(
        images.model,
        layers=images.layer,
        dissector=images.dissector,
        dataset=images.dataset,
        concepts=images.concepts,
        untrained=images.untrained,
        scorer="pearson",  # any that takes few images: its labels play no part
        calibration={"draws": 0},
        plugin_files=[str(one) for one in plugin_files],
    )


def of_run(run: mcd.Dissection, layer: str | None, seed: int) -> Material:
    """Return a layer of a run as material. What was labelled there plays no part.

    Where the data set annotates two concepts or more that can be planted, the annotated concepts are the vocabulary,
    and plants follow annotations. Elsewhere the vocabulary is that of the run, and plants follow the similarity itself.

    Parameters
    ----------
    layer
        Its name; the last one where None.
    seed
        Decides which units are taken of a wide layer.

    Raises
    ------
    DataError
        When the run has too few images, or no image–text model.
    UnknownNameError
        When it has no such layer.
    """
    name = layer or run.layers[-1]
    if name not in run.layers:
        raise UnknownNameError(f"the run has no layer '{name}'", nearest(name, run.layers))
    if len(run.image_ids) < FEWEST:
        raise DataError(f"a bench needs {FEWEST} images, and the run has {len(run.image_ids)}", "use more images")
    if run.manifest.store.annotations:
        raise DataError(
            "the dissector of the run reads annotations: methods have no similarity to see",
            "give a run of an image–text model",
        )
    stored = StoredScores(run)
    given, concepts, statistics = stored.material(), stored.concepts.concepts, run.image_statistics()
    similarity = given.similarity.whole().numpy()
    said = _annotated(run, concepts)
    truth, truth_is, kept = similarity.astype(np.float64), "similarity", list(range(len(concepts)))
    if sum(can_be_planted(one, run.patients) for one in said.T) > 1:
        truth, truth_is = said, "annotations"
        kept = np.flatnonzero((said == 1).any(axis=0)).tolist()
    facts = {fact: [str(getattr(one, fact)) for one in run.samples] for fact in _CELL}
    confounders = confounders_of(facts, None if statistics is None else statistics.numpy(), truth[:, kept])
    kept = [at for at in kept if not _is_one(truth[:, at], confounders)]
    if len(kept) < 2:
        raise DataError("no concept of the vocabulary is left beside view, side and vendor", "use another vocabulary")
    activations, texts = run.activations(name).numpy(), given.probe.texts.numpy()
    return Material(
        name=f"{len(activations)} images, {run.manifest.target} {name}, {run.manifest.dissector}",
        activations=activations[:, _units(activations.shape[1], seed)],
        similarity=similarity[:, kept],
        images=normalised(given.probe.embeddings.numpy()),
        texts=normalised(texts[kept]),
        empty=normalised(texts.mean(axis=0)[None])[0],
        truth=truth[:, kept],
        truth_is=truth_is,
        annotations=said[:, kept].astype(np.float32),
        patients=tuple(run.patients),
        concepts=tuple(concepts[at] for at in kept),
        confounders=confounders,
        facts=facts,
        statistics=None if statistics is None else fixed_by(statistics.numpy()),
        untrained=tuple(one.numpy() for one in run.untrained(name)),
    )


def _annotated(run: mcd.Dissection, concepts: Sequence[mcd.Concept]) -> Values:
    """Return what is annotated of each image, ``(images, concepts)``: 1, 0, or NaN."""
    known = presence(run.samples, concepts)
    said: Values = np.full((len(run.samples), len(concepts)), np.nan)
    said[known == PRESENT], said[known == ABSENT] = 1.0, 0.0
    return said


def _units(count: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    rng = np.random.default_rng([seed, 3])
    return np.sort(rng.permutation(count)[:_MOST_UNITS])


def confounders_of(facts: Mapping[str, Sequence[str]], statistics: Matrix | None, truth: Values) -> dict[str, Values]:
    """Return what units are confounded with: of each fact the value that correlates most with a concept; or brightness.

    NaN where the fact is not known of an image. Brightness only where no fact is known.
    """
    found: dict[str, Values] = {}
    for fact, values in facts.items():
        least = _FEWEST_SHARE * len(values)
        flags = {
            value: np.array([float(one == value) if one else np.nan for one in values])
            for value in sorted(set(values))
            if value
        }
        usable = {
            value: flag for value, flag in flags.items() if (flag == 1).sum() >= least and (flag == 0).sum() >= least
        }
        if usable:
            value = max(usable, key=lambda one: _correlation(usable[one], truth))
            found[f"{fact} ({value})"] = usable[value]
    if not found and statistics is not None and np.ptp(statistics[:, 0]) > 0:
        found["brightness"] = statistics[:, 0].astype(np.float64)
    return found


def _correlation(values: Values, truth: Values) -> float:
    """Return the largest correlation of values with a concept that is not the same thing."""
    found = np.abs(correlations(values[:, None], truth))[0]
    return float(found[found <= ALIKE].max(initial=0.0))


def _is_one(truth: Values, confounders: Mapping[str, Values]) -> bool:
    """Return whether a concept is a confounder by another name; then its name for a confounded unit would be right."""
    own = truth[:, None]
    return any(abs(float(correlations(own, one[:, None])[0, 0])) > ALIKE for one in confounders.values())


def images_of(
    data: str,
    model: str | None,
    layer: str | None,
    dissector: str | None,
    options: Mapping[str, Mapping[str, object]],
) -> Images:
    """Return what images are dissected with: all that is named, or the defaults where nothing is.

    Parameters
    ----------
    data
        A folder of pictures, or a data set with its value.
    model, layer, dissector
        Names; all three, or none.
    options
        Further settings of ``dataset``, ``model`` and ``dissector``.

    Raises
    ------
    UsageError
        When there is no such folder, or some of the three are named and others are not.
    """
    path = Path(data).expanduser()
    if not path.exists() and ":" not in data:
        raise UsageError(f"there is no folder {data}", "give a run folder, a folder of images, or NAME:VALUE")
    named = {"--model": model, "--layer": layer, "--dissector": dissector}
    lacking = [flag for flag, value in named.items() if value is None]
    if lacking and (len(lacking) < len(named) or options["model"] or options["dissector"]):
        raise UsageError(
            f"{', '.join(lacking)} must say with the others what is run over the images of {data}",
            "give all of --model, --layer and --dissector, or none of them; or a run folder",
        )
    return Images(
        dataset={"plugin": f"images:{path}" if path.exists() else data, "options": dict(options["dataset"])},
        model={"plugin": model or MODEL, "options": dict(options["model"] if model else MODEL_OPTIONS)},
        layer=layer or LAYER,
        dissector={
            "plugin": dissector or DISSECTOR,
            "options": dict(options["dissector"] if dissector else DISSECTOR_OPTIONS),
        },
    )
