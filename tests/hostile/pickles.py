"""Hostile pickles under the names of weights: bare, as torch wrote them until 1.6, and in the zip files of today."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from random import Random

import torch
from tests.hostile.families import Family, Generator, mutated
from tests.hostile.watching import Canary

from mcd.networks.checkpoints import read_state_dict

__all__ = ["Pickles", "calls", "text", "torch_zip"]

_START = b"\x80\x02"


def text(value: str) -> bytes:
    """Return the instruction that puts a text on the stack."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def calls(canary: Canary) -> Mapping[str, bytes]:
    """Return pickles that call something, or change something, when they are read."""
    command, code = text(canary.command), text(f"open({str(canary.mark)!r}, 'w')")
    shell = {
        f"reduce {module}.{name}": _START + _global(module, name) + command + b"\x85R."
        for module, name in [
            ("os", "system"),
            ("posix", "system"),
            ("nt", "system"),
            ("os", "popen"),
            ("subprocess", "getoutput"),
            ("commands", "getoutput"),
            ("torch", "os.system"),
            ("torch.serialization", "os.system"),
            ("torch._utils", "sys.modules"),
            ("Torch.Os", "system"),
        ]
    }
    evaluated = {
        f"reduce {module}.{name}": _START + _global(module, name) + code + b"\x85R."
        for module, name in [
            ("builtins", "eval"),
            ("__builtin__", "eval"),
            ("builtins", "exec"),
            ("timeit", "timeit"),
            ("cProfile", "run"),
            ("pdb", "run"),
            ("numpy.testing._private.utils", "runstring"),
            ("torch.fx.graph_module", "_exec_with_source"),
            ("sympy", "Sympify"),
            ("sympy", "sympify"),
            ("torch.jit", "CompilationUnit"),
        ]
    }
    reads = {
        f"reduce {module}.{name}": _START + _global(module, name) + text(str(canary.victim)) + b"\x85R."
        for module, name in [
            ("torch", "load"),
            ("torch", "from_file"),
            ("numpy", "load"),
            ("numpy", "memmap"),
            ("pathlib", "Path.unlink"),
            ("torch._C", "PyTorchFileWriter"),
            ("torch", "ops.load_library"),
            ("torch", "UntypedStorage.from_file"),
            ("torch.storage", "UntypedStorage.from_file"),
            ("torch", "FloatStorage.from_file"),
        ]
    }
    popen, rebuild = _global("subprocess", "Popen"), _global("torch._utils", "_rebuild_tensor_v2")
    size, own = _global("torch", "Size"), _global(canary.module, "Run")
    others = {
        "inst": _START + b"(" + command + b"ios\nsystem\n.",
        "obj": _START + b"(" + popen + command + b"o.",
        "newobj": _START + popen + command + b"\x85\x81.",
        "newobj_ex": b"\x80\x04" + popen + b")}" + text("args") + command + b"s\x92.",
        "stack global": b"\x80\x04" + text("os") + text("system") + b"\x93" + command + b"\x85R.",
        "a global by the memo": b"\x80\x04"
        + text("os")
        + b"q\0"
        + text("system")
        + b"q\1h\0h\1\x93"
        + command
        + b"\x85R.",
        "a dotted name": b"\x80\x04" + text("torch") + text("hub.os.system") + b"\x93" + command + b"\x85R.",
        "an import": _START + own + b".",
        "an import by a class": _START + own + b")\x81.",
        "extension": _START + b"\x82\x01" + command + b"\x85R.",
        "build on a function": _START + rebuild + b"N}" + text("__defaults__") + b"K\1\x85s\x86b.",
        "build on a class": _START + size + b"}" + text("__reduce__") + b"K\1sb.",
        "build on a type": _START + _global("collections", "OrderedDict") + b"}" + text("x") + b"K\1sb.",
        "build on a dtype": _START + _global("torch", "float32") + b"}" + text("x") + b"K\1sb.",
        "getattr": _START + _global("builtins", "getattr") + size + text("__class__") + b"\x86R.",
        "reduce of a reduce": _START
        + _global("functools", "partial")
        + _global("os", "system")
        + command
        + b"\x86R)R.",
        "map": _START + _global("builtins", "map") + _global("os", "system") + b"(" + command + b"l\x86R.",
        "persistent id": _START + b"(" + text("storage") + _global("os", "system") + command + text("cpu") + b"K\1tQ.",
        "persistent id of a path": _START
        + b"("
        + text("storage")
        + _global("torch", "FloatStorage")
        + text("../../victim")
        + text("cpu")
        + b"K\1tQ.",
        "a set state": _START + _global("torch._utils", "_rebuild_parameter") + b")\x81}" + text("x") + b"K\1sb.",
        "protocol 0": b"cos\nsystem\n(S'" + canary.command.encode() + b"'\ntR.",
    }
    return shell | evaluated | reads | others


def _shared(*, ends: bytes) -> bytes:
    """Return a pickle of a tuple that holds one tuple twice, which holds one twice, sixty deep."""
    deep = b")" + b"".join(b"q" + bytes((at,)) + b"h" + bytes((at,)) + b"\x86" for at in range(60))
    return _START + ends.replace(b"DEEP", deep)


def endless() -> Mapping[str, bytes]:
    """Return small pickles that take much time or memory."""
    return {
        "shared tuples": _shared(ends=b"DEEP."),
        "shared tuples in a dict": _shared(ends=b"}" + text("weight") + b"DEEPs."),
        "shared tuples as a key": _shared(ends=b"}DEEPK\1s."),
        "shared tuples in a set": _shared(ends=_global("builtins", "set") + b"DEEP\x85\x85R."),
        "shared lists": _START + b"]" + b"".join(b"q%ch%ch%c\x86" % (at, at, at) for at in range(60)) + b".",
        "shared dicts": _START
        + b"}"
        + b"".join(b"q%c0}" % at + text("a") + b"h%cs" % at + text("b") + b"h%cs" % at for at in range(60))
        + b".",
        "deep tuples": _START + b")" + b"\x85" * 200_000 + b".",
        "deep lists": _START + b"]" * 200_000 + b"a" * 199_999 + b".",
        "deep dicts": _START + (b"}" + text("a")) * 100_000 + b"K\1" + b"s" * 100_000 + b".",
        "memo at the end": _START + b"}r\xff\xff\xff\x7f.",
        "memo far out": _START + b"}r\xff\xff\xff\x0f.",
        "a long number": _START + b"\x8b\xff\xff\xff\x7f" + b"\xff" * 64 + b".",
        "a long number in full": _START + b"\x8b" + struct.pack("<I", 200_000) + b"\x7f" * 200_000 + b".",
        "a number in digits": b"I" + b"9" * 300_000 + b"\n.",
        "many zeros": _START + _global("builtins", "bytes") + b"\x8a\x05\0\0\0\0\x10\x85R.",
        "many zeros in an array": _START + _global("builtins", "bytearray") + b"\x8a\x05\0\0\0\0\x10\x85R.",
        "a text of great length": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f" + b"a.",
        "bytes of great length": b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"a.",
        "a frame of great length": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"}.",
        "pops": _START + b"0" * 1000 + b".",
        "marks": _START + b"(" * 500_000 + b".",
        "no end": _START + b"}" * 1000,
        "nothing": b"",
    }


def torch_zip(
    pickled: bytes, path: Path, *, storages: Iterable[tuple[str, bytes]] = (), deflate: bool = False, top: str = "a"
) -> Path:
    """Write a file as torch.save does, around a pickle."""
    kind = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(f"{top}/data.pkl", pickled)
        archive.writestr(f"{top}/byteorder", "little")
        for name, data in storages:
            archive.writestr(f"{top}/data/{name}", data)
        archive.writestr(f"{top}/version", "3\n")
    return path


def tensor(
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *,
    offset: int = 0,
    count: int = 6,
    key: str = "0",
    kind: str = "FloatStorage",
    where: str = "cpu",
) -> bytes:
    """Return the instructions that make a tensor of a storage."""

    def whole(number: int) -> bytes:
        return pickle.dumps(number, 2)[2:-1]

    def row(numbers: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(whole, numbers)) + b"t"

    storage = b"(" + text("storage") + _global("torch", kind) + text(key) + text(where) + whole(count) + b"tQ"
    ordered = _global("collections", "OrderedDict") + b")R"
    rebuild = _global("torch._utils", "_rebuild_tensor_v2")
    return rebuild + b"(" + storage + whole(offset) + row(size) + row(stride) + b"\x89" + ordered + b"tR"


def _state(made: bytes) -> bytes:
    return _START + b"}" + text("weight") + made + b"s."


def misfits() -> Mapping[str, bytes]:
    """Return pickles of state dicts whose tensors are not what their storage holds."""
    return {
        "a tensor beyond its storage": _state(tensor((1000, 1000), (1000, 1))),
        "a tensor of one number many times": _state(tensor((1 << 40,), (0,))),
        "a tensor of many numbers many times": _state(tensor((1 << 20, 1 << 20), (0, 0))),
        "a negative size": _state(tensor((-2, 3), (3, 1))),
        "a negative stride": _state(tensor((2, 3), (-3, 1))),
        "a negative offset": _state(tensor((2, 3), (3, 1), offset=-7)),
        "a size that overflows": _state(tensor((1 << 62, 1 << 62), (1, 1))),
        "a storage of great size": _state(tensor((2, 3), (3, 1), count=1 << 40)),
        "a tensor beyond the bytes of its storage": _state(tensor((1 << 20,), (1,), count=1 << 20)),
        "a tensor far beyond the bytes": _state(tensor((1 << 36,), (1,), count=1 << 36)),
        "a storage that is not there": _state(tensor((2, 3), (3, 1), key="9")),
        "a storage outside": _state(tensor((2, 3), (3, 1), key="../../../victim")),
        "a storage that is the pickle": _state(tensor((2, 3), (3, 1), key="../data.pkl")),
        "a storage elsewhere": _state(tensor((2, 3), (3, 1), where="meta")),
        "a storage on no device": _state(tensor((2, 3), (3, 1), where="cuda:99999999999999999999")),
        "a storage of no type": _state(tensor((2, 3), (3, 1), kind="nn.Module")),
        "many dimensions": _state(tensor((1,) * 5000, (1,) * 5000)),
        "tensors in lists": _START + b"(" + tensor((2, 3), (3, 1)) * 50 + b"l.",
        "names that are no text": _START + b"}K\1" + tensor((2, 3), (3, 1)) + b"s.",
        "a name with control characters": _START + b"}" + text("a\x1b[31m\nb") + tensor((2, 3), (3, 1)) + b"s.",
        "a name that is no text of Unicode": b"\x80\x04}X\x03\0\0\0\xed\xa0\x80" + tensor((2, 3), (3, 1)) + b"s.",
    }


class Pickles(Family):
    """Weights files whose pickle is made by somebody else."""

    slice = 200

    @cached_property
    def generators(self) -> Mapping[str, Generator]:
        """Every pickle, bare and in a zip file; and whole files with their pickle changed."""
        made: dict[str, Generator] = {}
        for kind, pickles in {"calls": calls(self.canary), "endless": endless(), "misfits": misfits()}.items():
            for name, pickled in pickles.items():
                made[f"{kind}, bare: {name}"] = partial(self._bare, pickled)
                made[f"{kind}, in a zip: {name}"] = partial(self._zipped, pickled)
        forms = {
            "form: a pipe": self._pipe,
            "form: compressed zeros": self._zeros,
            "form: a tar file": self._tar,
            "form: an index": self._index,
        }
        return made | forms | {"whole": self._whole, "whole, with its pickle changed": self._changed}

    def read(self, path: Path, out: Path) -> object:
        """Read it as ``checkpoint=`` does."""
        return read_state_dict(path)

    def _bare(self, pickled: bytes, random: Random, folder: Path) -> Path:
        path = folder / random.choice(("a.pth", "a.bin", "a.ckpt"))
        magic = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(random.choice((b"", b"".join(magic))) + pickled)
        return path

    def _zipped(self, pickled: bytes, random: Random, folder: Path) -> Path:
        state = _START + b"}" + text("weight") + tensor((2, 3), (3, 1)) + b"s" + text("x")
        inner = pickled.removeprefix(_START).removesuffix(b".")
        if random.random() < 0.5 and not pickled.startswith(b"\x80\x04"):
            pickled = state + inner + b"s."  # beside a tensor, so that there is something to return
        elif random.random() < 0.5:  # a foreign class makes it be read by the other reader
            pickled = _START + _global("Some", "Class") + b"0" + pickled.removeprefix(_START)
        return torch_zip(pickled, folder / "a.pth", storages=[("0", bytes(24))], deflate=random.random() < 0.3)

    def _whole(self, random: Random, folder: Path) -> Path:
        content: object = {"weight": torch.zeros(2, 3), "bias": torch.ones(3)}
        if random.random() < 0.5:
            content = {"model": content, "epoch": 3, "config": {"lr": [0.1, None]}}
        kept = {"_use_new_zipfile_serialization": random.random() < 0.6}
        torch.save(content, folder / "a.pth", **kept)
        return folder / "a.pth"

    def _changed(self, random: Random, folder: Path) -> Path:
        buffer = io.BytesIO()
        torch.save({"weight": torch.zeros(2, 3), "config": {"a": (1, 2)}}, buffer)
        with zipfile.ZipFile(buffer) as archive:
            pickled = archive.read("archive/data.pkl")
        return torch_zip(mutated(pickled, random), folder / "a.pth", storages=[("0", bytes(24))])

    def _pipe(self, random: Random, folder: Path) -> Path:
        path = folder / random.choice(("a.pth", "a.safetensors", "model.safetensors.index.json"))
        os.mkfifo(path)
        return path

    def _zeros(self, random: Random, folder: Path) -> Path:
        kept = self.folder / random.choice(("objects.pth", "tensor.pth"))
        if not kept.exists():
            zeros = bytes(400 << 20)
            pickled = _state(tensor((len(zeros) >> 2,), (1,), count=len(zeros) >> 2))
            if kept.stem == "tensor":
                torch_zip(pickled, kept, storages=[("0", zeros)], deflate=True)
            else:
                torch_zip(_START + b"}0" * (len(zeros) >> 1) + b"}.", kept, deflate=True)
        return shutil.copy(kept, folder / "a.pth")

    def _tar(self, random: Random, folder: Path) -> Path:
        path = folder / "a.tar"
        with tarfile.open(path, random.choice(("w", "w:gz", "w:bz2", "w:xz"))) as archive:
            for name in random.choice((("storages", "tensors", "pickle"), ("a/data.pkl", "a/version"), ("x.pth",))):
                entry = tarfile.TarInfo(name)
                if random.random() < 0.3:
                    entry.type, entry.linkname = tarfile.SYMTYPE, str(self.canary.victim)
                    archive.addfile(entry)
                else:
                    entry.size = random.choice((0, 100, 20 << 20))
                    archive.addfile(entry, io.BytesIO(bytes(entry.size)))
        return path

    def _index(self, random: Random, folder: Path) -> Path:
        path = folder / "model.safetensors.index.json"
        names: list[object] = ["../victim", str(self.canary.victim), "a.pth", "", ".", "\x1b[31m", "a\x00b", 7, None]
        maps: list[object] = [{"weight": random.choice(names)}, {}, [], "x", None]
        texts = [json.dumps({"weight_map": one}) for one in maps] + ["[" * 100_000, '{"weight_map": ', "\ud800"]
        path.write_text(random.choice(texts), errors="surrogatepass")
        torch_zip(calls(self.canary)["reduce os.system"], folder / "a.pth")
        return path
