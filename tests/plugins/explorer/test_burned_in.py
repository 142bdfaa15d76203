"""Where a header says that text is burned into an image, no copy of it is shown, and that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.plugins.cards.conftest import cards_of
from tests.plugins.cohorts.conftest import write_dicom
from tests.plugins.explorer.conftest import page_of

import mcd
from mcd.runs.thumbnails import thumbnails

SAID = "text is burned into the pixels, which may name the patient"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    """Return a run on 12 mammograms; the headers of the first four say that there is text in them."""
    folder = tmp_path_factory.mktemp("burned")
    for number in range(12):
        text = "YES" if number < 4 else "NO" if number < 8 else None
        write_dicom(folder / "data" / f"{number:02d}.dcm", seed=number, BurnedInAnnotation=text, ViewPosition="CC")
    return mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="phantom-clip",
        dataset=f"dicom:{folder / 'data'}",
        concepts="phantom",
        scorer="cosine-cubed",
        calibration={"draws": 20},
        device="cpu",
        workers=0,
        progress=False,
        output=folder / "run",
    )


def texts(run: mcd.Dissection) -> set[str]:
    return {one["id"] for one in run.probe_map if Path(one["source"]).stem < "04"}


def test_no_copy_is_made(run: mcd.Dissection) -> None:
    assert set(thumbnails(run, run.image_ids, 32)) == set(run.image_ids) - texts(run)


def test_the_page_says_so(run: mcd.Dissection, tmp_path: Path) -> None:
    page = page_of(run, tmp_path, thumbnails="true").read_text()
    assert SAID in page
    assert "4 images are not shown" in page


def test_cards_show_the_next_images_and_say_so(
    run: mcd.Dissection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = run.labels.assign(verdict=["significant" if one else "" for one in run.labels["verdict"]])
    loud = mcd.Dissection(run.folder, run.manifest, replace(run.results, labels=labels), trust=True)
    made = cards_of(loud, tmp_path, copy_images=True, count=2, controls=0, choices=2, images=4)
    assert not texts(run) & {name for card in made.key.cards for name in card.images}
    assert f"4 of 12 images are on no card: by their headers {SAID}" in capsys.readouterr().err
    assert SAID in " ".join(made.key.cautions)


def test_figures_say_so(run: mcd.Dissection) -> None:
    drawn = mcd.figures.top_images(mcd.figures.collect([run]), [("head", 0)], count=12, copy_images=True)
    said = [text.get_text().replace("\n", " ") for axes in drawn.axes for text in axes.texts]
    assert sum("text is burned in" in one for one in said) == 4
    assert SAID in " ".join(text.get_text().replace("\n", " ") for text in drawn.texts)


@pytest.mark.parametrize(
    ("sample", "burned"),
    [
        (mcd.Sample("1", facts={"burned-in": "yes"}), True),
        (mcd.Sample("1", labels={"BurnedInAnnotation": "YES"}), True),
        (mcd.Sample("1", labels={"Burned In Annotation": "NO"}, facts={"burned-in": "unknown"}), False),
        (mcd.Sample("1"), False),
    ],
)
def test_headers_and_tables_say_it(sample: mcd.Sample, burned: bool) -> None:
    assert sample.burned_in == burned
