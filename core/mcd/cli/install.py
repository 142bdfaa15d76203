"""``mcd install`` and ``mcd uninstall``: pip in the environment that mcd runs in, and what then is on offer."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys

import click

from mcd.cli.state import State
from mcd.cli.terminal import echo
from mcd.errors import PluginError, UsageError
from mcd.host import PluginHost, PluginRecord, normalise
from mcd.version import DISTRIBUTION

__all__ = ["install", "uninstall"]


@click.command()
@click.argument("requirements", nargs=-1, required=True, metavar="PACKAGE...")
@click.option("-U", "--upgrade", is_flag=True, help="Take the newest version of what is installed already.")
@click.option("-e", "--editable", is_flag=True, help="PACKAGE is a folder: what changes in it counts at once.")
@click.pass_obj
def install(state: State, requirements: tuple[str, ...], upgrade: bool, editable: bool) -> None:
    """Install plugins into the environment that mcd runs in, with pip, and list what they are.

    PACKAGE is whatever pip takes: a name, a folder, a wheel, an address. Installing a package runs its code: take
    those that you trust. With --offline nothing is fetched, neither PACKAGE nor what it needs.
    """
    flags = [*(["--upgrade"] if upgrade else []), *(["--no-index", "--no-build-isolation"] if state.offline else [])]
    named = [part for one in requirements for part in (["--editable", one] if editable else [one])]
    before = _plugins()
    _pip("install", *flags, *named)
    new = [record for name, record in _plugins().items() if before.get(name) != record]
    for record in new:
        echo(f"{record}: see what it offers with: mcd plugins check {record.name}")
    if not new:
        echo("no plugin is new: what was installed has no entry point of group mcd, or was there already")


@click.command()
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def uninstall(packages: tuple[str, ...], yes: bool) -> None:
    """Remove plugins from the environment that mcd runs in, by the names of their packages.

    Runs stay as they are; those made with a plugin need it again to be scored anew.
    """
    installed = {record.distribution for record in _plugins().values()} - {DISTRIBUTION}
    for one in packages:
        if normalise(one) not in map(normalise, installed):
            raise UsageError(
                f"no plugin is of a package '{one}'",
                f"there are: {', '.join(sorted(installed)) or 'none but mcd itself'}",
            )
    if not yes:
        click.confirm(f"remove {', '.join(packages)}?", abort=True)
    _pip("uninstall", "--yes", *packages)
    echo(f"removed {', '.join(packages)}")


def _plugins() -> dict[str, PluginRecord]:
    importlib.invalidate_caches()
    return {record.name: record for record in PluginHost.installed(os.environ)}


def _pip(*arguments: str) -> None:
    """Run pip with this interpreter; what it prints goes to standard error.

    Raises
    ------
    UsageError
        When there is no pip here.
    PluginError
        When pip fails.
    """
    if importlib.util.find_spec("pip") is None:
        hint = "install plugins with what made this environment, such as: uv pip install"
        raise UsageError(f"there is no pip in {sys.prefix}", hint)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=sys.stderr, check=False)  # noqa: S603 -- this interpreter's pip, as asked
    if done.returncode:
        raise PluginError(f"pip {arguments[0]} ended with {done.returncode}", "its message is above")
