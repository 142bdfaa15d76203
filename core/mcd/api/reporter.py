"""The contract of reporters: from a dissection to something a person reads."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import TYPE_CHECKING

from mcd.api.base import Configured

if TYPE_CHECKING:
    from mcd.dissection import Dissection

__all__ = ["Reporter"]


class Reporter(Configured, abc.ABC):
    """Base of reporters."""

    @abc.abstractmethod
    def report(self, dissection: Dissection, folder: Path) -> list[Path]:
        """Write files into ``folder`` (which exists) and return their paths; printing only returns none.

        What is written must show images by id, never by source, unless a setting asks for it.
        """
