"""Nothing that a file or a name holds steers the terminal: escapes, line breaks, changes of direction, broken bytes."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.command_line import ROOT
from tests.conftest import Outcome

import mcd
from mcd.errors import ConfigError, MCDError, UnknownNameError, UsageError, nearest, printable
from mcd.host import PluginHost
from mcd.study.preparer import Preparer

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
TURNED = "\u202ednp.exe\u2066"
BROKEN = "caf\udce9"
"""As Python writes a file name with a byte that is no UTF-8."""
NAMES = (f"a{ESCAPE}", f"a{TURNED}", BROKEN, "a\nerror: all is lost\n  hint: rm -rf /", "a\r\bb\x7f\x85\u2028c")
STEERING = {chr(one) for one in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
STEERING |= {"\u200e", "\u200f", "\u2028", "\u2029", "\u061c", *map(chr, range(0xD800, 0xE000))}
STEERING -= {"\n"}


def clean(outcome: Outcome) -> bool:
    """Say whether a terminal shows what was printed as what it is."""
    text = outcome.out + outcome.err
    faked = any(line.startswith(("error: all is lost", "hint: rm", "  hint: rm")) for line in text.splitlines())
    return not STEERING & set(text) and not faked and "Traceback" not in text


@given(st.text(st.characters()))
def test_a_printable_text_steers_nothing_and_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert not (STEERING | {"\n"}) - {"\t"} & set(shown)
    assert printable(shown) == shown
    shown.encode()


def test_plain_names_are_shown_as_they_are() -> None:
    for name in ("mass", "Verkalkung, grobschollig – größer", "кальцинат", "كتلة", "क्षेत्र\u200dक", "乳腺", "👩\u200d⚕"):
        assert printable(name) == name


@pytest.mark.parametrize("name", NAMES)
def test_an_error_shows_names_and_keeps_its_own_lines(name: str) -> None:
    error = UsageError(f"'{name}' is no layer:", nearest(name, [name, "b"]) + "\nlist them", [name, "two"])
    assert len(error.message.splitlines()) == 3
    assert error.message.splitlines()[-1] == "  two"
    assert error.hint.splitlines()[-1] == "list them"
    assert len(error.hint.splitlines()) == 2
    assert not STEERING & set(str(error))
    assert not any(line.startswith(("error", "hint: rm")) for line in str(error).splitlines())


@pytest.mark.parametrize("kind", [ConfigError, UnknownNameError, MCDError])
def test_every_error_does(kind: type[MCDError]) -> None:
    assert str(kind(f"no {ESCAPE}", ESCAPE)).isprintable() is False  # the line break before the hint, and no other
    assert "\x1b" not in str(kind(f"no {ESCAPE}", ESCAPE))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eight pictures, five of which have a name that no picture should have; one of them is broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (*NAMES, "b", "c", "d"):
        picture = PIL.Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8))
        picture.save(os.fsencode(folder) + b"/" + os.fsencode(f"{name.replace('/', '-')}.png"), format="PNG")
    return folder


def test_images_of_any_name_are_dissected(images: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    run = tmp_path / "run"
    models = ("--model-plugin", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip")
    scored = ("--scorer", "soft-wpmi:3", "--draws", 0, "--concepts", "phantom", "--keep-identifiers")
    written = ("--reporter", "csv", "--reporter", "json", "--reporter", "parquet", "--reporter", "html")
    more = ("--cache", tmp_path / "cache", "--reporter", "markdown", "-o", run)
    done = mcd_command("dissect", *models, "--dataset", f"images:{images}", *scored, *written, *more)
    assert done.code == 0, done.err
    assert clean(done), done.err
    shared = [
        path for path in run.rglob("*") if path.suffix in (".json", ".csv", ".html") and "private" not in path.parts
    ]
    for path in shared:
        path.read_text(encoding="utf-8")
    again = mcd_command("report", run, "--reporter", "csv")
    assert again.code == 0, again.err
    assert clean(again)


def test_a_broken_image_of_any_name_is_refused(
    images: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    for path in images.iterdir():
        path.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for command in (
        ("embed", "--dissector", "phantom-clip", "--dataset", f"images:{images}", "-o", tmp_path / "x.safetensors"),
        ("data", "check", images, "--dataset", "images", "--json", tmp_path / "report.json"),
        ("preprocess", images, tmp_path / "out", "--recipe", "mammo-clip", "--dataset", "images"),
    ):
        done = mcd_command(*command)
        assert clean(done), (command[0], done.out + done.err)


@pytest.mark.parametrize("name", [BROKEN, "a\nb", f"a{TURNED}"])
def test_folders_outputs_and_files_of_any_name_are_used_or_refused(
    name: str, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    (tmp_path / name).mkdir()
    PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / name / "a.png")
    (tmp_path / name / f"{name}.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / name / f"{name}.yaml").write_text("models: timm:resnet18\n")
    (tmp_path / name / f"{name}.csv").write_text("path\na.png\n")
    embed, layers = ("embed", "--dissector", "phantom-clip"), ("layers", "--model-plugin", "timm:resnet18")
    made = (*embed, "--text", "mass", "-o", tmp_path / name / f"{name}.safetensors")
    assert mcd_command(*made).code == 0
    for command in (
        (*embed, "--dataset", f"images:{tmp_path / name}", "-o", tmp_path / "x.safetensors"),
        (*embed, "--dataset", f"csv:{tmp_path / name / name}.csv", "-o", tmp_path / "y.safetensors"),
        (*layers, "--model-arg", f"checkpoint={tmp_path / name / name}.pt"),
        ("run", tmp_path / name / f"{name}.yaml"),
        ("data", "check", tmp_path / name, "--dataset", "images", "--json", tmp_path / name / f"{name}.json"),
        ("preprocess", tmp_path / name, tmp_path / f"{name}-out", "--recipe", "dicom-standard", "--dataset", "images"),
    ):
        done = mcd_command(*command)
        assert clean(done), (command, done.out + done.err)
        assert done.code in (0, 2, 4)


def test_a_run_of_and_in_folders_that_are_not_utf8_is_made_and_read(
    images: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    place = tmp_path / BROKEN
    images.rename(place)
    mcd.plugins.write_atomically(place / "words.txt", b"mass\ncyst\nmargin\n")
    mcd.plugins.write_atomically(place / f"{BROKEN}.py", b"def f(a, p):\n    return a.T @ p\n")
    run, outside = place / "run", tmp_path / "run"
    models = ("--model-plugin", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--device", "cpu")
    scored = ("--scorer", f"{place / BROKEN}.py:f", "--concepts", place / "words.txt", "--draws", 0, "--workers", 0)
    kept = ("--cache", place / "cache", "--maps", 1, "--reporter", "html", "--reporter", "csv")
    for output in (run, run, outside):
        done = mcd_command("dissect", *models, *scored, *kept, "--dataset", f"images:{place}", "-o", output)
        assert done.code == 0, done.err
        assert clean(done)
    for command in (
        ("report", run),
        ("score", run, "--scorer", "cosine", "--trust"),
        ("compare", run, outside, "--trust", "-o", place / "compared"),
        ("runs", "verify", run),
    ):
        done = mcd_command(*command)
        assert (done.code, clean(done)) == (0, True), done.err
    done = mcd_command("score", run, "--scorer", "cosine", "-o", tmp_path / "scored")
    assert done.code == 2
    assert "not UTF-8" in done.err
    assert not (tmp_path / "scored").exists()


@pytest.mark.parametrize("end", [".pth", ".safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_whose_path_is_not_utf8_are_read(end: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / BROKEN / f"{BROKEN}{end}"
    path.parent.mkdir()
    state = {"weight": torch.arange(6.0)}
    if end == ".safetensors":
        mcd.plugins.write_atomically(path, safetensors.torch.save(state))
    else:
        with path.open("wb") as file:
            torch.save(state, file, _use_new_zipfile_serialization=zipped)
    assert torch.equal(mcd.plugins.read_state_dict(path)["weight"], state["weight"])


@pytest.mark.parametrize("name", NAMES)
def test_a_target_of_any_name_has_one_that_can_be_written(name: str) -> None:
    target, _ = Preparer(PluginHost.discover()).target(mcd.Target(name, torch.nn.Linear(2, 2)))
    assert not STEERING & set(target.name)
    target.name.encode()


@pytest.mark.parametrize("name", NAMES)
def test_paths_and_names_of_any_kind_are_refused_in_one_sentence(
    name: str, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    place = tmp_path / name.replace("/", "-")
    for command in (
        ("report", place),
        ("layers", "--model-plugin", f"timm:{name}"),
        ("layers", "--model-plugin", name),
        ("run", place),
        ("concepts", "show", place),
        (name,),
        ("plugins", "show", name),
    ):
        done = mcd_command(*command)
        assert done.code != 0
        assert clean(done), (command, done.out + done.err)


def test_names_in_weights_in_a_study_and_in_concepts_are_shown(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    for number, name in enumerate(NAMES):
        file = tmp_path / f"{number}.pt"
        torch.save({name.encode("utf-8", "replace").decode(): torch.zeros(2)}, file)
        done = mcd_command("layers", "--model-plugin", "timm:resnet18", "--model-arg", f"checkpoint={file}")
        assert done.code == 4, done.err
        assert clean(done), done.err
        words = tmp_path / f"{number}.txt"
        words.write_bytes(os.fsencode(f"mass\n{name}\n"))
        assert clean(mcd_command("concepts", "show", words))
        study = tmp_path / f"{number}.yaml"
        study.write_bytes(os.fsencode(f'models: timm:resnet18\n"{name}": 3\n'))
        done = mcd_command("run", study)
        assert done.code == 2
        assert clean(done), done.err


_PRINTING = ("print", "click.echo", "click.secho", "Console", "rich.print", "sys.stdout.write", "sys.stderr.write")


def test_only_one_place_prints() -> None:
    places = {"core/mcd/cli/terminal.py", "core/mcd/cli/consoles.py", "core/mcd/__main__.py"}
    places.add("core/mcd/cli/completion.py")  # words for a shell, with tabs between; none that does not print
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        if str(path.relative_to(ROOT)) in places or "templates" in path.parts:
            continue
        called = [
            (ast.unparse(one.func), one.lineno)
            for one in ast.walk(ast.parse(path.read_text()))
            if isinstance(one, ast.Call)
        ]
        assert not [(path, line) for name, line in called if name in _PRINTING]
