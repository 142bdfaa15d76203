"""The printed table is the same on every Python and with any number of threads; other numbers need another version."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.plugins.bench.materials import material

from mcd_plugins.bench.contract import PLANTS
from mcd_plugins.bench.methods import published
from mcd_plugins.bench.methods.ours import OURS
from mcd_plugins.bench.report import BENCH_VERSION, MEASURES, PLANT_HEADS, Report, table
from mcd_plugins.bench.running import cases_of, one_thread, outcomes

KEPT = Path(__file__).parent / "printed.txt"
"""What version 1.0 prints for units planted without networks; to be made anew where `BENCH_VERSION` is raised."""


def printed() -> str:
    """Return both tables of a bench on material without networks."""
    of = material(30, 40)
    with one_thread():
        found = outcomes(cases_of(of, dict.fromkeys(PLANTS, 4), 1, 0), [*published(), *OURS])
    report = Report(of.name, of.truth_is, {"size": "toy", "seed": 0, "repeats": 1}, tuple(found)).sorted_by("fdr")
    first = table(["method", *MEASURES.values()], report.measures())
    second = table(["method", *PLANT_HEADS.values()], report.plants())
    return f"bench {BENCH_VERSION}\n{first}\n\n{second}\n"


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_the_printed_tables_are_those_of_this_version(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert printed() == KEPT.read_text(encoding="utf-8")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
