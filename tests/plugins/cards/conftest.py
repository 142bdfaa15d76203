"""Runs that cards are made of, and cards with answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.plugins.explorer.conftest import hostile, hostile_run, phantom

import mcd
from mcd_plugins.cards.key import Key
from mcd_plugins.cards.reporter import CardsReporter

__all__ = ["hostile", "hostile_run", "phantom"]


@dataclass(frozen=True)
class Written:
    """The cards of a run: what readers get, and the key."""

    folder: Path

    @property
    def page(self) -> str:
        return (self.folder / "cards" / "cards.html").read_text(encoding="utf-8")

    @property
    def choices(self) -> str:
        return (self.folder / "cards-choices" / "choices.html").read_text(encoding="utf-8")

    @property
    def sheet(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((self.folder / "cards" / "answers.csv").read_text(encoding="utf-8"))))

    @property
    def key(self) -> Key:
        return Key.read(self.folder / "cards-key")

    def answers(self, name: str, choices: Mapping[int, str], confidence: str = "3") -> Path:
        """Fill in a sheet: the letters given, and the right one for other cards."""
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(self.sheet[0]))
            table.writeheader()
            for row, card in zip(self.sheet, self.key.cards, strict=True):
                choice = choices.get(card.number, card.answer)
                table.writerow({**row, "free_text": 'a, "b"\nc', "choice": choice, "confidence": confidence})
        return path


def cards_of(run: mcd.Dissection, folder: Path, **options: object) -> Written:
    folder.mkdir(parents=True, exist_ok=True)
    CardsReporter(CardsReporter.Options.model_validate({"size": 64, **options})).report(run, folder)
    return Written(folder)


@pytest.fixture(scope="session")
def written(phantom: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return cards_of(phantom, tmp_path_factory.mktemp("cards"), low=2)
