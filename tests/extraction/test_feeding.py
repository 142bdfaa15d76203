"""Results that are asked for one batch late: the same bytes, events, shards and blame as at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.extraction.drawn_networks import RECIPE, Words
from torch import nn

import mcd
from mcd.errors import DataError, ImageError, PluginError, UsageError
from mcd.events import Clock, Event, StageAdvanced
from mcd.extraction.columns import Column
from mcd.extraction.feeding import Feeder, late
from mcd.extraction.jobs import IMAGES, DissectorJob, TargetJob
from mcd.extraction.probe import ProbeSet, examined
from mcd.extraction.reading import Reader
from mcd.extraction.store import Shards
from mcd.extraction.sweep import Sweep
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.study.selection import Selection
from mcd_plugins.phantom.dataset import PhantomDataset

CPU = torch.device("cpu")
PATIENTS, BATCH = 37, 16
"""148 images: two shards of 64 and one of 20, in 4 + 4 + 2 batches."""


class Net(nn.Module):
    """Does something of one's own in a batch, by its number."""

    def __init__(self, before: Callable[[int], object] = lambda batch: None, broken: int = -1) -> None:
        super().__init__()
        self.conv, self.before, self.broken, self.batch = nn.Conv2d(3, 5, 7, stride=5), before, broken, -1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batch += 1
        self.before(self.batch)
        out: torch.Tensor = self.conv(x * float("nan") if self.batch == self.broken else x)
        return out


class Some(PhantomDataset):
    """Phantoms of which one cannot be decoded."""

    lost = ""

    def read(self, sample: mcd.Sample) -> mcd.Image:
        if sample.id == self.lost:
            raise ImageError("broken", "")
        return super().read(sample)


@pytest.fixture(scope="module")
def probe() -> ProbeSet:
    dataset = PhantomDataset(PhantomDataset.Options(patients=PATIENTS))
    clock = Clock(lambda event: None)
    found = examined(dataset, Selection(), clock, on_error="stop", keep_identifiers=False, workers=0)
    return replace(found, samples=tuple(replace(one, source="") for one in found.samples))  # messages name ids


class Swept:
    """A sweep of one target and one dissector into a folder, and what it said."""

    def __init__(
        self, probe: ProbeSet, folder: Path, *, deferred: bool | None, net: Net | None = None, bad: int = -1, **how: str
    ) -> None:
        torch.manual_seed(0)
        self.events: list[Event] = []
        dataset = Some(PhantomDataset.Options(patients=PATIENTS))
        dataset.lost = probe.samples[bad].id if bad >= 0 else ""
        network = net or Net()
        torch.nn.init.normal_(network.conv.weight, generator=torch.Generator().manual_seed(1))
        layer = Layer("conv", "Conv2d", (5, 6, 6), "NCHW", 5)
        conv = Column("conv", 5, "activations", [Shards(folder, "activations", {"conv": 5})])
        embedded = Column(IMAGES, 48, "embeddings", [Shards(folder, "embeddings", {IMAGES: 48})])
        self.sweep = Sweep(
            targets=[TargetJob(mcd.Target("net", network, RECIPE), [layer], Pooling("avg"), [conv])],
            dissectors=[DissectorJob(Words(), [embedded])],
            reader=Reader(dataset, None),
            probe=probe,
            device=CPU,
            precision="fp32",
            batch_size=BATCH,
            workers=0,
            on_error=how.get("on_error", "stop"),
            emit=self.events.append,
            deferred=deferred,
        )
        self.folder = folder

    def bytes(self) -> dict[str, bytes]:
        found = {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*.safetensors")}
        return dict(sorted(found.items()))

    def advanced(self) -> list[int]:
        return [event.count for event in self.events if isinstance(event, StageAdvanced)]


def test_asked_late_the_shards_and_the_events_are_the_same(probe: ProbeSet, tmp_path: Path) -> None:
    plain, deferred = (
        Swept(probe, tmp_path / name, deferred=on, bad=70, on_error="skip") for name, on in (("a", None), ("b", True))
    )
    assert plain.sweep.run() == deferred.sweep.run() == 3
    assert len(plain.bytes()) == 6
    assert deferred.bytes() == plain.bytes()
    assert deferred.advanced() == plain.advanced() == [16] * 4 + [16] * 4 + [16, 4]
    assert [type(one) for one in deferred.events] == [type(one) for one in plain.events]


def interrupt(batch: int) -> None:
    if batch == 4:
        raise KeyboardInterrupt


def fail(batch: int) -> None:
    if batch == 4:
        raise ValueError("too dark")


def lack_memory(batch: int) -> None:
    if batch == 4:
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("before", "expected"), [(interrupt, KeyboardInterrupt), (fail, PluginError), (lack_memory, UsageError)]
)
@pytest.mark.parametrize("deferred", [False, True])
def test_what_was_computed_before_a_failure_is_kept(
    probe: ProbeSet, tmp_path: Path, before: Callable[[int], object], expected: type[BaseException], deferred: bool
) -> None:
    swept = Swept(probe, tmp_path, deferred=deferred, net=Net(before))
    with pytest.raises(expected) as caught:
        swept.sweep.run()
    assert swept.advanced() == [16] * 4
    assert len(swept.bytes()) == 2
    if before is fail:
        assert f"net failed on the 16 images from {probe.samples[64].id}: " in str(caught.value)
        assert "too dark" in str(caught.value)
    if before is lack_memory:
        assert "try --batch-size 8" in str(caught.value)


@pytest.mark.parametrize("deferred", [False, True])
def test_of_two_failures_the_earlier_batch_is_blamed(probe: ProbeSet, tmp_path: Path, deferred: bool) -> None:
    swept = Swept(probe, tmp_path / "nan", deferred=deferred, net=Net(fail, broken=3))
    with pytest.raises(DataError, match="layer conv of net gives NaN") as caught:
        swept.sweep.run()
    assert caught.value.summary.endswith(f"for image {probe.samples[48].id}")
    assert swept.advanced() == [16] * 3
    assert not swept.bytes()
    swept = Swept(probe, tmp_path / "decoding", deferred=deferred, net=Net(broken=2), bad=50)
    with pytest.raises(DataError) as caught:
        swept.sweep.run()
    assert caught.value.summary.endswith(f"for image {probe.samples[32].id}")


def test_late_yields_what_is_made_before_what_fails() -> None:
    made: list[int] = []

    def items(error: BaseException | None) -> Iterator[int]:
        for at in range(3):
            made.append(at)
            yield at
        if error is not None:
            raise error

    assert [(at, len(made)) for at in late(items(None), 1)] == [(0, 2), (1, 3), (2, 3)]
    made.clear()
    assert [(at, len(made)) for at in late(items(None), 0)] == [(0, 1), (1, 2), (2, 3)]
    seen = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 -- what came before it counts
        for at in late(items(KeyboardInterrupt()), 2):
            seen.append(at)
    assert seen == [0, 1, 2]


def test_only_a_gpu_is_asked_late_by_default() -> None:
    assert Feeder(CPU).lag == 0
    assert Feeder(CPU, deferred=True).lag == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same_bytes_late_and_at_once(probe: ProbeSet, tmp_path: Path) -> None:
    found = []
    for name, deferred in (("a", False), ("b", True)):
        swept = Swept(probe, tmp_path / name, deferred=deferred)
        swept.sweep.device = torch.device("cuda")
        swept.sweep.run()
        found.append(swept.bytes())
    assert found[0] == found[1]
