"""The reporter ``html``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd.plugins import ANSWERS, CHANGES, RUNGS, SIGNIFICANT, VERDICTS, Resamples, chance_rule, write_atomically
from mcd_plugins.explorer.colours import palette_of
from mcd_plugins.explorer.compared import compared_of
from mcd_plugins.explorer.content import Neurons, learned_of, neurons_of, responses_of
from mcd_plugins.explorer.images import Gallery, Thumbnails
from mcd_plugins.explorer.judged import judged_of
from mcd_plugins.explorer.originals import FOLDER, Full, originals_of
from mcd_plugins.explorer.packing import Json, Names
from mcd_plugins.explorer.page import page
from mcd_plugins.explorer.represented_rows import represented_rows
from mcd_plugins.reporters.facts import facts_of, letters_of, told_apart
from mcd_plugins.reporters.first_screen import first_screen

__all__ = ["HtmlReporter"]

_FILE = "explorer.html"
_WITHOUT = "Activations and top images are left out: they could not be read when this page was made."


class HtmlReporter(mcd.Reporter):
    """Write ``explorer.html``: one file to explore a run in, or several runs side by side.

    It needs no network and no server. Labels can be filtered and searched; each neuron has a page with its concepts,
    the null, its activations and its top images. Images appear by id. Small copies of them are put into the page only
    where the data set allows it, or on request.
    """

    class Options(mcd.Options):
        """Settings of the page."""

        thumbnails: Literal["auto", "true", "false"] = pydantic.Field(
            default="auto",
            description="small copies of the top images: auto where the data set says that its images may be copied, "
            "true always, false never",
        )
        images: int = pydantic.Field(default=6, ge=0, le=50, description="top images shown a neuron")
        bootstrap: Resamples = pydantic.Field(
            default=200, description="several runs: probe sets drawn for intervals, 0 for no intervals"
        )
        size: int = pydantic.Field(default=128, ge=16, le=1024, description="longer side of a thumbnail in pixels")
        full: Literal["page", "folder", "off"] = pydantic.Field(
            default="page",
            description="top images at full resolution, to enlarge them: page holds as many as have room, the "
            f"strongest of each neuron first; folder writes the others into {FOLDER}/ beside it; off holds none. Only "
            "where thumbnails are",
        )
        megabytes: int = pydantic.Field(
            default=24, ge=1, le=1000, description="size that images at full resolution may bring the page to, in MB"
        )
        folder_megabytes: int = pydantic.Field(
            default=500, ge=1, le=100_000, description=f"size of {FOLDER}/ at most, in MB"
        )

        @pydantic.field_validator("thumbnails", mode="before")
        @classmethod
        def _as_word(cls, value: object) -> object:
            return str(value).lower() if isinstance(value, bool) else value

        @pydantic.field_validator("full", mode="before")
        @classmethod
        def _off(cls, value: object) -> object:
            return "off" if value is False else value

    options: Options

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the page about one run."""
        return self._write([dissection], [""], folder)

    def report_several(self, dissections: Sequence[mcd.Dissection], folder: Path) -> list[Path]:
        """Write one page about several runs.

        Raises
        ------
        UsageError
            When there are more than 26: each is named by a letter.
        """
        return self._write(dissections, letters_of(dissections), folder)

    def _write(self, dissections: Sequence[mcd.Dissection], letters: Sequence[str], folder: Path) -> list[Path]:
        facts = told_apart([facts_of(one, letter) for one, letter in zip(dissections, letters, strict=True)])
        concepts = Names()
        gallery = Gallery(Thumbnails(self.options.thumbnails, self.options.size), len(dissections))
        runs: list[dict[str, Json]] = []
        for one, said in zip(dissections, facts, strict=True):
            columns, rows = responses_of(one, self.options.images)
            if not columns and one.manifest.imported is None:  # of imported labels its cautions say so
                facts[len(runs)] = replace(said, notes=[*said.notes, _WITHOUT])
            shown = gallery.add(one, rows) if columns and self.options.images else {}
            if shown:
                gallery.add_maps(len(runs), one, rows, shown)
            runs.append(
                {
                    "letter": said.letter,
                    "apart": said.apart,
                    "target": said.target,
                    "judged": said.judged,
                    "rate": said.q,
                    "n": said.images,
                    **neurons_of(one, concepts, said.q),
                    "learned": learned_of(one, concepts),
                    "evaluation": judged_of(said.evaluation, Neurons.of(one)),
                    "responses": columns or None,
                    "shown": shown or None,
                    "maps": None,
                }
            )
        start = first_screen(dissections, facts, self.options.bootstrap)
        for run, answered in zip(runs, start.represented, strict=True):
            run["represented"] = represented_rows(answered, concepts)
        probes, pictures, maps = gallery.content()
        for number, found in maps.items():
            runs[number]["maps"] = found
        content: dict[str, Json] = {
            "runs": list(runs),
            "concepts": {name: concepts.column(at) for at, name in enumerate(("term", "category", "broad_category"))},
            "probes": probes,
            "verdicts": {**VERDICTS},
            "rungs": {**RUNGS},
            "significant": list(SIGNIFICANT),
            "chance": {"with": chance_rule(intervals=True), "without": chance_rule(intervals=False)},
            "changes": list(CHANGES),
            "compared": compared_of(start.comparison) if len(dissections) > 1 else None,
            "answers": list(ANSWERS),
            "between": [[a, b, list(said)] for (a, b), said in start.between.items()],
        }
        palette, asked = palette_of(dissections, facts), self.options
        content["full"] = asked.full
        made = page(facts, palette, start, content, pictures)
        full = Full(asked.full, asked.megabytes, asked.folder_megabytes)
        originals, beside = originals_of(gallery.sources(), full, made.size, folder)
        path = folder / _FILE
        write_atomically(path, made.whole(originals).encode())
        return [path, *beside]
