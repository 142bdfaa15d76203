"""The contract of reporters: from a dissection to something a person reads."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.base import Configured
from mcd.errors import UsageError

if TYPE_CHECKING:
    from mcd.runs.dissection import Dissection

__all__ = ["Reporter"]


class Reporter(Configured, abc.ABC):
    """Base of reporters.

    Attributes
    ----------
    called
        The name by which a user asked for it; the engine sets it.
    """

    called: str = ""

    @abc.abstractmethod
    def report(self, dissection: Dissection, folder: Path) -> list[Path]:
        """Write files into ``folder`` (which exists and is empty) and return their paths; printing only returns none.

        The files are moved to where the user wants them once all are written, unless others are in the way.

        What is written must show images by id, never by source, unless a setting asks for it.
        """

    def report_several(self, dissections: Sequence[Dissection], folder: Path) -> list[Path]:
        """Write files about several dissections side by side, as `report` does about one.

        Raises
        ------
        UsageError
            When the reporter makes nothing of several runs, as here.
        """
        raise UsageError(
            f"reporter {self.called or type(self).__name__} makes nothing of several runs",
            "give one run, or another --reporter; see: mcd plugins list",
        )
