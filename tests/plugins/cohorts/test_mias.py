"""The data set ``mias``: one sample a film, y from the bottom, "normal" told from "not told"."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.plugins.cohorts.conftest import Scanned
from tests.plugins.cohorts.mias_tables import INFO, released

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.mias import Mias


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return released(tmp_path)


def mias(root: Path, **options: object) -> Mias:
    return Mias(Mias.Options.model_validate({"root": root, **options}))


def broken(root: Path, old: str, new: str) -> str:
    text = (root / "Info.txt").read_text()
    assert old in text
    (root / "Info.txt").write_text(text.replace(old, new))
    with pytest.raises(DataError) as caught:
        list(mias(root).scan())
    return caught.value.message


def test_every_film_is_one_sample_with_what_its_rows_say(
    release: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    found = scanned(mias(release))
    assert list(found) == [f"mdb{number:03d}" for number in range(1, 7)]
    several = found["mdb003"]
    assert several.findings == {
        "calcifications": True,
        "mass": True,
        "spiculated margin": True,
        "breast cancer": True,
    }
    assert several.labels == {
        "BG": "F",
        "CLASS": "CALC; SPIC",
        "SEVERITY": "B; M",
        "X": "477; 500",
        "Y": "133; 1020",
        "RADIUS": "30; 26",
    }
    assert {sample.view for sample in found.values()} == {"MLO"}
    assert {sample.collection for sample in found.values()} == {"mias"}
    assert {sample.density for sample in found.values()} == {""}  # F, G, D are no BI-RADS densities
    assert mias(release).read(several).maximum == 255


def test_a_normal_film_has_none_of_the_findings_and_one_with_a_lesion_is_silent_on_others(
    release: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    found = scanned(mias(release))
    normal = found["mdb002"].findings
    assert set(normal.values()) == {False}
    assert {"mass", "calcifications", "architectural distortion", "asymmetry", "breast cancer"} <= set(normal)
    assert found["mdb001"].findings == {"mass": True, "circumscribed margin": True, "breast cancer": False}


def test_circles_count_from_the_bottom_and_are_cut_to_the_film(
    release: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    found = scanned(mias(release))
    assert found["mdb001"].boxes == (mcd.Box("mass", 338, 1024 - 425 - 197, 732, 1024 - 425 + 197),)
    assert found["mdb003"].boxes[1] == mcd.Box("mass", 474, 0, 526, 30)
    assert found["mdb005"].boxes == found["mdb006"].boxes == ()


def test_two_films_are_one_woman_and_the_side_is_said_aloud(
    release: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    data = mias(release)
    found = scanned(data)
    assert found["mdb003"].patient == found["mdb004"].patient != found["mdb005"].patient
    assert [found[name].laterality for name in ("mdb003", "mdb004")] == ["L", "R"]
    assert any("odd numbers are taken for left" in remark for remark in data.remarks())
    turned = {one.id: one for one in mias(release, odd="R").scan() if isinstance(one, mcd.Sample)}
    assert [turned[name].laterality for name in ("mdb003", "mdb004")] == ["R", "L"]
    assert {one.laterality for one in mias(release, odd="unknown").scan() if isinstance(one, mcd.Sample)} == {""}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mdb002 G NORM", "mdb002", "row 11, column 'BG'"),
        ("mdb002 G NORM", "mdb002 G", "row 11, column 'CLASS'"),
        ("mdb002 G NORM", "mdbx02 G NORM", "row 11, column 'REFNUM': 'mdbx02'"),
        ("B 535 425 197", "B 535 425 197 8", "row 10, column 'RADIUS': 8 words"),
        ("B 535 425 197", "B 535 425", "row 10, column 'RADIUS': a circle needs all"),
        ("B 535 425 197", "B 535 x 197", "row 10, column 'Y': 'x' is no number"),
        ("mdb003 F SPIC", "mdb003 D SPIC", "row 13, column 'BG': 'D', but row 12 says 'F'"),
        ("mdb003 F SPIC M 500 1020 26", "mdb003 F NORM", "row 13, column 'CLASS': the film is NORM and not"),
        ("mdb003 F SPIC M 500 1020 26", "mdb003 F CALC B 477 133 30", "row 13, column 'REFNUM': the row is the same"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(release: Path, old: str, new: str, said: str) -> None:
    message = broken(release, old, new)
    assert "Info.txt" in message
    assert said in message


def test_an_unknown_code_is_kept_and_remarked(release: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    (release / "Info.txt").write_text(INFO.replace("CIRC B 535", "BLOB X 535"))
    data = mias(release)
    found = scanned(data)["mdb001"]
    assert found.findings == {}
    assert found.labels["CLASS"] == "BLOB"
    assert [remark for remark in data.remarks() if "'BLOB'" in remark and "'CLASS'" in remark and "row 10" in remark]
    assert [remark for remark in data.remarks() if "'X'" in remark and "'SEVERITY'" in remark]


def test_another_encoding_and_missing_files_are_said(release: Path) -> None:
    (release / "mdb004.pgm").unlink()
    data = mias(release)
    found = [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]
    (missing,) = [one for one in found if isinstance(one, mcd.Unreadable)]
    assert missing.source.endswith("mdb004.pgm")
    (release / "Info.txt").write_bytes(INFO.encode() + "fin: é".encode("latin-1"))
    with pytest.raises(DataError, match=r"Info\.txt, row 19: it is not UTF-8"):
        list(mias(release).scan())
    (release / "Info.txt").unlink()
    with pytest.raises(DataError, match=r"there is no table .*Info\.txt"):
        list(mias(release).scan())


def test_films_are_found_again_in_a_worker(release: Path) -> None:
    data = mias(release)
    samples = [one for one in data.scan() if isinstance(one, mcd.Sample)]
    again = pickle.loads(pickle.dumps(data))
    assert list(again.scan()) == samples
    np.testing.assert_array_equal(again.read(samples[0]).pixels, data.read(samples[0]).pixels)


def test_it_passes_the_kit(release: Path) -> None:
    check_dataset(mias(release))
