"""The built-in concept sets; what a third party's vocabulary package looks like: data files and one hook."""

from __future__ import annotations

from mcd import Component, hookimpl


@hookimpl
def mcd_register_concept_sets() -> list[Component]:
    """Offer the radiologist's vocabulary, whole and short, and what it is measured against."""
    return [
        Component("birads", "mcd_concepts:birads.yaml", "What a radiologist says about a mammogram, in reading order"),
        Component("birads-core", "mcd_concepts:birads-core.yaml", "The 65 concepts of birads for a quick look"),
        Component("birads-everyday", "mcd_concepts:birads-everyday.yaml", "Joins birads and everyday in equal shares"),
        Component("everyday", "mcd_concepts:everyday.yaml", "Controls: everyday words that no mammogram shows"),
        Component("technical", "mcd_concepts:technical.yaml", "What should not matter: letters, film edges, padding"),
    ]
