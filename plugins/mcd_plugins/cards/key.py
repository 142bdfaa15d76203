"""The key of a set of cards: which neuron each is, and what the right choice is. Readers never see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Literal

import pandas as pd
import pydantic

from mcd.errors import DataError
from mcd.plugins import Schema, csv_bytes, digest, read_record, write_atomically

__all__ = ["CONTROL", "GROUPS", "Card", "Group", "Key", "letters"]

Group = Literal["significant", "control"]
GROUPS: tuple[Group, ...] = ("significant", "control")
CONTROL: Group = "control"
_RENAMED = {"above chance": "significant", "polysemantic": "multiple categories"}
"""Groups and verdicts, as the first version of the format names them."""


def _from_first(key: Mapping[str, object]) -> Mapping[str, object]:
    cards = key.get("cards")
    if not isinstance(cards, list):
        return key
    renamed = [
        {
            name: _RENAMED.get(str(value), value) if name in ("group", "verdict") else value
            for name, value in one.items()
        }
        for one in cards
        if isinstance(one, dict)
    ]
    renamed_fields = {"conditions" if name == "told" else name: value for name, value in key.items()}
    return {**renamed_fields, "cards": renamed}


SCHEMA = Schema("cards", 2, {1: _from_first}, remedy="give the key.json that the reporter cards wrote")
_JSON, _CSV = "key.json", "key.csv"


def letters(choices: int) -> str:
    """Return what the choices of a card are called."""
    return ascii_lowercase[:choices]


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Card(_Record):
    """One neuron as readers see it, and what they do not see.

    ``options`` are the concepts to choose from, in the order of their letters; ``answer`` is the letter of ``label``,
    the neuron's first concept. ``images`` and ``low`` are ids of its most activating images and of weak ones.
    """

    number: int
    layer: str
    neuron: int
    group: Group
    verdict: str
    label: str
    category: str
    broad_category: str
    z: float
    q: float
    options: tuple[str, ...]
    answer: str
    images: tuple[str, ...]
    low: tuple[str, ...] = ()

    @pydantic.model_validator(mode="after")
    def _coherent(self) -> Card:
        if not (self.answer in letters(len(self.options)) and self.options[ord(self.answer) - ord("a")] == self.label):
            raise ValueError("its answer is not its label")
        return self


class Key(_Record):
    """A set of cards.

    ``name`` is a digest of all else: it stands on cards and answer sheets, so that answers are scored by their own key.
    It begins with a letter that no number has, for spreadsheets rewrite what reads as one: 1234e5678901.
    ``conditions`` holds the conditions of the run: name and text.
    """

    schema_: Literal["mcd.cards/2"] = pydantic.Field(default="mcd.cards/2", alias="schema")
    name: str = ""
    seed: int
    choices: int
    conditions: dict[str, str]
    cautions: tuple[str, ...]
    cards: tuple[Card, ...]

    @classmethod
    def of(
        cls, seed: int, choices: int, conditions: dict[str, str], cautions: Sequence[str], cards: Sequence[Card]
    ) -> Key:
        """Return the key of cards, with its name."""
        found = cls(seed=seed, choices=choices, conditions=conditions, cautions=tuple(cautions), cards=tuple(cards))
        return found.model_copy(update={"name": f"c{digest(found.model_dump_json())[:11]}"})

    def write(self, folder: Path) -> list[Path]:
        """Write the key as JSON, and as a table, into a folder that only its owner may read.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        rows = [one.model_dump(exclude={"options", "images", "low"}) for one in self.cards]
        table = csv_bytes(pd.DataFrame(rows))
        text = (self.model_dump_json(by_alias=True, indent=1) + "\n").encode()
        folder.chmod(0o700)  # before anything is in it
        for name, data in ((_JSON, text), (_CSV, table)):
            write_atomically(folder / name, data, mode=0o600)
        return [folder / _JSON, folder / _CSV]

    @classmethod
    def read(cls, path: Path) -> Key:
        """Read ``key.json``, or that of a folder.

        Raises
        ------
        DataError
            When there is none, or it is not one.
        """
        path = path / _JSON if path.is_dir() else path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"the key {path} cannot be read: {error.strerror}", "give the folder cards-key") from None
        return read_record(data, SCHEMA, cls, f"the key {path}", DataError)
