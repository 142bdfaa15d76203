"""A griffe extension: what a docstring shows as code in prose is code on the site as well."""

from __future__ import annotations

import re
import textwrap

import griffe

__all__ = ["Code", "with_code"]

_SESSION = re.compile(r"(?:^>>> .*\n?(?:^.*\S.*\n?)*\n?)+", re.MULTILINE)
_LITERAL = re.compile(r"^(.*)::\n\n((?:(?:[ ]{4}.*|[ ]*)(?:\n|\Z))+)", re.MULTILINE)


def with_code(text: str) -> str:
    """Return a docstring with its sessions as a section of examples, and literal blocks as Markdown has them."""
    if "Examples\n---" not in text:
        text = _SESSION.sub(lambda found: f"Examples\n--------\n{found[0]}", text, count=1)
    return _LITERAL.sub(lambda found: f"{found[1]}\n\n```text\n{textwrap.dedent(found[2]).strip()}\n```\n", text)


class Code(griffe.Extension):
    """Turns the docstring of each object that is collected."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Turn that of a package, which is no member of another object."""
        _turn(pkg)

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Turn that of one below it."""
        _turn(obj)


def _turn(found: griffe.Object) -> None:
    if found.docstring:
        found.docstring.value = with_code(found.docstring.value)
