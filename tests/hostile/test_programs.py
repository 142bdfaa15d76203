"""Nothing of a hostile exported program runs, and what is refused is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.hostile.programs import MODEL, SAMPLE, WEIGHTS, Programs
from tests.hostile.watching import Canary

from mcd.errors import MCDError
from mcd_plugins.exported.expressions import canonical
from mcd_plugins.exported.operations import OPERATIONS


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    folder = tmp_path_factory.mktemp("programs")
    return Programs(folder, Canary(folder / "canary"))


REFUSED = [
    f"{MODEL}: the operation 'torch.os.system'",
    f"{MODEL}: the operation 'torch.ops.aten.from_file.default'",
    f"{MODEL}: the operation 'torch.ops.aten.relu.default\\n'",
    f"{MODEL}: the expression \"__import__('os').system('COMMAND')\"",
    f"{MODEL}: the expression '9**9**9'",
    f"{MODEL}: a value called 'x=print(1)'",
    f"{MODEL}: a keyword called 'x=print(1)'",
    f"{MODEL}: a symbol with a great number",
    f"{MODEL}: an object as argument",
    f"{MODEL}: sizes multiplied",
    f"{MODEL}: a list multiplied",
    f"{WEIGHTS}: a path",
    f"{WEIGHTS}: a shape beyond",
    "weights of a pickle: reduce os.system",
    "with: 'data/weights/model.pt'",
    "with: 'data/constants/opaque_obj_0'",
    "with: 'data/aotinductor/model/model.so'",
    "with: 'models/./model.json'",
    "with: 'models/other.json'",
    "with: 'serialized_state_dict.pt'",
    "form: a_member_twice",
    "form: another_name_in_front_of_the_member",
    "form: members_that_share_bytes",
    "form: several_folders",
    "form: deep_json",
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_program_must_not_hold_is_refused(name: str, programs: Programs, tmp_path: Path) -> None:
    path = programs.generators[name](Random(1), tmp_path)
    with pytest.raises(MCDError) as caught:
        programs.read(path, tmp_path / "out")
    assert str(caught.value).isascii() or str(tmp_path) in str(caught.value)
    assert not programs.canary.harmed()


@pytest.mark.parametrize(
    "name",
    [
        "whole",
        "form: bytes_in_front",
        "form: keys_twice",
        "with: 'extra/notes.txt'",
        f"{SAMPLE}: reduce os.system",
        f"{MODEL}: guards that run",
        f"{MODEL}: metadata of other tools",
    ],
)
def test_what_is_not_read_does_no_harm(name: str, programs: Programs, tmp_path: Path) -> None:
    made = programs.read(programs.generators[name](Random(1), tmp_path), tmp_path / "out")
    assert tuple(made.shape) == (3, 2)  # type: ignore[attr-defined]  # a tensor
    assert not programs.canary.harmed()


def test_expressions_are_written_anew() -> None:
    text = "Mul(Integer(-2),FloorDiv(Add(Symbol('s0',integer=True), Integer(1_0)), Rational(1, 2)))"
    assert canonical(text) == (
        "Mul(Integer(-2), FloorDiv(Add(Symbol('s0', integer=True), Integer(10)), Rational(1, 2)))"
    )
    with pytest.raises(ValueError, match="the expression"):
        canonical("Pow(Pow(Pow(Pow(Integer(99), Integer(8)), Integer(8)), Integer(8)), Integer(8))")


def test_every_operation_is_listed_by_name() -> None:
    assert "torch.ops.aten.relu.default" in OPERATIONS
    assert "torch.ops.aten.add.Tensor" in OPERATIONS
    assert all(name.count(".") == (4 if name.startswith("torch.ops") else 1) for name in OPERATIONS)
    acting = ("from_file", "save", "set_", "resize", "rand", "empty", "_out")
    assert not [name for name in OPERATIONS if any(part in name for part in acting)]
