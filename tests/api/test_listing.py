"""Files below a folder, symbolic links included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_dicom, write_picture

import mcd
from mcd.errors import DataError
from mcd_plugins.cohorts.csaw import CsawCc
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.dicom.dataset import DicomFolder

Command = Callable[..., Outcome]


def listed(root: Path, kind: type[mcd.Dataset] = ImageFolder) -> tuple[list[str], list[str]]:
    """Ids of the images that can be used, and names of what cannot."""
    data = kind(kind.Options.model_validate({"path": root}))
    found = list(data.scan())
    used = [data.examine(one) for one in found if isinstance(one, mcd.Sample)]
    lost = [one for one in [*found, *used] if isinstance(one, mcd.Unreadable)]
    assert all("symbolic link" in one.reason for one in lost)
    return [one.id for one in used if isinstance(one, mcd.Sample)], [Path(one.source).name for one in lost]


def test_folders_and_files_behind_links_are_found(tmp_path: Path) -> None:
    store, root = tmp_path / "store", tmp_path / "root"
    write_picture(store / "patient" / "deep" / "1.png")
    write_picture(store / "2.png")
    root.mkdir()
    (root / "linked").symlink_to(store / "patient", target_is_directory=True)
    (root / "chain").symlink_to(root / "linked")
    (root / "2.png").symlink_to(store / "2.png")
    assert listed(root) == (["2.png", "chain/deep/1.png"], [])
    (tmp_path / "entry").symlink_to(root)
    assert listed(tmp_path / "entry") == (["2.png", "chain/deep/1.png"], [])


def test_a_folder_keeps_its_own_path_and_is_listed_once(tmp_path: Path) -> None:
    write_picture(tmp_path / "b" / "1.png")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    assert listed(tmp_path) == (["b/1.png"], [])


def test_loops_end_and_links_up_are_not_followed(tmp_path: Path) -> None:
    root, beside = tmp_path / "root", tmp_path / "beside"
    write_picture(root / "in" / "1.png")
    write_picture(beside / "set" / "2.png")
    write_picture(beside / "other.png", seed=2)
    (root / "in" / "again").symlink_to(root)
    (root / "up").symlink_to("..")
    (root / "out").symlink_to(beside / "set")
    (beside / "set" / "back").symlink_to(beside)
    (beside / "set" / "home").symlink_to(root)
    assert listed(root) == (["in/1.png", "out/2.png"], [])


@pytest.mark.parametrize("kind", [ImageFolder, DicomFolder])
def test_links_to_nothing_are_reported(tmp_path: Path, kind: type[mcd.Dataset]) -> None:
    (write_picture if kind is ImageFolder else write_dicom)(tmp_path / ("1.png" if kind is ImageFolder else "1.dcm"))
    for name in ("lost.png", "lost.dcm", "patient7", "1.2.840.113", "notes.txt", "self.png"):
        (tmp_path / name).symlink_to("self.png" if name == "self.png" else tmp_path / "gone" / name)
    names = {"patient7", "1.2.840.113"} | ({"lost.png", "self.png"} if kind is ImageFolder else {"lost.dcm"})
    found, lost = listed(tmp_path, kind)
    assert len(found) == 1
    assert names <= set(lost)
    assert ("notes.txt" in lost) is (kind is DicomFolder)  # DICOM files have any name


def test_a_folder_of_broken_links_only_is_refused_by_name(tmp_path: Path, mcd_command: Command) -> None:
    (tmp_path / "images").symlink_to(tmp_path / "unmounted")
    done = mcd_command("data", "check", tmp_path, "--dataset", "images", "--workers", "0")
    assert done.code == 4
    assert "images: it is a symbolic link to something that is not there" in " ".join(done.out.split())


def test_cohorts_find_files_behind_links(tmp_path: Path) -> None:
    from tests.plugins.cohorts.csaw_tables import released

    released(tmp_path / "store")
    root = tmp_path / "root"
    root.mkdir()
    for path in (tmp_path / "store").iterdir():
        (root / path.name).symlink_to(path)
    linked = CsawCc(CsawCc.Options(root=root))
    found = [linked.examine(one) for one in linked.scan() if isinstance(one, mcd.Sample)]
    assert found
    assert all(isinstance(one, mcd.Sample) for one in found)


def test_an_empty_folder_behind_a_link_holds_no_files(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "store")
    with pytest.raises(DataError, match="it holds no files"):
        listed(tmp_path / "root")


def test_archives_and_other_formats_beside_the_images_are_said(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    for name in ("more.zip", "a/2.webp", "a/3.webp", "table.csv", "notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"0")
    data = ImageFolder(ImageFolder.Options(path=tmp_path))
    assert len(list(data.scan())) == 1
    (said,) = filter(None, data.remarks())
    assert "files that are not read: 2 WEBP files, 1 ZIP file; if" in said
    (tmp_path / "more.zip").unlink()
    write_dicom(tmp_path / "4.dcm")
    headers = DicomFolder(DicomFolder.Options(path=tmp_path))
    assert list(headers.scan())
    assert any("not read: 2 WEBP files, 1 PNG file; if" in one for one in headers.remarks())


@pytest.mark.parametrize(("name", "hint"), [("train.tfrecord", "save the TFRECORD files"), ("set.zip.001", "unpack")])
def test_what_else_holds_images_has_a_hint_of_its_own(name: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"0")
    with pytest.raises(DataError) as caught:
        listed(tmp_path)
    assert caught.value.hint.startswith(hint)
