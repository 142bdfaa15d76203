"""What must hold of acme-shared."""

from __future__ import annotations

from acme_shared.command import command
from click.testing import CliRunner

import mcd
from mcd.plugins import SIGNIFICANT
from mcd.testing import assert_light, check_command


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_shared")


def test_it_says_what_it_does() -> None:
    check_command(command)


def test_it_needs_two_runs() -> None:
    assert CliRunner().invoke(command, ["one"]).exit_code == 2


def test_a_run_shares_with_itself_what_its_neurons_carry(tiny_dissection: mcd.Dissection) -> None:
    folder = str(tiny_dissection.folder)
    done = CliRunner().invoke(command, [folder, folder], catch_exceptions=False)
    labels = tiny_dissection.labels
    carried = set(labels[(labels["rank"] == 1) & labels["verdict"].isin(SIGNIFICANT)]["concept"])
    assert (f"{len(carried)} of {len(carried)} concepts" if carried else "no concept is carried") in done.output
