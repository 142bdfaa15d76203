"""Units that cannot be what a layer is seen through: one message, before an image is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import Outcome
from tests.plugins.units.unit_files import dictionary_file, written

ROWS = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
ZERO, NAN = ROWS.clone(), ROWS.clone()
ZERO[4], NAN[2, 3] = 0, torch.nan


def _directions(folder: Path, rows: torch.Tensor, **about: str) -> str:
    return f"directions:{written(folder / 'mine.safetensors', {'directions': rows}, **about)}"


def _dictionary(folder: Path, activation: str, **changed: torch.Tensor | str | None) -> str:
    both = {"encoder": ROWS, "decoder": ROWS, "encoder_bias": None, "decoder_bias": None}
    return f"dictionary:{dictionary_file(folder, activation, **{**both, **changed})}"


MADE: dict[str, tuple[Callable[[Path], str], int, str]] = {
    "NaN": (lambda folder: _directions(folder, NAN), 4, "tensor 'directions' holds NaN"),
    "length zero": (lambda folder: _directions(folder, ZERO), 4, "row 4 of 'directions' has length zero"),
    "NaN in a dictionary": (lambda folder: _dictionary(folder, "relu", decoder=NAN), 4, "'decoder' holds NaN"),
    "a latent of length zero": (lambda folder: _dictionary(folder, "relu", encoder=ZERO), 4, "row 4 of 'encoder'"),
    "no threshold": (lambda folder: _dictionary(folder, "jumprelu", threshold=None), 4, "no tensor 'threshold'"),
}
FITTING: dict[str, tuple[Callable[[Path], str], int, str]] = {
    "another width": (
        lambda folder: _directions(folder, ROWS[:, :9]),
        2,
        "units 'mine' are made of 9 neurons, and layer stem has 16",
    ),
    "a dictionary of another width": (
        lambda folder: _dictionary(folder, "relu", encoder=ROWS[:, :9], decoder=ROWS[:, :9]),
        2,
        "units 'sae' are made of 9 neurons, and layer stem has 16",
    ),
    "another layer": (
        lambda folder: _directions(folder, ROWS, layer="stages.3"),
        2,
        "units 'mine' were made for layer stages.3, which is none of those chosen: stem",
    ),
}
"""What only the network says: a dry run, which loads none, cannot tell."""


@pytest.mark.parametrize(("wrong", "dry"), [*((one, True) for one in MADE), *((one, False) for one in MADE | FITTING)])
def test_units_are_refused_before_an_image_is_opened(
    wrong: str, dry: bool, mcd_command: Callable[..., Outcome], tmp_path: Path
) -> None:
    make, code, said = {**MADE, **FITTING}[wrong]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    flags = ["--model-plugin", "phantom-mammo", "--layers", "stem", "--units", make(tmp_path)]
    flags += ["--dataset", f"images:{tmp_path / 'images'}", "--dissector", "phantom-clip", "-o", "run"]
    done = mcd_command("dissect", *flags, *(["--dry-run"] if dry else []), cwd=tmp_path)
    assert (done.code, done.out) == (code, ""), done.err
    assert said in done.err
    assert "list images" not in done.err
    assert "hint: " in done.err
