"""What few patients, unknown labels and odd names leave of a test is said, and files are the call's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.command_line import Outcome
from tests.plugins.cav.material import Head, Planted, ready

import mcd
from mcd.errors import DataError, ImageError, UsageError
from mcd_plugins.cav.asked import Asked, Concepts, Sensitivities, asked_for, settings_of
from mcd_plugins.cav.concepts import check_apart
from mcd_plugins.cav.measuring import Found, Row, measured
from mcd_plugins.cav.report import check_left, record_of, write
from mcd_plugins.cav.tables import said, table_of

Run = Callable[..., Outcome]


def asked(data: mcd.Dataset, concepts: Concepts, target: mcd.Target | None = None, **settings: object) -> Asked:
    return asked_for(
        ready(target or mcd.Target("planted", Head()), data),
        concepts,
        Sensitivities(layers=["features"]),
        settings_of(**{"sets": 199, **settings}),
    )


class Few(Planted):
    """Eight images, each of another patient; half of them show each factor."""

    def factors(self, at: int) -> np.ndarray:
        return np.array([at % 2 == 0, at % 4 < 2, at < 4, False])


class Partly(Planted):
    """The labels of every second patient are not known."""

    def scan(self) -> Iterator[mcd.Sample]:
        for at, one in enumerate(super().scan()):
            yield replace(one, findings={}) if at // 2 % 2 else one


def test_the_smallest_p_of_few_patients_is_said() -> None:
    few = Few(Few.Options(patients=4, known=False))
    found = measured(asked(few, Concepts(["up", "idle"])))
    table = table_of(found)
    assert table["patients_fitted"].unique().tolist() == [4]
    assert table["p_smallest"].tolist() == pytest.approx([1 / 6, 1 / 6])  # two of four patients have the concept
    assert (table["p"] > 0.1).all()
    sentence = "Of 2 concepts the labels can be given to other patients in few ways: no p is below about 0.17, however"
    assert sentence in " ".join(said(found, table))

    found = measured(asked(Planted(), Concepts(["up"])))
    table = table_of(found)
    assert table["p_smallest"].tolist() == pytest.approx([1 / 200])
    assert "in few ways" not in " ".join(said(found, table))


def test_images_of_which_nothing_is_known_are_not_counted_as_tried() -> None:
    found = asked(Partly(), Concepts(["up"]))
    known = (found.labels.states >= 0).any(axis=1)
    (images, patients), (others, other_patients) = found.fitted_on, found.tried_on
    assert (images + others, patients + other_patients) == (known.sum(), 30)
    assert others < found.out.sum()
    assert f"AUROC is of {others} images of {other_patients} others." in said(*_both(found))[1]


def _both(one: Asked) -> tuple[Found, object]:
    found = measured(one)
    return found, table_of(found)


def test_rare_values_of_a_column_are_left_out_with_the_reason() -> None:
    found = asked(Planted(), Concepts(["up"], columns=["age", "chance"]))
    assert found.labels.names == ("up", "chance: no", "chance: yes")
    assert len(found.labels.left_out) == 60
    assert found.labels.left_out["age: 40"].startswith("1 patient with it, of 4 needed")


def test_outputs_go_by_their_names_first_and_by_numbers_where_names_are_alike() -> None:
    class Both(Head):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.inner(self.features(x) - 0.5))

    def outputs(*names: str) -> list[tuple[str, object]]:
        images = ready(mcd.Target("planted", Both(), outputs=names), Planted())
        own = asked_for(images, Concepts(["down"]), Sensitivities(["features"], ["1"]), settings_of(sets=19))
        return [(one.name, one.of) for one in own.classes]

    assert outputs("1", "0") == [("1", 0)]
    assert outputs("a", "b") == [("b", 1)]
    assert outputs("same", "Same") == [("1", 1)]


def test_a_text_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="a text is empty"):
        Concepts(texts=["mass", " "], dissector={"plugin": "phantom-clip"})


def test_directions_of_an_earlier_call_do_not_stay_where_there_are_none(tmp_path: Path) -> None:
    found = measured(asked(Planted(), Concepts(["up"])))
    write(found, tmp_path)
    file = tmp_path / "directions" / "features.safetensors"
    assert file.exists()
    check_left(found.asked, tmp_path)
    without = [Row(replace(one.direction, vector=None, problem="none"), one.at, None, None) for one in found.rows]
    write(Found(found.asked, without), tmp_path)
    assert not file.exists()
    assert json.loads((tmp_path / "cav.json").read_text())["layers"] == ["features"]

    file.write_text("mine")
    with pytest.raises(UsageError, match=r"features.safetensors is in the way"):
        check_left(found.asked, tmp_path)
    assert file.read_text() == "mine"


def test_what_is_to_be_typed_names_a_layer_and_its_own_file(mcd_command: Run, tmp_path: Path) -> None:
    flags = ("--dataset", "phantom:6", "--layers", "stem,stages.0", "--concepts", "right breast", "--classes", "0")
    more = ("--sets", "19", "--workers", "0", "--device", "cpu")
    done = mcd_command("cav", "--model", "phantom-calc", *flags, *more, "-o", tmp_path / "my cav")
    assert done.code == 0, done.err
    (line,) = [one for one in done.out.splitlines() if one.startswith("to label them")]
    assert line.endswith(f"--layers stem --units 'directions:{tmp_path}/my cav/directions/stem.safetensors'")


def test_values_of_a_column_that_differ_in_capitals_are_one_concept() -> None:
    class Capitals(Planted):
        def scan(self) -> Iterator[mcd.Sample]:
            for at, one in enumerate(super().scan()):
                yield replace(one, labels={"site": ("North", "north", "South")[at // 2 % 3]})

    found = asked(Capitals(), Concepts(["up"], columns=["site"]))
    assert found.labels.names == ("up", "site: North", "site: South")
    assert (found.labels.states == 1).sum(axis=0).tolist()[1:] == [80, 40]


def test_another_image_of_a_patient_is_an_overlap() -> None:
    one = [mcd.Sample("a", digest="1", patient="p"), mcd.Sample("b", digest="2")]
    other = [mcd.Sample("c", digest="3", patient="p"), mcd.Sample("d", digest="4", patient="q")]
    with pytest.raises(DataError, match="1 image is in the data set and of patients who are in --present too"):
        check_apart(one, other, "--present", "the data set")
    check_apart(one, [*other[1:], mcd.Sample("e", digest="5"), replace(other[0], collection="x")], "a", "b")


class Broken(Planted):
    """Three of the first images, and a later one, cannot be decoded; what says so is their pixels."""

    def read(self, sample: mcd.Sample) -> mcd.Image:
        if sample.id in ("i1", "i2", "i3", "i77"):
            raise DataError("it is cut short", "take another file")
        return super().read(sample)


def test_images_that_cannot_be_decoded_are_left_out_where_asked() -> None:
    def measure(data: mcd.Dataset, tests: Sensitivities, on_error: str = "skip") -> Found:
        images, concepts = ready(mcd.Target("planted", Head()), data), Concepts(["up", "down"])
        return measured(asked_for(images, concepts, tests, settings_of(sets=19, nuisances="view"), on_error=on_error))

    tests = Sensitivities(["features"])
    found, whole = measure(Broken(), tests), measure(Planted(), tests)
    assert (found.asked.lost, whole.asked.lost) == (4, 0)
    one, other = table_of(found), table_of(whole)
    assert set(one["present"] + one["absent"]) == {116}
    assert one["auroc"].tolist() == pytest.approx(other["auroc"].tolist(), abs=0.05)
    assert "4 images could not be decoded and are left out." in said(found, one)
    assert record_of(found)["images that could not be decoded"] == 4
    assert {"i1", "i2", "i3", "i77"}.isdisjoint(found.asked.ids)
    rows = [one.id for one, out in zip(found.asked.samples, found.asked.out, strict=True) if out]
    assert rows == list(found.asked.ids)
    with pytest.raises(ImageError, match="it is cut short"):
        measure(Broken(), tests, "stop")
