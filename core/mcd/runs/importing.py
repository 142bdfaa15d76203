"""Labels of other tools as a run folder: tables, and nothing that they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from mcd.api.concepts import ConceptSet
from mcd.errors import DataError, MCDError, StoreError, UsageError, amount, printable
from mcd.files import MANIFEST, check_folder, read_regular
from mcd.runs.checking import MOST_ROWS
from mcd.runs.dissection import Dissection
from mcd.runs.manifest import LayerRecord, Manifest, ScoreRecord, StoreRecord, closing
from mcd.runs.records import NO_SCORES, NOT_STATED, Imported, ImportedFile
from mcd.runs.vocabulary import write_concepts
from mcd.scoring.calibration.thresholds import local_threshold, reaches
from mcd.scoring.results import LayerSummary, Results
from mcd.scoring.tables import COLUMNS, EXPLANATION_COLUMNS
from mcd.study.label_files import LabelFile, read_labels
from mcd.study.vocabularies.matching import Matched, matched

__all__ = ["import_labels"]

_LARGEST = 2**30
_WIDEST = 1_000_000
"""Neurons of a layer: a number above it is more likely no number of a neuron."""
_MOST_LABELS = 100_000
"""Different labels, which become concepts."""
_NAMED = 5


def import_labels(
    files: Sequence[Path],
    output: Path,
    *,
    name: str | None = None,
    layers: Sequence[str] = (),
    tool: str | None = None,
    target: str | None = None,
    concepts: ConceptSet | None = None,
) -> Dissection:
    """Write labels that another tool made into a run folder, which has tables only.

    Scores are kept as they are given. There is no p and no q: these tools compute none.

    Parameters
    ----------
    files
        CSV files of one format; see `mcd.study.label_files.FORMATS`.
    output
        The run folder.
    name
        The format; by default the one that the columns are of.
    layers
        The layer of each file, where it names none, or another name of its only one.
    tool, target
        Who labelled, where the columns do not say; and which model.
    concepts
        A set that labels are looked up in; None for one that is made of them.

    Raises
    ------
    DataError
        When a file cannot be read, or does not hold what its columns say.
    UsageError
        When the folder holds something else, or the layer of a file is not known.
    """
    read = [_read(path, name) for path in files]
    formats = {one.name: path for path, one in zip(files, read, strict=True)}
    if len(formats) > 1:
        raise UsageError(
            f"files of several formats: {', '.join(f'{path} is {one}' for one, path in formats.items())}",
            "import each format into a run folder of its own",
        )
    first = read[0]
    labels, widths = _joined(files, read, layers)
    found = matched(_different(labels), printable(tool or first.format.tool or "labels"), concepts)
    table, repeats = _renamed(labels, found.term)
    who = printable(tool or first.format.tool or NOT_STATED)
    manifest = Manifest(
        status="finished",
        target=printable(target or NOT_STATED),
        dissector=who,
        scorer=first.format.score or NO_SCORES,
        scores=ScoreRecord(),
        study={},
        fingerprints={"concepts": found.concepts.fingerprint()},
        preprocessing={},
        layers=[LayerRecord(name=one, type="", layout="flat", neurons=count) for one, count in widths.items()],
        store=StoreRecord(activations="", embeddings="", embedding_width=0),
        warnings=list(_said(first, who, table, widths, found, repeats)),
        imported=Imported(
            tool=who,
            score=first.format.score,
            files=[ImportedFile(sha256=one.digest, format=one.name, rows=len(one.cells)) for one in read],
            concepts=concepts.name if concepts else "",
            renamed={label: term for label, term in found.term.items() if label.strip() != term},
        ),
    )
    results = Results(
        _label_table(manifest.target, table, widths, found.concepts), explanations=_explanations(read, layers, table)
    )
    manifest.summary = _summary(results.labels, widths)
    _write(output, manifest, results, found.concepts)
    return Dissection(output, manifest, results)


def _read(path: Path, name: str | None) -> LabelFile:
    """Read a file; what is wrong with it is said with its name."""
    try:
        found = read_labels(read_regular(path, _LARGEST), name)
        _ = found.labels
    except OSError as error:
        what = "it is a folder" if path.is_dir() else error.strerror
        raise DataError(f"cannot read {path}: {what}", "give CSV files of another tool") from None
    except MCDError as error:
        raise type(error)(f"{path}: {error.summary}", error.hint, error.lines) from None
    return found


def _joined(
    files: Sequence[Path], read: Sequence[LabelFile], layers: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the labels of all files, and how many neurons each layer has at least; layers as they come."""
    if layers and len(layers) != len(files):
        raise UsageError(
            f"{amount(len(files), 'file')}, and --layer names {amount(len(layers), 'layer')}",
            "give --layer once for each file, in their order",
        )
    parts: list[pd.DataFrame] = []
    widths: dict[str, int] = {}
    for at, (path, one) in enumerate(zip(files, read, strict=True)):
        part = _of_layer(path, one.labels, layers[at] if layers else "")
        for layer, neurons in ((str(one), of) for one, of in part.groupby("layer", sort=False)["neuron"]):
            if layer in widths:
                raise DataError(f"{path}: layer {layer} is in another of the files too", "give each layer once")
            widths[layer] = int(neurons.max()) + 1
            if widths[layer] > _WIDEST:
                raise DataError(
                    f"{path}: layer {layer} would have {amount(widths[layer], 'neuron')}, more than {_WIDEST:,}",
                    "number the neurons of a layer from 0",
                )
        parts.append(part)
    found = pd.concat(parts, ignore_index=True)
    if max(len(found), sum(widths.values())) > MOST_ROWS:
        raise DataError(f"there are more than {MOST_ROWS:,} labels", "import fewer layers into a run folder")
    return found, widths


def _of_layer(path: Path, labels: pd.DataFrame, layer: str) -> pd.DataFrame:
    names = labels["layer"].unique().tolist()
    if not layer and "" in names:
        raise UsageError(f"{path} does not say of which layer its neurons are", "name it: --layer LAYER")
    if layer and len(names) > 1:
        raise UsageError(f"{path} has {amount(len(names), 'layer')}, and --layer names one", "leave --layer out")
    return labels.assign(layer=printable(layer)) if layer else labels.assign(layer=labels["layer"].map(printable))


def _different(labels: pd.DataFrame) -> list[str]:
    """Return the labels, each once, in the order in which they come."""
    found = [str(one) for one in labels.loc[labels["rank"] > 0, "concept"].unique()]
    if not found:
        raise DataError("no neuron has a label", "give files with labels")
    if len(found) > _MOST_LABELS:
        raise DataError(
            f"there are {len(found):,} different labels, more than the {_MOST_LABELS:,} that a concept set may have",
            "import fewer layers into a run folder",
        )
    return found


def _renamed(labels: pd.DataFrame, term: Mapping[str, str]) -> tuple[pd.DataFrame, int]:
    """Return labels by their terms, and how many were left out: what a neuron is called already."""
    table = labels.assign(concept=labels["concept"].map(term).where(labels["rank"] > 0, ""))
    table = table.sort_values("rank", kind="stable")
    again = table.duplicated(["layer", "neuron", "concept"]) & (table["rank"] > 0)
    table = table[~again]
    ranks = table.groupby(["layer", "neuron"], sort=False).cumcount() + 1
    return table.assign(rank=ranks.where(table["rank"] > 0, 0)), int(again.sum())


def _label_table(target: str, labels: pd.DataFrame, widths: Mapping[str, int], concepts: ConceptSet) -> pd.DataFrame:
    """Return the label table of a run; a neuron that no file labels has a row that says so."""
    order = {layer: at for at, layer in enumerate(widths)}
    every = pd.concat(
        [pd.DataFrame({"layer": layer, "neuron": np.arange(count)}) for layer, count in widths.items()],
        ignore_index=True,
    )
    table = every.merge(labels, on=["layer", "neuron"], how="left")
    named = (table["rank"] > 0).to_numpy()
    place = {one.term: (one.category, one.broad_category) for one in concepts.concepts}
    terms = table["concept"].where(named, "")
    filled: dict[str, object] = {
        "target": target,
        "layer": table["layer"],
        "neuron": table["neuron"].astype("int64"),
        "status": np.where(named, "labelled", "unscored"),
        "rank": table["rank"].where(named).astype("Int64"),
        "concept": terms,
        "category": [place[one][0] if one else "" for one in terms],
        "broad_category": [place[one][1] if one else "" for one in terms],
        "score": table["score"].where(named).astype("float64"),
    }
    none = np.full(len(table), np.nan)
    unknown = {name: "" if name in ("verdict", "p_method", "rung") else none for name in COLUMNS}
    made = pd.DataFrame({**unknown, **filled}, columns=list(COLUMNS), index=table.index)
    keys = pd.DataFrame({"layer": made["layer"].map(order), "neuron": made["neuron"], "rank": made["rank"]})
    return made.loc[keys.sort_values(["layer", "neuron", "rank"], kind="stable").index].reset_index(drop=True)


def _explanations(read: Sequence[LabelFile], layers: Sequence[str], labels: pd.DataFrame) -> pd.DataFrame:
    """Return explanations by several concepts together, where that is what the tool makes; no p and no q."""
    if not all(one.weighted for one in read):
        return pd.DataFrame()
    rows = labels[labels["rank"] > 0].sort_values(["layer", "neuron", "rank"], kind="stable")
    rows = rows.assign(part=[f"{score:.2f} {term}" for term, score in zip(rows["concept"], rows["score"], strict=True)])
    grouped = rows.groupby(["layer", "neuron"], sort=False)
    table = pd.DataFrame(
        {"explanation": grouped["part"].agg(" + ".join), "concepts": grouped["concept"].agg("|".join)}
    ).reset_index()
    measured = []
    for at, one in enumerate(read):
        place = one.labels.drop_duplicates(["layer", "neuron"])[["layer", "neuron"]].reset_index(drop=True)
        place = place.assign(layer=layers[at]) if layers else place
        known = {"fit": "val correlation", "held_out": "sim correlation"}
        values = {name: one.numbers(column) if column in one.cells else np.nan for name, column in known.items()}
        measured.append(place.assign(**values))
    found = table.merge(pd.concat(measured, ignore_index=True), on=["layer", "neuron"], how="left")
    return found.assign(p=np.nan, q=np.nan)[list(EXPLANATION_COLUMNS)]


def _summary(labels: pd.DataFrame, widths: Mapping[str, int]) -> list[LayerSummary]:
    first = labels[labels["rank"] == 1]
    found = []
    for layer, count in widths.items():
        scores = first.loc[first["layer"] == layer, "score"].to_numpy(dtype=np.float64)
        above = None if np.isnan(scores).any() else int(reaches(scores, local_threshold(scores)).sum())
        found.append(LayerSummary(layer=layer, neurons=count, labelled=len(scores), above_mean_score=above))
    return found


def _said(
    first: LabelFile, tool: str, labels: pd.DataFrame, widths: Mapping[str, int], found: Matched, repeats: int
) -> Iterator[str]:
    """Yield what a reader must know of imported labels, a sentence each."""
    if tool == NOT_STATED:
        yield "the columns do not say which tool labelled"
    if not first.format.score:
        yield "labels have no scores"
    elif lacking := int((labels["score"].isna() & (labels["rank"] > 0)).sum()):
        yield f"{lacking} of {int((labels['rank'] > 0).sum())} labels have no finite score"
    yield from _said_of_layers(labels, widths)
    if rising := _rising(labels):
        yield f"of {amount(rising, 'neuron')} a later label has the higher score; ranks are those of the file"
    if repeats:
        yield f"labels that are left out, since their neuron has the same concept already: {repeats}"
    if found.strangers:
        strangers = f"{len(found.strangers)} ({_few(found.strangers)})"
        yield f"not in the concept set, of {amount(len(found.term), 'label')}: {strangers}"
    if found.ambiguous:
        each = [f"{label}: {' or '.join(terms)}" for label, terms in found.ambiguous.items()]
        yield f"of these, labels that could be several concepts of it, and are kept as they are: {_few(each)}"


def _said_of_layers(labels: pd.DataFrame, widths: Mapping[str, int]) -> Iterator[str]:
    for layer, count in widths.items():
        there = labels.loc[labels["layer"] == layer, "neuron"]
        named = int(there.nunique())
        if named == count - 1 and int(there.min()) == 1:
            counted = "if the tool counts from 1, each is one too high here"
            yield f"layer {layer}: neurons are numbered 1 to {named}: {counted}"
        elif named < count:
            yield f"layer {layer}: of neurons 0 to {count - 1}, {count - named} are in no row; it may be wider"


def _rising(labels: pd.DataFrame) -> int:
    """Return how many neurons have labels whose scores do not fall, or stay, from rank to rank."""
    scored = labels[labels["score"].notna()].sort_values(["layer", "neuron", "rank"], kind="stable")
    keys = [scored["layer"], scored["neuron"]]
    return int((scored.groupby(["layer", "neuron"])["score"].diff() > 0).groupby(keys).any().sum())


def _few(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(islice(names, _NAMED)) + (f" and {rest} more" if rest > 0 else "")


def _write(folder: Path, manifest: Manifest, results: Results, concepts: ConceptSet) -> None:
    """Write the run folder.

    Raises
    ------
    UsageError
        When it holds something else than the same import.
    StoreError
        When it cannot be written.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = any(not one.name.startswith(".") for one in folder.iterdir())
    except OSError as error:
        raise StoreError(
            f"cannot make the output folder {folder}: {error.strerror}", "choose another --output"
        ) from None
    if there and not _same(folder, manifest):
        raise UsageError(f"{folder} is not empty and holds another run or none", "choose another --output")
    with closing({folder: manifest}):
        manifest.digests = {**results.write(folder), **write_concepts(folder, concepts)}
        manifest.status = "finished"
        manifest.write(folder)


def _same(folder: Path, manifest: Manifest) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    before = Manifest.read(folder, checked=False)
    return all(
        getattr(before, name) == getattr(manifest, name) for name in ("imported", "target", "layers", "fingerprints")
    )
