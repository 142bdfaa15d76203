"""A second study.

Two targets are dissected one after the other with the same dissector and images, each in a process of its own, and a
store that begins empty: the second does not run the dissector. Processor seconds, imports and worker processes
included; the trial pass counts among the images that the dissector saw. Weights are drawn at random. Goal: the second
takes at most half of the first, and its labels are those of `--store off`.
"""

from __future__ import annotations

import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

import mcd
from benchmarks.report import Line, Report, Table

TOWERS = {"open-clip": "VisionTransformer", "phantom-clip": "ImageTower"}
"""Classes of image towers, by dissector."""

Row = tuple[str, float, int]
COLUMNS = ("run", "CPU s", "images that the dissector saw")


@dataclass(frozen=True)
class Settings:
    """Networks of timm and their layers, an architecture of OpenCLIP, the data set (`dmid:DIR`), and images of it.

    ``architecture`` empty means phantom-clip; ``apart`` is one process a run. Scorer and draws are as by default.
    """

    targets: tuple[str, ...] = ("resnet18", "tf_efficientnet_lite0")
    layers: tuple[str, ...] = ("layer*", "blocks.*")
    architecture: str = "ViT-B-16"
    data: str = "phantom"
    images: int = 120
    scorer: str = "soft-wpmi"
    draws: int = 1000
    apart: bool = True


TOY = Settings(
    targets=("resnet18", "resnet18"),
    layers=("layer1", "layer4"),
    architecture="",
    images=4,
    scorer="cosine",
    draws=0,
    apart=False,
)


def measure(settings: Settings) -> Report:
    """Return the seconds of the first study, the second, and the second without a store."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dissector = random_clip(settings.architecture, folder) if settings.architecture else {"plugin": "phantom-clip"}
        runs = {
            "first target, empty store": (0, "store", folder / "first"),
            "second target": (1, "store", folder / "second"),
            "second target without a store": (1, "off", folder / "again"),
        }
        rows: list[Row] = []
        for name, (at, store, output) in runs.items():
            where = str(folder / store) if store != "off" else store
            begun = used()
            seen = in_process(settings, at, dissector, where, output)
            rows.append((name, used() - begun, seen))
        second, again = ((folder / name / "labels.csv").read_bytes() for name in ("second", "again"))
    ratio = rows[1][1] / rows[0][1]
    holds = ratio <= 0.5 and rows[1][2] == 0 and second == again
    line = Line("second study, CPU s", rows[1][1], "the first", rows[0][1], ratio, "≤ 0.5", holds)
    same = f"Labels of the second are {'the same bytes as' if second == again else 'other bytes than'} without a store."
    targets = " and ".join(settings.targets)
    title = f"{settings.images} images, {targets}, dissector {settings.architecture or 'phantom-clip'}"
    return Report([Table(title, COLUMNS, rows)], [line], [same])


def random_clip(architecture: str, folder: Path) -> dict[str, object]:
    """Write weights drawn at random; return the choice of a dissector that reads them."""
    import open_clip  # takes seconds

    path = folder / "clip.pt"
    torch.manual_seed(0)
    torch.save(open_clip.create_model(architecture, pretrained=None).state_dict(), path)
    return {"plugin": "open-clip", "options": {"name": architecture, "checkpoint": str(path)}}


def used() -> float:
    """Return the processor seconds of this process and all that it waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def in_process(settings: Settings, *arguments: object) -> int:
    if not settings.apart:
        return study(settings, *arguments)  # type: ignore[arg-type]  # as below
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(study, settings, *arguments).result()  # type: ignore[arg-type]  # as study takes them


def study(settings: Settings, at: int, dissector: dict[str, object], store: str, output: Path) -> int:
    """Dissect a target; return how many images the dissector saw."""
    seen: list[int] = []

    def count(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if type(module).__name__ == TOWERS[str(dissector["plugin"])]:
            seen.append(len(given[0]))

    hook = register_module_forward_pre_hook(count)
    mcd.dissect(
        {"plugin": "timm", "options": {"name": settings.targets[at]}},
        layers=settings.layers[at],
        dissector=dissector,
        dataset=settings.data,
        limit=settings.images,
        concepts="birads",
        scorer=settings.scorer,
        calibration={"draws": settings.draws},
        store=store,
        output=output,
        progress=False,
        workers=None if settings.apart else 0,
    )
    hook.remove()
    return sum(seen)
