"""Run folders that were edited, cut or mixed up, with digests and without them, as every command reads them."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pandas as pd
import safetensors
import torch
from safetensors.torch import load_file, save_file
from tests.hostile.families import Family, Generator, mutated
from tests.hostile.watching import Canary

import mcd
from mcd.errors import MCDError
from mcd.host import PluginHost
from mcd.runs.loading import opened
from mcd.runs.report import write_report
from mcd.runs.rescore import rescore
from mcd.runs.verifying import verify
from mcd.study.objects import as_choices, host_for
from mcd.study.study import Choice
from mcd_plugins.phantom import dataset

__all__ = ["EDITS", "READERS", "RunFolders", "copied", "made", "without_digests"]

Edit = Callable[[Path], object]
Table = pd.DataFrame


def made(folder: Path) -> Path:
    """Make a small run with every kind of file."""
    mcd.dissect(
        "phantom-mammo",
        layers=["stages.0", "head"],
        dissector="phantom-clip",
        dataset={"plugin": "phantom", "options": {"patients": 3}},
        concepts="phantom",
        scorer="cosine",
        calibration={"draws": 20, "most_draws": 20},
        labels_per_neuron=3,
        maps=1,
        workers=0,
        device="cpu",
        progress=False,
        output=folder,
    )
    return folder


def copied(source: Path, target: Path) -> Path:
    """Copy a folder with its links and pipes, which would block whoever reads them."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        to = target / path.name
        if path.is_symlink():
            to.symlink_to(path.readlink())
        elif path.is_dir():
            copied(path, to)
        elif path.is_file():
            to.write_bytes(path.read_bytes())
        else:
            os.mkfifo(to)
    return target


def without_digests(folder: Path) -> None:
    """Make a folder one of a version that wrote no digests."""

    def older(manifest: dict[str, Any]) -> None:
        for record in (manifest, manifest["store"]):
            record.pop("digests", None)
            record.pop("checksum", None)
            record.pop("ids", None)

    manifest(older)(folder)
    for sums in folder.rglob("SHA256SUMS"):
        sums.unlink()


def one(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def document(name: str, change: Callable[[Any], object]) -> Edit:
    """Return an edit of a JSON file: what ``change`` returns, or what it leaves of the value that it is given."""

    def edit(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        changed = change(values)
        (folder / name).write_text(json.dumps(values if changed is None else changed))

    return edit


def manifest(change: Callable[[Any], object]) -> Edit:
    return document("manifest.json", change)


def put(*path: str | int, value: object) -> Edit:
    """Return an edit that sets one value of the manifest."""

    def change(values: Any) -> None:
        for part in path[:-1]:
            values = values[part]
        values[path[-1]] = value

    return manifest(change)


def table(name: str, change: Callable[[Table], Table]) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / f"{name}.parquet"
        change(pd.read_parquet(path)).to_parquet(path, index=False)

    return edit


def cell(column: str, value: object, row: int = 0, of: str = "labels") -> Edit:
    def change(found: Table) -> Table:
        values = found[column].astype(object)
        values.iloc[row] = value
        return found.assign(**{column: values.infer_objects()})

    return table(of, change)


def tensors(pattern: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Edit:
    """Return an edit of the tensors of a file that keeps what it says of itself."""

    def edit(folder: Path) -> None:
        path = one(folder, pattern)
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        values = load_file(path)
        change(values)
        save_file({name: value.contiguous() for name, value in values.items()}, path, metadata)

    return edit


def header(pattern: str, change: Callable[[Any], object]) -> Edit:
    def edit(folder: Path) -> None:
        path = one(folder, pattern)
        with safetensors.safe_open(path, framework="pt") as file:
            said = json.loads(file.metadata()["mcd"])
        change(said)
        save_file(load_file(path), path, {"mcd": json.dumps(said)})

    return edit


def replaced(pattern: str, make: Callable[[Path], object]) -> Edit:
    def edit(folder: Path) -> None:
        path = one(folder, pattern)
        path.unlink()
        make(path)

    return edit


def each(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, torch.Tensor]], object]:
    """Return what changes every tensor of a file."""
    return lambda one: one.update({name: change(tensor) for name, tensor in one.items()})


def lines(change: Callable[[list[str]], list[str]]) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / "private" / "probe_map.csv"
        path.write_text("".join(change(path.read_text().splitlines(keepends=True))))

    return edit


SHARD, VECTORS, TEXTS = "activations/*/0*.safetensors", "embeddings/*/0*.safetensors", "embeddings/texts-*.safetensors"
FILES = ("manifest.json", "labels.parquet", "null.parquet", SHARD, VECTORS, TEXTS, "private/*.csv", "private/*.json")

EDITS: Mapping[str, Edit] = {
    # the manifest
    "manifest: neurons are a word": put("layers", 0, "neurons", value="many"),
    "manifest: layers are a number": put("layers", value=3),
    "manifest: no layers": put("layers", value=[]),
    "manifest: a layer twice": manifest(lambda one: one["layers"].append(one["layers"][0])),
    "manifest: an unknown layer": put("layers", 0, "name", value="elsewhere"),
    "manifest: a summary of an unknown layer": put("summary", 0, "layer", value="elsewhere"),
    "manifest: a negative count": put("summary", 0, "labelled", value=-3),
    "manifest: a negative number of images": put("images", value=-1),
    "manifest: more images than there are": put("images", value=10**9),
    "manifest: neurons beyond all memory": put("layers", 0, "neurons", value=10**12),
    "manifest: shards beyond all time": put("store", "shards", value=10**12),
    "manifest: shards that are not there": put("store", "shards", value=10**6),
    "manifest: a wide embedding": put("store", "embedding_width", value=10**9),
    "manifest: a number of 5000 digits": lambda at: (at / "manifest.json").write_text('{"images": ' + "9" * 5000 + "}"),
    "manifest: deep": lambda at: (at / "manifest.json").write_text('{"study":' + "[" * 90_000 + "]" * 90_000 + "}"),
    "manifest: deep within": manifest(lambda one: one["study"].update(deep=_nested(600))),
    "manifest: half a character": put("target", value="\ud800"),
    "manifest: huge": lambda at: (at / "manifest.json").write_bytes(b"{" + b" " * (65 << 20) + b"}"),
    "manifest: a list": manifest(lambda one: [one]),
    "manifest: no fingerprints": put("fingerprints", value={}),
    "manifest: one name for many units": put("layers", 0, "through", value={"names": ["a"]}),
    "manifest: half a summary": put("summary", 0, "draws", value=None),
    "manifest: q is a word": put("study", "calibration", value={"q": "small"}),
    # tables
    "labels: an unknown layer": cell("layer", "elsewhere"),
    "labels: a neuron out of range": cell("neuron", 10**6),
    "labels: a negative neuron": cell("neuron", -1),
    "labels: no column": table("labels", lambda one: one.drop(columns="q")),
    "labels: a column of texts": table("labels", lambda one: one.assign(score=one["score"].astype(str))),
    "labels: a column of lists": table("labels", lambda one: one.assign(concept=[["x"]] * len(one))),
    "labels: a column of nothing": table("labels", lambda one: one.assign(concept=None)),
    "labels: NaN in q": cell("q", float("nan")),
    "labels: NaN in the score": cell("score", float("nan")),
    "labels: p above 1": cell("p", 7.0),
    "labels: doubled rows": table("labels", lambda one: pd.concat([one, one.head(3)])),
    "labels: missing rows": table("labels", lambda one: one.iloc[3:]),
    "labels: no rows": table("labels", lambda one: one.head(0)),
    "labels: a rank of 0": cell("rank", 0),
    "labels: a verdict that is none": cell("verdict", "sure"),
    "labels: a status that is none": cell("status", "alive"),
    "labels: an unknown concept": cell("concept", "telephone"),
    "neurons: a neuron out of range": cell("neuron", 10**6, of="neurons"),
    "neurons: p of a word": table("neurons", lambda one: one.assign(p_any="small")),
    "null: a level above 1": cell("level", 3.0, of="null"),
    "null: doubled rows": table("null", lambda one: pd.concat([one, one])),
    # shards
    "shard: a column fewer": tensors(SHARD, each(lambda one: one[:, 1:])),
    "shard: a row fewer": tensors(SHARD, each(lambda one: one[1:])),
    "shard: turned": tensors(SHARD, each(lambda one: one.T)),
    "shard: doubles": tensors(SHARD, each(torch.Tensor.double)),
    "shard: NaN": tensors(SHARD, each(lambda one: one.fill_(float("nan")))),
    "shard: infinity": tensors(VECTORS, lambda one: one["images"].__setitem__((0, 0), float("inf"))),
    "shard: a layer fewer": tensors(SHARD, lambda one: one.update({"another": one.popitem()[1]})),
    "shard: rows backwards": header(SHARD, lambda one: one["rows"].reverse()),
    "shard: negative rows": header(SHARD, lambda one: one.update(rows=[-row for row in one["rows"]])),
    "shard: rows are words": header(SHARD, lambda one: one.update(rows="all")),
    "shard: other rows": header(SHARD, lambda one: one.update(rows=[row + 5 for row in one["rows"]])),
    "shard: another key": header(SHARD, lambda one: one.update(key="0" * 64)),
    "shard: no record": lambda at: save_file(load_file(one(at, SHARD)), one(at, SHARD)),
    # the probe map
    "probe map: a row fewer": lines(lambda all_: all_[:-1]),
    "probe map: no column": lines(lambda all_: [all_[0].replace("patient", "person"), *all_[1:]]),
    "probe map: a short row": lines(lambda all_: [*all_[:-1], "abc\n"]),
    "probe map: an id twice": lines(lambda all_: [*all_[:-1], all_[-2]]),
    "probe map: no UTF-8": lambda at: (at / "private/probe_map.csv").write_bytes(b"id,own_id\n\xff\xfe,1\n"),
    "probe map: empty": lines(lambda _all: []),
    # embedded texts and maps
    "texts: NaN": tensors(TEXTS, lambda one: one["texts"].fill_(float("nan"))),
    "texts: flat": tensors(TEXTS, lambda one: one.update(texts=one["texts"].flatten())),
    "maps: a layer fewer": tensors("maps.safetensors", lambda one: one.pop("values:stages.0")),
    "maps: images beyond the last": tensors("maps.safetensors", lambda one: one["images:stages.0"].fill_(999)),
    "maps: floats": tensors(
        "maps.safetensors", lambda one: one.update({"values:stages.0": one["values:stages.0"].float()})
    ),
    # the study
    "study: a list": document("private/study.json", lambda _one: []),
    "study: models are a number": document("private/study.json", lambda one: one.update(models=7)),
    "study: draws are a word": document("private/study.json", lambda one: one["calibration"].update(draws="all")),
    # what stands in the place of a file
    **{f"a pipe as {name}": replaced(name, os.mkfifo) for name in FILES},
    **{f"a folder as {name}": replaced(name, Path.mkdir) for name in FILES},
    **{f"nothing as {name}": replaced(name, lambda _path: None) for name in (SHARD, VECTORS)},
    **{f"a link to itself as {name}": replaced(name, lambda path: path.symlink_to(path.name)) for name in FILES[:4]},
    **{f"no bytes in {name}": replaced(name, Path.touch) for name in FILES},
    **{f"other bytes in {name}": replaced(name, lambda path: path.write_bytes(b"PAR1" * 99)) for name in FILES},
}
"""What may be done to a run folder."""


def _nested(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


@functools.cache
def _host() -> PluginHost:
    """Return the installed plugins, found once: a process reads hundreds of folders."""
    return host_for((), progress=False)


def _use(folder: Path, _out: Path) -> None:
    run = mcd.load(folder, _host())
    for layer in run.layers:
        run.activations(layer)
        run.maps(layer)
    run.top_images("head", 0)
    run.image_embeddings()


def _score(folder: Path, out: Path) -> None:
    rescore(mcd.load(folder, _host()), scorer=Choice(plugin="cosine"), output=out / "scored", device="cpu")


def _compare(folder: Path, out: Path) -> None:
    mcd.compare(opened([folder, copied(folder, out / "twin")], _host()), resamples=0, output=out / "compared")


def _figures(folder: Path, _out: Path) -> None:
    from mcd.comparison import ComparisonSettings
    from mcd.figures import collect

    collect([mcd.load(folder, _host())], ComparisonSettings(resamples=0))


READERS: Mapping[str, Callable[[Path, Path], object]] = {
    "load": _use,
    "report": lambda folder, out: write_report(
        _host(), [folder], as_choices(["html", "csv", "markdown"]), out / "report"
    ).check(),
    "score": _score,
    "figures": _figures,
    "compare": _compare,
    "verify": lambda folder, _out: verify(folder),
}
"""What reads a run folder, in the process of the tests: the functions behind the commands."""


class RunFolders(Family):
    """Each input is a folder called after what reads it."""

    slice: ClassVar[int] = 120

    def __init__(self, folder: Path, canary: Canary) -> None:
        super().__init__(folder, canary)
        dataset.render = functools.cache(dataset.render)  # a phantom is drawn once a process, not once a report

    @cached_property
    def _whole(self) -> Path:
        return made(self.folder / "whole")

    @property
    def generators(self) -> Mapping[str, Generator]:
        """Return one for each edit, one that edits nothing, and one that mixes up the files of a run."""
        edits: dict[str, Edit] = {**EDITS, "whole": lambda _folder: None, "files that changed places": _swapped}
        return {name: self._editor(edit) for name, edit in edits.items()}

    def _editor(self, edit: Edit) -> Generator:
        def write(random: Random, folder: Path) -> Path:
            path = copied(self._whole, folder / random.choice(sorted(READERS)))
            if random.random() < 1 / 2:
                without_digests(path)
            edit(path)
            return path

        return write

    def write(self, random: Random, folder: Path) -> Path:
        """Write one input: an edited folder in half of all cases, else one of which a file has changed bytes."""
        generators = self.generators
        name = random.choice(sorted(generators)) if random.random() < 1 / 2 else "whole"
        path = generators[name](random, folder)
        if name == "whole":
            files = sorted(one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
            changed = random.choice(files)
            changed.write_bytes(mutated(changed.read_bytes(), random))
        return path

    def read(self, path: Path, out: Path) -> object:
        """Read a copy, for scoring anew may add to a run."""
        return READERS[path.name](copied(path, out / "run"), out)


def _swapped(folder: Path) -> None:
    """Exchange the shards of activations and embeddings."""
    first, second = one(folder, SHARD), one(folder, VECTORS)
    bytes_ = first.read_bytes(), second.read_bytes()
    first.write_bytes(bytes_[1])
    second.write_bytes(bytes_[0])


def refused(read: Callable[[], object]) -> str:
    """Return the name of the error that reading ends with, and its exit code; empty where it does not."""
    try:
        read()
    except MCDError as error:
        return f"{error.exit_code} {error.message}"
    return ""
