"""Label tables of other tools: recognised by their columns, read as they are, and refused where they say two things."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from mcd.cli.importing import import_results
from mcd.errors import DataError, UsageError
from mcd.study.label_files import FORMATS, read_labels

PUBLISHED = {
    "clip_dissect/resnet50_imagenet_broden.csv": ("clip-dissect", 3904, 1110),
    "clip_dissect/resnet18_places_imagenet_broden.csv": ("clip-dissect", 1024, 457),
    "cosy/CLIP-Dissect_resnet18-layer4.csv": ("clip-dissect", 512, 356),
    "cosy/CLIP-Dissect_vit_b_16-features.csv": ("clip-dissect", 768, 486),
    "cosy/INVERT_resnet18-layer4.csv": ("invert", 512, 327),
    "cosy/INVERT_vit_b_16-features.csv": ("invert", 768, 423),
    "cosy/MILAN_resnet18-layer4.csv": ("descriptions", 512, 171),
    "cosy/MILAN_vit_b_16-features.csv": ("descriptions", 768, 43),
    "linear_explanations/CLIP_Dissect_resnet50_layer4.csv": ("simulated", 2048, 811),
    "linear_explanations/MILAN_resnet50_layer4.csv": ("simulated", 2048, 351),
    "linear_explanations/NetDissect_resnet50_layer4.csv": ("simulated", 2048, 241),
    "linear_explanations/LE_label_resnet50_layer4.csv": ("linear-explanations", 2048, 936),
    "linear_explanations/LE_siglip_resnet50_layer4.csv": ("linear-explanations", 2048, 1959),
}
"""Every published label file: its format, neurons and different labels."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_recognised_by_their_columns(name: str, shared: Path) -> None:
    found = read_labels((shared / "data" / "published" / name).read_bytes())
    first = found.labels[found.labels["rank"] == 1]
    assert (found.name, len(found.cells), found.labels["concept"].nunique()) == PUBLISHED[name]
    assert len(first) == len(found.cells)
    assert first["score"].notna().all() == bool(FORMATS[found.name].score)


def test_scores_are_those_of_the_file_to_the_last_digit() -> None:
    text = "layer,unit,description,similarity\nconv1,0,red,0.25616455\nconv1,1,blue,.1\nconv1,2,green,1e-3\n"
    assert read_labels(text.encode()).labels["score"].tolist() == [0.25616455, 0.1, 0.001]


def test_lists_of_mammo_clip_dissect_become_ranks() -> None:
    text = (
        "layer,unit,description,similarity,images\n"
        '"  _blocks[12]",0,"[\'skin fold\', ""men\'s mass""]","[0.5\n 0.25]",[3 1]\n'
        "_blocks[12],1,\"['cyst', 'mass']\",[nan inf],[0 2]\n"
    )
    found = read_labels(text.encode())
    assert found.name == "mammo-clip-dissect"
    assert found.labels[["layer", "neuron", "rank", "concept"]].values.tolist() == [
        ["_blocks[12]", 0, 1, "skin fold"],
        ["_blocks[12]", 0, 2, "men's mass"],
        ["_blocks[12]", 1, 1, "cyst"],
        ["_blocks[12]", 1, 2, "mass"],
    ]
    assert found.labels["score"].isna().tolist() == [False, False, True, True]


HEADER = "layer,unit,description,similarity\n"
WRONG = {
    "nothing": (b"", "it is empty"),
    "no rows": (HEADER.encode(), "it has a header and no rows"),
    "other columns": (b"class,weights\n1,2\n", "its columns are of no tool that is known: class, weights"),
    "semicolons": (b"layer;unit;description\nconv1;0;red\n", "its columns are of no tool that is known"),
    "a column twice": (b"unit,description,description\n0,red,blue\n", "several columns 'description'"),
    "the same neuron twice": (
        f"{HEADER}conv1,0,red,1\nconv1,1,red,1\nconv1,0,blue,1\n".encode(),
        "neuron 0 of layer conv1 stands in line 2 and in line 4",
    ),
    "a score in words": (f"{HEADER}conv1,0,red,much\n".encode(), "line 2, column 'similarity': 'much' is no number"),
    "a negative number": (f"{HEADER}conv1,-1,red,1\n".encode(), "'-1' is no number of a neuron"),
    "no layer": (f"{HEADER},0,red,1\n".encode(), "line 2, column 'layer': it is empty"),
    "a short row": (f"{HEADER}conv1,0,red\n".encode(), "line 2 has 3 cells, the header has 4"),
    "a quotation mark": (f'{HEADER}conv1,0,"red,1\n'.encode(), "it is no CSV"),
    "Latin-1": (f"{HEADER}conv1,0,".encode() + b"\xe9t\xe9,1\n", "byte 42 is not UTF-8"),
    "UTF-16": (f"{HEADER}conv1,0,red,1\n".encode("utf-16"), "it is UTF-16, not UTF-8"),
    "code in a list": (
        f'{HEADER}conv1,0,"[open(""x"")]",[1]\n'.encode(),
        "is no list of texts",
    ),
    "too few scores": (f"{HEADER}conv1,0,\"['a', 'b']\",[1]\n".encode(), "1 score of 2 labels"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_label_table_is_one_message(name: str) -> None:
    data, said = WRONG[name]
    with pytest.raises(DataError) as error:
        _ = read_labels(data).labels
    assert said in error.value.message
    assert error.value.hint


def test_the_command_offers_every_format() -> None:
    (option,) = [one for one in import_results.params if one.name == "name"]
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(FORMATS)


def test_columns_of_several_formats_need_a_format() -> None:
    text = b"unit,description,similarity,sim correlation\n0,red,0.5,0.1\n"
    with pytest.raises(UsageError, match="several formats: clip-dissect, simulated") as error:
        read_labels(text)
    assert "--format clip-dissect or simulated" in error.value.hint
    assert read_labels(text, "simulated").labels["score"].tolist() == [0.1]
    assert read_labels(text, "clip-dissect").labels["score"].tolist() == [0.5]
