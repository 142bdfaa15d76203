"""What goes into an operation of an exported program and comes out of it: names, sizes, tensors, arguments."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, Field, StringConstraints

from mcd_plugins.exported.expressions import canonical

__all__ = [
    "NAME",
    "PATH",
    "Argument",
    "Limit",
    "Name",
    "Named",
    "OneOf",
    "Path",
    "Real",
    "Small",
    "Strict",
    "SymBool",
    "SymFloat",
    "SymInt",
    "TensorMeta",
    "Version",
    "Whole",
    "Word",
]


class Strict(pydantic.BaseModel):
    """An object with the entries that are declared, of exactly these types."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid")


class OneOf(Strict):
    """An object with exactly one of the entries that are declared."""

    @pydantic.model_validator(mode="after")
    def _one(self) -> OneOf:
        if len(self.model_fields_set) != 1:
            raise ValueError("an entry of several kinds, or of none")
        return self


NAME = r"[A-Za-z_][A-Za-z0-9_]{0,300}"
PATH = r"([A-Za-z0-9_]{1,300}([.][A-Za-z0-9_]{1,300}){0,63})?"

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
"""Of a value: a variable of the Python that torch writes."""
Path = Annotated[str, StringConstraints(pattern=f"^{PATH}$", max_length=1000)]
"""Of a module or a tensor in it: attributes."""
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_ ,.>-]*$", max_length=1000)]
"""Of an operation's argument: ``same``, ``bilinear``, ``bhid,bhjd->bhij``."""
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+<=-]{1,60}$")]
Whole = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Count = Annotated[int, Field(ge=0, le=1 << 40)]
Real = float | Literal["Infinity", "-Infinity", "NaN"]
Kind = Annotated[int, Field(ge=1, le=35)]
"""A type of numbers, as torch counts them."""
Small = Annotated[int, Field(ge=0, le=7)]
Limit = Whole | None


class Device(Strict):
    """Where a tensor was when the program was exported."""

    type: Literal["cpu", "cuda", "mps", "xpu"]
    index: Annotated[int, Field(ge=0, le=63)] | None = None


class Hint(OneOf):
    """The value that a size had in the example."""

    as_int: Whole = 0
    as_bool: bool = False
    as_float: Real = 0.0


class Expression(Strict):
    """A size that depends on the input."""

    expr_str: Annotated[str, AfterValidator(canonical)]
    hint: Hint | None = None


class SymInt(OneOf):
    """A size."""

    as_expr: Expression | None = None
    as_int: Count = 0


class SymFloat(OneOf):
    """A number made of sizes."""

    as_expr: Expression | None = None
    as_float: Real = 0.0


class SymBool(OneOf):
    """A comparison of sizes."""

    as_expr: Expression | None = None
    as_bool: bool = False


class TensorMeta(Strict):
    """Type and shape of a tensor."""

    dtype: Kind
    sizes: Annotated[list[SymInt], Field(max_length=64)]
    requires_grad: bool
    device: Device
    strides: Annotated[list[SymInt], Field(max_length=64)]
    storage_offset: SymInt
    layout: Literal[7]  # strided


class Named(Strict):
    """A tensor by its name."""

    name: Name


class NamedInt(OneOf):
    """A whole number, or the name of one."""

    as_name: Name = ""
    as_int: Whole = 0


class NamedFloat(OneOf):
    """A number, or the name of one."""

    as_name: Name = ""
    as_float: Real = 0.0


class NamedBool(OneOf):
    """A truth value, or the name of one."""

    as_name: Name = ""
    as_bool: bool = False


class Optional(OneOf):
    """A tensor by its name, or none."""

    as_tensor: Named | None = None
    as_none: bool = False


class Complex(Strict):
    """A complex number."""

    real: Real
    imag: Real


class Argument(OneOf):
    """What goes into an operation, or comes out of it."""

    as_none: bool = False
    as_tensor: Named | None = None
    as_tensors: list[Named] = []
    as_int: Whole = 0
    as_ints: list[Whole] = []
    as_float: Real = 0.0
    as_floats: list[Real] = []
    as_string: Word = ""
    as_sym_int: NamedInt | None = None
    as_sym_ints: list[NamedInt] = []
    as_scalar_type: Kind = 1
    as_memory_format: Small = 0
    as_layout: Small = 0
    as_device: Device | None = None
    as_bool: bool = False
    as_bools: list[bool] = []
    as_sym_bool: NamedBool | None = None
    as_sym_bools: list[NamedBool] = []
    as_optional_tensors: list[Optional] = []
    as_optional_tensor: Optional | None = None
    as_sym_float: NamedFloat | None = None
    as_sym_floats: list[NamedFloat] = []
    as_complex: Complex | None = None
