"""Fixtures that all tests share: the test data beside the repository, and the command line."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path

import hypothesis
import pytest
from tests.absence import ABSENT, absent
from tests.command_line import ROOT, Outcome, in_process, in_this_process

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test depends on the network; the hub's client reads it on import
os.environ.setdefault("MCD_DIGESTS", "off")  # tests leave nothing with the user, and read what is there
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch takes all cores otherwise, in every worker

hypothesis.settings.register_profile("mcd", deadline=None)  # how long a busy machine takes says nothing
hypothesis.settings.load_profile("mcd")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        absent("no folder 'shared' beside the repository")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_store_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what fixtures of modules compute out of the store of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCD_STORE", str(tmp_path_factory.mktemp("store") / "of-fixtures"))
        yield


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders for the stores of tests, numbered here: pytest lists all that there are for each that it numbers."""
    beneath = tmp_path_factory.mktemp("stores")
    return (beneath / str(number) for number in count())


@pytest.fixture(autouse=True)
def own_store(stores: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own: what it finds there it has put there."""
    parent = next(stores)
    parent.mkdir()
    folder = parent / "own"
    monkeypatch.setenv("MCD_STORE", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def phantoms_are_drawn_once() -> Iterator[None]:
    """Keep the phantoms that a worker has drawn: most tests read the same hundred, and drawing takes longest."""
    from mcd_plugins.phantom import dataset

    drawn, outlined = lru_cache(maxsize=2000)(dataset.render), lru_cache(maxsize=2000)(dataset.outline)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "render", lambda view: (drawn(view)[0].copy(), drawn(view)[1]))
        patch.setattr(dataset, "outline", lambda view: outlined(view).copy())
        yield


@pytest.fixture(scope="module", autouse=True)
def files_of_others_are_not_imported() -> Iterator[None]:
    """Forget a file's plugins after its tests: every process that is begun later would import them all."""
    from mcd.host import importing

    before = importing._imported[:]
    yield
    for path, code in importing._imported[len(before) :]:
        sys.modules.pop(importing.module_name(path, code), None)
    importing._imported[:] = before


@pytest.fixture(scope="session", autouse=True)
def images_are_read_in_this_process() -> Iterator[None]:
    """Start processes for images only where a test says how many: all cores run tests, and know the phantoms drawn."""
    from mcd.extraction import parallel, workers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "default_workers", lambda images: 0)
        patch.setattr(parallel, "cores", lambda: 0)
        yield


@pytest.fixture(scope="session")
def mcd_command() -> Callable[..., Outcome]:
    """Run ``mcd`` as a process would, but in this one: importing torch takes longer than most commands."""
    return in_this_process


@pytest.fixture(scope="session")
def mcd_process() -> Callable[..., Outcome]:
    """Run ``python -m mcd`` in a process of its own: for variables read once, kills, streams, exit codes."""
    return in_process


def pytest_collection_finish() -> None:
    """Leave what collecting has made out of garbage collections: it stays, and is looked through again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count what only the nightly run has time for among the slow tests; files that have slow ones come first."""
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # at the end no process waits for another one's long file


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run because something that they need is not on this machine."""
    skipped = terminalreporter.stats.get("skipped", [])
    skips = sum(isinstance(one.longrepr, tuple) and ABSENT in str(one.longrepr[2]) for one in skipped)
    if skips:
        terminalreporter.write_line(f"skipped because what they need is not on this machine: {skips}")
