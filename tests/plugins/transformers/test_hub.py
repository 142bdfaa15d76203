"""Names on the hub: read from its cache, fetched with a bar, recorded with their commit; or refused with advice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers as hf
from huggingface_hub.errors import LocalEntryNotFoundError
from tests.conftest import Outcome
from tests.plugins.transformers.clips import dissector, saved_clip, target
from tests.plugins.transformers.hub import COMMIT, cached, served

import mcd
from mcd.errors import CheckpointError
from mcd.plugins import hub_cache_only, hub_revision

NAME = "acme/tiny-clip"
AT = f"{NAME}@{COMMIT}"
CHATTER = ("it/s", "Loading", "Fetching", "unauthenticated", "%|", "Warning")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("files")
    saved_clip(place)
    return place


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def dissect(command: Callable[..., Outcome], folder: Path, *more: str, **environment: str) -> Outcome:
    (folder / "words.txt").write_text("mass\ncalcification\nno\n")
    return command(
        "dissect",
        *more,
        "--model-plugin",
        f"transformers:hub:{NAME}",
        "--layers",
        "encoder.layers.1",
        "--dissector",
        f"transformers-clip:hub:{NAME}",
        "--dataset",
        "phantom:4",
        "--scorer",
        "soft-wpmi:4",
        "--concepts",
        folder / "words.txt",
        "--device",
        "cpu",
        "-o",
        folder / "run",
        **environment,
    )


def test_a_commit_is_told_where_the_cache_has_it(cache: Path, files: Path) -> None:
    assert hub_revision(NAME) == ""
    snapshot = cached(cache, NAME, files)
    assert hub_revision(NAME) == AT
    assert hub_revision(f"{NAME}@{COMMIT}") == AT
    assert hub_revision(f"{NAME}@v2") == ""
    (snapshot.parent.parent / "refs" / "v2").write_text(COMMIT)
    assert hub_revision(f"{NAME}@v2") == AT
    (snapshot.parent.parent / "refs" / "main").write_text("f" * 40)
    assert hub_revision(NAME) == ""


def test_a_name_is_read_from_the_cache_like_a_folder(cache: Path, files: Path) -> None:
    cached(cache, NAME, files)
    made, plain, batch = dissector(f"hub:{NAME}"), dissector(files), torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(made.encode_images(batch), plain.encode_images(batch))
        assert torch.equal(made.encode_texts(["no mass"]), plain.encode_texts(["no mass"]))
    assert (made.name, made.revision, plain.revision) == (NAME, AT, "")
    loaded = target(f"hub:{AT}")
    assert (loaded.name, loaded.revision) == (f"{AT} image tower", AT)


@pytest.mark.slow
def test_offline_the_manifest_names_the_commit_and_the_terminal_stays_quiet(
    files: Path, tmp_path: Path, mcd_process: Callable[..., Outcome]
) -> None:
    cached(tmp_path / "cache", NAME, files)
    done = dissect(mcd_process, tmp_path, "--offline", HF_HUB_CACHE=str(tmp_path / "cache"), TQDM_POSITION="-1")
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["revisions"] == {"target": AT, "dissector": AT}
    assert not [word for word in CHATTER if word in done.err + done.out]


@pytest.mark.nightly
def test_a_download_shows_its_bar_and_only_the_first_time(
    files: Path, tmp_path: Path, mcd_process: Callable[..., Outcome]
) -> None:
    with served(NAME, files) as (address, requests):
        # tqdm is silent where standard error is no terminal; this makes the hub's client show bars all the same
        online = {
            "HF_ENDPOINT": address,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "TQDM_POSITION": "-1",
        }
        done = dissect(mcd_process, tmp_path, **online)
        assert done.code == 0, done.err
        assert "model.safetensors: 100%" in done.err
        assert "Loading weights" not in done.err
        assert mcd.load(tmp_path / "run").manifest.revisions == {"target": AT, "dissector": AT}
        fetched = len(requests)
        again = mcd_process("layers", "--model-plugin", f"transformers:hub:{NAME}", **online)
        assert again.code == 0, again.err
        assert len(requests) > fetched  # it may ask whether there is something newer
        assert not [word for word in CHATTER if word in again.err]
        fetched = len(requests)
        plain = mcd_process("layers", "--model-plugin", f"transformers:{files}", **online)
        assert plain.code == 0, plain.err
        assert len(requests) == fetched  # a folder is no reason to ask anybody


def test_offline_without_it_the_error_says_what_to_fetch(
    cache: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = dissect(mcd_command, tmp_path, "--offline")
    assert done.code == 4
    said = " ".join(done.err.split())
    assert f"offline, and the configuration of {NAME} is not in the hub's cache" in said
    assert f"hf download {NAME} --local-dir FOLDER; then give the folder" in said


def test_what_nobody_asked_for_is_not_fetched(files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with served(NAME, files) as (address, requests):
        with hub_cache_only(), pytest.raises(LocalEntryNotFoundError):
            huggingface_hub.hf_hub_download(NAME, "config.json", endpoint=address)
        assert requests == []
        assert huggingface_hub.hf_hub_download(NAME, "config.json", endpoint=address)
        assert hub_revision(NAME) == AT


def test_a_folder_is_read_without_a_word_and_the_librarys_bars_stay_as_they_were(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = hf.utils.logging.is_progress_bar_enabled()
    dissector(files).too_long(["mass " * 50])
    assert capfd.readouterr() == ("", "")
    with pytest.raises(CheckpointError):
        dissector(files / "nowhere")
    assert hf.utils.logging.is_progress_bar_enabled() == before
