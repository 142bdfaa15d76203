"""Completion in shells: answered by a process that imports nothing heavy, and what shells make of the answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.absence import absent
from tests.command_line import Outcome

from mcd.components import Kind
from mcd.host import PluginHost
from mcd.host.settings_text import declared_settings
from mcd.lazy import HEAVY

_REFUSED = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted({*HEAVY, "matplotlib", "scipy", "pyarrow"} - {"pydantic"})!r}:
            print("imported " + name, flush=True)
sys.meta_path.insert(0, Refuse())
import json, os
from mcd.cli import main
for line, shell in json.loads(sys.argv[1]):
    os.environ["COMP_LINE"], os.environ["_MCD_COMPLETE"] = line, shell
    main([])
    print("--- end of", line)
"""  # pydantic: flags are made from Study


def completed(lines: Sequence[tuple[str, str]], cwd: Path) -> list[list[str]]:
    """Return what shells are answered to lines, by one process: the words alone."""
    command = [sys.executable, "-c", _REFUSED, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=True)
    assert done.stderr == ""
    found: list[list[str]] = [[]]
    for one in done.stdout.splitlines():
        if one.startswith("--- end of"):
            found.append([])
        else:
            found[-1].append(one.partition("\t")[0])
    return found[:-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("completed")
    (made / "pngs").mkdir()
    (made / "pn.pth").touch()
    (made / "pngs" / "cavs.safetensors").touch()
    return made


ANSWERS = {
    "mcd ev": ["evaluate"],
    "mcd dissect --dissector ": ["annotations", "mammo-clip", "phantom-clip"],
    "mcd dissect --dataset images": ["images:"],
    "mcd dissect --dataset phantom": ["phantom"],
    "mcd dissect --dataset images:p": ["images:pn.pth", "images:pngs/"],
    "mcd dissect --dataset=images:pngs": ["--dataset=images:pngs/"],
    "mcd dissect --scorer soft": ["soft-wpmi"],
    "mcd dissect --concepts birads,techn": ["birads,technical"],
    "mcd dissect --recipe dicom": ["dicom-standard"],
    "mcd dissect --model timm:resnet18 --model-arg check": ["checkpoint="],
    "mcd dissect --model timm:resnet18 --model-arg checkpoint=pn": ["checkpoint=pn.pth", "checkpoint=pngs/"],
    "mcd dissect --model timm:resnet18 --model-arg resize=s": ["resize=squash"],
    "mcd dissect --reporter csv --reporter json --reporter-arg c": ["csv."],
    "mcd dissect --units d": ["dictionary", "directions"],
    "mcd dissect --units dire": ["directions:"],
    "mcd dissect --units mine=dire": ["mine=directions:"],
    "mcd dissect --units mine=directions:pngs/": ["mine=directions:pngs/cavs.safetensors"],
    "mcd dissect --units mine=directions:p": ["mine=directions:pngs/"],
    "mcd dissect --precision b": ["bf16"],
    "mcd report --reporter js": ["json"],
    "mcd report p": ["pngs/"],
    "mcd figures pngs --only dep": ["depth"],
    "mcd plugins show wpm": ["wpmi"],
    "mcd plugins check scor": ["scorers"],
    "mcd no-such-command x --": [],
}


def test_what_may_stand_there_is_answered_without_anything_heavy(folder: Path) -> None:
    found = completed([(line, "fish") for line in ANSWERS], folder)
    for (line, some), words in zip(ANSWERS.items(), found, strict=True):
        assert set(some) <= set(words) if len(some) == 3 else words == some, line


def test_only_what_follows_the_last_break_is_for_bash(folder: Path) -> None:
    lines = [("mcd dissect --dataset images:p", "bash"), ("mcd dissect --dataset=ima", "bash")]
    assert completed(lines, folder) == [["pn.pth", "pngs/"], ["imagenet-subset", "images"]]


def test_settings_in_the_text_are_those_of_the_classes() -> None:
    from mcd.api.image import Preprocessing

    host, compared = PluginHost.discover(), 0
    for kind in (Kind.MODEL, Kind.DISSECTOR, Kind.DATASET, Kind.PREPROCESSING, Kind.SCORER, Kind.REPORTER):
        for offer in host.offers(kind):
            cls = host.load(kind, offer.qualified)
            assert isinstance(cls, type)
            options = cls if issubclass(cls, Preprocessing) else getattr(cls, "Options", None)
            assert options is not None
            declared = [(one.name, one.required) for one in declared_settings(offer)]
            assert declared == [(name, field.is_required()) for name, field in options.model_fields.items()], offer
            compared += len(declared)
    assert compared > 200


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell: str, mcd_command: Callable[..., Outcome]) -> None:
    assert f"_MCD_COMPLETE{' ' if shell == 'fish' else '='}{shell}" in mcd_command("completion", shell).out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (("mcd", "dissect", "--dataset", "images", ":", "p"), ["pn.pth", "pngs/"]),
        (("mcd", "dissect", "--dataset", "images", ":", "my"), [r"my\ own/"]),
        (("mcd", "dissect", "--dataset", "images", ":"), ["my\\ own/", "pn.pth", "pngs/"]),
        (("mcd", "dissect", "--diss"), ["--dissector", "--dissector-arg"]),
    ],
)
def test_bash_completes_by_the_script(
    words: tuple[str, ...], reply: list[str], folder: Path, mcd_command: Callable[..., Outcome]
) -> None:
    (folder / "my own").mkdir(exist_ok=True)
    script = mcd_command("completion", "bash").out
    calling = (
        f"mcd() {{ {sys.executable} -m mcd; }}; compopt() {{ :; }}; COMP_WORDS=({' '.join(map(repr, words))}); "
        f'COMP_CWORD={len(words) - 1}; _mcd_completion mcd; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script + calling], capture_output=True, text=True, cwd=folder, check=False)
    assert done.stdout.splitlines() == reply, done.stderr


_SHOWN_BY_ZSH = """\
compdef() { :; }
compadd() {
    local -a all
    while (( $# )); do
        case $1 in -l) ;; -d|-S) shift ;; -a) shift; all=(${(P)1}) ;; esac
        shift
    done
    print -l -- $all
}
"""  # what the script asks zsh to offer; zsh itself quotes it


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mcd ev", ["evaluate"]),
        ("mcd dissect --dataset=images:pn", ["--dataset=images:pn.pth", "--dataset=images:pngs/"]),
        ("mcd dissect --dataset images:my", ["images:my own/"]),
        ("mcd dissect --model timm:resnet18 --model-arg check", ["checkpoint="]),
    ],
)
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_offer_by_their_script(
    shell: str, line: str, offered: list[str], folder: Path, mcd_command: Callable[..., Outcome]
) -> None:
    if shutil.which(shell) is None:
        absent(f"{shell}: apt-get install {shell}")
    (folder / "my own").mkdir(exist_ok=True)
    script = mcd_command("completion", shell).out
    if shell == "fish":
        calling = f"function mcd; {sys.executable} -m mcd; end\n{script}\ncomplete --do-complete '{line}'"
        command = ["fish", "--no-config", "-c", calling]
    else:
        words = line.split()
        calling = f"{_SHOWN_BY_ZSH}mcd() {{ {sys.executable} -m mcd }}\n{script}\nwords=({line})\n"
        command = ["zsh", "-f", "-c", f"{calling}CURRENT={len(words)}; _mcd_completion"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert [one.partition("\t")[0] for one in done.stdout.splitlines()] == offered, done.stderr
