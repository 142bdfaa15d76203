"""What tells who somebody is: the salt, ids, and what a manifest shows of paths."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcd
from mcd.errors import StoreError
from mcd.events import Clock
from mcd.extraction.probe import look_at
from mcd.study.privacy import public_id, recorded, salt
from mcd.study.selection import Selection
from mcd_plugins.datasets.images import ImageFolder


def pictures(folder: Path, *names: str) -> ImageFolder:
    import numpy as np
    import PIL.Image

    for at, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.random.default_rng(at).integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
    return ImageFolder(ImageFolder.Options(path=folder))


def test_the_salt_is_made_once_and_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCD_SALT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    first = salt()
    assert len(first) == 32
    assert salt() == first
    (kept,) = (tmp_path / "mcd").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("MCD_SALT", "of the group")
    assert salt() == "of the group"


def test_a_salt_that_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCD_SALT", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="MCD_SALT"):
        salt()


def test_ids_are_salted_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures(tmp_path, "Miller/1.png", "Miller/2.png")
    monkeypatch.setenv("MCD_SALT", "one")
    clock = Clock(lambda _: None)
    hidden = look_at(data, Selection(), clock).ids
    assert hidden == (public_id("Miller/1.png", "", "one"), public_id("Miller/2.png", "", "one"))
    assert len(set(hidden)) == 2
    assert look_at(data, Selection(), clock, keep_identifiers=True).ids == ("Miller/1.png", "Miller/2.png")
    monkeypatch.setenv("MCD_SALT", "another")
    assert set(look_at(data, Selection(), clock).ids).isdisjoint(hidden)


def test_the_probe_set_is_the_same_under_another_salt_and_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(lambda _: None)
    monkeypatch.setenv("MCD_SALT", "one")
    first = look_at(pictures(tmp_path / "a", "1.png", "2.png"), Selection(), clock)
    monkeypatch.setenv("MCD_SALT", "two")
    second = look_at(pictures(tmp_path / "b", "x.png", "y.png"), Selection(), clock)
    assert first.fingerprint == second.fingerprint
    swapped = pictures(tmp_path / "c", "2.png", "1.png")  # the same two images, in the other order of names
    assert look_at(swapped, Selection(), clock).fingerprint != first.fingerprint


def test_two_images_of_one_id_are_refused() -> None:
    class Twice(mcd.Dataset):
        def __len__(self) -> int:
            return 2

        def scan(self):  # type: ignore[no-untyped-def]
            return iter([mcd.Sample("same", "d"), mcd.Sample("same", "e")])

        def read(self, sample: mcd.Sample) -> mcd.Image:
            raise AssertionError(sample)

    with pytest.raises(mcd.errors.DataError, match="ids to more than one image, first 'same'"):
        look_at(Twice(), Selection(), Clock(lambda _: None))


def test_a_manifest_shows_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCD_SALT", "one")
    (tmp_path / "model.py").write_text("")
    settings = {
        "models": [
            {"plugin": "timm", "options": {"checkpoint": "/data/Miller/w.pth", "name": "resnet50", "n": 3}},
            {"plugin": "module", "options": {"factory": f"{tmp_path}/model.py:made"}},
        ],
        "dataset": {"plugin": "images", "options": {"path": "Miller", "more": ["/data/Miller"], "limit": None}},
        "concepts": [{"plugin": "my/words.txt"}],
    }
    shown = recorded(settings, frozenset({"Miller", "my/words.txt"}))  # type: ignore[arg-type]
    assert "Miller" not in str(shown)
    assert str(tmp_path) not in str(shown)
    models = shown["models"]
    assert isinstance(models, list)
    assert models[0] == {"plugin": "timm", "options": {"checkpoint": "w.pth", "name": "resnet50", "n": 3}}
    assert shown["concepts"] == [{"plugin": "words.txt"}]
    again = recorded(settings, frozenset({"Miller", "my/words.txt"}))  # type: ignore[arg-type]
    assert shown == again
