"""Preprocessing recipes that belong to no model."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_preprocessings() -> list[Component]:
    """Offer the recipes."""
    return [
        Component(
            "dicom-standard",
            "mcd_plugins.recipes.standard:DicomStandard",
            "As displayed, at full bit depth: breast crop, what lies outside made black, one laterality if asked for",
            ("opencv-python-headless",),
        )
    ]
