"""Hostile programs of torch.export: members, graph, names, expressions or tensors are not what torch would write."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from random import Random

import torch
from tests.hostile import edits, payload_edits
from tests.hostile.families import Family, Generator
from tests.hostile.pickles import calls
from tests.hostile.trees import changed
from tests.hostile.watching import Canary
from torch import nn

from mcd.networks.foreign import calling
from mcd_plugins.exported.loader import ExportLoader

__all__ = ["Programs"]

Members = dict[str, bytes]
MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
SAMPLE = "data/sample_inputs/model.pt"
_DOCUMENTS = (MODEL, WEIGHTS, CONSTANTS)


class _Network(nn.Module):
    """A little of everything: a module in a module, a buffer, a constant, sizes that depend on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.register_buffer("scale", torch.ones(4, 1, 1))
        self.shift = torch.full((4, 1, 1), 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.stem(x) * self.scale + self.shift
        made = made.reshape(made.shape[0], 4, made.shape[2] * made.shape[3]).mean(2)
        return self.head(made)  # type: ignore[no-any-return]  # as torch types modules


def program() -> Members:
    """Return the members of a small program that is as it should be."""
    torch.manual_seed(0)
    sides = {0: torch.export.Dim("batch"), 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(_Network().eval(), (torch.rand(2, 3, 16, 12),), dynamic_shapes=(sides,))
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archived(members: Mapping[str, bytes], path: Path, *, top: str = "model", compress: bool = False) -> Path:
    """Write members as an archive."""
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(f"{top}/{name}" if top else name, data)
    return path


class Programs(Family):
    """Files called ``.pt2``."""

    slice = 150
    spoilt = 1 / 3

    def __init__(self, folder: Path, canary: Canary) -> None:
        super().__init__(folder, canary)
        kept = folder / "program.zip"
        if not kept.exists():
            archived(program(), kept, top="")
        with zipfile.ZipFile(kept) as archive:
            self._program = {name: archive.read(name) for name in archive.namelist()}

    @cached_property
    def generators(self) -> Mapping[str, Generator]:
        """Return one for every edit of a document, every odd member, every odd form of the archive."""
        found = {MODEL: edits.graph(), WEIGHTS: payload_edits.payloads()}
        edited = {
            f"{document}: {name}": partial(self._edited, document, edit)
            for document, each in found.items()
            for name, edit in each.items()
        }
        pickled = {
            f"{where}: {name}": partial(self._with, {where: trap})
            for name, trap in calls(self.canary).items()
            for where in (SAMPLE, "data/weights/weight_0")
        }
        used = {f"weights of a pickle: {name}": partial(self._used, trap) for name, trap in calls(self.canary).items()}
        members = {f"with: {name!a}": partial(self._with, {name: data}) for name, data in self._odd_members().items()}
        forms: dict[str, Generator] = {
            f"form: {name}": partial(self._formed, form) for name, form in vars(_Forms).items() if name[0] != "_"
        }
        trees = {f"{name}, changed": partial(self._changed, name) for name in _DOCUMENTS}
        return {"whole": self._whole} | edited | pickled | used | members | forms | trees

    def read(self, path: Path, out: Path) -> object:
        """Load it as a target, and feed it a picture, as a run does."""
        target = ExportLoader(ExportLoader.Options(program=path)).load()
        sides = [side or 16 for side in (target.preprocessing.height, target.preprocessing.width)]
        if max(sides) > 256:
            return None
        batch = torch.zeros(3, target.preprocessing.channels, *sides)
        with torch.inference_mode(), calling("the network cannot be run"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return target.module(batch)

    def _whole(self, _random: Random, folder: Path) -> Path:
        return archived(self._program, folder / "whole.pt2")

    def _edited(self, name: str, edit: edits.Edit, random: Random, folder: Path) -> Path:
        document = json.loads(self._program[name])
        edit(document, random, self.canary)
        return archived({**self._program, name: _dumped(document)}, folder / "edited.pt2")

    def _changed(self, name: str, random: Random, folder: Path) -> Path:
        document = changed(json.loads(self._program[name]), random)
        return archived({**self._program, name: _dumped(document)}, folder / "changed.pt2")

    def _with(self, members: Members, _random: Random, folder: Path) -> Path:
        return archived({**self._program, **members}, folder / "with.pt2")

    def _used(self, trap: bytes, random: Random, folder: Path) -> Path:
        """Let the configuration of weights or constants name a pickle, with each way to say so."""
        name = random.choice((WEIGHTS, CONSTANTS))
        document = json.loads(self._program[name])
        payload = random.choice(list(document["config"].values()))
        payload["use_pickle"] = random.choice((True, 1, "yes", [0], 1.0, {"a": 1}))
        if name == CONSTANTS:
            payload["path_name"] = random.choice(("tensor_0", "custom_obj_0", "opaque_obj_0", "tensor_pickled"))
        where = f"{name.rpartition('/')[0]}/{payload['path_name']}"
        return archived({**self._program, name: _dumped(document), where: trap}, folder / "used.pt2")

    def _odd_members(self) -> Members:
        trap = calls(self.canary)["reduce os.system"]
        model = self._program[MODEL]
        library = b"\x7fELF" + bytes(64)
        return {
            "data/weights/model.pt": trap,
            "data/constants/model.pt": trap,
            "data/constants/custom_obj_0": trap,
            "data/constants/opaque_obj_0": trap,
            "data/aotinductor/model/model.so": library,
            "data/aotinductor/model/model.cpp": b"int main() {}",
            "data/weights/weight_99": trap,
            "data/weights/../../victim": trap,
            "models/other.json": model,
            "models//model.json": model,
            "models/./model.json": model,
            "models\\model.json": model,
            "MODELS/MODEL.JSON": model,
            "models/model.json ": model,
            "models/model.json\x00.json": model,
            "models/../models/model.json": model,
            "models/modél.json": model,
            "extra/../../../victim": b"x",
            "extra/notes.txt": b"x",
            "extra/\x1b[31m": b"x",
            "version": b"8.14",
            "serialized_exported_program.json": model,
            "serialized_state_dict.pt": trap,
            "executorch/model.pte": library,
            "code/__torch__.py": b"import os",
            "data.pkl": trap,
            "constants.pkl": trap,
            "archive_version": b"1",
            "archive_format": b"pt3",
            "byteorder": b"big",
            ".data/version": b"99999999999999999999",
            "/etc/passwd": b"x",
            "nested.pt2": b"PK\x03\x04" + trap,
        }

    def _formed(self, form: Callable[[Members, Path, Random], None], random: Random, folder: Path) -> Path:
        path = folder / "formed.pt2"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's, on names that are there twice
            form(self._program, path, random)
        return path


class _Forms:
    """Odd forms of the archive itself."""

    @staticmethod
    def a_member_twice(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        with zipfile.ZipFile(path, "a") as archive:
            name = random.choice(list(members))
            archive.writestr(f"model/{name}", random.choice(list(members.values())))

    @staticmethod
    def another_name_in_front_of_the_member(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        data = bytearray(path.read_bytes())
        name = f"model/{random.choice(list(members))}".encode()
        at = data.find(name)
        data[at : at + len(name)] = name[:-1] + b"X"
        path.write_bytes(data)

    @staticmethod
    def several_folders(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"other/{MODEL}", members[MODEL])

    @staticmethod
    def no_folder(members: Members, path: Path, random: Random) -> None:
        archived(members, path, top="")

    @staticmethod
    def compressed(members: Members, path: Path, random: Random) -> None:
        archived({**members, MODEL: members[MODEL] + b" " * (20 << 20)}, path, compress=True)

    @staticmethod
    def members_that_share_bytes(members: Members, path: Path, random: Random) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(f"model/{name}", data)
            archive.writestr("model/data/weights/weight_900", bytes(1 << 20))
            last = archive.infolist()[-1]
            for number in range(901, 3000):
                twin = zipfile.ZipInfo(f"model/data/weights/weight_{number}")
                for kept in ("header_offset", "file_size", "compress_size", "CRC"):
                    setattr(twin, kept, getattr(last, kept))
                archive.filelist.append(twin)
                archive.NameToInfo[twin.filename] = twin

    @staticmethod
    def a_second_end(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        inner = path.read_bytes()
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = inner[-2_000:]

    @staticmethod
    def bytes_in_front(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        path.write_bytes(random.randbytes(random.choice((1, 64, 5000))) + path.read_bytes())

    @staticmethod
    def an_archive_in_front(members: Members, path: Path, random: Random) -> None:
        archived({**members, MODEL: members[MODEL].replace(b"aten.relu.default", b"os.system")}, path)
        first = path.read_bytes()
        archived(members, path)
        path.write_bytes(first + path.read_bytes())

    @staticmethod
    def sizes_of_sixty_four_bits(members: Members, path: Path, random: Random) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                with archive.open(f"model/{name}", "w", force_zip64=True) as member:
                    member.write(data)

    @staticmethod
    def a_size_beyond_the_file(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        data = bytearray(path.read_bytes())
        at = data.rfind(b"PK\x01\x02")
        struct.pack_into("<II", data, at + 20, *(random.choice(((1 << 32) - 2, 1 << 30, 0)),) * 2)
        path.write_bytes(data)

    @staticmethod
    def encrypted(members: Members, path: Path, random: Random) -> None:
        archived(members, path)
        data = bytearray(path.read_bytes())
        at = data.find(b"PK\x01\x02")
        while at >= 0:
            data[at + 8] |= 1
            at = data.find(b"PK\x01\x02", at + 1)
        path.write_bytes(data)

    @staticmethod
    def many_members(members: Members, path: Path, random: Random) -> None:
        archived({**members, **{f"extra/{number}": b"" for number in range(5_000)}}, path)

    @staticmethod
    def no_weights(members: Members, path: Path, random: Random) -> None:
        archived({name: data for name, data in members.items() if "weight_" not in name}, path)

    @staticmethod
    def one_document_missing(members: Members, path: Path, random: Random) -> None:
        missing = random.choice([*_DOCUMENTS, "archive_format"])
        archived({name: data for name, data in members.items() if name != missing}, path)

    @staticmethod
    def deep_json(members: Members, path: Path, random: Random) -> None:
        name, depth = random.choice(_DOCUMENTS), random.choice((900, 100_000))
        opened, closed = random.choice(((b"[", b"]"), (b'{"graph_module":', b"}")))
        archived({**members, name: opened * depth + b"1" + closed * depth}, path)

    @staticmethod
    def no_json(members: Members, path: Path, random: Random) -> None:
        odd = (b"", b"null", b"[]", b"{", b"\xff\xfe", b"NaN", b"1" * 10_000, b'"' + b"\\ud800" * 10 + b'"')
        archived({**members, random.choice(_DOCUMENTS): random.choice(odd)}, path)

    @staticmethod
    def keys_twice(members: Members, path: Path, random: Random) -> None:
        text = members[WEIGHTS].replace(b'"use_pickle": false', b'"use_pickle": true, "use_pickle": false')
        archived({**members, WEIGHTS: text}, path)

    @staticmethod
    def another_kind(members: Members, path: Path, random: Random) -> None:
        starts = (b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04", b"\x80\x02}.", b"<html>", b"\x7fELF")
        path.write_bytes(random.choice(starts))


def _dumped(document: object) -> bytes:
    """Return JSON; where an edit put a part into itself, text that ends in the middle."""
    try:
        return json.dumps(document).encode()
    except ValueError:
        return b'{"graph_module": {'
