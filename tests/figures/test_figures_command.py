"""``mcd figures`` of real small runs: files, what is not drawn and why, and that numbers are those of a comparison."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
from tests.conftest import Outcome
from tests.figures.colours import in_figure, on_page

import mcd
from mcd.comparison import ComparisonSettings, compare
from mcd.errors import DataError, UsageError
from mcd.figures import Caption, Drawn, FigureData, Wanted, collect, draw, top_images
from mcd.runs.rescore import rescore
from mcd.study.study import Choice

STUDY = """
models:
  - {plugin: phantom-general, layers: [stages.0, head]}
  - {plugin: phantom-mammo, layers: [stages.0, head]}
dissectors: phantom-clip
dataset: {plugin: phantom, options: {patients: 25}}
concepts: [phantom, technical]
scorer: {plugin: soft-wpmi, options: {top_k: 30}}
calibration: {most_draws: 1000}
device: cpu
"""
PHANTOM = Choice(plugin="phantom")


def product(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    return (activations - activations.mean(0)).T @ similarity


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> Path:
    place: Path = tmp_path_factory.mktemp("figures")
    (place / "study.yaml").write_text(STUDY)
    done = mcd_command("run", place / "study.yaml", "-o", place / "x")
    assert done.code == 0, done.err
    return place / "x"


@pytest.fixture(scope="module")
def data(runs: Path) -> FigureData:
    return collect([mcd.load(runs / "phantom-mammo")], ComparisonSettings(resamples=10))


@pytest.mark.slow
def test_files_are_written_and_what_is_not_drawn_is_said(
    runs: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command("figures", runs / "phantom-mammo", "-o", tmp_path / "a", "--bootstrap", 10)
    assert done.code == 0, done.err
    written = {path.name for path in (tmp_path / "a").glob("[!.]*")}
    assert written == {
        f"{name}.png"
        for name in (
            *("depth", "emergence", "significant", "scores", "categories"),
            *("coverage", "null", "rungs", "top-images"),
        )
    }
    told = " ".join(done.out.split())
    assert "not drawn: controls: phantom-mammo was run without controls" in told
    assert "not drawn: evaluation: phantom-mammo has no evaluation" in told
    assert "not drawn: specialisation: what changes takes two runs" in told
    said = [line for line in (done.out + done.err).splitlines() if not line.startswith("written:")]
    assert max(map(len, said)) <= 80
    again = mcd_command("figures", runs / "phantom-mammo", "-o", tmp_path / "b", "--bootstrap", 10)
    assert again.code == 0, again.err
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_only_some_in_another_format(runs: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    both = (runs / "phantom-general", runs / "phantom-mammo")
    done = mcd_command(
        "figures",
        *both,
        "-o",
        tmp_path,
        "--only",
        "significant",
        "--only",
        "null",
        "--format",
        "svg",
        "--threshold",
        "local",
        "--layers",
        "stages.*",
        "--bootstrap",
        0,
    )
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.glob("[!.]*")} == {
        "significant.svg",
        "null-phantom-general.svg",
        "null-phantom-mammo.svg",
    }
    assert "local threshold" in (tmp_path / "significant.svg").read_text()
    refused = mcd_command("figures", runs / "phantom-mammo", "-o", tmp_path, "--only", "controls", "--bootstrap", 0)
    assert (refused.code, "run without controls" in refused.err) == (2, True)
    unknown = mcd_command("figures", runs / "phantom-mammo", "-o", tmp_path, "--only", "dept")
    assert "did you mean 'depth'?" in unknown.err
    assert "--neuron LAYER:NUMBER" in mcd_command("figures", *both, "-o", tmp_path, "--neuron", "head").err


def test_files_beside_the_picture(runs: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command(
        "figures", runs / "phantom-mammo", "-o", tmp_path, "--only", "depth", "--bootstrap", 0, "--captions"
    )
    assert done.code == 0, done.err
    assert {one.name for one in tmp_path.glob("[!.]*")} == {"depth.png", "depth.txt", "depth.tex"}
    title, text = (tmp_path / "depth.txt").read_text().strip().split("\n\n")
    with PIL.Image.open(tmp_path / "depth.png") as picture:
        assert (picture.info["Title"], picture.info["Description"]) == (title, text)
    assert (tmp_path / "depth.tex").read_text() == Caption(title, text).latex()


def test_a_figure_and_a_page_of_the_same_runs_have_the_same_colours_whatever_they_show(
    runs: Path, tmp_path: Path
) -> None:
    def agreed(dissections: Sequence[mcd.Dissection], page: Path) -> dict[str, tuple[str, bool]]:
        drawn = in_figure(dissections)
        assert {name: (colour, bool(over)) for name, (colour, over) in on_page(dissections, page).items()} == drawn
        return drawn

    whole = [mcd.load(runs / name) for name in ("phantom-general", "phantom-mammo")]
    both = agreed(whole, tmp_path / "both")
    assert both["Technical confounders"][1]  # is not mammographic
    fewer = [rescore(one, concepts=[PHANTOM], output=tmp_path / one.manifest.target) for one in whole]
    found = agreed(fewer, tmp_path / "fewer")
    assert found.items() == {name: one for name, one in both.items() if name != "Technical confounders"}.items()


def test_a_run_of_python_objects_is_drawn_from_what_it_keeps(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:5",
        concepts=["mass", "cyst", "skin fold"],
        scorer=product,
        output=tmp_path / "run",
        device="cpu",
    )
    done = mcd_command("figures", tmp_path / "run", "-o", tmp_path / "figures")
    assert (done.code, "no intervals: the scorer of phantom-mammo was given in Python" in done.err) == (0, True)
    assert (tmp_path / "figures" / "depth.png").is_file()
    reported = mcd_command("report", tmp_path / "run", "-o", tmp_path / "report")
    assert reported.code == 0, reported.err


@pytest.mark.parametrize("command", [("figures",), ("report",), ("compare",), ("score",)])
def test_an_output_that_is_a_file_is_refused_at_once(
    runs: Path, tmp_path: Path, mcd_command: Callable[..., Outcome], command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("mine")
    both = [runs / "phantom-general", runs / "phantom-mammo"]
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        done = mcd_command(*command, *(both[:1] if command == ("score",) else both), "-o", output)
        assert (done.code, done.out) == (2, "")
        assert f"{tmp_path / 'file'} is a file" in done.err
        assert "choose another --output" in done.err
    assert (tmp_path / "file").read_text() == "mine"


def test_help_names_every_figure_and_needs_no_matplotlib(mcd_command: Callable[..., Outcome]) -> None:
    told = " ".join(mcd_command("figures", "--help").out.split())
    assert ", ".join(mcd.figures.FIGURES) in told


def test_a_single_run_has_the_numbers_that_a_comparison_gives_it(runs: Path, data: FigureData) -> None:
    both = [mcd.load(runs / "phantom-mammo"), mcd.load(runs / "phantom-general")]
    found = compare(both, ComparisonSettings(resamples=10))
    for name in ("layers", "categories", "concepts", "carriers"):
        theirs: pd.DataFrame = getattr(found, name)
        mine: pd.DataFrame = getattr(data.comparison, name)
        pd.testing.assert_frame_equal(mine, theirs[theirs["run"] == "phantom-mammo"].reset_index(drop=True))


def test_the_matrix_counts_all_that_respond_not_only_labels_that_are_kept(data: FigureData) -> None:
    counted = data.comparison.carriers.groupby("concept")["carriers"].sum()
    told = data.comparison.concepts.set_index("concept")["carriers"]
    assert counted.reindex(told.index).fillna(0).astype(int).equals(told)


def test_a_run_shared_without_private_has_figures_without_intervals(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "phantom-mammo", tmp_path / "shared", ignore=shutil.ignore_patterns("private"))
    shared = collect([mcd.load(tmp_path / "shared")])
    assert shared.comparison.layers["mean_z_low"].isna().all()
    assert any("no intervals" in note for note in shared.comparison.notes)
    assert len(shared.comparison.carriers)


def test_a_run_of_one_patient_has_no_intervals_and_says_so(tmp_path: Path) -> None:
    run = mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:1",
        concepts="phantom",
        scorer="cosine-cubed",
        output=tmp_path / "run",
        device="cpu",
    )
    found = collect([run], ComparisonSettings(resamples=5)).comparison
    assert "no intervals: cosine-cubed cannot be resampled, all images are of one patient" in found.notes
    assert found.layers["share_low"].isna().all()


def test_top_images_are_those_of_the_neuron(data: FigureData) -> None:
    figure = top_images(data, [("stages.0", 3)], count=4)
    run = data.runs["phantom-mammo"]
    table = run.top_images("stages.0", 3, 4)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 4
    for axes, image, activation in zip(shown, table["image"], table["activation"], strict=True):
        name, number = axes.texts[0].get_text().split("\n")
        assert image.endswith(name.lstrip("…"))
        assert number == f"{activation:.3g}"
    first = run.labels[(run.labels["layer"] == "stages.0") & (run.labels["neuron"] == 3)].iloc[0]
    assert any(first["concept"] in text.get_text() for text in figure.axes[0].texts)
    with pytest.raises(UsageError, match="has neurons 0 to"):
        top_images(data, [("stages.0", 500)])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    """A run on images of which nobody says that they may be copied."""
    place: Path = tmp_path_factory.mktemp("own")
    (place / "images").mkdir()
    rng = np.random.default_rng(0)
    for at in range(30):
        out = io.BytesIO()
        PIL.Image.fromarray(rng.integers(0, 255, (80, 48), dtype=np.uint8)).save(out, "PNG")
        (place / "images" / f"patient{at}.png").write_bytes(out.getvalue())
    return mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset=f"images:{place / 'images'}",
        concepts="phantom",
        scorer="cosine",
        output=place / "run",
        device="cpu",
    )


def test_images_that_may_not_be_copied_are_not_and_the_reason_is_given(own: mcd.Dissection) -> None:
    data = collect([own], ComparisonSettings(resamples=0))
    with pytest.raises(DataError, match=r"may not be copied.*may show patients") as caught:
        top_images(data, [("head", 0)])
    assert "--copy-images" in caught.value.hint
    (found,) = draw(data, Wanted(neurons=(("head", 0),), copy_images=True), only=["top-images"])
    assert isinstance(found, Drawn)
    assert any(axes.images for axes in found.figure.axes)
    told = " ".join(text.get_text() for text in found.figure.findobj(lambda one: hasattr(one, "get_text")))
    assert "Do not pass this figure on" in told.replace("\n", " ")
    assert "patient0" not in told  # files are named by ids only
