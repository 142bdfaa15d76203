"""A component's record: what a plugin offers, before anything heavy is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Component", "Kind"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Kind(Enum):
    """The kinds of thing that a plugin can offer; the value names its hook ``mcd_register_<value>``."""

    MODEL = "models"
    DISSECTOR = "dissectors"
    DATASET = "datasets"
    PREPROCESSING = "preprocessings"
    UNITS = "units"
    SCORER = "scorers"
    REPORTER = "reporters"
    CONCEPTS = "concept_sets"
    COMMAND = "commands"

    @property
    def label(self) -> str:
        """The word for one of this kind in a sentence."""
        return {"concept_sets": "concept set", "units": "unit source"}.get(self.value, self.value[:-1])

    @property
    def slug(self) -> str:
        """The word for it that is typed, as in ``mcd plugins new scorer NAME``."""
        return self.value if self is Kind.UNITS else self.label.replace(" ", "-")

    @property
    def hook(self) -> str:
        """The name of the registration hook."""
        return f"mcd_register_{self.value}"


@dataclass(frozen=True)
class Component:
    """One thing that a plugin offers.

    Parameters
    ----------
    name
        What users type: lower-case words joined by hyphens.
    target
        ``package.module:Attribute``, imported on first use only. For a concept set also
        ``package:file.yaml``, a data file of the package.
    summary
        One line for ``mcd plugins list``.
    requires
        Distributions the component needs (``"timm"``, ``"timm>=1.0"``); checked against installed
        metadata, without importing them.
    extra
        The extra of ``mammo-clip-dissect`` that installs them, if any.
    files
        Names of the files that it reads, or as a reporter writes, as shell patterns: who gives such a file in the place
        of a name is answered with what to type. ``"*.csv"`` is the value behind its name, ``NAME:FILE``;
        ``"*/*.dcm"`` lies in the folder that is, at any depth; ``"*/tables/labels.csv"`` lies in its folder
        ``tables``; ``"*.py:FUNCTION"`` defines it; ``"checkpoint=*.pth"`` is that setting. ``*.`` stands for names
        without a suffix. Case does not count.

    Examples
    --------
    >>> Component("acme-net", "mcd_acme.net:AcmeLoader", "ACME's mammography backbone")
    Component(name='acme-net', target='mcd_acme.net:AcmeLoader', ...)
    """

    name: str
    target: str
    summary: str = ""
    requires: tuple[str, ...] = ()
    extra: str | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"component name {self.name!r}: use lower-case words joined by hyphens")
        for field in ("requires", "files"):
            if isinstance(given := getattr(self, field), str):
                raise ValueError(f"component {self.name!r}: {field} is text; write {field}=({given!r},)")
        for one in self.files:
            if not isinstance(one, str):
                raise ValueError(f"component {self.name!r}: files holds {one!r}, which is no text")
        if not isinstance(self.target, str):
            raise ValueError(f"component {self.name!r}: target is text, 'package.module:Attribute', imported when used")
        module, _, attribute = self.target.partition(":")
        if not module or not attribute:
            raise ValueError(f"component {self.name!r}: target {self.target!r} is not 'package.module:Attribute'")
