"""What all checks of components have in common: how a component is made, called, and refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import pydantic

from mcd.api.base import Configured
from mcd.errors import MCDError, passes_through, place_of, said_by, with_article
from mcd.options import in_words

__all__ = ["ContractError", "called", "created", "kind_of", "require", "same_settings_same_fingerprint"]

ComponentT = TypeVar("ComponentT", bound=Configured)


class ContractError(AssertionError):
    """A component does not keep the contract of its kind.

    Attributes
    ----------
    message
        What is wrong.
    hint
        What to change.
    """

    def __init__(self, message: str, hint: str) -> None:
        self.message, self.hint = message, hint
        super().__init__(f"{message}\nchange: {hint}")


def require(holds: object, message: str, hint: str) -> None:
    """Raise a `ContractError` where something does not hold."""
    if not holds:
        raise ContractError(message, hint)


@contextlib.contextmanager
def called(what: str) -> Iterator[None]:
    """Turn whatever code of a component raises into a `ContractError` with its file and line."""
    try:
        yield
    except ContractError:
        raise
    except BaseException as error:  # code of an author may raise anything
        if passes_through(error):
            raise
        hint = error.hint if isinstance(error, MCDError) and error.hint else "correct the code; the cause is above"
        raise ContractError(f"{what} raised {said_by(error)}{place_of(error)}", hint) from error


def created(component: object, base: type[ComponentT]) -> ComponentT:
    """Return a component as it is, or made with its default settings where its class is given.

    Raises
    ------
    ContractError
        When it is no such component, does not implement all that is abstract, cannot be made, or a setting has no
        description.
    """
    kind = component if isinstance(component, type) else type(component)
    name, wanted = kind.__qualname__, f"mcd.{base.__name__}"
    if not issubclass(kind, base):
        raise ContractError(f"{name} is no {wanted}", f"write class {name}({wanted})")
    lacking = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
    require(not lacking, f"{name} does not implement {lacking}", f"define {lacking} in the class")
    bare = [field for field, info in kind.Options.model_fields.items() if not info.description]
    require(
        not bare,
        f"setting {', '.join(bare)} of {name} has no description",
        'write Field(…, description="…"): mcd plugins show prints it',
    )
    return component if isinstance(component, base) else _made(kind, name)


def _made(kind: type[ComponentT], name: str) -> ComponentT:
    try:
        return kind()
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ContractError(
            f"{name} cannot be made with its default settings: {where}: {in_words(first)}",
            f"give the check a component instead of its class: {name}({name}.Options({where}=…))",
        ) from None
    except BaseException as error:  # code of an author may raise anything
        if passes_through(error):
            raise
        raise ContractError(
            f"{name}() raised {said_by(error)}{place_of(error)}",
            "creating a component only takes its settings: read files and build networks in load()",
        ) from error


def same_settings_same_fingerprint(component: Configured, other: Configured | None = None) -> None:
    """Refuse a component whose fingerprint is not a text that follows from its settings.

    Parameters
    ----------
    other
        Another one with the same settings, loaded where the engine takes fingerprints of loaded ones; by default a
        new one.
    """
    name = type(component).__qualname__
    with called(f"{name}.fingerprint()"):
        first = component.fingerprint()
        second = (type(component)(component.options) if other is None else other).fingerprint()
    require(isinstance(first, str) and first, f"{name}.fingerprint() is no text", "return mcd.plugins.digest(…)")
    require(
        first == second,
        f"two {name} with the same settings have different fingerprints: nothing stored is found again",
        "hash settings and the content of files, never times, paths, id() or hash()",
    )


def kind_of(value: object) -> str:
    """Return what something is, with its article: ``"an ndarray"``."""
    return "None" if value is None else with_article(type(value).__name__)
