"""The concept set ``phantom``: words for what a phantom can show, and nothing else."""

from __future__ import annotations

import mcd
from mcd_plugins.phantom.captions import FACTORS, values_and_phrases

__all__ = ["PhantomConcepts"]

_BROAD = {
    "laterality": "Acquisition and quality",
    "view": "Acquisition and quality",
    "scanner": "Acquisition and quality",
    "view marker": "Acquisition and quality",
    "density": "Anatomy and composition",
    "implant": "Anatomy and composition",
}


class PhantomConcepts(mcd.ConceptSource):
    """One concept for every value of every factor of the phantoms; phantom-clip knows all of them."""

    def load(self) -> mcd.ConceptSet:
        """Return the concept set."""
        broad: dict[str, dict[str, list[str]]] = {}
        for factor, value, phrase in values_and_phrases():
            if value == "absent":
                continue
            group = _BROAD.get(factor, "Findings and characterisation")
            broad.setdefault(group, {}).setdefault(factor.capitalize(), []).append(phrase)
        return mcd.ConceptSet.model_validate(
            {
                "name": "phantom",
                "version": "1",
                "licence": "Apache-2.0",
                "language": "en",
                "description": f"The {len(FACTORS)} factors of the phantoms; synthetic, for demonstration and testing.",
                "sources": ["the captions phantom-clip was trained on"],
                "broad_categories": broad,
            }
        )
