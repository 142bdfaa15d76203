"""What is asked for, made and checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pydantic
import torch
from numpy.typing import NDArray

import mcd
from mcd.errors import DataError, UsageError, amount
from mcd.plugins import Layer, Seed, TargetImages, validate_options
from mcd_plugins.cav.classes import Class, classes_of, over
from mcd_plugins.cav.concepts import (
    Groups,
    Labels,
    annotated,
    check_apart,
    check_divided,
    groups_of,
    held_out,
    of_folders,
)
from mcd_plugins.cav.nuisances import column_of
from mcd_plugins.cav.vectors import METHODS, Method

__all__ = ["Asked", "Concepts", "Sensitivities", "Settings", "Texts", "asked_for", "settings_of"]


class Settings(mcd.Options):
    """How directions are fitted and tested."""

    methods: tuple[Method, ...] = pydantic.Field(
        default=METHODS[:1], min_length=1, description="pattern, ridge, logistic"
    )
    nuisances: tuple[str, ...] = pydantic.Field(default=(), description="taken out of features in a second version")
    held_out: float = pydantic.Field(default=0.3, gt=0, lt=1, description="share of the patients")
    sets: int = pydantic.Field(default=1000, ge=19, le=1_000_000, description="random concept sets")
    q: float = pydantic.Field(default=0.05, gt=0, lt=1, description="false discovery rate")
    seed: Seed = pydantic.Field(default=0, description="decides who is held out, and all draws")


def settings_of(*, methods: Sequence[str] = (), nuisances: str | None = None, **others: object) -> Settings:
    """Return settings as flags have them.

    Raises
    ------
    ConfigError
        When one does not fit.
    """
    names = [one.strip() for one in (nuisances or "").split(",") if one.strip()]
    chosen = {"methods": tuple(dict.fromkeys(methods))} if methods else {}
    return validate_options(Settings, {**chosen, "nuisances": tuple(dict.fromkeys(names)), **others}, "mcd cav")


@dataclass(frozen=True)
class Concepts:
    """Which concepts.

    Parameters
    ----------
    names
        Of the annotations; none for all.
    columns
        Label columns whose values are concepts too.
    present, absent, name
        Two data sets in the place of annotations, and what the concept is called.
    texts, vocabularies, dissector
        Texts, and concept sets, whose directions are found through an image–text model; no labels are needed.

    Raises
    ------
    UsageError
        When some of these do not go together.
    """

    names: Sequence[str] = ()
    columns: Sequence[str] = ()
    present: Mapping[str, object] | mcd.Dataset | None = None
    absent: Mapping[str, object] | mcd.Dataset | None = None
    name: str = ""
    texts: Sequence[str] = ()
    vocabularies: Sequence[str] = ()
    dissector: Mapping[str, object] | mcd.Dissector | None = None

    def __post_init__(self) -> None:
        folders = [self.present is not None, self.absent is not None, bool(self.name)]
        if any(folders) != all(folders):
            raise UsageError("--present, --absent and --name go together", "--present DIR --absent DIR --name mass")
        if any(folders) and (self.names or self.columns or self.by_text):
            raise UsageError(
                f"--present and --absent are the images of one concept, {self.name}",
                "leave out --concepts, --label, --text and --text-concepts",
            )
        if not all(one.strip() for one in self.texts):
            raise UsageError("a text is empty", "write --text mass")
        if self.by_text != (self.dissector is not None):
            raise UsageError(
                "texts need a dissector, and a dissector is needed for texts only",
                "--text mass --dissector mammo-clip:FILE",
            )

    @property
    def by_text(self) -> bool:
        """Whether directions of texts are asked for."""
        return bool(self.texts or self.vocabularies)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts whose directions are found through an image–text model.

    Parameters
    ----------
    names
        What tables call those that are tested.
    embeddings
        ``(texts, D)`` of these, from which the mean of all texts is subtracted.
    images
        ``(samples, D)``.
    dissector
        The model, as records show it.
    """

    names: tuple[str, ...]
    embeddings: torch.Tensor
    images: torch.Tensor
    dissector: Mapping[str, pydantic.JsonValue]


@dataclass(frozen=True)
class Sensitivities:
    """What sensitivities are taken of: outputs by name or number, units ``LAYER:UNIT``, over which images."""

    layers: Sequence[str] = ()
    classes: Sequence[str] = ()
    units: Sequence[str] = ()
    where: str | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """All that goes in.

    Parameters
    ----------
    examples
        The target with the images whose concepts are known: one data set, or two folders.
    samples
        All of these images, in order.
    groups, labels, out
        Whose they are, what they show, and which are held out.
    tested, ids
        The target with the images over which sensitivities are taken, and the ids of these.
    layers, classes
        Where directions are fitted, and of what sensitivities are taken.
    columns
        Of nuisances, by name; each ``(images,)`` of the samples.
    settings
        How.
    texts
        What is asked of in words.
    skip
        Whether images that cannot be decoded are left out.
    lost
        How many of them there were.
    """

    examples: Sequence[TargetImages]
    samples: Sequence[mcd.Sample]
    groups: Groups
    labels: Labels
    out: NDArray[np.bool_]
    tested: TargetImages
    ids: Sequence[str]
    layers: Sequence[Layer]
    classes: Sequence[Class]
    columns: Mapping[str, Sequence[str]]
    settings: Settings
    texts: Texts | None = None
    skip: bool = False
    lost: int = 0

    def decoded(self, samples: NDArray[np.bool_], tested: NDArray[np.bool_]) -> Asked:
        """Return the same of the images that could be decoded.

        Parameters
        ----------
        samples, tested
            Which these are, ``(images,)``, of the samples and of the tested images.

        Raises
        ------
        DataError
            When too few patients are left.
        """
        if samples.all() and tested.all():
            return self
        rows, out = np.flatnonzero(samples).tolist(), self.out[samples]
        own = [self.samples[row] for row in rows]
        unknown = sum(not one.patient for one in own)
        groups = replace(self.groups, numbers=self.groups.numbers[samples], unknown=unknown)
        labels = replace(self.labels, states=self.labels.states[samples])
        texts = self.texts
        return replace(
            self,
            samples=own,
            groups=groups,
            labels=check_divided(labels, groups, out) if labels.names else labels,
            out=out,
            ids=[self.ids[at] for at in np.flatnonzero(tested).tolist()],
            classes=[replace(one, rows=one.rows[tested]) for one in self.classes],
            columns={name: [values[row] for row in rows] for name, values in self.columns.items()},
            texts=None if texts is None else replace(texts, images=texts.images[torch.from_numpy(samples)]),
            lost=len(samples) - len(rows) + (0 if self.tested in self.examples else len(tested) - int(tested.sum())),
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which samples say anything of a concept, ``(images,)``: to texts all do."""
        return np.full(len(self.out), self.texts is not None) | (self.labels.states >= 0).any(axis=1)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which samples directions are fitted on, ``(images,)``: those not held out whose concepts are known."""
        return ~self.out & self.known

    @property
    def fitted_on(self) -> tuple[int, int]:
        """How many images, and of how many patients, directions are fitted on."""
        return self._counted(self.used)

    @property
    def tried_on(self) -> tuple[int, int]:
        """How many images, and of how many patients, are held out, and say anything of a concept."""
        return self._counted(self.out & self.known)

    def _counted(self, rows: NDArray[np.bool_]) -> tuple[int, int]:
        return int(rows.sum()), len(np.unique(self.groups.numbers[rows]))

    @property
    def patients(self) -> list[str]:
        """A key for the patient of each sample."""
        return [self.groups.keys[one] for one in self.groups.numbers.tolist()]

    def digests(self) -> list[str]:
        """Return the digests of the images that directions are fitted on, sorted."""
        return sorted({one.digest for one, used in zip(self.samples, self.used, strict=True) if used and one.digest})


def asked_for(
    main: TargetImages, concepts: Concepts, tested: Sensitivities, settings: Settings, *, on_error: str = "stop"
) -> Asked:
    """Return all that is asked for.

    Parameters
    ----------
    main
        A target and the images over which sensitivities are taken: of `mcd.plugins.target_images`, or `run_images`.
    on_error
        ``stop`` refuses images of a concept's own data sets that cannot be used, and all that cannot be decoded;
        ``skip`` leaves them out.

    Raises
    ------
    mcd.errors.MCDError
        When anything of it does not exist or does not fit.
    """
    layers = main.picked(tested.layers or main.dissected)
    examples = [main]
    if concepts.present is not None and concepts.absent is not None:
        examples = [main.beside(one, on_error=on_error) for one in (concepts.present, concepts.absent)]
        one, other = (part.samples for part in examples)
        check_apart(one, other, "--present", "--absent")
        check_apart([*one, *other], main.samples, "the images of the concept", "the data set")
    samples = [one for part in examples for one in part.samples]
    groups = groups_of(samples)
    labels, out = _labels(examples, samples, groups, concepts, settings)
    columns = {name: column_of(name, samples) for name in settings.nuisances}
    held = np.arange(len(main.samples)) if len(examples) > 1 else np.flatnonzero(out)
    ids, others = [main.ids[row] for row in held], "all images" if len(examples) > 1 else "held-out images"
    skip = on_error == "skip"
    tried = _TRIED if skip else 1
    named = classes_of(main, tested.classes, tested.units, layers, tried)
    classes = over(named, [main.samples[row] for row in held], others, tested.where, main.shown_condition)
    of = [one.of for one in classes]
    main.passed(layers, gradients_of=of, images=ids[:tried], skip=skip)  # what has no gradient is said now
    texts = _texts(examples, concepts, len(np.unique(groups.numbers[~out]))) if concepts.by_text else None
    return Asked(examples, samples, groups, labels, out, main, ids, layers, classes, columns, settings, texts, skip)


def _labels(
    examples: Sequence[TargetImages],
    samples: Sequence[mcd.Sample],
    groups: Groups,
    concepts: Concepts,
    settings: Settings,
) -> tuple[Labels, NDArray[np.bool_]]:
    """Return the concepts of images, and which images are held out."""
    if len(examples) > 1:
        labels = of_folders(examples[0].samples, examples[1].samples, concepts.name, groups)
    elif concepts.by_text and not (concepts.names or concepts.columns):
        labels = Labels((), np.empty((len(samples), 0), dtype=np.int8), {})
        if len(groups.keys) < _FEWEST_FOR_TEXTS:
            raise DataError(
                f"{amount(len(groups.keys), 'patient')}: directions of texts need {_FEWEST_FOR_TEXTS}",
                "take more images",
            )
    else:
        labels = annotated(samples, groups, concepts.names, concepts.columns)
    out = held_out(labels.states, groups, settings.held_out, settings.seed)
    return (check_divided(labels, groups, out) if labels.names else labels), out


def _texts(examples: Sequence[TargetImages], concepts: Concepts, patients: int) -> Texts:
    """Embed the texts and the images.

    The mean that is subtracted is that of these texts and of the concept set birads-core: one text alone has no
    direction apart from what all texts have in common.
    """
    (main,) = examples
    assert concepts.dissector is not None
    if patients < _FEWEST_FOR_TEXTS:
        raise DataError(
            f"{amount(patients, 'patient')} to fit a map to texts on: at least {_FEWEST_FOR_TEXTS} are needed",
            "take more images, or hold out fewer: --held-out 0.2",
        )
    sets = [main.vocabulary(name).concepts for name in (*concepts.vocabularies, _REFERENCE)]
    prompts = {text: text for text in concepts.texts}
    for own in sets[:-1]:
        prompts |= {one.term: one.prompt for one in own if one.term not in prompts}
    reference = list(dict.fromkeys([*prompts.values(), *(one.prompt for one in sets[-1])]))
    found = main.embedded(concepts.dissector, reference)
    own_rows = [reference.index(text) for text in prompts.values()]
    own_texts = found.texts[own_rows] - found.texts.mean(dim=0)
    return Texts(tuple(prompts), own_texts, found.images, found.dissector)


_TRIED = 4
"""Images on which what the network gives is tried, where some may not be decoded."""
_FEWEST_FOR_TEXTS = 10
_REFERENCE = "birads-core"
