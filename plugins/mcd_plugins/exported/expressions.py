"""Sizes that depend on the input, as exported programs write them: ``Add(Symbol('s0', integer=True), Integer(1))``.

torch hands the text to sympy, which evaluates it as Python. It is therefore parsed here, and written anew from what is
allowed: calls of a few functions, whole numbers, symbols. How large a number may become is known before it is computed.
"""

from __future__ import annotations

import ast
import re
import warnings

__all__ = ["SYMBOL", "canonical", "checked", "power"]

SYMBOL = r"(s|u|zf|zuf)[0-9]{1,4}"
"""Names of symbols. torch counts up to the number of an unbacked one."""

_CHARACTERS = re.compile(r"[A-Za-z0-9_(),.='+ -]*")
_LONGEST = 5_000
_DEEPEST = 60
_MOST_BITS = 4_096
_MOST_POWER = 8
_SYMBOL_BITS = 64
_SUMS = {"Add", "Max", "Min"}
_FUNCTIONS = _SUMS | {
    "Abs",
    "And",
    "CeilDiv",
    "CeilToInt",
    "CleanDiv",
    "Eq",
    "Equality",
    "FloatTrueDiv",
    "FloorDiv",
    "FloorToInt",
    "Ge",
    "GreaterThan",
    "Gt",
    "Identity",
    "IntTrueDiv",
    "IsNonOverlappingAndDenseIndicator",
    "Le",
    "LessThan",
    "Lt",
    "Mod",
    "ModularIndexing",
    "Mul",
    "Ne",
    "Not",
    "Or",
    "PythonMod",
    "RoundToInt",
    "StrictGreaterThan",
    "StrictLessThan",
    "ToFloat",
    "TruncToFloat",
    "TruncToInt",
    "Unequality",
    "Where",
}
_POWERS = {"FloatPow", "Pow", "PowByNatural"}
_ASSUMPTIONS = {"finite", "integer", "negative", "nonnegative", "positive", "real"}
_FLOAT = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?(e[+-]?[0-9]{1,2})?")


def canonical(text: str) -> str:
    """Return an expression as it is written when nothing but what is allowed is in it.

    Raises
    ------
    ValueError
        When there is anything else in it, or its value could be too large.
    """
    try:
        if len(text) > _LONGEST or not _CHARACTERS.fullmatch(text):
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, on oddities of spelling
            return _written(ast.parse(text, mode="eval").body, 0)[0]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"the expression {text[:60]!a}") from None


def power(bits: int, exponent: object) -> int:
    """Return how many bits a number of so many bits has at most, raised to an exponent.

    Raises
    ------
    ValueError
        When the exponent is no small number, or the result is too large.
    """
    if not isinstance(exponent, int | float) or isinstance(exponent, bool) or not abs(exponent) <= _MOST_POWER:
        raise ValueError("a power with a large exponent")
    return checked(int(bits * max(1, abs(exponent))))


def checked(bits: int) -> int:
    """Return a number of bits that is not too large.

    Raises
    ------
    ValueError
        When it is.
    """
    if bits > _MOST_BITS:
        raise ValueError("a size of more digits than a computer counts")
    return bits


def _written(node: ast.expr, depth: int) -> tuple[str, int]:
    """Return an expression as text, and how many bits its value has at most."""
    if depth > _DEEPEST:
        raise ValueError("too deep")
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id, 1
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError("no call of a known function")
    name = node.func.id
    if name == "Symbol":
        return _symbol(node), _SYMBOL_BITS
    if node.keywords:
        return _float(node)
    if name in ("Integer", "Rational"):
        numbers = [_integer(one) for one in node.args]
        if len(numbers) != (1 if name == "Integer" else 2) or (name == "Rational" and numbers[1] == 0):
            raise ValueError("no number")
        return f"{name}({', '.join(map(str, numbers))})", max(number.bit_length() for number in numbers)
    parts = [_written(one, depth + 1) for one in node.args]
    if not parts:
        raise ValueError("a call of nothing")
    return f"{name}({', '.join(text for text, _ in parts)})", _bits(name, node, [bits for _, bits in parts])


def _bits(name: str, node: ast.Call, bits: list[int]) -> int:
    if name in _POWERS:
        if len(node.args) != 2:
            raise ValueError("no power")
        return power(bits[0], _exponent(node.args[1]))
    if name not in _FUNCTIONS:
        raise ValueError("no known function")
    if name == "Mul":
        return checked(sum(bits))
    return checked(max(bits) + (len(bits) if name in _SUMS else 0))


def _exponent(node: ast.expr) -> float:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        numbers = [_integer(one) for one in node.args]
        if node.func.id == "Integer" and len(numbers) == 1:
            return numbers[0]
        if node.func.id == "Rational" and len(numbers) == 2 and numbers[1]:
            return numbers[0] / numbers[1]
    raise ValueError("an exponent that is no number")


def _integer(node: ast.expr) -> int:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if not (isinstance(node, ast.Constant) and type(node.value) is int and node.value.bit_length() <= _SYMBOL_BITS):
        raise ValueError("no whole number")
    return sign * node.value


def _symbol(node: ast.Call) -> str:
    name = node.args[0] if len(node.args) == 1 else None
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str) and re.fullmatch(SYMBOL, name.value)):
        raise ValueError("no symbol of a size")
    written = [repr(name.value)]
    for one in node.keywords:
        if one.arg not in _ASSUMPTIONS or not isinstance(one.value, ast.Constant) or type(one.value.value) is not bool:
            raise ValueError("no known assumption")
        written.append(f"{one.arg}={one.value.value}")
    return f"Symbol({', '.join(written)})"


def _float(node: ast.Call) -> tuple[str, int]:
    """Return ``Float('0.5', precision=53)`` anew."""
    digits = node.args[0] if len(node.args) == 1 else None
    if (
        isinstance(node.func, ast.Name)
        and node.func.id == "Float"
        and isinstance(digits, ast.Constant)
        and isinstance(digits.value, str)
        and _FLOAT.fullmatch(digits.value)
        and [one.arg for one in node.keywords] == ["precision"]
        and 0 < _integer(node.keywords[0].value) <= 64
    ):
        return f"Float('{digits.value}', precision={_integer(node.keywords[0].value)})", _SYMBOL_BITS * 8
    raise ValueError("no number")
