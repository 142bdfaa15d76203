"""What a run, its evaluation and a pass of its target show of themselves in a notebook."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd

from mcd.api.shown import bullets, cautions, code, headline, page, say, table, text
from mcd.errors import MCDError, StoreError, amount
from mcd.runs.limits import limits_of
from mcd.runs.verdict import above_chance_said
from mcd.runs.vocabulary import kept_concepts
from mcd.scoring.ordering import by_evidence
from mcd.scoring.verdicts import SIGNIFICANT

if TYPE_CHECKING:
    from mcd.api.concepts import ConceptSet
    from mcd.runs.dissection import Dissection
    from mcd.runs.evaluated import Evaluation
    from mcd.runs.run_target import Passed

    _PathHere = Path
else:
    _PathHere = type(Path())  # before Python 3.12 the class Path itself has no parts

__all__ = ["ReportPath", "TopImages", "dissection_html", "evaluation_html", "passed_html", "top_images_of"]

_CONCEPTS = 3
_THUMBNAIL = 180
"""Pixels of the longer side."""


class ReportPath(_PathHere):
    """The path of a report, which a notebook shows as a link."""

    def _repr_html_(self) -> str:
        near = Path(self).absolute().is_relative_to(Path.cwd())
        place = Path(self).absolute().relative_to(Path.cwd()) if near else Path(self).absolute()
        target = quote(place.as_posix()) if near else place.as_uri()  # a name may hold # or %, or begin like a scheme
        link = f'<a href="{text(target)}" target="_blank" style="color:inherit">{text(self.name)}</a>'
        return page(f'<div>{link} <span style="opacity:.75">in {text(place.parent)}</span></div>')


@dataclass(frozen=True)
class TopImages:
    """The images a neuron responds to most, which a notebook shows in a row.

    Parameters
    ----------
    layer, neuron
        Which.
    label
        Its first label; empty where it has none.
    table
        As `Dissection.top_images` returns it.
    thumbnails
        Small copies by id, WebP; without images that cannot be shown.
    lacking
        Why there is none, by id.
    caution
        What forbids passing the copies on; empty where they may be.
    unit
        What the unit is called; empty where it has no name.
    """

    layer: str
    neuron: int
    label: str
    table: pd.DataFrame
    thumbnails: Mapping[str, bytes]
    lacking: Mapping[str, str]
    caution: str = ""
    unit: str = ""

    def __repr__(self) -> str:
        return f"<top images of neuron {self.neuron} of {self.layer}: {', '.join(self.table['image'])}>"

    def _repr_html_(self) -> str:
        rows = zip(self.table["image"].tolist(), self.table["activation"].tolist(), strict=True)
        each = "".join(self._image(rank, *row) for rank, row in enumerate(rows, 1))
        title = f"Neuron {self.neuron} of {self.layer}" + (f" ({self.unit})" if self.unit else "")
        return page(
            headline(f"{title}: {self.label}" if self.label else title, "images that it responds to most"),
            f'<div style="display:flex;flex-wrap:wrap;gap:.6em;margin:.4em 0">{each}</div>',
            cautions([self.caution]),
        )

    def _image(self, rank: int, name: str, activation: float) -> str:
        size = f"max-width:{_THUMBNAIL}px;max-height:{_THUMBNAIL}px"
        if name in self.thumbnails:
            data = base64.b64encode(self.thumbnails[name]).decode("ascii")
            neuron = f"neuron {self.neuron} of {self.layer}"
            said = text(f"Image {name} is number {rank} of the images that {neuron} responds to most.")
            shown = f'<img alt="{said}" style="{size}" src="data:image/webp;base64,{data}">'
        else:
            shown = (
                f'<div style="{size};opacity:.75">{text(self.lacking.get(name, "it cannot be read any more"))}</div>'
            )
        below = f"{text(name)}<br>activation {activation:.3g}"
        return f'<figure style="margin:0">{shown}<figcaption style="font-size:.85em">{below}</figcaption></figure>'


def top_images_of(run: Dissection, layer: str, neuron: int, found: pd.DataFrame) -> TopImages:
    """Return top images with small copies of them; raises as `Dissection.probe_images`."""
    from mcd.runs.thumbnails import thumbnails

    images = run.probe_images
    ids = [str(one) for one in found["image"]]
    small = thumbnails(run, ids, 2 * _THUMBNAIL, dataset=images.dataset, samples=images.samples)
    labels = run.labels
    first = labels[(labels["layer"] == layer) & (labels["neuron"] == neuron) & (labels["rank"] == 1)]
    named = [
        str(row["concept"]) + ("" if row["verdict"] in SIGNIFICANT else ", not significant" if row["verdict"] else "")
        for _, row in first.iterrows()
    ]
    warned = images.dataset.against_copies or (
        "" if images.dataset.images_may_be_copied else "they may show patients: clear it before you pass it on"
    )
    return TopImages(
        layer,
        neuron,
        named[0] if named else "",
        found,
        small,
        {one: "text is burned into it" for one in ids if images.samples[one].burned_in},
        f"This notebook holds copies of images, and {warned}." if warned else "",
        run.manifest.unit(layer, neuron),
    )


def dissection_html(run: Dissection) -> str:
    """Return what a run is of, what to beware of, what its layers respond to, and how to go on."""
    record = run.manifest
    kept = _concepts(run)
    lost = ", ".join(f"{count} {why}" for why, count in record.left_out.items())
    more, command = record.more_draws()
    if command:  # the same in Python
        more += f": mcd.score(found, calibration={{'most_draws': {command.split()[-1]}}})"
    names = ["layer", "neurons", "significant" if _judged(run) else "labelled", "responds to (neurons)"]
    return page(
        headline(
            f"{record.target} dissected by {record.dissector}",
            amount(record.images, "image") + (f" ({lost})" if lost else "") if record.imported is None else "imported",
            f"{amount(len(kept.concepts), 'concept')} of {kept.name}" if kept else "",
            f"scorer {record.scorer}",
            f"control: {record.control}" if record.control else "",
        ),
        cautions([*_limits(run), *record.warnings, more]),
        say(_verdict(run)),
        table(names, _layers(run), words=1),
        code("Go on:", *_next(run)),
    )


def _concepts(run: Dissection) -> ConceptSet | None:
    """Return the concept set of the run folder; None where none can be read, for what is shown never fails."""
    try:
        return kept_concepts(run.folder, run.manifest)
    except StoreError:
        return None


def _limits(run: Dissection) -> list[str]:
    """Return what its images do not allow; nothing where they are not there any more."""
    try:
        return list(limits_of(run))
    except MCDError:
        return []


def _judged(run: Dissection) -> bool:
    return bool(run.labels["verdict"].ne("").any())


def _verdict(run: Dissection) -> str:
    """Return how many neurons carry a concept above chance, as far as that is known."""
    if run.manifest.imported is not None:
        return "The labels were imported: images, activations, p and q are not known. First labels may be chance."
    layers = run.manifest.summary
    judged = any(one.significant is not None for one in layers)
    labelled = sum(one.labelled for one in layers)
    named = sum(one.significant or 0 for one in layers) if judged else labelled
    neurons = sum(one.neurons for one in layers)
    said = above_chance_said(named=named, neurons=neurons, labelled=labelled > 0, judged=judged, q=run.manifest.q)
    return " ".join(said)


def _layers(run: Dissection) -> list[Sequence[object]]:
    judged = _judged(run)
    rows: list[Sequence[object]] = []
    for layer, labels in run.labels.groupby("layer", sort=False):
        first = labels[labels["rank"] == 1]
        if judged:
            first = first[first["verdict"].isin(SIGNIFICANT)]
        counts = first["concept"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        top = ", ".join(f"{name} ({count})" for name, count in counts.head(_CONCEPTS).items())
        rows.append((layer, labels["neuron"].nunique(), len(first), top or "–"))
    return rows


def _next(run: Dissection) -> list[str]:
    if run.manifest.imported is not None:
        return [".labels", '.figure("emergence")', ".report()"]
    first = run.labels[run.labels["rank"] == 1]
    if _judged(run):
        first = first[first["verdict"].isin(SIGNIFICANT)]
    best = by_evidence(first, higher_is_better=run.manifest.higher_is_better).head(1)
    shown = [f'.top_images("{row.layer}", {row.neuron}, show=True)' for row in best.itertuples()]
    figure = '.figure("depth")' if shown else '.figure("null")'  # which shows how far they are from it
    return [".labels", figure, *shown, ".evaluate()", ".report()"]


def evaluation_html(found: Evaluation) -> str:
    """Return how right labels are, a row for each thing they were judged against and each measure."""
    from mcd.runs.evaluated import MEASURES

    record, rows = found.record, []
    whole = found.summary[found.summary["layer"] == ""] if len(found.summary) else found.summary
    for (against, measure), part in whole.groupby(["against", "measure"], sort=False) if len(whole) else ():
        values = part.set_index("labels")["value"]
        one = part[part["labels"] == "first"]
        if not len(one):
            continue
        low, high = float(one["low"].iloc[0]), float(one["high"].iloc[0])
        between = f"{low:.2f} to {high:.2f}" if low == low and high == high else "–"
        random = values.get("random")
        beside = "–" if random is None or random != random else f"{random:.2f}"
        rows.append(
            (
                against,
                MEASURES.get(str(measure), measure),
                f"{one['value'].iloc[0]:.2f}",
                between,
                beside,
                int(one["neurons"].iloc[0]),
            )
        )
    people = record.held_out_patients
    return page(
        headline(
            f"Labels evaluated against {', '.join(record.against) or 'nothing'}",
            amount(record.held_out_images, "held-out image")
            + ("" if people is None else f" of {amount(people, 'patient')}"),
            f"scorer {record.scorer}",
        ),
        cautions([*record.problems, *record.notes]),
        table(["against", "measure", "first labels", "95 % interval", "random labels", "neurons"], rows, left=2)
        if rows
        else say("No label could be judged."),
        code("Go on:", ".summary", ".neurons", ".stability"),
    )


def passed_html(found: Passed) -> str:
    """Return of which layers a pass kept what, and what the network returned."""
    rows = [
        (layer, one.shape[1], f"{float(one.mean()):.3g}", "yes" if layer in found.gradients else "–")
        for layer, one in found.activations.items()
    ]
    returned = "no outputs" if found.logits is None else f"{amount(found.logits.shape[1], 'output')} an image"
    return page(
        headline("A target run on its images", amount(len(found.image_ids), "image"), returned),
        cautions([found.problem]),
        table(["layer", "neurons", "mean activation", "gradients"], rows) if rows else bullets(["no layer was kept"]),
        code("Go on:", ".outputs", ".activations[layer]", ".image_ids"),
    )
