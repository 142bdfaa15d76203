"""A target and its images for plugins: what records show of them, and what a layer gives."""

from __future__ import annotations

import torch
from tests.runs.test_dissect import Net, Patches

import mcd
from mcd.plugins import load_target, target_images


def test_records_show_no_patient() -> None:
    images = target_images(
        "phantom-mammo", "phantom:2", where='patient != "7-00001"', limit=3, device="cpu", workers=0, progress=False
    )
    assert [one.patient for one in images.samples] == ["7-00000"] * 3
    assert str(images.dataset["where"]).startswith("hidden:")
    assert images.dataset["options"] == {"patients": 2, "seed": 7, "boxes": False}
    assert images.model == {"plugin": "phantom-mammo", "options": {}}
    assert load_target("phantom-mammo").licence == images.images.licence == "Apache-2.0"


def test_a_layer_gives_what_run_target_says_and_inputs_come_in_the_order_asked_for() -> None:
    network, images = Net(), Patches()
    made = target_images(network, images, device="cpu", workers=0, store="off", progress=False)
    layer = next(one.name for one in made.layers if not one.reason)
    passed = mcd.run_target(
        model=network, dataset=images, layers=layer, device="cpu", workers=0, progress=False
    ).activations[layer]
    assert torch.equal(made.outputs(network, layer), passed)
    rows = [rows for rows, _ in made.inputs([[3, 1], [0]], torch.device("cpu"))]
    assert rows == [(3, 1), (0,)]
    assert made.model == {"plugin": "object", "options": {"class": "Net"}}
