"""The kit for authors of plugins: what it lets pass, and what it refuses with what to change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from pydantic import Field
from tests.testing.refusing import refused
from torch import nn

import mcd
from mcd.testing import (
    check_command,
    check_concepts,
    check_dataset,
    check_dissector,
    check_model_loader,
    check_observer,
    check_preprocessing,
    check_reporter,
)
from mcd.testing.material import TinyDissector, TinyImages, tiny_target


class _Loader(mcd.ModelLoader):
    returned: Callable[[], object] = staticmethod(tiny_target)

    def load(self) -> mcd.Target:
        return self.returned()  # type: ignore[return-value]  # what an author may write


def _loading(load: Callable[[], object]) -> type[_Loader]:
    return type("Acme", (_Loader,), {"returned": staticmethod(load)})


def _raising() -> object:
    raise KeyError("stem.weight")


def _dropping() -> object:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 4, 3)
            nn.init.ones_(self.stem.weight)
            nn.init.zeros_(self.stem.bias)
            self.relu = nn.ReLU()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.relu(nn.functional.dropout(self.stem(images), 0.5))
            return found

    return dataclasses.replace(tiny_target(), module=Dropping())


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (_raising, "Acme.load() raised KeyError: 'stem.weight' (test_checks.py, line"),
        (lambda: tiny_target().module, "Acme.load() returned a Sequential, not a mcd.Target"),
        (lambda: dataclasses.replace(tiny_target(), name=" "), "the target of Acme has no name"),
        (lambda: mcd.Target("acme", object()), "the module of Acme is an object"),  # type: ignore[arg-type]  # what an author may write
        (lambda: mcd.Target("acme", nn.Linear(3, 2), torch.float), "the preprocessing of Acme is a dtype"),  # type: ignore[arg-type]  # what an author may write
        (lambda: mcd.Target("acme", nn.Conv2d(1, 4, 3), mcd.Preprocessing(channels=1)), "returns other weights"),
        (
            lambda: mcd.Target("acme", nn.Linear(7, 2, bias=False).eval().requires_grad_(False).to("meta")),
            "another device",
        ),
        (_dropping, "gives one image different values in two passes"),
        (lambda: dataclasses.replace(tiny_target(), outputs=("mass",)), "names 1 outputs and the network gives 784"),
    ],
)
def test_a_model_loader_that_breaks_its_contract_isrefused(load: Callable[[], object], said: str) -> None:
    assert said in refused(check_model_loader, _loading(load))


def test_a_model_loader_that_keeps_it_passes() -> None:
    check_model_loader(_Loader)
    check_model_loader(_Loader())


def test_a_setting_without_description_and_one_without_default_arerefused() -> None:
    class Bare(_Loader):
        class Options(mcd.Options):
            width: int = 3

    class Needed(_Loader):
        class Options(mcd.Options):
            width: int = Field(description="channels")

    assert "setting width of" in refused(check_model_loader, Bare)
    assert "width: Field required" in refused(check_model_loader, Needed)
    check_model_loader(Needed(Needed.Options(width=3)))


def test_what_is_of_another_kind_isrefused() -> None:
    assert "is no mcd.ModelLoader" in refused(check_model_loader, TinyImages)
    assert "is no mcd.Dataset" in refused(check_dataset, _Loader)
    assert "is no mcd.Preprocessing" in refused(check_preprocessing, _Loader)


class _Nameless(TinyDissector):
    def load(self) -> None:
        super().load()
        del self.name


class _Unpreprocessed(TinyDissector):
    def load(self) -> None:
        super().load()
        del self.preprocessing


class _Wide(TinyDissector):
    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.ones(len(texts), 7)


class _Flat(TinyDissector):
    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        return super().encode_images(batch)[0]


class _Infinite(TinyDissector):
    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        return super().encode_images(batch) / 0


class _ByPlace(TinyDissector):
    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return super().encode_texts(texts) + torch.arange(len(texts))[:, None]


class _OfTheBatch(TinyDissector):
    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        return super().encode_images(batch - batch.mean(dim=0))


class _ForeignTower(TinyDissector):
    def load(self) -> None:
        super().load()
        self.image_tower = nn.Linear(2, 2)


class _IdleTower(TinyDissector):
    def load(self) -> None:
        super().load()
        self.module = nn.ModuleDict({"used": self.module, "tower": nn.Linear(2, 2)})
        self.image_tower = self.module["tower"]

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.module["used"](batch.flatten(1))
        return found


@pytest.mark.parametrize(
    ("dissector", "said"),
    [
        (_Nameless, "leaves name None"),
        (_Unpreprocessed, "leaves preprocessing None"),
        (_Wide, "embeds images in 16 dimensions and texts in 7"),
        (_Flat, "returned 16 for"),
        (_Infinite, "returned NaN or infinity"),
        (_ByPlace, "another embedding beside other texts"),
        (_OfTheBatch, "different embeddings in two passes"),
        (_ForeignTower, "is none of the modules of its module"),
        (_IdleTower, "runs its image_tower 0 times a batch"),
    ],
)
def test_a_dissector_that_breaks_its_contract_isrefused(dissector: type[TinyDissector], said: str) -> None:
    assert said in refused(check_dissector, dissector)


class _HashesWhatItLoads(TinyDissector):
    def fingerprint(self) -> str:
        return str(self.module.weight.sum().item())


def test_a_dissector_that_keeps_it_passes() -> None:
    check_dissector(TinyDissector)
    check_dissector(_HashesWhatItLoads)  # the engine takes fingerprints of loaded dissectors


class _ReadsArray(TinyImages):
    def read(self, sample: mcd.Sample) -> mcd.Image:
        return super().read(sample).pixels  # type: ignore[return-value]  # what an author may write


class _ReadsDoubles(TinyImages):
    def read(self, sample: mcd.Sample) -> mcd.Image:
        image = super().read(sample)
        return dataclasses.replace(image, pixels=image.pixels.astype(np.float64))  # type: ignore[arg-type]  # what an author may write


class _TooBright(TinyImages):
    def read(self, sample: mcd.Sample) -> mcd.Image:
        image = super().read(sample)
        return dataclasses.replace(image, pixels=image.pixels * 300)


class _ByChance(TinyImages):
    def read(self, sample: mcd.Sample) -> mcd.Image:
        image = super().read(sample)
        return dataclasses.replace(image, pixels=(image.pixels * np.random.default_rng().random()).astype(np.float32))


class _Repeating(TinyImages):
    def scan(self) -> Iterator[mcd.Sample]:
        for sample in super().scan():
            yield dataclasses.replace(sample, id="tiny-00")


class _Short(TinyImages):
    def __len__(self) -> int:
        return 3


class _OwnWords(TinyImages):
    def scan(self) -> Iterator[mcd.Sample]:
        for sample in super().scan():
            yield dataclasses.replace(sample, laterality="left")


class _Undigested(TinyImages):
    def scan(self) -> Iterator[mcd.Sample]:
        for sample in super().scan():
            yield dataclasses.replace(sample, digest="")

    def examine(self, sample: mcd.Sample) -> mcd.Sample:
        return sample


class _Locked(TinyImages):
    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self.reader = lambda: None


class _Foggy(TinyImages):
    has_masks = True

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.ones((3, 3), dtype=bool)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (_ReadsArray, "returned a ndarray, not a mcd.Image"),
        (_ReadsDoubles, "are float64"),
        (_TooBright, "outside 0…1"),
        (_ByChance, "other pixels the second time"),
        (_Repeating, "have the id of another one"),
        (_Short, "is 3, and scan() goes through 24 images"),
        (_OwnWords, "laterality of image tiny-00 of _OwnWords is 'left'"),
        (_Undigested, "has no digest after it was examined"),
        (_Locked, "cannot be sent to worker processes"),
        (_Foggy, "is no bool array of"),
    ],
)
def test_a_data_set_that_breaks_its_contract_isrefused(dataset: type[mcd.Dataset], said: str) -> None:
    assert said in refused(check_dataset, dataset).replace("an ndarray", "a ndarray")


def test_a_data_set_that_keeps_it_passes() -> None:
    check_dataset(TinyImages)


class _NeverCalled(mcd.Preprocessing):
    def apply(self, image: mcd.Image) -> mcd.Image:
        return image


class _LosesTheMask(mcd.Preprocessing):
    def picture(self, image: mcd.Image) -> mcd.Image:
        return mcd.Image(image.pixels[2:-2], image.maximum)


class _CutsAgain(mcd.Preprocessing):
    def picture(self, image: mcd.Image) -> mcd.Image:
        assert image.mask is not None
        return dataclasses.replace(image, pixels=image.pixels[2:-2], mask=image.mask[2:-2])


class _Normalises(mcd.Preprocessing):
    def prepare(self, image: mcd.Image) -> torch.Tensor:
        return super().prepare(image) - 0.5


class _OtherSize(mcd.Preprocessing):
    def prepare(self, image: mcd.Image) -> torch.Tensor:
        return super().prepare(image)[:, 1:]


class _PictureOfPixels(mcd.Preprocessing):
    def picture(self, image: mcd.Image) -> mcd.Image:
        return image.pixels  # type: ignore[return-value]  # what an author may write


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (_NeverCalled, "_NeverCalled.apply() is never called"),
        (_LosesTheMask, "gives a mask of None"),
        (_CutsAgain, "changes its own result once more"),
        (_Normalises, "returned values from -0.5"),
        (_OtherSize(height=8, width=8), "returned (7, 8), and declares (8, 8)"),
        (_PictureOfPixels, "picture() returned a"),
    ],
)
def test_a_recipe_that_breaks_its_contract_isrefused(recipe: type[mcd.Preprocessing], said: str) -> None:
    assert said in refused(check_preprocessing, recipe)


def test_a_recipe_that_keeps_it_passes() -> None:
    check_preprocessing(mcd.Preprocessing(height=16, width=16, channels=3, mean=(0.5,), std=(0.2,)))


def test_a_concept_set_is_checked(tmp_path: Path) -> None:
    words = tmp_path / "words.yaml"
    words.write_text("name: acme\nbroad_categories: {findings: {masses: [mass]}}\n")
    assert "words.yaml says no licence" in refused(check_concepts, words)
    words.write_text("name: [")
    assert "cannot be read" in refused(check_concepts, words)


def test_a_command_says_what_it_and_its_options_do() -> None:
    @click.command()
    @click.option("--speed", default=1)
    def acme(speed: int) -> None:
        """Do it."""

    @click.command()
    def mute() -> None:
        pass

    assert "option --speed of acme has no help" in refused(check_command, acme)
    assert "mute has no help" in refused(check_command, mute)


def test_an_observer_takes_every_event() -> None:
    def observer(event: mcd.events.Event) -> None:
        getattr(event, "stage")  # noqa: B009 -- what an author does

    assert "the observer, given RunStarted, raised AttributeError" in refused(check_observer, observer)
    check_observer(lambda event: None)


class _Lists(mcd.Reporter):
    paths = True
    extra = ""

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        path = folder / "neurons.txt"
        path.write_text(f"{len(dissection.labels)} rows {self.extra}")
        return [path] if self.paths else []


class _Forgets(_Lists):
    paths = False


class _Timed(_Lists):
    @property
    def extra(self) -> str:  # type: ignore[override]  # what an author may write
        return str(np.random.default_rng().random())


class _Sorts(_Lists):
    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        dissection.labels.loc[:, "score"] = 0.0
        return super().report(dissection, folder)


def test_a_reporter_that_breaks_its_contract_isrefused(tiny_dissection: mcd.Dissection) -> None:
    def check(reporter: object) -> None:
        check_reporter(reporter, tiny_dissection)  # type: ignore[arg-type]  # what an author may write

    assert "wrote neurons.txt and does not return it" in refused(check, _Forgets)
    assert "writes other bytes the second time" in refused(check, _Timed)
    check(_Lists)
