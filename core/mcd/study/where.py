"""Which images are selected: a small language over the fields of a sample, read without running anything.

Python's parser reads the text, a white list of its nodes is understood, nothing is ever evaluated by Python. A
condition is true, false or *unknown*, as in SQL (Kleene's three-valued logic): a comparison with a missing
value is unknown, so is its ``not``, and an image is selected only where the whole is true.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from mcd.errors import ConfigError, nearest
from mcd.study.labels import any_row, split_rows

if TYPE_CHECKING:
    from mcd.api.dataset import Sample

__all__ = ["Field", "Where", "parse"]

Condition: TypeAlias = "Callable[[Sample], bool | None]"
"""Whether a sample fits; None where that is unknown."""

_LONGEST, _DEEPEST = 10_000, 50
_TEXTS = ("id", "patient", "exam", "view", "laterality", "density", "assessment", "vendor", "split", "collection")
_TRUTHS = ("implant", "boxes")
_MAPPINGS = ("label", "fact")
_FINDINGS: dict[str, bool | None] = {"findings": True, "absent": False, "unknown": None}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "unknown": None}
_NAMES = (*_TEXTS, *_TRUTHS, *_MAPPINGS, *_FINDINGS, "true", "false")

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ORDERS = {"==": {0}, "<": {-1}, "<=": {-1, 0}, ">": {1}, ">=": {0, 1}}
"""What the order of two values, -1, 0 or 1, may be."""

Value = TypeVar("Value", str, float)


@dataclass(frozen=True)
class Field:
    """What an expression asks about.

    Parameters
    ----------
    name
        Of the field: ``split``, ``label``, ``findings``.
    key
        Which label, fact or finding.
    """

    name: str
    key: str = ""

    def __str__(self) -> str:
        if self.name in _MAPPINGS:
            return f'{self.name}["{self.key}"]'
        return self.key or self.name

    def value(self, sample: Sample) -> str | bool | None:
        """Return the value of a sample: a text or a truth, None where it is unknown."""
        if self.name == "implant":
            return sample.implant
        if self.name == "boxes":
            return bool(sample.boxes)
        if self.name == "findings":
            return sample.findings.get(self.key)
        if self.name in _MAPPINGS:
            return self.mapping(sample).get(self.key) or None
        return str(getattr(sample, self.name)) or None

    def mapping(self, sample: Sample) -> Mapping[str, str]:
        """Return, for ``label`` and ``fact``, all labels or facts of a sample."""
        return {"label": sample.labels, "fact": sample.facts}.get(self.name, {})


@dataclass(frozen=True)
class Where:
    """An expression that was read: call it with a sample to ask whether the sample is meant.

    Parameters
    ----------
    text
        As it was written.
    fields
        What it asks about, in the order of the text.
    texts
        Which texts it asks fields to be, or not to be.

    Examples
    --------
    >>> from mcd import Sample
    >>> chosen = parse('view == "MLO" and not implant')
    >>> chosen(Sample("1", view="MLO", implant=False)), chosen(Sample("2", view="MLO"))
    (True, False)
    """

    text: str
    fields: tuple[Field, ...]
    texts: tuple[tuple[Field, str], ...]
    _holds: Condition = field(repr=False, compare=False)

    def __call__(self, sample: Sample) -> bool:
        """Say whether a sample is meant; False too where that is unknown."""
        return self._holds(sample) is True

    def __reduce__(self) -> tuple[Callable[[str], Where], tuple[str]]:
        return parse, (self.text,)


def parse(text: str) -> Where:
    """Read an expression.

    Raises
    ------
    ConfigError
        When it is not one: the message shows where, the hint names the nearest field.
    """
    if len(text) > _LONGEST:
        raise ConfigError(
            f"where: the expression has {len(text):,} characters; {_LONGEST:,} are read", "say it in fewer words"
        )
    reader = _Reader(text.strip())
    holds = reader.condition(reader.tree(), _DEEPEST)
    return Where(text, tuple(dict.fromkeys(reader.fields)), tuple(dict.fromkeys(reader.texts)), holds)


class _Reader:
    """Walks the tree of one expression and makes conditions of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields: list[Field] = []
        self.texts: list[tuple[Field, str]] = []

    def tree(self) -> ast.expr:
        if not self.text:
            raise ConfigError("where: the expression is empty", 'write a condition, such as view == "MLO"')
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about odd escapes and numbers; what is wrong is an error below
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            reason = error.msg.split(". ")[0].split(" (")[0]
            raise self._wrong(
                "this cannot be read" + (f": {reason}" if reason != "invalid syntax" else ""),
                error.lineno or 1,
                (error.offset or 1) - 1,
                'conditions look like view == "MLO" and not implant, with ==; what spans lines stands in parentheses',
            ) from None
        except (ValueError, RecursionError, MemoryError):  # null bytes, lone surrogates, thousands of brackets
            raise self._wrong("this cannot be read", 1, 0, "write it shorter and in plain characters") from None

    def condition(self, node: ast.expr, depth: int) -> Condition:
        if depth == 0:
            raise self._at(node, f"more than {_DEEPEST} conditions inside each other", "say it in fewer words")
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(part, depth - 1) for part in node.values]
            return _all(parts) if isinstance(node.op, ast.And) else _any(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _not(self.condition(node.operand, depth - 1))
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = [self.comparison(sides[i], op, sides[i + 1]) for i, op in enumerate(node.ops)]
            return pairs[0] if len(pairs) == 1 else _all(pairs)
        return self.truth(node)

    def truth(self, node: ast.expr) -> Condition:
        """Read what is a condition without being compared."""
        word = self._word(node)
        if word is not None:
            return _always(word)
        asked = self.operand(node)
        if not isinstance(asked, Field):
            raise self._at(node, "this is no condition", 'compare a field with it, such as view == "MLO"')
        if asked.name not in _TRUTHS:
            raise self._at(node, f"{asked} is a text, no condition", f'compare it: {asked} == "…", {asked} != unknown')
        return lambda sample: _truth(asked.value(sample))

    def comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        sign = _SIGNS.get(type(op))
        if sign is None:
            raise self._at(right, "'is' is not understood", "write ==")
        if sign in ("in", "not in"):
            found = self.membership(left, right)
            return found if sign == "in" else _not(found)
        one, two = self.operand(left), self.operand(right)
        if isinstance(two, Field) and not isinstance(one, Field):
            one, two, sign, left, right = two, one, _MIRRORED[sign], right, left
        if not isinstance(one, Field) or isinstance(two, Field):
            raise self._at(right, "a field is compared with a text or a number", 'such as view == "MLO"')
        return self.compared(one, sign, two, right)

    def membership(self, left: ast.expr, right: ast.expr) -> Condition:
        if isinstance(right, ast.Name) and right.id in _FINDINGS:
            finding = left.value if isinstance(left, ast.Constant) else None
            if not isinstance(finding, str):
                raise self._at(left, "a finding is a text in quotes", f'such as "mass" in {right.id}')
            asked, state = Field("findings", finding), _FINDINGS[right.id]
            self.fields.append(asked)
            return _is_unknown(asked) if state is None else _is(asked, state)
        if isinstance(right, ast.Name) and right.id not in _NAMES:
            raise self._unknown_name(right)
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            raise self._at(right, "after 'in' stands a list", 'such as density in ["c", "d"], or "mass" in findings')
        asked_of = self.operand(left)
        if not isinstance(asked_of, Field):
            raise self._at(left, "only a field can be in a list", 'such as density in ["c", "d"]')
        return _any([self.compared(asked_of, "==", self.literal(one), one) for one in right.elts])

    def compared(self, asked: Field, sign: str, literal: str | float | bool | None, node: ast.expr) -> Condition:
        if literal is None:
            if asked.name == "boxes":
                raise self._at(node, "boxes are there or not, never unknown", "write boxes, or not boxes")
            if sign not in ("==", "!="):
                raise self._at(node, f"'{sign} unknown' has no meaning", f"write {asked} == unknown, or != unknown")
            return _is_unknown(asked) if sign == "==" else _not(_is_unknown(asked))
        if asked.name in _TRUTHS:
            if not isinstance(literal, bool) or sign not in ("==", "!="):
                raise self._at(node, f"{asked} is true or false", f"write {asked}, or not {asked}")
            return _is(asked, literal if sign == "==" else not literal)
        if isinstance(literal, bool):
            raise self._at(node, f"{asked} is a text", f'compare it with a value, such as {asked} == "yes"')
        if isinstance(literal, str):
            if sign in ("==", "!="):
                self.texts.append((asked, literal))
            return _of_any_row(asked, sign, literal, _text)
        if asked.name not in _MAPPINGS:  # a number would leave out assessment 4a without a word
            raise self._at(node, f"{asked} is a text", f'put it in quotes: {asked} {sign} "{literal}"')
        return _of_any_row(asked, sign, literal, _number)

    def operand(self, node: ast.expr) -> Field | str | float | bool | None:
        """Read a field, or what it is compared with; None is ``unknown``."""
        asked: Field | None = None
        if isinstance(node, ast.Name) and node.id in (*_TEXTS, *_TRUTHS):
            asked = Field(node.id)
        elif isinstance(node, ast.Subscript):
            asked = self.entry(node)
        if asked is None:
            return self.literal(node)
        self.fields.append(asked)
        return asked

    def entry(self, node: ast.Subscript) -> Field:
        name, key = node.value, node.slice
        if isinstance(name, ast.Name) and name.id not in _NAMES:
            raise self._unknown_name(name)
        if not isinstance(name, ast.Name) or name.id not in _MAPPINGS:
            raise self._at(node, "only label and fact take square brackets", 'such as label["age"]')
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            raise self._at(key, f"the name of a {name.id} is a text in quotes", f'such as {name.id}["age"]')
        return Field(name.id, key.value)

    def literal(self, node: ast.expr) -> str | float | bool | None:
        if isinstance(node, ast.Name):
            if node.id in _WORDS:
                return _WORDS[node.id]
            raise self._unknown_name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            number = node.operand.value if isinstance(node.operand, ast.Constant) else None
            if isinstance(number, int | float) and not isinstance(number, bool):
                return -number if isinstance(node.op, ast.USub) else number
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
            return node.value
        raise self._at(node, "this is not part of the language", "fields, texts in quotes, numbers, and, or, not, in")

    def _word(self, node: ast.expr) -> bool | None:
        if isinstance(node, ast.Name) and node.id in ("true", "false"):
            return _WORDS[node.id]
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, bool) else None

    def _unknown_name(self, node: ast.Name) -> ConfigError:
        if node.id in _MAPPINGS:
            return self._at(node, f"{node.id} needs a name in square brackets", f'such as {node.id}["age"]')
        if node.id in _FINDINGS:
            return self._at(node, f"{node.id} is asked with 'in'", f'such as "mass" in {node.id}')
        quoted = f'A text stands in quotes: "{node.id}"; a finding is asked as "{node.id}" in findings'
        hint = f"{nearest(node.id, _NAMES, limit=len(_NAMES))}. {quoted}"
        return self._at(node, f"there is no field '{node.id}'", hint)

    def _at(self, node: ast.expr, message: str, hint: str) -> ConfigError:
        before = self._line(node.lineno).encode()[: node.col_offset]  # the parser counts bytes
        return self._wrong(message, node.lineno, len(before.decode(errors="ignore")), hint)

    def _line(self, number: int) -> str:
        lines = re.split("\r\n|\r|\n", self.text)  # str.splitlines knows more ends of lines than the parser
        return lines[min(number, len(lines)) - 1]

    def _wrong(self, message: str, number: int, column: int, hint: str) -> ConfigError:
        line = self._line(number)
        column = min(max(column, 0), len(line))
        start = max(0, column - 60)
        shown = "".join(one if one.isprintable() else " " for one in line[start : column + 40])
        return ConfigError(f"where: {message}", hint, [shown, f"{' ' * (column - start)}^"])


def _all(parts: Sequence[Condition]) -> Condition:
    def holds(sample: Sample) -> bool | None:
        found = {part(sample) for part in parts}
        return False if False in found else None if None in found else True

    return holds


def _any(parts: Sequence[Condition]) -> Condition:
    def holds(sample: Sample) -> bool | None:
        found = {part(sample) for part in parts}
        return True if True in found else None if None in found else False

    return holds


def _not(part: Condition) -> Condition:
    def holds(sample: Sample) -> bool | None:
        found = part(sample)
        return None if found is None else not found

    return holds


def _always(word: bool) -> Condition:
    return lambda _sample: word


def _of_any_row(
    asked: Field, sign: str, literal: Value, read: Callable[[str | bool | None], Value | None]
) -> Condition:
    """Compare the value of a field; a label joined from several rows fits where any row does, or the whole."""
    if sign == "!=":
        return _not(_of_any_row(asked, "==", literal, read))
    orders = _ORDERS[sign]

    def holds(sample: Sample) -> bool | None:
        whole = asked.value(sample)
        if not isinstance(whole, str) or asked.name != "label":
            return _fits(read(whole), literal, orders)
        exact = sign == "==" and isinstance(literal, str)
        rows = any_row(whole) if exact else split_rows(whole) or [whole]
        found = {_fits(read(one), literal, orders) for one in rows}
        return True if True in found else None if None in found else False

    return holds


def _is(asked: Field, state: bool) -> Condition:
    def holds(sample: Sample) -> bool | None:
        found = _truth(asked.value(sample))
        return None if found is None else found is state

    return holds


def _is_unknown(asked: Field) -> Condition:
    return lambda sample: asked.value(sample) is None


def _truth(value: str | bool | None) -> bool | None:
    return None if value is None else bool(value)


def _text(value: str | bool | None) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: str | bool | None) -> float | None:
    """Return the number that a text is, exactly where it is a whole one; None where it is none."""
    if not isinstance(value, str) or "_" in value:
        return None
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _fits(value: Value | None, literal: Value, orders: Set[int]) -> bool | None:
    return None if value is None else (value > literal) - (value < literal) in orders
