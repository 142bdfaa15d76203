"""``mcd plugins check --no-import``: what the text of a package says, without a line of it being run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import ROOT, Outcome

from mcd.cli.new_plugin import Scaffolds
from mcd.components import Kind

Command = Callable[..., Outcome]
_TRAP = "\nfrom pathlib import Path\nPath('imported').touch()\n"
_INIT, _NET, _PROJECT = "acme_net/__init__.py", "acme_net/network.py", "pyproject.toml"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that would leave a file if any module of it were imported."""
    scaffolds = Scaffolds()
    scaffolds.write(scaffolds.answers("model", "acme-net"), tmp_path)
    for path in (tmp_path / "acme-net").rglob("*.py"):
        path.write_text(path.read_text() + _TRAP)
    return tmp_path / "acme-net"


@pytest.mark.parametrize("kind", Scaffolds().kinds)
def test_every_scaffold_is_in_order(mcd_command: Command, tmp_path: Path, kind: str) -> None:
    scaffolds = Scaffolds()
    scaffolds.write(scaffolds.answers(kind, "acme-one"), tmp_path)
    done = mcd_command("plugins", "check", "--no-import", tmp_path / "acme-one")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("ok      acme-one")
    words = {one.slug: one.label for one in Kind}
    assert kind == "observer" or f"offers  {words[kind]} acme-one" in done.out


@pytest.mark.parametrize("name", ["acme_backbone", "acme_words"])
def test_the_examples_are_in_order(mcd_command: Command, name: str) -> None:
    assert mcd_command("plugins", "check", "--no-import", ROOT / "examples" / name).code == 0


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        (_INIT, "import mcd\n", "import mcd\nimport torch\n", "it imports torch, and every mcd command imports it"),
        (_INIT, "import mcd\n", "import mcd\nfrom acme_net import network\n", "network.py, line 5: it imports torch"),
        (_INIT, "import mcd\n", "import mcd\nfrom .network import AcmeNetLoader\n", "it imports torch"),
        (_INIT, "@mcd.hookimpl", "", "mcd_register_models is never called"),
        (_INIT, "def mcd_register_models", "def mcd_register_model", "there is no hook mcd_register_model"),
        (_INIT, ":AcmeNetLoader", ":AcmeLoader", "acme_net.network has no AcmeLoader"),
        (_INIT, "acme_net.network:", "acme_net.net:", "there is no module acme_net.net here"),
        (_INIT, '"acme-net"', '"Acme Net"', "use lower-case words joined by hyphens"),
        (_INIT, "in one line", 'in one line", requires=("torch>=>2",), extra="', "requires 'torch>=>2'"),
        (_INIT, "in one line", 'in one line", requires="torch", extra="', "requires is text"),
        (_INIT, "in one line", 'in one line", files="*.csv", extra="', "files is text"),
        (_INIT, "def ", "def def ", "is no Python"),
        (_NET, "    def load(", "    def loads(", "it does not define load"),
        (_NET, "(mcd.ModelLoader)", "", "it is no subclass of mcd.ModelLoader"),
        (_NET, "import torch\n", "import torch as\n", "network.py, line"),
        (_PROJECT, '"acme_net"\n', '"acme"\n', "names acme, which is no module here"),
        (_PROJECT, "entry-points.mcd]", "entry-points.other]", "no entry points of group mcd"),
        (_PROJECT, "mammo-clip-dissect", "other", "does not depend on mammo-clip-dissect"),
        (_PROJECT, ">=0.2.0.dev0,<0.3", "<0.1", "it is for mammo-clip-dissect<0.1, and this is"),
        (_PROJECT, ">=0.2.0.dev0,<0.3", ">>2", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    mcd_command: Command, tmp_path: Path, package: Path, file: str, before: str, after: str, said: str
) -> None:
    text = (package / file).read_text()
    assert before in text
    (package / file).write_text(text.replace(before, after, 1))
    done = mcd_command("plugins", "check", "--no-import", package, cwd=tmp_path)
    assert (done.code, done.err) == (3, "")
    assert said in done.out
    assert not (tmp_path / "imported").exists()


def test_words_that_cannot_be_read_are_found(mcd_command: Command, tmp_path: Path) -> None:
    scaffolds = Scaffolds()
    scaffolds.write(scaffolds.answers("concept-set", "acme-lists"), tmp_path)
    (tmp_path / "acme-lists" / "acme_lists" / "words.yaml").write_text("name: [")
    done = mcd_command("plugins", "check", "--no-import", tmp_path / "acme-lists")
    assert done.code == 3
    assert "words.yaml" in done.out


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read"), ("[", "is no TOML"), ("\x00", "is no TOML")])
def test_a_folder_without_a_package_is_one_message(
    mcd_command: Command, tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    done = mcd_command("plugins", "check", "--no-import", tmp_path)
    assert done.code == 2
    assert said in done.err
    assert mcd_command("plugins", "check", "--no-import").code == 2
