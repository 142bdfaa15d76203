"""Parts that are damaged, or that somebody edited: refused by name, and never used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.runs.in_parts import Command, Made

from mcd.files import MANIFEST
from mcd.runs.verifying import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mcd_command: Command) -> Made:
    return Made(tmp_path_factory.mktemp("damaged"), mcd_command)


def test_a_part_is_verified(made: Made, tmp_path: Path) -> None:
    part = Path(shutil.copytree(made.part(1, 2), tmp_path / "part"))
    (found,) = verify(part)
    assert found.sound
    shard = next(part.glob("activations/*/00001.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-4] + b"abcd")
    assert not verify(part)[0].sound
    done = made.merge(tmp_path / "merged", part, made.part(2, 2))
    assert done.code == 4
    assert str(shard) in "".join(done.err.split("\n"))


@pytest.mark.parametrize("damaged", ["embeddings/texts-*.safetensors", "statistics/*/SHA256SUMS", "private/part.json"])
def test_a_file_of_a_part_that_is_damaged_is_named_and_not_used(damaged: str, made: Made, tmp_path: Path) -> None:
    part = Path(shutil.copytree(made.part(1, 2), tmp_path / "part"))
    file = next(part.glob(damaged))
    data = file.read_bytes()
    for byte in (b"x", b"0" if data[30:31] == b"1" else b"1"):  # no digit of a digest, and another one
        file.write_bytes(data[:30] + byte + data[31:])
        done = made.merge(tmp_path / "merged", part, made.part(2, 2))
        assert done.code == 4, done.err
        assert f"{file} is not what the run wrote" in " ".join(done.err.split()).replace("- ", "-")


def test_a_manifest_that_somebody_edited_is_refused_before_anything_is_written(made: Made, tmp_path: Path) -> None:
    one, two = (Path(shutil.copytree(made.part(number, 2), tmp_path / str(number))) for number in (1, 2))
    manifest = json.loads((one / MANIFEST).read_text()) | {"checksum": ""}
    for said, entries in {
        "part.of: Input should be less than or equal to 256": {"part": manifest["part"] | {"of": 2**31}},
        "a part keeps its shards in its own folder": {"store": manifest["store"] | {"folder": "../2"}},
    }.items():
        (one / MANIFEST).write_text(json.dumps(manifest | entries))
        done = made.merge(tmp_path / "merged", one, two, "--trust")
        assert done.code == 4, done.err
        assert said in " ".join(done.err.split())
    for part in (one, two):
        manifest = json.loads((part / MANIFEST).read_text()) | {"checksum": "", "control": "random weights"}
        (part / MANIFEST).write_text(json.dumps(manifest | {"store": manifest["store"] | {"folder": "."}}))
    done = made.merge(tmp_path / "merged", one, two)
    assert done.code == 4, done.err
    assert "holds controls alone" in " ".join(done.err.split())
    assert not (tmp_path / "merged").exists()
