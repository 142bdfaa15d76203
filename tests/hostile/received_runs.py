"""Run folders as somebody might send them: whole ones, edited so that reading them would run code or read elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["EDITS", "NEEDS_TRUST", "Edit", "changed"]

Edit = Callable[[Path, Path], None]
"""Changes a run folder, the first argument. The second is a folder outside of it with a whole run in ``run``, images
in ``images``, a vocabulary ``words.txt`` and ``evil.py``, whose code leaves the file ``ran`` beside it."""


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file of a run, and take away the digest that would tell: whoever forges one can forge both."""
    found = json.loads(path.read_text())
    change(found)
    if "checksum" in found:
        found["checksum"] = ""
    path.write_text(json.dumps(found))
    (path.parent / "SHA256SUMS").unlink(missing_ok=True)


def _study(change: Callable[[dict[str, Any], Path], object]) -> Edit:
    def edit(run: Path, outside: Path) -> None:
        changed(run / "private" / "study.json", lambda study: change(study, outside))

    return edit


def _component(field: str, plugin: str, **options: object) -> Edit:
    """Return an edit that names another component; ``OUT`` in a text is the folder outside."""

    def filled(value: object, outside: Path) -> object:
        if isinstance(value, str):
            return value.replace("OUT", str(outside))
        if isinstance(value, dict):
            return {key: filled(one, outside) for key, one in value.items()}
        return [filled(one, outside) for one in value] if isinstance(value, list) else value

    def change(study: dict[str, Any], outside: Path) -> None:
        one = {"plugin": filled(plugin, outside), "options": filled(options, outside)}
        if isinstance(study[field], list):
            study[field] = [{**study[field][0], **one} if field in ("models", "dissectors") else one]
        else:
            study[field] = one

    return _study(change)


def _model(plugin: str, **options: object) -> Edit:
    """Return an edit with another model, which would be made again to know its preprocessing."""
    named = _component("models", plugin, **options)

    def edit(run: Path, outside: Path) -> None:
        named(run, outside)
        changed(run / "manifest.json", lambda record: record["preprocessing"]["target"].update(unheard="of"))

    return edit


def _vocabulary(plugin: str, **options: object) -> Edit:
    """Return an edit with another vocabulary, in a run that keeps none."""
    named = _component("concepts", plugin, **options)

    def edit(run: Path, outside: Path) -> None:
        named(run, outside)
        (run / "concepts.json").unlink()

    return edit


def _beside_it(run: Path, outside: Path) -> None:
    """Lay a scorer into the run folder itself."""
    shutil.copy(outside / "evil.py", run / "evil.py")
    changed(run / "private" / "study.json", lambda study: study["scorer"].update(plugin=f"{run}/evil.py:run"))


def _in_the_manifest(run: Path, outside: Path) -> None:
    """Name code in the manifest, which stands for a study that is not there."""
    (run / "private" / "study.json").unlink()
    changed(run / "manifest.json", lambda record: record["study"]["scorer"].update(plugin=f"{outside}/evil.py:run"))


def _store(folder: str) -> Edit:
    def edit(run: Path, outside: Path) -> None:
        text = folder.replace("OUT", os.path.relpath(outside, run)).replace("ABSOLUTE", str(outside))
        changed(run / "manifest.json", lambda record: record["store"].update(folder=text))

    return edit


def _key(name: str) -> Edit:
    def edit(run: Path, outside: Path) -> None:
        changed(run / "manifest.json", lambda record: record["store"].update({name: "../../outside/run"}))

    return edit


def _link(name: str, to: str) -> Edit:
    def edit(run: Path, outside: Path) -> None:
        path = run / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(outside / to)

    return edit


def _linked_shard(run: Path, outside: Path) -> None:
    shard = next((run / "activations").rglob("*.safetensors"))
    shard.unlink()
    shard.symlink_to(next((outside / "run" / "activations").rglob("*.safetensors")))


def _foreign_digest(run: Path, outside: Path) -> None:
    name = os.path.relpath(outside / "words.txt", run)
    changed(run / "manifest.json", lambda record: record["store"]["digests"].update({name: "0" * 64}))


def _pipe(name: str) -> Edit:
    def edit(run: Path, outside: Path) -> None:
        path = next(run.glob(name))
        path.unlink()
        os.mkfifo(path)

    return edit


NEEDS_TRUST: Mapping[str, Edit] = {
    "a scorer in a file": _component("scorer", "OUT/evil.py:run"),
    "a scorer in the folder": _beside_it,
    "a scorer in the manifest": _in_the_manifest,
    "store elsewhere": _store("OUT/run"),
    "store elsewhere, absolute": _store("ABSOLUTE/run"),
    "store above": _store(".."),
}
"""What `compare` and `figures` cannot do without."""

EDITS: Mapping[str, Edit] = {
    **NEEDS_TRUST,
    "a model by os:system": _model("module:os:system", arguments={"command": "touch OUT/ran"}),
    "a model by a file": _model("module:OUT/evil.py:run"),
    "a model by a module": _model("module", factory="mcd_outside:run"),
    "a model with weights": _model("timm", name="resnet18", checkpoint="OUT/words.txt"),
    "a model that is fetched": _model("timm", name="resnet18", pretrained=True),
    "a model from the hub": _model("transformers:hub:nobody/nothing"),
    "a vocabulary in a file": _vocabulary("OUT/words.txt"),
    "a vocabulary among others": _vocabulary("phantom,OUT/words.txt"),
    "images elsewhere": _component("dataset", "images:OUT/images"),
    "images of a table": _component("dataset", "csv", root="OUT/images", table="OUT/words.txt"),
    "images among others": _component(
        "dataset", "combine", parts=[{"plugin": "phantom:3"}, {"plugin": "images", "options": {"path": "OUT/images"}}]
    ),
    "a key with a path": _key("activations"),
    "the digest of another file": _foreign_digest,
    "a linked probe map": _link("private/probe_map.csv", "run/private/probe_map.csv"),
    "a linked study": _link("private/study.json", "run/private/study.json"),
    "a linked private folder": _link("private", "run/private"),
    "linked labels": _link("labels.parquet", "run/labels.parquet"),
    "a linked vocabulary": _link("concepts.json", "run/concepts.json"),
    "a linked manifest": _link("manifest.json", "run/manifest.json"),
    "linked activations": _link("activations", "run/activations"),
    "a linked shard": _linked_shard,
    "a linked report": _link("report", "images"),
    "a pipe as manifest": _pipe("manifest.json"),
    "a pipe as study": _pipe("private/study.json"),
    "a pipe as probe map": _pipe("private/probe_map.csv"),
    "a pipe as labels": _pipe("labels.parquet"),
    "a pipe as shard": _pipe("activations/*/*.safetensors"),
    "a pipe as texts": _pipe("embeddings/*.safetensors"),
}
