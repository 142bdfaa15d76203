"""Paths among settings: relative to where they are written, expanded, and there before anything is loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import pytest
from tests.conftest import Outcome

import mcd
from mcd.errors import MCDError
from mcd.host import PluginHost
from mcd.study.check import checked_study
from mcd.study.located import located
from mcd.study.preparer import Preparer
from mcd.study.study import Study

WHOLE: dict[str, object] = {"models": "phantom-mammo", "dissectors": "phantom-clip", "dataset": "phantom"}
NET = "import mcd\nfrom torch import nn\n\ndef make():\n    return {}\n"


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost.discover()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one of each file that a study can name."""
    place = tmp_path / "place"
    (place / "images").mkdir(parents=True)
    (place / "images" / "a.png").write_bytes(b"")
    (place / "table.csv").write_text("path\na.png\n")
    (place / "net.py").write_text(NET.format("nn.Conv2d(1, 4, 3)"))
    (place / "whole.py").write_text(
        NET.format("mcd.Target('mine', nn.Conv2d(1, 4, 3), mcd.Preprocessing(height=32, width=32))")
    )
    (place / "score.py").write_text("def product(A, P):\n    return A.T @ P\n")
    (place / "weights.pth").write_bytes(b"x")
    (place / "words.txt").write_text("mass\n")
    return place


def in_file(host: PluginHost, folder: Path, settings: Mapping[str, object]) -> Study:
    return checked_study(host, located(host, {**WHOLE, **settings}, folder))


def test_a_path_of_a_study_file_starts_from_its_folder_wherever_it_stands(host: PluginHost, folder: Path) -> None:
    study = in_file(
        host,
        folder,
        {
            "models": [
                {"plugin": "module:net.py:make", "options": {"checkpoint": "weights.pth"}, "layers": ["x"]},
                {"plugin": "timm", "options": {"name": "resnet18", "checkpoint": "weights.pth"}, "name": "two"},
            ],
            "dataset": {
                "plugin": "combine",
                "options": {
                    "parts": ["images:images", {"plugin": "csv:table.csv", "share": 1, "options": {"root": "images"}}]
                },
            },
            "scorer": "score.py:product",
            "concepts": ["words.txt", "birads"],
            "cache": "kept",
        },
    )
    net, timm = study.models
    assert net.options["factory"] == f"{folder / 'net.py'}:make"
    assert (net.options["checkpoint"], timm.options["checkpoint"]) == (str(folder / "weights.pth"),) * 2
    assert (net.layers, timm.name) == (("x",), "two")
    images, table = study.dataset.options["parts"]
    assert images["options"] == {"path": str(folder / "images")}
    assert table["options"] == {"table": str(folder / "table.csv"), "root": str(folder / "images")}
    assert table["share"] == 1
    assert study.scorer.plugin == f"{folder / 'score.py'}:product"
    assert [one.plugin for one in study.concepts] == [str(folder / "words.txt"), "birads"]
    assert study.cache == folder / "kept"


def test_a_name_that_is_no_path_stays_and_so_does_a_path_below_root(host: PluginHost, folder: Path) -> None:
    options = {"root": "images", "table": "table.csv"}
    study = in_file(host, folder, {"dataset": {"plugin": "cmmd", "options": options}, "models": "timm:resnet18"})
    assert study.dataset.options["root"] == str(folder / "images")
    assert study.dataset.options["table"] == "table.csv"
    assert study.models[0].options["name"] == "resnet18"


def test_flags_and_keywords_start_from_the_current_folder_and_know_the_home_folder(
    host: PluginHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    study = checked_study(
        host, {**WHOLE, "dataset": "images:~/images", "scorer": "score.py:product", "cache": "~/kept"}
    )
    assert study.dataset.options["path"] == str(folder / "images")
    assert (study.scorer.plugin, study.cache) == ("score.py:product", folder / "kept")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "images:gone"}, "there is no file or folder gone, which is path of dataset 'images'"),
        ({"dataset": {"plugin": "combine", "options": {"parts": ["images:gone"]}}}, "there is no file or folder gone"),
        (
            {"models": {"plugin": "timm:resnet18", "options": {"checkpoint": "gone.pth"}}},
            "which is checkpoint of model",
        ),
        ({"models": "module:gone.py:make"}, "there is no file or folder gone.py, which is factory"),
        ({"scorer": "gone.py:score"}, "there is no file gone.py"),
        ({"concepts": "gone.yaml"}, "there is no file gone.yaml"),
        ({"concepts": "birad"}, "no concept set named 'birad'"),
        ({"recipe": "dicom-standart"}, "no preprocessing named"),
        ({"cache": "table.csv/kept"}, "table.csv is a file\nhint: choose another --cache"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_created(
    settings: Mapping[str, object], message: str, host: PluginHost, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(MCDError) as caught:
        checked_study(host, {**WHOLE, **settings})
    assert message in f"{caught.value.message}\nhint: {caught.value.hint}"


@pytest.mark.parametrize(
    "flags",
    [
        ("--dataset", "images:gone"),
        ("--dataset", "phantom", "--concepts", "gone.yaml"),
        ("-o", "file", "--dataset", "phantom"),
    ],
)
def test_it_is_refused_before_torch_is_imported(flags: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = (
        "import sys\nfrom mcd.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, "dissect", "--model", "timm:resnet18", "--layers", "layer1"]
    done = subprocess.run(
        [*command, "--dissector", "phantom-clip", *flags],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        check=False,
    )
    assert done.stdout.split() in (["4", "False"], ["2", "False"]), done.stderr


def test_options_are_validated_once_so_what_the_user_set_is_known(host: PluginHost, folder: Path) -> None:
    study = in_file(host, folder, {"models": {"plugin": "module:whole.py:make", "layers": ""}})
    assert study.models[0].options["resize"] == "letterbox"  # explicit for the record
    target, choice = Preparer(host).target(study.models[0])
    assert (target.name, target.preprocessing.height) == ("mine", 32)
    assert choice is study.models[0]
    stored = Study.model_validate(study.settings())  # of a run folder: every option is set
    assert Preparer(host).target(stored.models[0])[0].name == "mine"
    given = in_file(host, folder, {"models": {"plugin": "module:whole.py:make", "options": {"height": 64}}})
    with pytest.raises(mcd.errors.UsageError, match="height would be ignored"):
        Preparer(host).target(given.models[0])


def test_a_part_without_its_file_is_left_to_the_flags_that_overrule_it(host: PluginHost, folder: Path) -> None:
    settings = {**WHOLE, "dataset": {"plugin": "no-such", "options": {"path": "x"}}}
    assert located(host, settings, folder)["dataset"] == settings["dataset"]


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of files as home, and another one as the current."""
    monkeypatch.setenv("HOME", str(folder))
    (folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir(folder.parent / "elsewhere")
    return folder


def test_a_tilde_is_the_home_folder_in_every_setting(host: PluginHost, home: Path) -> None:
    settings: dict[str, object] = {
        "models": [
            {"plugin": "module:~/net.py:make", "options": {"checkpoint": "~/weights.pth"}, "layers": ["x"]},
            {"plugin": "mammo-clip-classifier", "options": {"checkpoint": "~/weights.pth"}, "name": "two"},
        ],
        "dissectors": {"plugin": "medclip", "options": {"checkpoint": "~/weights.pth", "tokenizer": "~/words.txt"}},
        "dataset": {"plugin": "combine", "options": {"parts": ["images:~/images", {"plugin": "csv:~/table.csv"}]}},
        "scorer": "~/score.py:product",
        "concepts": ["~/words.txt", "birads"],
        "cache": "~/kept",
    }
    for study in (checked_study(host, settings), checked_study(host, located(host, settings, Path("/nowhere")))):
        left = set(re.findall(r'"[^"]*~[^"]*"', study.model_dump_json()))
        assert left <= {'"images:~/images"', '"csv:~/table.csv"'}  # of flags; parts are read when they are created
        assert study.cache == home / "kept"
        assert study.dissectors[0].options["tokenizer"] == str(home / "words.txt")


def test_options_made_in_python_know_the_home_folder(home: Path) -> None:
    from mcd_plugins.cohorts.cmmd import Cmmd
    from mcd_plugins.datasets.images import ImageFolder
    from mcd_plugins.mammo_clip.dissector import MammoClip

    images = ImageFolder(ImageFolder.Options(path=Path("~/images")))
    assert [one.id for one in images.scan() if isinstance(one, mcd.Sample)] == ["a.png"]
    assert Cmmd.Options.model_validate({"root": "~", "table": "~/table.csv"}).table == home / "table.csv"
    made = MammoClip.Options.model_validate({"checkpoint": "~/weights.pth", "tokenizer": "~/words.txt"})
    assert made.tokenizer == str(home / "words.txt")
    nobody = MammoClip.Options.model_validate({"checkpoint": "x", "tokenizer": "~no-such-user/words.txt"})
    assert nobody.tokenizer == "~no-such-user/words.txt"


def test_a_table_and_a_list_may_name_files_below_the_home_folder(home: Path) -> None:
    from mcd_plugins.datasets.csv_table import CsvTable
    from mcd_plugins.datasets.imagenet import ImageNetSubset

    Path("table.csv").write_text("path\n~/images/a.png\n")
    Path("list.txt").write_text("~/images/a.png 3\n")
    table = CsvTable(CsvTable.Options(table=Path("table.csv"), root=Path()))
    listed = ImageNetSubset(ImageNetSubset.Options(list=Path("list.txt")))
    for data in (table, listed):
        (found,) = [one for one in data.scan() if isinstance(one, mcd.Sample)]
        assert found.source == str(home / "images" / "a.png")


def test_the_verbs_and_the_command_line_know_the_home_folder(home: Path, mcd_command: Callable[..., Outcome]) -> None:
    (home / "own.py").write_text("import mcd\n")
    found = mcd.dissect(
        "phantom-mammo",
        layers="stages.0",
        dissector="phantom-clip",
        dataset={"plugin": "phantom", "options": {"patients": 5}},
        concepts="~/words.txt",
        scorer="~/score.py:product",
        calibration={"draws": 0},
        device="cpu",
        workers=0,
        cache="~/kept",
        output="~/run",
        progress=False,
        plugin_files=["~/own.py"],
    )
    assert found.folder == home / "run"
    assert (home / "kept").is_dir()
    assert mcd.load("~/run").save("~/copy") == home / "copy"
    assert mcd.report("~/run", reporters="csv", output="~/report")[0].is_relative_to(home)
    mcd.score("~/run", scorer="~/score.py:product", output="~/scored", calibration={"draws": 0}, progress=False)
    mcd.embed("phantom-clip", texts=["mass"], output="~/words.safetensors", device="cpu", progress=False)
    assert {"scored", "words.safetensors"} <= {one.name for one in home.iterdir()}
    assert mcd.ConceptSet.from_file("~/words.txt").concepts[0].term == "mass"
    done = mcd_command("--plugin-file", "~/own.py", "concepts", "lint", "~/words.txt")
    assert done.code == 0, done.err
    check = mcd_command("data", "check", "~/images", "--dataset", "images", "--json=~/check.json")
    assert check.code == 4  # the only file is empty
    assert (home / "check.json").is_file()
    assert not list(Path.cwd().iterdir())


def test_every_path_of_the_command_line_is_one_with_a_home(host: PluginHost) -> None:
    from mcd.cli import cli
    from mcd.cli.paths import PATH

    def paths(command: click.Command, ctx: click.Context) -> Iterator[str]:
        yield from (f"{command.name} {one.name}" for one in command.params if type(one.type) is click.Path)
        if isinstance(command, click.Group):
            for name in command.list_commands(ctx):
                inner = command.get_command(ctx, name)
                assert inner is not None
                yield from paths(inner, ctx)

    assert not list(paths(cli, click.Context(cli)))
    assert type(PATH) is not click.Path


def test_no_command_that_is_shown_takes_a_path_for_a_flag(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    (tmp_path / "-x" / "run").mkdir(parents=True)
    (tmp_path / "-x" / "-s.yaml").touch()
    done = mcd_command("run", "./-x", cwd=tmp_path)
    assert done.code == 2
    assert "mcd run ./-x/-s.yaml" in done.err
    (tmp_path / "-x" / "run" / "manifest.json").touch()
    done = mcd_command("report", "./-x", cwd=tmp_path)
    assert done.code == 4
    assert "mcd report ./-x/run" in done.err
