"""What the host knows about a plugin, and about a component on offer."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mcd.components import Component, Kind

__all__ = ["Offer", "PluginRecord", "PluginState"]

PluginState = Literal["found", "loaded", "disabled", "broken"]


@dataclass(frozen=True)
class PluginRecord:
    """A plugin and what became of it.

    Parameters
    ----------
    name
        The name of its entry point, unique in a host: a second ``timm`` is ``timm@its-distribution``.
    distribution, version
        What installed it; empty for a plugin file.
    module
        The module its hooks are in.
    file
        The path of a plugin file as the user gave it; empty for an installed plugin.
    state
        ``found`` says that it is installed and nothing of it was imported.
    phase
        For a broken plugin, the step it broke at: ``import``, ``registration`` or the name of a hook.
    reason
        One line: why it is disabled or broken.
    notes
        What its author should know although it works.
    components
        What it offers.
    error
        What a broken plugin raised, with its traceback.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    file: str = ""
    state: PluginState = "found"
    phase: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    components: Mapping[Kind, tuple[Component, ...]] = field(default_factory=dict, hash=False)
    error: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """Where it comes from, for a sentence: ``acme-dist 1.0`` or ``file my_plugin.py``."""
        return f"file {self.file}" if self.file else f"{self.distribution} {self.version}".strip()

    def __str__(self) -> str:
        return f"plugin '{self.name}' ({self.origin})" if self.origin else f"plugin '{self.name}'"


@dataclass(frozen=True)
class Offer:
    """A component that a loaded plugin offers."""

    record: PluginRecord
    kind: Kind
    component: Component

    @property
    def plugin(self) -> str:
        """The name of the plugin."""
        return self.record.name

    @property
    def qualified(self) -> str:
        """The name that always picks this one: ``plugin/name``."""
        return f"{self.plugin}/{self.component.name}"

    def __str__(self) -> str:
        return f"{self.kind.label} '{self.component.name}' of {self.record}"

    def missing(self) -> tuple[str, ...]:
        """Return the requirements that no installed distribution satisfies. Nothing is imported."""
        return tuple(text for text in self.component.requires if not _satisfied(text))


def _satisfied(text: str) -> bool:
    # transformers, a base dependency, brings packaging; imported here because few commands need it
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
