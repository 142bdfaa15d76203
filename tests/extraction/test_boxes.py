"""Boxes and the files that they are to lie in: resized copies, cut copies, swapped corners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_picture

from mcd import Sample
from mcd.api.dataset import Box
from mcd.events import Clock, Event, Warned
from mcd.extraction.boxes import BoxFit, box_remarks
from mcd.extraction.probe import examined
from mcd.study.selection import Selection
from mcd_plugins.cohorts.mias import Mias

Command = Callable[..., Outcome]


def fitted(rows: int, columns: int, *boxes: Box, meant: str = "") -> tuple[tuple[Box, ...], str]:
    facts = {"rows": str(rows), "columns": str(columns)} | ({"boxes": meant} if meant else {})
    fit = BoxFit()
    return fit.fitted(Sample("1", boxes=boxes, facts=facts)).boxes, " ".join(filter(None, box_remarks(fit.counts)))


BOX = Box("mass", 100, 200, 300, 600)


@pytest.mark.parametrize(
    ("size", "meant", "kept", "said"),
    [
        ((1000, 800), "1000×800", BOX, ""),
        ((500, 400), "1000×800", Box("mass", 50, 100, 150, 300), "boxes are scaled"),
        ((2000, 1600), "1000×800", Box("mass", 200, 400, 600, 1200), "boxes are scaled"),
        ((333, 267), "1000×800", Box("mass", 33, 67, 100, 200), "boxes are scaled"),
        ((500, 800), "1000×800", None, "boxes are left out"),
        ((512, 512), "1000×800", None, "boxes are left out"),
        ((1000, 800), "", BOX, ""),
        ((500, 400), "", BOX, "with boxes that leave the image"),
    ],
)
def test_boxes_are_brought_to_the_size_of_the_file(
    size: tuple[int, int], meant: str, kept: Box | None, said: str
) -> None:
    boxes, remark = fitted(*size, BOX, meant=meant)
    assert boxes == ((kept,) if kept else ())
    assert (said in remark) if said else not remark


def test_a_small_box_of_a_small_copy_keeps_a_pixel() -> None:
    boxes, _ = fitted(10, 8, Box("a", 799, 999, 800, 1000), Box("b", 5, 5, 6, 6), meant="1000×800")
    assert boxes == (Box("a", 7, 9, 8, 10), Box("b", 0, 0, 1, 1))


def test_swapped_corners_are_put_in_order() -> None:
    boxes, remark = fitted(1000, 800, Box("mass", 300, 600, 100, 200))
    assert boxes == (BOX,)
    assert remark == "1 image with boxes whose corners are swapped: they are put in order"


def test_a_box_without_area_is_left_out_and_one_outside_a_scaled_copy_is_said() -> None:
    boxes, remark = fitted(1000, 800, BOX, Box("mass", 300, 200, 300, 600))
    assert (boxes, remark) == ((BOX,), "1 image with boxes without area: they are left out")
    _, remark = fitted(500, 400, Box("mass", 700, 900, 900, 1100), meant="1000×800")
    assert "boxes are scaled" in remark
    assert "with boxes that leave the image" in remark


def test_boxes_given_as_a_list_are_as_good() -> None:
    fit = BoxFit()
    facts = {"rows": "1000", "columns": "800"}
    assert fit.fitted(Sample("1", boxes=[BOX], facts=facts)).boxes == (BOX,)  # type: ignore[arg-type]  # a plugin's
    assert not any(box_remarks(fit.counts))


@pytest.fixture
def half_size(tmp_path: Path) -> Path:
    """Films of mini-MIAS at half their size, one with a circle."""
    (tmp_path / "Info.txt").write_text("mdb001 G CIRC B 500 624 100\nmdb002 D NORM\n")
    for number in (1, 2):
        large = PIL.Image.open(write_picture(tmp_path / "drawn.png", seed=number))
        large.resize((512, 512)).save(tmp_path / f"mdb00{number}.pgm")
    return tmp_path


def test_a_run_and_data_check_say_so(half_size: Path, mcd_command: Command) -> None:
    events: list[Event] = []
    probe = examined(Mias(Mias.Options(root=half_size)), Selection(), Clock(events.append))
    assert probe.samples[0].boxes == (Box("mass", 200, 150, 300, 250),)
    said = "1 image of another size than the data set says: boxes are scaled to the files"
    assert said in [one.message for one in events if isinstance(one, Warned)]
    done = mcd_command("data", "check", half_size, "--dataset", "mias", "--workers", "0")
    assert said in " ".join(done.out.split())
