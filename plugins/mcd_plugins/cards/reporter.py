"""The reporter ``cards``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pydantic

import mcd
from mcd.errors import DataError, StoreError, UsageError
from mcd.plugins import Seed, data_set_of, echo, same_samples, thumbnails, write_atomically
from mcd_plugins.cards.key import Card, Key
from mcd_plugins.cards.page import choices_page, page, sheet
from mcd_plugins.cards.sampling import Design, drawn
from mcd_plugins.reporters.facts import facts_of
from mcd_plugins.reporters.vocabulary import vocabulary_of

__all__ = ["CardsReporter"]


class CardsReporter(mcd.Reporter):
    """Write blinded neuron cards for a reader study: images without labels, an answer sheet, and a key kept apart.

    ``cards/`` is for readers: ``cards.html``, a form that asks for own words before it shows choices and saves the
    answer sheet, and ``answers.csv``, the blank sheet. Readers on paper print ``cards.html`` and get
    ``cards-choices/choices.html`` when they have described all cards. ``cards-key/`` is for whoever runs the study.
    ``mcd cards score`` counts how often readers chose the neuron's label.
    """

    class Options(mcd.Options):
        """Settings of the cards."""

        count: int = pydantic.Field(default=20, ge=1, le=1000, description="cards, controls among them")
        controls: float = pydantic.Field(
            default=0.25, ge=0, lt=1, description="share of cards with neurons whose label is not significant"
        )
        layers: tuple[str, ...] = pydantic.Field(
            default=(), description="layers neurons are drawn from, as patterns; all where none is given"
        )
        images: int = pydantic.Field(default=8, ge=1, le=50, description="most activating images on a card")
        low: int = pydantic.Field(default=0, ge=0, le=50, description="weakly activating images beside them")
        choices: int = pydantic.Field(default=5, ge=2, le=12, description="concepts a reader chooses from")
        seed: Seed = pydantic.Field(default=0, description="decides neurons, choices and all orders")
        size: int = pydantic.Field(
            default=800, ge=64, le=4096, description="longer side of an image in pixels: what zoom shows"
        )
        copy_images: bool = pydantic.Field(
            default=False, description="copy images that may show patients: only if your readers may see them"
        )

        @pydantic.field_validator("layers", mode="before")
        @classmethod
        def _as_patterns(cls, value: object) -> object:
            return (value,) if isinstance(value, str) else value

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the cards, the answer sheet, the choices and the key.

        Raises
        ------
        UsageError
            When the images may not be copied; when the run has too few neurons, images or concepts.
        DataError
            When images have changed since the run, or cannot be read any more.
        """
        asked = self.options
        dataset = data_set_of(dissection)
        self._may_copy(dataset)
        facts = facts_of(dissection)
        known = [one.term for one in vocabulary_of(dissection)]
        if not known:
            echo("note: choices are drawn from the concepts that the run's labels name", err=True)
            known = [str(one) for one in dissection.labels["concept"].unique() if one]
        design = Design(
            count=asked.count,
            controls=math.floor(asked.count * asked.controls + 0.5),
            layers=asked.layers,
            images=asked.images,
            low=asked.low,
            choices=asked.choices,
            seed=asked.seed,
        )
        samples = same_samples(dissection, dataset)
        texts = frozenset(name for name in dissection.image_ids if samples[name].burned_in)
        cards = drawn(dissection, design, known, facts.q, without=texts)
        cautions = [*facts.cautions, *([_without(len(texts), len(samples))] if texts else []), *_alike(cards, design)]
        key = Key.of(asked.seed, asked.choices, dict(facts.conditions), cautions, cards)
        ids = list(dict.fromkeys(name for one in cards for name in (*one.images, *one.low)))
        pictures = thumbnails(dissection, ids, asked.size, dataset=dataset, samples=samples)
        missing = len(ids) - len(pictures)
        if missing:
            raise DataError(f"{missing} images of the cards cannot be read any more", "make the run again")
        if texts:
            echo(f"note: {_without(len(texts), len(samples))}", err=True)
        return _write(folder, key, page(key, pictures, _notice(dataset)))

    def _may_copy(self, dataset: mcd.Dataset) -> None:
        if not dataset.images_may_be_copied and not self.options.copy_images:
            reason = dataset.against_copies or "they may show patients"
            raise UsageError(
                f"cards hold copies of images, and those of this run are not copied unasked: {reason}",
                "if your readers may see them: --reporter-arg copy_images=true",
            )
        if dataset.against_copies:
            echo(f"note: the cards hold copies of images, but {dataset.against_copies}", err=True)


def _without(texts: int, images: int) -> str:
    return (
        f"{texts} of {images} images are on no card: by their headers text is burned into the pixels, which may name "
        "the patient"
    )


def _alike(cards: Sequence[Card], design: Design) -> list[str]:
    most = max(Counter(card.label for card in cards).values())
    if most <= design.most_alike:
        return []
    return [
        f"{most} of {len(cards)} cards have the same label, since the run has too few others: to choose it on every "
        "card is better than to guess"
    ]


def _notice(dataset: mcd.Dataset) -> str:
    """Return what whoever holds the cards must know about passing them on."""
    if dataset.against_copies:
        return f"Do not pass these cards on: they hold copies of images, and {dataset.against_copies}."
    return "" if dataset.images_may_be_copied else "These cards may show patients: pass them on only if you may."


def _write(folder: Path, key: Key, cards: str) -> list[Path]:
    apart = folder / "cards-key"
    written = {
        folder / "cards" / "cards.html": cards,
        folder / "cards" / "answers.csv": sheet(key),
        folder / "cards-choices" / "choices.html": choices_page(key),
    }
    try:
        for path in written:
            path.parent.mkdir(parents=True, exist_ok=True)
        apart.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror}", "choose another --output") from None
    for path, text in written.items():
        write_atomically(path, text.encode())
    return [*written, *key.write(apart)]
