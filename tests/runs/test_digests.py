"""A run folder knows its own bytes: what differs is named, never used; what is stored twice is made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

import mcd
from mcd.errors import StoreError
from mcd.files import digest_of

RUN = (
    *("--model-plugin", "phantom-mammo", "--layers", "stages.0", "--layers", "head", "--dataset", "phantom:20"),
    *("--dissector", "phantom-clip", "--concepts", "phantom", "--scorer", "cosine", "--draws", "20"),
    *("--most-draws", "20", "--maps", "1", "--device", "cpu", "--workers", "0"),
)


@pytest.fixture(scope="module")
def made(mcd_command: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("digests") / "run"
    done = mcd_command("dissect", *RUN, "--output", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def one(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


STORED = ("activations/*/0*.safetensors", "embeddings/*/0*.safetensors", "embeddings/texts-*.safetensors")
READ = (*STORED, "maps.safetensors", "private/probe_map.csv", "private/study.json", "labels.parquet", "null.parquet")


def test_the_manifest_has_the_digest_of_every_file_and_private_ones_stay_private(run: Path) -> None:
    found = files(run)
    manifest = json.loads(found["manifest.json"])
    public = {**manifest["digests"], **manifest["store"]["digests"]}
    assert public == {
        name: digest_of(data)
        for name, data in found.items()
        if not name.startswith("private/") and not name.endswith(("SHA256SUMS", "manifest.json"))
    }
    lines = found["private/SHA256SUMS"].decode().splitlines()
    assert lines == [f"{digest_of(found[f'private/{name}'])}  {name}" for name in ("probe_map.csv", "study.json")]
    assert (run / "private/SHA256SUMS").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("pattern", [*READ, "manifest.json", "labels.csv"])
def test_a_flipped_bit_is_found_and_its_file_named(
    run: Path, pattern: str, mcd_command: Callable[..., Outcome]
) -> None:
    path = one(run, pattern)
    flip(path)
    done = mcd_command("runs", "verify", run)
    assert done.code == 4, done.out
    assert done.out.startswith(f"{path}: differs") or (path.name == "manifest.json" and str(path) in done.err)


@pytest.mark.parametrize("pattern", READ)
def test_a_file_that_differs_is_never_used(run: Path, pattern: str) -> None:
    path = one(run, pattern)
    flip(path)
    with pytest.raises(StoreError, match=path.name):
        use(run)


def use(folder: Path) -> None:
    """Use all of a run: labels, activations, maps, ids, and scores made anew."""
    run = mcd.load(folder)
    for layer in run.layers:
        run.activations(layer)
        run.maps(layer)
    assert len(run.image_ids) == len(run.image_embeddings())
    mcd.score(run, scorer="cosine", output=folder.parent / "scored", progress=False)


@pytest.mark.parametrize("pattern", [*STORED, "maps.safetensors"])
def test_dissect_makes_a_damaged_file_again_and_says_so(
    made: Path, run: Path, pattern: str, mcd_command: Callable[..., Outcome]
) -> None:
    flip(one(run, pattern))
    done = mcd_command("dissect", *RUN, "--output", run)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert ("damaged" in said and "again" in said) or pattern == "maps.safetensors"
    before, after = files(made), files(run)
    del before["manifest.json"], after["manifest.json"]
    assert after == before
    assert mcd_command("runs", "verify", run).code == 0


def test_a_shard_whose_digest_is_not_known_is_made_again(run: Path, mcd_command: Callable[..., Outcome]) -> None:
    sums = one(run, "activations/*/SHA256SUMS")
    before = sums.read_text()
    sums.write_text("not a digest\n")
    assert mcd_command("dissect", *RUN, "--output", run).code == 0
    assert sums.read_text() == before


def test_rows_in_another_order_are_found(run: Path) -> None:
    lines = (run / "private/probe_map.csv").read_text().splitlines(keepends=True)
    (run / "private/probe_map.csv").write_text("".join([lines[0], *reversed(lines[1:])]))
    (run / "private/SHA256SUMS").unlink()
    with pytest.raises(StoreError, match="its ids are others"):
        _ = mcd.load(run).image_ids


def test_a_scoring_and_a_copy_verify_too(run: Path, mcd_command: Callable[..., Outcome], tmp_path: Path) -> None:
    assert mcd_command("score", run, "--concepts", "technical").code == 0
    mcd.load(run).save(tmp_path / "copy")
    done = mcd_command("runs", "verify", run, tmp_path / "copy", "--json")
    assert done.code == 0, done.out
    found = json.loads(done.out)
    assert [one["sound"] for one in found["runs"]] == [True, True, True]
    assert any(name.startswith("../../embeddings/texts-") for name in found["runs"][1]["files"])
    one(run, "scored/*/labels.csv").unlink()
    done = mcd_command("runs", "verify", run, "--json")
    assert done.code == 4
    assert json.loads(done.out)["runs"][1]["files"]["labels.csv"] == "missing"
