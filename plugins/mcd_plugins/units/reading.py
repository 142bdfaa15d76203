"""Files of units: safetensors with tensors of known names, and a few words about them in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pydantic
import torch
from safetensors import safe_open

from mcd.errors import DataError, amount
from mcd.plugins import calling

__all__ = ["Row", "UnitFile", "check_tensor", "read_units"]

Row = tuple[str, ...]
"""What the axes of a tensor are: ``("units", "channels")``."""
_Text = Annotated[str, pydantic.Field(max_length=1000)]
"""What is shown of units, on the terminal, on pages and in messages: a long one would fill them."""
_AS_SAFETENSORS = "write the tensors with safetensors.torch.save_file"


class _About(pydantic.BaseModel):
    """What the metadata says; whatever else another tool wrote there counts for nothing."""

    layer: _Text = ""
    names: pydantic.Json[tuple[_Text, ...]] = ()
    activation: _Text = ""
    k: int | None = pydantic.Field(default=None, ge=1)
    fitted: pydantic.Json[frozenset[Annotated[str, pydantic.Field(min_length=1)]]] = frozenset()
    facts: pydantic.Json[Annotated[dict[_Text, _Text], pydantic.Field(max_length=100)]] = pydantic.Field(
        default_factory=dict
    )


@dataclass(frozen=True)
class UnitFile:
    """What a file of units holds.

    Parameters
    ----------
    path
        The file.
    tensors
        Float32, finite, by name.
    sizes
        How long each axis is, by what it is: units, channels.
    about
        What its metadata says: the layer that it was made for, the names of units, settings of a dictionary, digests of
        the images that they were fitted on, and facts about them.
    """

    path: Path
    tensors: Mapping[str, torch.Tensor]
    sizes: Mapping[str, int]
    about: _About


def read_units(path: Path, needed: Mapping[str, Row], optional: Mapping[str, Row]) -> UnitFile:
    """Read a file of units.

    Parameters
    ----------
    needed, optional
        The tensors that it must and may have, by name, with what their axes are.

    Raises
    ------
    DataError
        When it is no safetensors file, lacks a tensor or has another one, one has no such shape, is empty or holds NaN
        or infinity, or the metadata does not fit.
    """
    known = {**needed, **optional}
    tensors, said = _read(path)
    wanted = f"it has {', '.join(needed)}" + (f", and may have {', '.join(optional)}" if optional else "")
    for name in needed:
        if name not in tensors:
            has = ", ".join(sorted(tensors)[:8]) or "none"
            raise DataError(
                f"{path} has no tensor '{name}'; its tensors are: {has}", f"of a file of this kind {wanted}"
            )
    other = sorted(tensors.keys() - known.keys())
    if other:
        raise DataError(f"{path} has a tensor '{other[0]}', which is none of this kind", wanted)
    sizes: dict[str, int] = {}
    for name in known:
        if name in tensors:
            check_tensor(path, name, tensors[name], known[name], sizes)
    about = _about(path, said)
    if about.names and len(about.names) != sizes["units"]:
        raise DataError(
            f"{path} has {amount(len(about.names), 'name')} for {sizes['units']} units",
            "give each unit a name, or none",
        )
    # Copies: what the library returns lies in the file, which may be written anew while the units are in use.
    own = {name: one.to(torch.float32, copy=True) for name, one in tensors.items()}
    return UnitFile(path, own, sizes, about)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors of a file, and its metadata."""
    if not path.is_file():
        raise DataError(f"there is no file {path}", "give a .safetensors file, KIND:FILE")
    with calling(f"{path} cannot be read", kind=DataError), path.open("rb") as opened:
        start = opened.read(2)
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except Exception:  # the library raises whatever a header makes it come upon
        what = "is no whole safetensors file" if start else "is empty"
        if start.startswith((b"PK", b"\x80")):
            what = "is a pickle, as torch.save writes it: no units are read from one"
        raise DataError(f"{path} {what}", _AS_SAFETENSORS) from None


def check_tensor(path: Path, name: str, tensor: torch.Tensor, axes: Row, sizes: dict[str, int]) -> None:
    """Refuse a tensor that is no finite floats of these axes; ``sizes``, how long each is, is added to.

    Raises
    ------
    DataError
        Saying what is wrong with it.
    """
    shape = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    if not tensor.is_floating_point() or tensor.ndim != len(axes):
        raise DataError(
            f"{path}: tensor '{name}' is {tensor.dtype} of shape {tuple(tensor.shape)}",
            f"it is floats of shape {shape}",
        )
    if 0 in tensor.shape:
        raise DataError(f"{path}: tensor '{name}' of shape {tuple(tensor.shape)} is empty", f"it has shape {shape}")
    for axis, size in zip(axes, tensor.shape, strict=True):
        if sizes.setdefault(axis, size) != size:
            raise DataError(
                f"{path}: tensor '{name}' is of {size} {axis}, another tensor of {sizes[axis]}",
                f"'{name}' has shape {shape}",
            )
    if not bool(torch.isfinite(tensor.float()).all()):
        raise DataError(f"{path}: tensor '{name}' holds NaN or infinity", "make the file again without them")


_FORMS = {
    "names": 'names are a JSON list of texts of at most 1,000 characters: {"names": json.dumps(["mass", …])}',
    "fitted": 'digests of images are a JSON list: {"fitted": json.dumps(sorted(digests))}',
    "facts": "facts are a JSON object of at most 100 texts of at most 1,000 characters: "
    '{"facts": json.dumps({"L0": "6.0", …})}',
    "k": "k is a whole number from 1 on",
    **dict.fromkeys(("layer", "activation"), "it is a text of at most 1,000 characters"),
}


def _about(path: Path, said: Mapping[str, str]) -> _About:
    try:
        return _About.model_validate(said)
    except pydantic.ValidationError as error:
        where = str(error.errors(include_url=False)[0]["loc"][0])
        raise DataError(f"{path}: its metadata '{where}' cannot be read", _FORMS[where]) from None
