"""What is measured, against what, by which command: ``python -m benchmarks [NAME …]``.

A benchmark is a module with three names, and a docstring of which the first line is the title, the rest the text that
README.md shows:

``Settings``
    A frozen dataclass whose fields are the options of ``python -m benchmarks NAME``, at usual size.
``TOY``
    Settings at which it takes seconds; continuous integration runs them.
``measure(settings)``
    Measures and returns a `benchmarks.report.Report`.

One whose tables stand in a document of its own has a fourth, ``DOCUMENT``, the path of that from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CHAPTERS: Mapping[str, Sequence[str]] = {
    "Running models": (
        "mammo_clip",
        "engine_overhead",
        "precision",
        "first_look",
        "second_study",
        "cache",
    ),
    "Reading images": (
        "decoding",
        "jpeg_2000",
        "digests",
        "dicom_reader",
        "isolation",
        "breast",
    ),
    "Scoring": (
        "scorers",
        "scale",
        "memory",
        "merging",
    ),
    "Commands and pages": (
        "commands",
        "scaling",
        "explorer",
    ),
    "How right": (
        "calibration",
        "intervals",
        "evaluation_intervals",
        "stability_coverage",
        "wording",
        "cav",
        "superposition",
    ),
}
"""The benchmarks, by chapter of README.md."""

LONG = ("breast", "memory", "merging", "scaling", *CHAPTERS["How right"])
"""What runs only when it is named: they measure how right numbers are, not how fast they come."""
