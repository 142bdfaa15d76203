"""What the settings of a study are about: help and reference pages show them by group."""

from __future__ import annotations

from enum import Enum

__all__ = ["Group"]


class Group(Enum):
    """A group of settings, marked on each field of a study; the value is its heading, the order that of help."""

    MODEL = "Model"
    DISSECTOR = "Dissector"
    IMAGES = "Images"
    CONCEPTS = "Concepts"
    SCORING = "Scoring and significance"
    SPEED = "Speed and storage"
    OUTPUT = "Output"
