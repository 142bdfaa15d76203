"""What a run took from a local plugin file is found again by everything that reads the run, given the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

import mcd
from mcd.host import PluginHost
from mcd.runs.thumbnails import data_set_of

PLUGIN = '''
import mcd
from mcd_plugins.phantom.concepts import PhantomConcepts
from mcd_plugins.phantom.dataset import PhantomDataset


class OurImages(PhantomDataset):
    """Images of our own."""


class OurWords(PhantomConcepts):
    """Words of our own."""


@mcd.hookimpl
def mcd_register_datasets():
    return [mcd.Component("our-images", f"{__name__}:OurImages", "Ours")]


@mcd.hookimpl
def mcd_register_concept_sets():
    return [mcd.Component("our-words", f"{__name__}:OurWords", "Ours")]
'''


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> tuple[Path, list[Path]]:
    """The plugin file, and two runs with its images and words."""
    place = tmp_path_factory.mktemp("ours")
    (place / "ours.py").write_text(PLUGIN)
    runs = []
    for model in ("phantom-mammo", "phantom-general"):
        runs.append(place / model)
        done = mcd_command(
            "dissect",
            "--plugin-file",
            place / "ours.py",
            "--model-plugin",
            model,
            "--layers",
            "stages.3",
            "--dataset",
            "our-images:25",
            "--concepts",
            "our-words",
            "--dissector",
            "phantom-clip",
            "--scorer-arg",
            "top_k=20",
            "--device",
            "cpu",
            "--workers",
            0,
            "--reporter",
            "html",
            "-o",
            runs[-1],
        )
        assert done.code == 0, done.err
        assert "not known" not in done.err
    return place / "ours.py", runs


def pictures(page: Path) -> list[object]:
    text = page.read_text().partition('<script type="application/json" id="pictures">')[2]
    found = json.loads(text.partition("</script>")[0])
    assert isinstance(found, list)
    return found


@pytest.mark.slow
def test_reports_show_its_images_and_know_its_words(
    ours: tuple[Path, list[Path]], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    plugin, runs = ours
    assert pictures(runs[0] / "report" / "explorer.html")  # written with the run
    for asked in (runs[:1], runs):
        done = mcd_command(
            "report",
            "--plugin-file",
            plugin,
            *asked,
            "--reporter",
            "html",
            "--reporter",
            "markdown",
            "-o",
            tmp_path / "report",
        )
        assert done.code == 0, done.err
        assert "not known" not in done.err
        assert pictures(tmp_path / "report" / "explorer.html")
    without = mcd_command("report", runs[0], "--reporter", "markdown", "-o", tmp_path / "without")
    assert without.code == 0, without.err
    assert without.err == ""  # its words lie in the run


def test_words_lie_in_the_run_and_images_ask_for_the_file(
    ours: tuple[Path, list[Path]], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    _, runs = ours
    for asked in (("score", runs[0]), ("compare", *runs)):
        done = mcd_command(*asked)
        assert done.code == 0, done.err
    named = mcd_command("score", runs[0], "--concepts", "our-words", "-o", tmp_path / "named")
    assert named.code == 2  # asked for by name, it is what is installed by that name now
    assert "no concept set named 'our-words'" in named.err
    mistyped = mcd_command("score", runs[0], "--concepts", "birad")  # this name is not the run's
    assert "did you mean 'birads'" in mistyped.err
    assert "--plugin-file" not in mistyped.err
    with pytest.raises(mcd.errors.UnknownNameError, match="our-images") as caught:
        data_set_of(mcd.load(runs[0]))
    assert "plugin 'ours'" in caught.value.hint


@pytest.mark.slow
def test_figures_and_cards_show_its_images(
    ours: tuple[Path, list[Path]], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    plugin, runs = ours
    done = mcd_command(
        "figures", "--plugin-file", plugin, *runs, "--only", "top-images", "--bootstrap", 0, "-o", tmp_path / "figures"
    )
    assert done.code == 0, done.err
    done = mcd_command("report", "--plugin-file", plugin, runs[0], "--reporter", "cards", "-o", tmp_path / "cards")
    assert done.code == 0, done.err


def test_the_same_from_python(ours: tuple[Path, list[Path]]) -> None:
    plugin, runs = ours
    host = PluginHost.discover([plugin], {"MCD_DISABLE_PLUGINS": "progress"})
    found = mcd.compare([mcd.load(run, host) for run in runs], resamples=0)
    assert len(found.differences)
    assert len(mcd.compare([mcd.load(run) for run in runs], resamples=0).differences)


REPORTER = '''
import mcd


class OurLines(mcd.Reporter):
    """A line about a run."""

    def report(self, dissection, folder):
        path = folder / "line.txt"
        path.write_text(f"{len(dissection.labels)} rows")
        return [path]


@mcd.hookimpl
def mcd_register_reporters():
    return [mcd.Component("our-lines", f"{__name__}:OurLines", "Ours")]
'''


def test_a_run_is_reported_by_the_reporter_of_its_plugin_file(tmp_path: Path) -> None:
    (tmp_path / "lines.py").write_text(REPORTER)
    found = mcd.dissect(
        "phantom-mammo",
        layers="stages.0",
        dissector="phantom-clip",
        dataset="phantom:2",
        scorer="cosine",
        calibration={"draws": 0},
        plugin_files=[tmp_path / "lines.py"],
        progress=False,
    )
    assert found.report("our-lines").read_text() == f"{len(found.labels)} rows"
