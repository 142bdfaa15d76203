"""Top images enlarged: at full resolution, the map on what the neuron responds to, by keyboard and on a phone."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from tests.browser.test_explorer import Open
from tests.plugins.explorer.conftest import page_of
from torch import nn

import mcd

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator

SHOWN = "(image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"


def box(found: Locator) -> tuple[float, float, float, float]:
    at = found.bounding_box()
    assert at is not None
    return at["x"], at["y"], at["width"], at["height"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    """A network whose output is the image, on images that are dark but for a bright square somewhere."""
    place = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(1)
    (place / "images").mkdir()
    for number in range(24):
        pixels = rng.integers(20, 40, (260, 180), dtype=np.uint8)
        pixels[130:160, 20 + 5 * number : 50 + 5 * number] = 255
        Image.fromarray(pixels).save(place / "images" / f"Jane_Doe_{number}.png")
    net = nn.Sequential(nn.Conv2d(1, 2, 1))
    with torch.no_grad():
        net[0].weight[:] = 1
        net[0].bias[:] = torch.tensor([0.0, 0.1])
    return mcd.dissect(
        mcd.Target("net", net.eval(), mcd.Preprocessing(height=140, width=140, resize="crop")),
        layers="*",
        dataset=f"images:{place / 'images'}",
        dissector="phantom-clip",
        concepts="phantom",
        scorer="cosine",
        maps=3,
        output=place / "run",
        progress=False,
        workers=0,
    )


def test_an_image_is_enlarged_to_its_pixels_with_the_map_where_the_neuron_responds(
    opened: Open, planted: mcd.Dissection, tmp_path: Path
) -> None:
    path = page_of(planted, tmp_path, thumbnails="true")
    assert "Jane_Doe" not in path.read_text(encoding="utf-8")
    page = opened(path).at("neuron/0/0/0")
    page.get_by_role("button", name="Enlarge image 2").click()
    image = page.locator("#viewer img")
    assert image.evaluate(SHOWN) == [180, 260]
    expect(page.locator("#viewer .resolution")).to_have_text("Full resolution: 180 × 260 pixels, in 8 bits.")
    name = page.locator("#viewer h2 code").inner_text()
    entry = next(one for one in planted.probe_map if one["id"] == name)
    pixels = np.asarray(Image.open(entry["source"]))
    rows, columns = np.nonzero(pixels == 255)
    left, top, wide, tall = box(image)
    where = ((columns.min() + columns.max() + 1) / 2 / 180, (rows.min() + rows.max() + 1) / 2 / 260)
    cells = page.locator("#viewer .over rect[fill='rgb(253 231 37)']")
    for zoomed in range(2):
        x, y, width, height = box(cells.first)
        left, top, wide, tall = box(image)
        at = left + where[0] * wide, top + where[1] * tall
        assert abs(x + width / 2 - at[0]) < 0.75 * width + 15 / 180 * wide
        assert abs(y + height / 2 - at[1]) < 0.75 * height + 15 / 260 * tall
        seen = page.locator("#viewer .over rect")
        first, last = box(seen.first), box(seen.last)
        # what the network saw: all columns, the middle of the rows
        np.testing.assert_allclose((first[0] - left) / wide, 0, atol=0.01)
        np.testing.assert_allclose((first[1] - top) / tall, 40 / 260, atol=0.01)
        np.testing.assert_allclose((last[1] + last[3] - top) / tall, 220 / 260, atol=0.01)
        if not zoomed:
            page.get_by_role("button", name="Zoom in").click()


def test_the_enlarged_image_is_used_by_keyboard_and_gives_the_focus_back(opened: Open, mapped_page: Path) -> None:
    page = opened(mapped_page).at("neuron/0/0/7")
    opener = page.get_by_role("button", name="Enlarge image 1")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#viewer .stage")).to_be_focused()
    image = page.locator("#viewer img")
    before = box(image)
    page.keyboard.press("+")
    assert box(image)[2] == pytest.approx(1.25 * before[2], rel=0.01)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    assert box(image)[2] == pytest.approx(192, abs=1)
    page.keyboard.press("0")
    assert box(image) == pytest.approx(before, abs=1)
    page.mouse.move(before[0] + 20, before[1] + 20)
    page.mouse.wheel(0, -200)
    grown = box(image)
    assert grown[2] > before[2] * 1.3
    corner = [(20 / before[2]) * grown[2] + grown[0], (20 / before[3]) * grown[3] + grown[1]]
    assert corner == pytest.approx([before[0] + 20, before[1] + 20], abs=2)  # what is under the pointer stays there
    page.get_by_label("Opacity").fill("0")
    assert page.locator("#viewer .over").evaluate("(one) => one.style.opacity") == "0"
    page.get_by_label("Map", exact=True).uncheck()
    expect(page.locator("#viewer .over")).to_be_hidden()
    page.get_by_role("button", name="Next image").press("Enter")
    expect(page.locator("#viewer h2")).to_contain_text("Image 2 of 6")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_dialog_fits_a_phone(opened: Open, mapped_page: Path, axe: str) -> None:
    for scheme in ("light", "dark"):
        page = opened(mapped_page, scheme).at("neuron/0/0/7")
        page.set_viewport_size({"width": 390, "height": 844})
        page.get_by_role("button", name="Enlarge image 1").click()
        expect(page.locator("#viewer .resolution")).to_contain_text("Full resolution")
        assert page.evaluate("document.getElementById('viewer').scrollWidth") <= 390
        page.evaluate(axe)
        assert page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"] == []


def test_two_fingers_zoom(opened: Open, mapped_page: Path) -> None:
    page = opened(mapped_page).at("neuron/0/0/7")
    page.get_by_role("button", name="Enlarge image 1").click()
    image = page.locator("#viewer img")
    before = box(image)
    touch = page.context.new_cdp_session(page)
    middle = before[0] + before[2] / 2, before[1] + before[3] / 2

    def points(apart: float) -> list[dict[str, float]]:
        return [{"x": middle[0] + side * apart, "y": middle[1], "id": at} for at, side in enumerate((-1, 1))]

    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points(30)})
    for apart in (40, 50, 60):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points(apart)})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert box(image)[2] == pytest.approx(2 * before[2], rel=0.1)


def test_what_lies_beside_the_page_is_shown_and_its_absence_is_said(
    opened: Open, mapped: mcd.Dissection, tmp_path: Path
) -> None:
    path = page_of(mapped, tmp_path / "beside", full="folder", megabytes=1)
    assert path.stat().st_size < 10**6
    beside = list((path.parent / "explorer-images").iterdir())
    assert beside
    tab = opened(path)
    page = tab.at("neuron/0/1/10")
    for number in range(1, 7):  # some are in the page, others beside it
        page.get_by_role("button", name=f"Enlarge image {number}").click()
        assert page.locator("#viewer img").evaluate(SHOWN) == [192, 320]
        page.keyboard.press("Escape")
    shutil.rmtree(path.parent / "explorer-images")  # the page alone was passed on
    alone = opened(path)
    page = alone.at("neuron/0/1/10")
    said = []
    for number in range(1, 7):
        page.get_by_role("button", name=f"Enlarge image {number}").click()
        expect(page.locator("#viewer .resolution")).to_contain_text("pixels")
        assert page.locator("#viewer img").evaluate(SHOWN) in ([192, 320], [77, 128])
        said.append(page.locator("#viewer .resolution").inner_text())
        page.keyboard.press("Escape")
    lost = [one for one in said if not one.startswith("Full resolution")]
    assert lost
    assert set(lost) == {
        "A copy of 77 × 128 pixels; the image has 192 × 320. "
        "It is in the folder explorer-images, which is not beside this page."
    }
    assert set(alone.wrong) == {"Failed to load resource: net::ERR_FILE_NOT_FOUND"}  # what Chromium says of a file
    alone.wrong.clear()
    off = opened(page_of(mapped, tmp_path / "off", full="off")).at("neuron/0/0/7")
    off.get_by_role("button", name="Enlarge image 1").click()
    expect(off.locator("#viewer .resolution")).to_contain_text("A copy of 77 × 128 pixels; the image has 192 × 320.")
    expect(off.locator("#viewer .resolution")).to_contain_text("full=page")
