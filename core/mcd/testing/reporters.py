"""The check of reporters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.reporter import Reporter
from mcd.errors import UsageError, passes_through, place_of, said_by
from mcd.testing.contract import ContractError, called, created, kind_of, require

if TYPE_CHECKING:
    from mcd.runs.dissection import Dissection

__all__ = ["check_reporter"]


def check_reporter(reporter: Reporter | type[Reporter], dissection: Dissection) -> None:
    """Make sure that a reporter writes what it says it writes, and shows images by id.

    Parameters
    ----------
    reporter
        A reporter, or its class where the default settings will do.
    dissection
        What it reports on; the fixture ``tiny_dissection`` is one.

    Raises
    ------
    ContractError
        When it raises; returns something else than paths of files in its folder, or leaves files there that it does
        not return; writes other bytes the next time; changes the labels; names the source of an image; or fails on
        several runs with anything but a `mcd.errors.UsageError`.
    """
    made = created(reporter, Reporter)
    name = type(made).__qualname__
    labels = dissection.labels.copy()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        one, two = (_written(name, made, dissection, Path(folder)) for folder in (first, second))
        require(one == two, f"{name} writes other bytes the second time", "leave out times, and sort")
        for path, content in one.items():
            _check_private(name, path, content, dissection)
    require(labels.equals(dissection.labels), f"{name} changes the labels", "let it work on a copy: labels.copy()")
    with tempfile.TemporaryDirectory() as folder:
        try:
            made.report_several([dissection, dissection], Path(folder))
        except UsageError:
            pass
        except BaseException as error:  # code of an author may raise anything
            if passes_through(error):
                raise
            raise ContractError(
                f"{name}.report_several() raised {said_by(error)}{place_of(error)}",
                "leave it out, or raise mcd.errors.UsageError where several runs cannot be shown",
            ) from error


def _written(name: str, made: Reporter, dissection: Dissection, folder: Path) -> dict[str, bytes]:
    with called(f"{name}.report()"):
        paths: object = made.report(dissection, folder)
    hint = "return a list of the paths of all files written; an empty one where nothing is"
    if not isinstance(paths, list):
        raise ContractError(f"{name}.report() returned {kind_of(paths)}, not a list", hint)
    odd = [one for one in paths if not isinstance(one, Path)]
    require(not odd, f"{name}.report() returned a list with {kind_of((odd or [0])[0])} in it", hint)
    there = {path for path in folder.rglob("*") if path.is_file()}
    outside = [one for one in paths if one not in there]
    require(not outside, f"{name}.report() returned {(outside or [0])[0]}, no file in its folder", hint)
    extra = sorted(there - set(paths))
    require(not extra, f"{name}.report() wrote {(extra or [folder])[0].name} and does not return it", hint)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(there)}


def _check_private(name: str, path: str, content: bytes, dissection: Dissection) -> None:
    sources = [sample.source for sample in dissection.samples if sample.source]
    shown = [one for one in sources if one.encode() in content]
    require(
        not shown,
        f"{path} of {name} names the file of an image",
        "show images by id: a path may name the patient",
    )
