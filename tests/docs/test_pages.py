"""What pages tell people to type works: every command and snippet, in an empty folder, in the order of the page."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.command_line import ROOT
from tests.conftest import Outcome
from tests.docs.pages import COMMANDS, PAGES, Block, blocks_of, commands_of, counts

from mcd.study.study import Study

MOST_NEED_DATA = 0.10

_SMALLER = {"patients: 50": "patients: 25"}
"""Words of the files of pages, and what does in a test: 100 images, the fewest for the default scorer."""

_STUDY = {"models": {"plugin": "phantom-general", "layers": "head"}, "dissectors": "phantom-clip", "dataset": "phantom"}
"""What a page that shows some settings of a study leaves out."""


class Reader:
    """Somebody who types what a page says, in a folder of its own."""

    def __init__(self, folder: Path, mcd: Callable[..., Outcome], *, nightly: bool = False) -> None:
        self.folder, self._mcd, self._nightly = folder, mcd, nightly
        self.printed = ""
        self._names: dict[str, object] = {"__name__": "__main__"}

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.mark.startswith("elsewhere, "):
            return
        if block.mark == "needs-data" or (block.mark == "nightly" and not self._nightly):
            return
        if block.mark == "output":
            assert agrees(self.printed, block.text), self.printed
        elif block.mark.startswith("file "):
            file = self.folder / block.mark.removeprefix("file ")
            file.parent.mkdir(parents=True, exist_ok=True)
            text = block.text
            for said, done in _SMALLER.items():
                text = text.replace(said, done)
            file.write_text(text, encoding="utf-8")
        elif block.language in COMMANDS:
            self._type(block)
        elif block.language in _SNIPPETS:
            _SNIPPETS[block.language](self, block)
        else:
            assert block.language in ("", "text"), f"what is {block.language}?"
            assert not re.match(r"\s*(\$ )?(mcd|pip|python) ", block.text), "a block of commands is marked sh"

    def _type(self, block: Block) -> None:
        expected = int(block.mark.removeprefix("exit ")) if block.mark.startswith("exit ") else 0
        commands = list(commands_of(block.text))
        for number, (command, printed) in enumerate(commands):
            done = self._run(command)
            last = number == len(commands) - 1
            assert done.code == (expected if last else 0), f"{command}\n{done.out}{done.err}"
            self.printed = done.out + done.err
            assert agrees(self.printed, printed), f"{command}\n{self.printed}"

    def _run(self, command: str) -> Outcome:
        assert "…" not in command, f"{command}: nobody can type …"
        out, err = "", ""
        for part in command.split(" && "):
            done = self._one(part)
            out, err = out + done.out, err + done.err
            if done.code:
                return Outcome(done.code, out, err)
        return Outcome(0, out, err)

    def _one(self, command: str) -> Outcome:
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return Outcome(0, "", "")
        if words[0] == "mcd":
            target = words[words.index(">") + 1] if ">" in words else None
            words = words[: words.index(">")] if target else words
            done = self._mcd(*words[1:], cwd=self.folder)
            if target:
                (self.folder / target).write_text(done.out, encoding="utf-8")
            return done
        program = [sys.executable, *words[1:]] if words[0] == "python" else words
        ran = subprocess.run(program, cwd=self.folder, capture_output=True, text=True, check=False, env=_environment())
        return Outcome(ran.returncode, ran.stdout, ran.stderr)

    def _python(self, block: Block) -> None:
        with contextlib.chdir(self.folder), _path(self.folder):
            # the project's own pages, as their readers run them; names live on from block to block of a page
            exec(compile(block.text, f"block of line {block.line}", "exec", dont_inherit=True), self._names)

    def _yaml(self, block: Block) -> None:
        settings = yaml.safe_load(block.text)
        assert isinstance(settings, dict | list)
        names = {field.alias or name for name, field in Study.model_fields.items()}
        if isinstance(settings, dict) and names & set(settings):
            (self.folder / "of-the-page.yaml").write_text(yaml.safe_dump(_STUDY | settings), encoding="utf-8")
            done = self._mcd("run", "of-the-page.yaml", "--dry-run", cwd=self.folder)
            assert done.code == 0, done.err

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _latex(self, block: Block) -> None:
        included = re.findall(r"\\(?:includegraphics|input)(?:\[[^\]]*\])?\{([^}]+)\}", block.text)
        assert included
        for name in included:
            assert (self.folder / name).is_file(), f"{name} was not made"

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)


_SNIPPETS: dict[str, Callable[[Reader, Block], None]] = {
    "json": Reader._json,
    "latex": Reader._latex,
    "python": Reader._python,
    "toml": Reader._toml,
    "yaml": Reader._yaml,
}


def agrees(printed: str, shown: str) -> bool:
    """Return whether what is shown is a part of what was printed, but for spaces, digits and what … leaves out."""
    parts = [re.escape(_even(part)) for part in shown.split("…")]
    return re.search(".*?".join(parts), _even(printed), re.DOTALL) is not None


def _even(text: str) -> str:
    return re.sub(r"\d+", "0", re.sub(r"[\s─]+", "", text))


def _environment() -> dict[str, str]:
    sources = [str(ROOT / name) for name in ("core", "plugins", "concept_sets")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sources), "COLUMNS": "80"}


@contextlib.contextmanager
def _path(folder: Path) -> Iterator[None]:
    known, before = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(folder)):
                del sys.modules[name]


def _followed() -> Iterator[object]:
    for page in PAGES:
        yield pytest.param(page, id=str(page))
        if any(block.mark == "nightly" for block in blocks_of(page)):
            yield pytest.param(page, id=f"{page}, all of it", marks=pytest.mark.nightly)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of all pages: most dissect the same networks on the same phantoms."""
    return tmp_path_factory.mktemp("pages") / "store"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", _followed())
def test_what_a_page_says_works(
    page: Path,
    tmp_path: Path,
    one_store: Path,
    mcd_command: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("MCD_STORE", str(one_store))
    reader = Reader(tmp_path, mcd_command, nightly=request.node.get_closest_marker("nightly") is not None)
    for block in blocks_of(page):
        try:
            reader.follow(block)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{page}:{block.line}: {error}") from error


def test_few_commands_need_data_that_cannot_be_had() -> None:
    total, needing = counts()
    assert total > 200
    assert needing <= MOST_NEED_DATA * total


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("error: no\nhint: 12 images\n", "error: no", True),
        ("a 0.52 ±.02  b", "a   0.61 ±.03 b", True),
        ("first\nmany\nlast", "first\n…\nlast", True),
        ("error: no", "error: yes", False),
    ],
)
def test_printed_agrees_with_shown_but_for_digits(printed: str, shown: str, same: bool) -> None:
    assert agrees(printed, shown) is same
