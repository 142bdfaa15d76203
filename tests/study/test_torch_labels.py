"""What the items of a torch data set say beside the image becomes annotations; what is no label is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Subset

import mcd
from mcd.errors import DataError
from mcd.study.torch_images import TorchImages

CLASSES = ["benign", "malignant", "normal"]


class Items(TorchDataset[object]):
    """A data set as people write one: a list, and what its classes are called."""

    def __init__(self, items: list[object], classes: object = None) -> None:
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> object:
        return self.items[row]


def sample(label: object, classes: object = None) -> mcd.Sample:
    (found,) = TorchImages(Items([(torch.rand(1, 8, 6), label)], classes)).scan()
    assert isinstance(found, mcd.Sample)
    return found


ONE = {"benign": False, "malignant": True, "normal": False}


@pytest.mark.parametrize(
    ("label", "classes", "findings"),
    [
        (1, CLASSES, ONE),
        (torch.tensor(1), CLASSES, ONE),
        (np.int64(1), tuple(CLASSES), ONE),
        ("malignant", CLASSES, ONE),
        (1, [("benign", "harmless"), ("malignant",), ("normal",)], ONE),
        (torch.tensor([0.0, 1.0, float("nan")]), CLASSES, {"benign": False, "malignant": True}),
        ([0, 1, 0], CLASSES, ONE),
        ({"mass": True, "cyst": 0, "clip": None, "duct": float("nan")}, None, {"mass": True, "cyst": False}),
        ({"mass": torch.tensor(1), "patient": 1}, None, {"mass": True}),
        (1, None, {}),  # a number without names
        (7, CLASSES, {}),
        (-1, CLASSES, {}),
        (0.5, CLASSES, {}),
        ([0, 1], CLASSES, {}),
        (torch.rand(1, 8, 6), CLASSES, {}),  # a mask
        ({"boxes": torch.rand(2, 4), "labels": torch.tensor([1, 2])}, CLASSES, {}),
        (None, CLASSES, {}),
        (1, "abc", {}),  # `classes` is a text
        (1, ["a", "a", "b"], {}),
        (1, 3, {}),
    ],
)
def test_a_label_is_a_class_or_truths_and_what_is_neither_says_nothing(
    label: object, classes: object, findings: dict[str, bool]
) -> None:
    assert dict(sample(label, classes).findings) == findings


def test_mappings_say_labels_and_patients_and_subsets_have_the_classes_of_the_whole() -> None:
    whole = Items([{"image": torch.rand(8, 6), "label": at % 3, "patient_id": at // 2} for at in range(6)], CLASSES)
    found = list(TorchImages(Subset(Subset(whole, [1, 2, 3]), [1, 2])).scan())
    assert [(one.patient, one.labels["label"]) for one in found if isinstance(one, mcd.Sample)] == [
        ("1", "normal"),
        ("1", "benign"),
    ]
    both = TorchImages(Items([(torch.rand(8, 6), {"mass": True, "patient": "x"})])).scan()
    assert [(one.patient, dict(one.findings)) for one in both if isinstance(one, mcd.Sample)] == [("x", {"mass": True})]


def test_of_many_classes_an_image_has_the_name_of_its_own() -> None:
    found = sample(700, [f"class {at}" for at in range(1000)])
    assert dict(found.findings) == {}
    assert dict(found.labels) == {"label": "class 700"}


def test_annotations_of_a_torch_data_set_name_neurons_and_permute_its_patients(tmp_path: Path) -> None:
    draws = torch.Generator().manual_seed(0)
    items: list[object] = []
    for at in range(60):
        image = 0.3 * torch.rand(1, 64, 48, generator=draws)
        image[:, 10:40, 10:30] += 0.6 * (at // 2 % 2)
        items.append({"image": image, "findings": {"square": bool(at // 2 % 2)}, "patient": f"p{at // 2}"})

    def dissect(data: TorchDataset[object]) -> mcd.Dissection:
        found = mcd.dissect(
            "phantom-mammo", dissector="annotations", layers="stages.2", dataset=data, progress=False, device="cpu"
        )
        assert isinstance(found, mcd.Dissection)
        return found

    found = dissect(Items(items))
    assert set(found.labels["concept"]) == {"square"}
    assert found.manifest.summary[0].permutation_unit == "patient"
    assert (found.labels["q"] <= 0.05).mean() > 0.1
    with pytest.raises(DataError, match="annotates nothing") as caught:
        dissect(Items([(torch.rand(1, 64, 48, generator=draws), at % 2) for at in range(30)]))
    assert "it has `classes`" in caught.value.hint
