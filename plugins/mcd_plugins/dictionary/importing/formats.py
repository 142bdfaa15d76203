"""The formats that are read: how each is known, by what, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mcd.errors import DataError, UsageError
from mcd_plugins.dictionary.importing import dictionary_learning, mammo_sae, overcomplete, saelens
from mcd_plugins.dictionary.importing.saved import Asked, Imported, Saved, read_saved

__all__ = ["FORMATS", "Format", "import_dictionary"]

_LONGEST = 200
"""Letters of the name of a layer that are shown."""


@dataclass(frozen=True)
class Format:
    """A format.

    Parameters
    ----------
    source
        The repository and the version that was read.
    licence
        What is stated there.
    knows, read
        Whether a file is of it; what it holds.
    layer
        What the settings beside a file call the layer that it was made for; an empty text where they do not say it.
    """

    source: str
    licence: str
    knows: Callable[[Saved], bool]
    read: Callable[[Saved, Asked], Imported]
    layer: Callable[[Saved], str] = lambda _saved: ""


FORMATS = {
    "mammo-sae": Format(
        "krishnakanthnakka/MammoSAE c3386d8",
        "none stated",
        mammo_sae.knows,
        mammo_sae.read,
    ),
    "saelens": Format("SAELens 6.54", "MIT", saelens.knows, saelens.read, saelens.layer),
    "overcomplete": Format("overcomplete 0.3.0", "MIT", overcomplete.knows, overcomplete.read),
    "dictionary-learning": Format(
        "dictionary_learning 0.1.0",
        "MIT",
        dictionary_learning.knows,
        dictionary_learning.read,
        dictionary_learning.layer,
    ),
}
"""By name, in the order in which they are tried."""


def import_dictionary(path: Path, name: str | None, asked: Asked) -> tuple[str, Imported]:
    """Read a dictionary that another tool saved; return the format that it is in, and what it holds.

    Parameters
    ----------
    path
        A weights file, or the folder that SAELens or dictionary_learning wrote.
    name
        One of `FORMATS`; None for the one that the names of tensors and the settings beside the file say.
    asked
        What the file does not say.

    Raises
    ------
    UsageError
        When the format is not known, or something must be said that the file does not say.
    DataError
        When the file cannot be read, or is of a kind that the unit source ``dictionary`` cannot express.
    """
    saved = read_saved(path)
    found = next((one for one, form in FORMATS.items() if form.knows(saved)), None)
    if name is not None and found is not None and not FORMATS[name].knows(saved):
        raise UsageError(f"{saved.path} is of format {found}, not {name}", "leave out --format")
    if name is None and found is None:
        raise _unknown(saved)
    chosen = name or found or ""
    form = FORMATS[chosen]
    layer = "".join(one if one.isprintable() else "�" for one in form.layer(saved)[:_LONGEST])
    return chosen, replace(form.read(saved, asked), layer=layer)


def _unknown(saved: Saved) -> UsageError | DataError:
    names = saved.tensors.keys()
    if {"W_enc", "W_dec"} <= names:
        return UsageError(
            f"{saved.path} may be of SAELens, whose cfg.json is not beside it, or a JumpReluAutoEncoder of "
            "dictionary_learning",
            "put cfg.json beside it, or say --format dictionary-learning",
        )
    if "decoder" in names:
        return UsageError(f"{saved.path} is a dictionary of mcd already", "use it: --units dictionary:FILE")
    return DataError(
        f"{saved.path} is no dictionary of a format that mcd knows; its tensors are: "
        f"{', '.join(sorted(names)[:6]) or 'none'}",
        "the formats: mcd dictionary import --help; of another, write the tensors: mcd plugins show units dictionary",
    )
