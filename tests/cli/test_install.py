"""``mcd install``, ``mcd uninstall`` and ``mcd plugins search``."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from tests.command_line import ROOT, Outcome
from tests.installed import Environment

from mcd.cli.catalogue import Known, catalogue
from mcd.cli.new_plugin import Scaffolds

Command = Callable[..., Outcome]


def _wheel(folder: Path) -> Path:
    """Return the wheel of a vocabulary, made by hand: nothing needs to be fetched to build it."""
    path = folder / "acme_tiny-1.0-py3-none-any.whl"
    info = "acme_tiny-1.0.dist-info"
    parts = {
        "acme_tiny/words.yaml": "name: acme-tiny\nbroad_categories: {Findings: {Mass: [mass, oval mass]}}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: acme-tiny\nVersion: 1.0\nSummary: two words\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[mcd.concept_sets]\nacme-tiny = acme_tiny:words.yaml\n",
    }
    parts[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*parts, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in parts.items():
            wheel.writestr(name, text)
    return path


@pytest.mark.slow
def test_a_package_is_installed_found_and_removed_again(tmp_path: Path) -> None:
    mcd = Environment.made(tmp_path / "own").mcd
    done = mcd("install", "--offline", _wheel(tmp_path))
    assert done.code == 0, done.err
    assert "plugin 'acme-tiny' (acme-tiny 1.0)" in done.out
    assert "mcd plugins check acme-tiny" in done.out
    assert "acme-tiny" in mcd("plugins", "list").out
    assert mcd("concepts", "show", "acme-tiny").code == 0
    refused = mcd("uninstall", "--yes", "mammo-clip-dissect")
    assert (refused.code, "there are: acme-tiny" in refused.err) == (2, True)
    done = mcd("uninstall", "--yes", "Acme_Tiny")
    assert (done.code, done.out) == (0, "removed Acme_Tiny\n")
    assert "acme-tiny" not in mcd("plugins", "list").out
    failed = mcd("install", "--offline", tmp_path / "none.whl")
    assert failed.code == 3
    assert "error: pip install ended with" in failed.err


def test_the_catalogue_is_in_order() -> None:
    known = catalogue()
    assert len({one.name for one in known}) == len(known)
    kinds = {*Scaffolds().kinds}
    for one in known:
        assert set(one.offers) <= kinds
        assert all(getattr(one, field.name) for field in fields(Known))
        assert not one.install.startswith("./") or (ROOT / one.install / "pyproject.toml").is_file()


def test_search_finds_what_is_installed_and_what_is_known(mcd_command: Command) -> None:
    assert "acme-backbone" in mcd_command("plugins", "search").out
    found = mcd_command("plugins", "search", "scorer", "Spearman").out
    assert "spearman" in found
    assert "installed, scorers" in found
    nothing = mcd_command("plugins", "search", "unheard-of")
    assert nothing.code == 0
    assert nothing.out.startswith("nothing has unheard-of")
