"""What is made in Python is drawn, compared, evaluated and reported: at once, and after it was loaded again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch
from tests.runs.test_dissect import Brightness, Net, Patches, dissect
from torch import nn

import mcd
from mcd.errors import DataError, MCDError, StoreError, UnknownNameError, UsageError

Verb = Callable[[mcd.Dissection], object]


def product(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    return (activations - activations.mean(0)).T @ (similarity - similarity.mean(0))


def other(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    return activations.T @ similarity


class Plain(Net):
    """Without counting calls, which is a state that a network is known by."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.conv(x).mean((2, 3)))
        return out


def made(folder: Path, scorer: object = product) -> mcd.Dissection:
    return dissect(model=Plain(), scorer=scorer, output=folder, maps=1, calibration={"most_draws": 1000})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return made(tmp_path_factory.mktemp("given") / "run")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return made(tmp_path_factory.mktemp("given") / "second", other)


def images_in(page: Path) -> bool:
    return "The images could not be found again" not in page.read_text(encoding="utf-8")


def test_at_once_every_verb_takes_it(run: mcd.Dissection, second: mcd.Dissection, tmp_path: Path) -> None:
    _every_verb(run, second, tmp_path)


def test_loaded_with_its_objects_every_verb_takes_it(
    run: mcd.Dissection, second: mcd.Dissection, tmp_path: Path
) -> None:
    parts = {"model": Plain(), "dissector": Brightness(), "dataset": Patches()}
    _every_verb(mcd.load(run.folder, scorer=product, **parts), mcd.load(second.folder, scorer=other), tmp_path)


def _every_verb(run: mcd.Dissection, second: mcd.Dissection, folder: Path) -> None:
    drawn = run.figure("depth")
    assert drawn.axes
    assert drawn._repr_png_()[0].startswith(b"\x89PNG")
    assert run.figure("top-images", neurons=[("conv", 0)], copy_images=True).axes
    page = run.report({"plugin": "html", "options": {"thumbnails": True}}, output=folder / "report")
    assert isinstance(page, Path)
    assert images_in(page)
    assert page.name in page._repr_html_()
    compared = run.compare(second)
    assert compared.agreements
    assert compared.figure("coverage").axes
    assert compared.report(output=folder / "side by side").is_file()
    assert run.evaluate("held-out", draws=0, output=folder / "evaluation").record.against == ["held-out"]
    assert len(mcd.score(run, concepts=["bright", "left"], output=folder / "few", progress=False).labels)
    assert mcd.score(run, labels_per_neuron=2, output=folder / "two", progress=False).labels["rank"].max() == 2
    again = mcd.run_target(run, progress=False, workers=0)
    assert torch.equal(again.activations["conv"], run.activations("conv"))
    assert run.image("000003").size == (12, 12)
    shown = run.top_images("conv", 0, 3, show=True)
    assert shown._repr_html_().count("<img") == 3
    assert mcd.load(run.save(folder / "saved"), scorer=product).figure("null").axes


def test_loaded_without_them_it_shows_what_is_stored(run: mcd.Dissection, tmp_path: Path) -> None:
    stored = mcd.load(run.folder)
    for name in ("depth", "emergence", "significant", "categories", "coverage", "null", "rungs"):
        assert stored.figure(name).axes
    for reporter in ("csv", "html", "json", "latex", "markdown", "parquet"):
        assert stored.report(reporter, output=tmp_path / reporter).is_file()
    told = mcd.figures.collect([stored]).comparison.notes
    assert any("with it: mcd.load(RUN, scorer=…)" in one for one in told)


@pytest.mark.parametrize(
    ("part", "verb"),
    [
        ("scorer", lambda one: one.evaluate(draws=0)),
        ("scorer", lambda one: mcd.score(one, labels_per_neuron=2, progress=False)),
        ("dissector", lambda one: mcd.score(one, scorer="pearson", concepts=["bright", "dark"], progress=False)),
        ("dataset", lambda one: one.image("000003")),
        ("dataset", lambda one: one.top_images("conv", 0, show=True)),
        ("dataset", lambda one: one.figure("top-images", copy_images=True)),
        ("model", lambda one: mcd.run_target(one, progress=False)),
    ],
)
def test_what_needs_an_object_says_which(run: mcd.Dissection, part: str, verb: Verb) -> None:
    with pytest.raises(UsageError, match="was given in Python; it has no name") as caught:
        verb(mcd.load(run.folder))
    assert caught.value.hint.startswith(f"give it again: mcd.load(RUN, {part}=…)")


def test_what_is_compared_by_scores_says_so_too(run: mcd.Dissection, second: mcd.Dissection) -> None:
    with pytest.raises(UsageError, match=r"mcd\.load\(RUN, scorer=…\)|given in Python"):
        mcd.compare([run.folder, second.folder])
    assert mcd.compare([mcd.load(run.folder, scorer=product), second]).agreements


@pytest.mark.parametrize(
    "part",
    [
        {"scorer": other},
        {"scorer": "pearson"},
        {"dissector": Brightness(nn.Conv2d(1, 1, 1))},
        {"dataset": Patches(39)},
        {"dataset": [one + 0.01 for one in Patches()]},
        {"model": nn.Conv2d(1, 6, 3)},
    ],
)
def test_another_object_is_refused_when_it_is_given(run: mcd.Dissection, part: dict[str, object]) -> None:
    with pytest.raises(DataError, match=f"is not (that|the {next(iter(part))[:5]}|the target)"):
        mcd.load(run.folder, **part)  # type: ignore[arg-type]  # each its own


FACTOR = [1.0]


def changing(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    return FACTOR[0] * (activations - activations.mean(0)).T @ similarity


def test_a_function_that_reads_what_has_changed_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(tmp_path / "run", changing)
    assert len(found.evaluate("held-out", draws=0).summary)
    monkeypatch.setattr(f"{__name__}.FACTOR", [2.0])
    with pytest.raises(DataError, match="changing is not the scorer of"):
        found.evaluate("held-out", draws=0)


def test_a_network_that_was_trained_on_is_another_one(tmp_path: Path) -> None:
    net = Plain()
    found = dissect(model=net, output=tmp_path / "run")
    nn.init.ones_(net.head.weight)
    with pytest.raises(DataError, match="is not the target of"):
        mcd.run_target(found, progress=False)


def test_a_run_that_is_trusted_says_nothing_of_the_runs_beside_it(run: mcd.Dissection, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def mine(A, P):\n    return A.T @ P\n")
    theirs = mcd.score(
        run, scorer=f"{tmp_path / 'mine.py'}:mine", output=run.folder / "scored" / "theirs", progress=False
    )
    assert run.trust
    with pytest.raises(DataError, match="made with what lies outside of it"):
        run.compare(theirs.folder)
    assert run.compare(theirs.folder, trust=True).agreements


def test_figures_have_names(run: mcd.Dissection) -> None:
    with pytest.raises(UnknownNameError, match="no figure is called 'dept'") as caught:
        run.figure("dept")
    assert "did you mean 'depth'" in caught.value.hint
    with pytest.raises(UsageError, match="figure specialisation needs a comparison"):
        run.figure("specialisation")


def test_images_have_ids(run: mcd.Dissection) -> None:
    with pytest.raises(UnknownNameError, match="no image of the run has the id '3'"):
        run.image("3")


def test_a_run_shared_without_private_has_no_images(run: mcd.Dissection, tmp_path: Path) -> None:
    shared = shutil.copytree(run.folder, tmp_path / "shared")
    shutil.rmtree(shared / "private")
    with pytest.raises(StoreError, match="shared without its folder private"):
        mcd.load(shared).image("000003")


def test_what_cannot_be_identified_is_the_same_while_it_is_at_hand(tmp_path: Path) -> None:
    lines = (line for line in ["nobody can say what comes next"])

    def unknown(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return product(activations, similarity) * (1 if lines else 0)

    found = made(tmp_path / "run", unknown)
    assert len(found.evaluate("held-out", draws=0).summary)
    anew = mcd.score(mcd.load(found.folder), scorer=unknown, output=tmp_path / "anew", progress=False)
    assert len(anew.evaluate("held-out", draws=0).summary)
    with pytest.raises(MCDError, match="it cannot be said that unknown is the scorer of"):
        mcd.load(found.folder, scorer=cast("Callable[..., torch.Tensor]", unknown))
