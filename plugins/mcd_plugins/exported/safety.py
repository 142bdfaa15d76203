"""A ``.pt2`` archive as torch may open it: made anew from what was checked.

``torch.export.load`` trusts its file: it unpickles, evaluates expressions, writes Python of names and calls whatever
the graph names. So the archive is read here, once and as data. Only members of known names are looked at, their content
is held against `mcd_plugins.exported.schema`, and an archive is written that has nothing else in it: no pickle, no
guards, no metadata. torch sees that archive alone.
"""

from __future__ import annotations

import io
import math
import re
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pydantic

from mcd.errors import CheckpointError
from mcd_plugins.exported.arguments import Argument, TensorMeta
from mcd_plugins.exported.expressions import checked, power
from mcd_plugins.exported.operations import SIZES
from mcd_plugins.exported.schema import Node, Payloads, Program

__all__ = ["clean_archive"]

_PROGRAM = "models/model.json"
_WEIGHTS = "data/weights/model_weights_config.json"
_CONSTANTS = "data/constants/model_constants_config.json"
_READ = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_DATA = re.compile(r"data/weights/weight_[0-9]{1,6}|data/constants/tensor_[0-9]{1,6}")
_LEFT_OUT = re.compile(r"data/sample_inputs/model\.pt|\.data/(version|serialization_id)|extra/[A-Za-z0-9_./ -]{1,200}")
"""Members that torch.export.save also writes. They are not read."""
_DOCUMENTS = (_PROGRAM, _WEIGHTS, _CONSTANTS)
_MOST_MEMBERS = 100_000
_LARGEST_DOCUMENT = 256 << 20
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2, 28: 2} | {
    29: 1,
    30: 1,
    31: 1,
    32: 1,
    33: 1,
    34: 4,
    35: 8,
}
"""Of a number of each type, by torch's count of types."""

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)


class _ForeignError(Exception):
    """Something in an archive that is not accepted; ``str()`` says what."""


def clean_archive(path: Path) -> io.BytesIO:
    """Return an archive with the same program that holds nothing but tensors and a graph of listed operations.

    Raises
    ------
    CheckpointError
        Saying what else the file holds, or that it is no such archive.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path} is not a .pt2 archive: it is no file", "give the path of the file")
        with zipfile.ZipFile(path) as archive:
            return _rewritten(archive, _members(archive, path), path)
    except FileNotFoundError:
        raise CheckpointError(
            f"there is no file {path}", "give the path of the .pt2 file that torch.export.save wrote"
        ) from None
    except _ForeignError as error:
        raise CheckpointError(f"{path} is not opened: it holds {error}", "export the network alone") from None
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0][:200]
        raise CheckpointError(f"{path} is not a .pt2 archive: {ascii(reason)[1:-1]}", "is it complete?") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, without the folder that all are in."""
    entries = archive.infolist()
    names = [entry.filename.partition("/") for entry in entries]
    if not {"archive_format", _PROGRAM} <= {name for _, _, name in names}:
        raise CheckpointError(
            f"{path} is no program of torch.export, or one of an older torch",
            "write it with torch.export.save of torch 2.9 or newer",
        )
    if len({top for top, _, _ in names}) > 1 or len(entries) > _MOST_MEMBERS:
        raise _ForeignError("several archives in one")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry, (_, _, name) in zip(entries, names, strict=True):
        if name in found:
            raise _ForeignError(f"two members called {name[:80]!a}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size != entry.compress_size:
            raise _ForeignError("compressed or encrypted members, which torch.export.save does not write")
        if not (name in _READ or name in _DOCUMENTS or _DATA.fullmatch(name) or _LEFT_OUT.fullmatch(name)):
            raise _ForeignError(_unknown(name))
        if name in _DOCUMENTS and entry.file_size > _LARGEST_DOCUMENT:
            raise _ForeignError(f"{entry.file_size >> 20} MiB of {name}")
        found[name] = entry
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise _ForeignError("members that share their bytes")
    return found


def _unknown(name: str) -> str:
    """Return what a member is that does not belong into a program."""
    if name.endswith((".so", ".cpp", ".cubin")) or "aotinductor" in name:
        return f"compiled code ({name[:80]!a})"
    if name.startswith("data/constants/"):
        return f"a constant that is no tensor ({name[:80]!a})"
    return f"{name[:80]!a}, which is no part of a program"


def _rewritten(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], path: Path) -> io.BytesIO:
    for name, expected in _READ.items():
        if name in members and archive.read(members[name]) != expected:
            raise _ForeignError(f"a {name.replace('_', ' ')} that mcd does not read")
    missing = [name for name in _DOCUMENTS if name not in members]
    if missing:
        raise CheckpointError(f"{path} is not a .pt2 archive: it has no {missing[0]}", "is it complete?")
    program = _parsed(Program, archive.read(members[_PROGRAM]))
    _check_sizes(program.graph_module.graph.nodes)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as clean:
        for name, content in {**_READ, ".data/version": b"6\n", "data/sample_inputs/model.pt": b""}.items():
            clean.writestr(f"model/{name}", content)
        clean.writestr(f"model/{_PROGRAM}", program.model_dump_json(exclude_unset=True))
        for config in (_WEIGHTS, _CONSTANTS):
            payloads = _parsed(Payloads, archive.read(members[config]))
            folder = config.rpartition("/")[0]
            sizes = {name: members[name].file_size for name in members if name.startswith(folder)}
            for name in _checked(payloads, folder, sizes):
                with archive.open(members[name]) as source, clean.open(f"model/{name}", "w") as target:
                    while chunk := source.read(1 << 24):
                        target.write(chunk)
            clean.writestr(f"model/{config}", payloads.model_dump_json(exclude_unset=True))
    written.seek(0)
    return written


def _parsed(model: type[ModelT], data: bytes) -> ModelT:
    try:
        return model.model_validate_json(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "value_error":
            raise _ForeignError(first["msg"].removeprefix("Value error, ")) from None
        where = ".".join(str(part)[:80] for part in first["loc"][-3:])
        raise _ForeignError(f"what is no part of a program: {first['msg'][:120]} ({where!a})") from None


def _checked(payloads: Payloads, folder: str, sizes: Mapping[str, int]) -> list[str]:
    """Return the members that tensors lie in, each large enough for them."""
    prefix = "weight" if folder.endswith("weights") else "tensor"
    for called, payload in payloads.config.items():
        name = f"{folder}/{payload.path_name}"
        if not payload.path_name.startswith(prefix) or name not in sizes:
            raise _ForeignError(f"no bytes for {called[:80]!a}")
        meta, held = payload.tensor_meta, sizes[name]
        if meta.dtype not in _BYTES or held % _BYTES[meta.dtype]:
            raise _ForeignError(f"bytes for {called[:80]!a} that are no numbers of its type")
        if _extent(meta) * _BYTES[meta.dtype] > held:
            raise _ForeignError(f"too few bytes for {called[:80]!a}")
    return sorted({f"{folder}/{payload.path_name}" for payload in payloads.config.values()})


def _extent(meta: TensorMeta) -> int:
    """Return how many numbers a tensor needs: where its last one lies, or all of them where they share places."""
    numbers = [*meta.sizes, *meta.strides, meta.storage_offset]
    if any(one.as_expr is not None for one in numbers) or len(meta.sizes) != len(meta.strides):
        raise _ForeignError("a weight without a shape")
    sizes = [one.as_int for one in meta.sizes]
    if 0 in sizes:
        return meta.storage_offset.as_int
    last = sum((size - 1) * stride.as_int for size, stride in zip(sizes, meta.strides, strict=True))
    return meta.storage_offset.as_int + max(last + 1, math.prod(sizes))


def _check_sizes(nodes: Iterable[Node]) -> None:
    """Refuse sizes that grow beyond what a computer counts: products of products, powers of powers."""
    bits: dict[str, int] = {}
    for node in nodes:
        if node.target not in SIZES:
            continue
        given = [_number_bits(one.arg, bits) for one in node.inputs]
        try:
            if node.target == "_operator.mul":
                most = checked(sum(given))
            elif node.target == "_operator.pow":
                exponent = node.inputs[1].arg if len(node.inputs) == 2 else Argument()
                most = power(given[0], exponent.as_int if "as_int" in exponent.model_fields_set else None)
            else:
                most = checked(max(given, default=0) + len(given))
        except ValueError as error:
            raise _ForeignError(str(error)) from None
        for one in node.outputs:
            for named in (one.as_sym_int, one.as_sym_float, one.as_sym_bool):
                if named is not None:
                    bits[named.as_name] = most


def _number_bits(given: Argument, bits: Mapping[str, int]) -> int:
    """Return how many bits an argument of a size has at most; it must be a number, or the name of one."""
    kinds = {"as_int", "as_float", "as_bool", "as_sym_int", "as_sym_float", "as_sym_bool", "as_sym_ints"}
    if not given.model_fields_set <= kinds:
        raise _ForeignError("a size made of something that is no number")
    named = [one for one in (given.as_sym_int, given.as_sym_float, given.as_sym_bool) if one is not None]
    return max((bits.get(one.as_name, 64) for one in (*named, *given.as_sym_ints)), default=64)
