"""A folder of transformers that somebody else made is read quickly, from its own files, or refused in one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.hostile.pickles import endless, torch_zip
from tests.plugins.transformers.clips import dissector, saved_clip

from mcd.errors import CheckpointError

Edit = Callable[[Path], object]


def document(name: str, **values: object) -> Edit:
    """Return an edit that sets values of a JSON file; double underscores lead into an object."""

    def edit(folder: Path) -> None:
        path = folder / name
        whole = json.loads(path.read_text()) if path.exists() else {}
        for key, value in values.items():
            *above, last = key.split("__")
            place = whole
            for part in above:
                place = place.setdefault(part, {})
            place[last] = value
        path.write_text(json.dumps(whole))

    return edit


def weights(edit: Edit) -> Edit:
    """Return an edit in a folder whose own weights are gone."""

    def instead(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        edit(folder)

    return instead


def pickled(name: str, folder: Path) -> None:
    torch_zip(endless()[name], folder / "pytorch_model.bin")


INDEX, PICTURE = "model.safetensors.index.json", "preprocessor_config.json"
EDITS: dict[str, tuple[Edit, str]] = {
    "layers without end": (document("config.json", vision_config__num_hidden_layers=10**8), "num_hidden_layers"),
    "a wide network": (document("config.json", text_config__hidden_size=10**9), "hidden_size"),
    "large pictures": (document(PICTURE, size={"shortest_edge": 10**5}), "size"),
    "large cuts": (document(PICTURE, crop_size={"height": 10**7, "width": 1}), "crop_size"),
    "large borders": (document(PICTURE, do_pad=True, pad_size={"height": 10**6, "width": 10**6}), "pad_size"),
    "weights elsewhere": (weights(document(INDEX, weight_map={"x": "../other.safetensors"})), "no file beside it"),
    "weights of a device": (weights(document(INDEX, weight_map={"x": "/dev/zero"})), "no file beside it"),
    "an index that is none": (weights(document(INDEX, weight_map=[1])), "no index"),
    "a pipe as weights": (weights(lambda folder: os.mkfifo(folder / "model.safetensors")), "is no file"),
    "a pipe beside them": (lambda folder: os.mkfifo(folder / "added_tokens.json"), "is no file"),
    **{
        f"a pickle that never ends: {name}": (
            weights(partial(pickled, name)),
            "pytorch_model.bin",
        )
        for name in ("shared tuples", "shared tuples as a key", "shared tuples in a set")
    },
}


@pytest.mark.parametrize("name", EDITS)
def test_what_would_never_end_or_lies_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    saved_clip(tmp_path)
    edit, said = EDITS[name]
    edit(tmp_path)
    with pytest.raises(CheckpointError, match=said):
        dissector(tmp_path)
