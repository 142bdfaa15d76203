"""Files are examined once: what is remembered of unchanged ones is never wrong, and says nothing to others."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from tests.extraction.remembered import pictures, probed

import mcd
from mcd.errors import DataError
from mcd.events import Clock
from mcd.extraction import examining as module
from mcd.extraction.examining import each_file, examination, examine_each
from mcd.extraction.file_memory import status_of
from mcd.extraction.probe import examined
from mcd.study.selection import Selection
from mcd_plugins.datasets.combine import Combined
from mcd_plugins.datasets.images import ImageFolder

LONG_AGO = 1_600_000_000_000_000_000


LOG = logging.getLogger("examined")
"""Says which files this process examined; a list would be a part of the function that fills it."""


@pytest.mark.usefixtures("memory")
def test_a_second_time_reads_no_unchanged_file_and_finds_the_same(tmp_path: Path, opened: list[str]) -> None:
    folder = pictures(tmp_path / "images")
    first = probed(folder)
    assert opened == ["0.bmp", "1.bmp", "2.bmp"]
    opened.clear()
    assert probed(folder) == first
    assert opened == []


def rewritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    with path.open("r+b") as file:
        file.write(data)


def restored(path: Path) -> None:
    """Change a byte; size, inode and time of modification stay."""
    before = path.stat()
    rewritten(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    """Put another file of the same size and time in its place, as a copy that keeps times does."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    (path.parent / "new").write_bytes(data)
    os.utime(path.parent / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (path.parent / "new").replace(path)


@pytest.mark.parametrize("change", [rewritten, restored, replaced, lambda path: os.utime(path)])
@pytest.mark.usefixtures("memory")
def test_a_file_that_was_changed_is_examined_again(
    tmp_path: Path, opened: list[str], change: Callable[[Path], None]
) -> None:
    folder = pictures(tmp_path / "images")
    for path in folder.iterdir():
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    probed(folder)
    ticked = time.time_ns() + 20_000_000  # the clock of files ticks every few milliseconds
    while time.time_ns() < ticked:
        pass
    change(folder / "1.bmp")
    opened.clear()
    second = probed(folder)
    assert opened == ["1.bmp"]
    fresh = [mcd.plugins.file_digest(one.source) for one in second.samples]
    assert [one.digest for one in second.samples] == fresh


def test_a_file_of_this_moment_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    """Its times might not show another change."""
    monkeypatch.setenv("MCD_DIGESTS", str(tmp_path / "memory"))
    folder = pictures(tmp_path / "images")
    probed(folder)
    probed(folder)
    assert len(opened) == 6
    status = status_of(str(folder / "0.bmp"))
    assert status is not None
    newest = max(status.modified, status.changed)
    assert [status.is_still(newest + wait * 10**9) for wait in (0, 1, 2, 3)] == [False, False, False, True]


def altered(sample: mcd.Sample, _settings: None) -> mcd.Sample | mcd.Unreadable:
    Path(sample.source).write_bytes(b"other bytes")
    return replace(sample, digest="of the bytes before")


@pytest.mark.usefixtures("memory")
def test_a_file_that_changes_while_it_is_examined_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"bytes")
    sample = mcd.Sample("a", source=str(tmp_path / "a"))
    with examination(workers=0):
        list(each_file(altered, [sample], None))
    with examination(workers=0) as how:
        list(each_file(altered, [sample], None))
    assert how.remembered == 0


def planted(folder: Path) -> None:
    """Make the memory wrong, as a disk that loses bits without saying so would make the files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "text_of", lambda *_: json.dumps({"digest": "0" * 64, "facts": {}}).encode())
        probed(folder, verify=True)


@pytest.mark.usefixtures("memory")
def test_verify_reads_all_files_says_how_many_differ_and_mends(tmp_path: Path, opened: list[str]) -> None:
    folder, said = pictures(tmp_path / "images"), list[str]()
    first = probed(folder)
    opened.clear()
    assert probed(folder, verify=True, said=said) == first
    assert opened == ["0.bmp", "1.bmp", "2.bmp"]
    assert said == ["all image files were read and hashed again: 0 of 3 remembered results differ"]
    planted(folder)
    assert {one.digest for one in probed(folder).samples} == {"0" * 64}
    said.clear()
    assert probed(folder, verify=True, said=said) == first
    assert said == [
        "all image files were read and hashed again: 3 of 3 remembered results differ",
        "the disk may fail: the bytes of 3 files changed, though neither size nor times did",
    ]
    assert probed(folder) == first


@dataclass(frozen=True)
class LeftOut(mcd.Unreadable):
    """A file that is passed over, and what it is."""

    kind: str = ""
    passed_over: bool = True


def by_name(sample: mcd.Sample, settings: str) -> mcd.Sample | mcd.Unreadable:
    LOG.warning(sample.id)
    if "out" in sample.id:
        return LeftOut(sample.source, "no image", kind="report")
    if "broken" in sample.id:
        return mcd.Unreadable(sample.source, "it is broken")
    if "raises" in sample.id:
        raise DataError(f"{sample.id} raises", "a hint")
    if "kills" in sample.id and os.getpid() != int(settings):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(sample, digest=sample.id, facts={"settings": settings}, findings={"mass": True}, implant=False)


def files(folder: Path, *names: str) -> list[mcd.Sample]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [mcd.Sample(name, source=str(folder / name), labels={"own": name}) for name in names]


@pytest.mark.usefixtures("memory")
def test_what_is_known_and_left_out_is_remembered_and_what_is_broken_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = files(tmp_path / "files", "a", "out", "broken")
    bad = mcd.Unreadable("nowhere", "a link to nothing")
    found = []
    for _ in range(2):
        with examination(workers=0):
            found.append(list(each_file(by_name, [bad, *samples], "one", kinds=(LeftOut,))))
    assert found[0] == found[1]
    assert found[0][0] is bad
    assert type(found[1][2]) is LeftOut
    assert caplog.messages == ["a", "out", "broken", "broken"]


@pytest.mark.parametrize("other", ["settings", "sample", "function"])
@pytest.mark.usefixtures("memory")
def test_other_settings_samples_and_functions_are_examined_anew(tmp_path: Path, other: str) -> None:
    (sample,) = files(tmp_path / "files", "a")
    with examination(workers=0):
        list(each_file(by_name, [sample], "one"))
    with examination(workers=0) as how:
        if other == "settings":
            (found,) = each_file(by_name, [sample], "two")
            assert isinstance(found, mcd.Sample)
            assert found.facts == {"settings": "two"}
        elif other == "sample":
            list(each_file(by_name, [replace(sample, labels={"own": "another"})], "one"))
        else:
            list(each_file(altered, [sample], None))
    assert how.remembered == 0


@pytest.mark.usefixtures("memory")
def test_processes_give_the_same_in_the_same_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"{at:03d}{('out' if at % 7 == 0 else '')}" for at in range(600)]
    samples = files(tmp_path / "files", *names)
    with examination(workers=0):
        serial = list(each_file(by_name, samples[100:300], "one", kinds=(LeftOut,)))
    caplog.clear()
    with examination(workers=2) as how:
        found = list(each_file(by_name, samples, "one", kinds=(LeftOut,)))
    assert caplog.messages == []  # all of them in the processes
    assert found[100:300] == serial
    assert found == [by_name(one, "one") for one in samples]
    assert how.remembered == 200


@pytest.mark.usefixtures("memory")
def test_what_is_raised_in_a_process_is_raised_here_in_its_turn(tmp_path: Path) -> None:
    samples = files(tmp_path / "files", *(f"{at}" for at in range(80)), "raises", "b")
    with examination(workers=2):
        each = each_file(by_name, samples, "one")
        assert [next(each) for _ in range(80)] == [by_name(one, "one") for one in samples[:80]]
        with pytest.raises(DataError, match="raises"):
            next(each)


@pytest.mark.usefixtures("memory")
def test_a_process_that_is_killed_is_an_error(tmp_path: Path) -> None:
    samples = files(tmp_path / "files", *(f"{at}" for at in range(80)), "kills")
    with examination(workers=2), pytest.raises(DataError, match="a worker process was killed"):
        list(each_file(by_name, samples, str(os.getpid())))


@pytest.mark.usefixtures("memory")
def test_who_stops_in_the_middle_leaves_no_process_and_keeps_what_was_found(tmp_path: Path) -> None:
    samples = files(tmp_path / "files", *(f"{at:03d}" for at in range(300)))
    with examination(workers=2):
        each = each_file(by_name, samples, "one")
        assert [next(each) for _ in range(10)] == [by_name(one, "one") for one in samples[:10]]
        assert multiprocessing.active_children()
        cast("Generator[object]", each).close()
        assert not multiprocessing.active_children()
    with examination(workers=0) as how:
        list(each_file(by_name, samples, "one"))
    assert 10 <= how.remembered < 300


@pytest.mark.usefixtures("memory")
def test_parts_of_a_combination_are_remembered_too(tmp_path: Path, opened: list[str]) -> None:
    one, two = pictures(tmp_path / "one"), pictures(tmp_path / "two", 2)

    def combined() -> Iterator[mcd.Sample | mcd.Unreadable]:
        data = Combined(Combined.Options(parts=[{"plugin": "images:one"}, {"plugin": "images:two", "name": "b"}]))
        data.assemble([ImageFolder(ImageFolder.Options(path=path)) for path in (one, two)])
        with examination(workers=0):
            samples = [found for found in data.scan() if isinstance(found, mcd.Sample)]
            yield from list(examine_each(data, samples))

    first = list(combined())
    ids = "images/0.bmp images/1.bmp images/2.bmp b/0.bmp b/1.bmp"
    assert [found.id for found in first if isinstance(found, mcd.Sample)] == ids.split()
    opened.clear()
    assert list(combined()) == first
    assert opened == []


class Own(mcd.Dataset):
    """Counts in `examine`, as a third party's data set may."""

    def __init__(self) -> None:
        super().__init__()
        self.examined = 0

    def __len__(self) -> int:
        return 1

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        yield mcd.Sample("a", source=__file__)

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        self.examined += 1
        return replace(sample, digest="own")

    def read(self, sample: mcd.Sample) -> mcd.Image:
        raise NotImplementedError


@pytest.mark.usefixtures("memory")
def test_a_data_set_with_its_own_examination_is_asked_every_time() -> None:
    data = Own()
    for _ in range(2):
        examined(data, Selection(), Clock(lambda _: None))
    assert data.examined == 2


class OfPictures(ImageFolder):
    """Examines by itself what its base class remembers."""

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        return mcd.Unreadable(sample.source, "it is not wanted")


@pytest.mark.usefixtures("memory")
def test_a_subclass_that_examines_by_itself_is_asked(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    probed(folder)
    data = OfPictures(OfPictures.Options(path=folder))
    with pytest.raises(DataError, match="3 of 3 images cannot be used"):
        examined(data, Selection(), Clock(lambda _: None))


@pytest.mark.usefixtures("memory")
def test_what_is_no_plain_data_is_examined_every_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A data set may give other types than it promises, which do not come back from text as they were."""
    (sample,) = files(tmp_path / "files", "a")
    odd = [replace(sample, findings={"mass": np.True_}), replace(sample, facts={"n": Path("p")})]
    for _ in range(2):
        with examination(workers=0):
            found = list(each_file(by_name, odd, "one"))
    assert caplog.messages == ["a"] * 4
    assert [one.facts for one in found if isinstance(one, mcd.Sample)] == [{"settings": "one"}] * 2


def test_a_data_set_without_files_leaves_no_memory(memory: Path) -> None:
    examined(Own(), Selection(), Clock(lambda _: None))
    assert not memory.exists()


_TWICE = """
import os
import sys
from pathlib import Path
from mcd.events import Clock
from mcd.extraction.probe import examined
from mcd.study.selection import Selection
from mcd_plugins.datasets.images import ImageFolder
opened = []
sys.addaudithook(lambda event, said: opened.append(said[0]) if event == "open" and ".bmp" in str(said[0]) else None)
for memory in (os.environ["MCD_DIGESTS"], "off"):
    os.environ["MCD_DIGESTS"] = memory
    examined(ImageFolder(ImageFolder.Options(path=Path(sys.argv[1]))), Selection(), Clock(lambda _: None))
    print(len(opened))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("memory")
def test_another_process_opens_no_image(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    probed(folder)
    command = [sys.executable, "-c", _TWICE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    remembered, off = map(int, done.stdout.split())
    assert remembered == 0
    assert off >= 3
