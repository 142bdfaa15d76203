"""The built-in concept sets; what a third party's vocabulary package looks like: data files and one hook."""

from __future__ import annotations

from mcd import Component, hookimpl


@hookimpl
def mcd_register_concept_sets() -> list[Component]:
    """Offer the radiologist's vocabulary and its technical counterpart."""
    return [
        Component("birads", "mcd_concepts:birads.yaml", "What a radiologist says about a mammogram, in reading order"),
        Component("technical", "mcd_concepts:technical.yaml", "What should not matter: letters, film edges, padding"),
    ]
