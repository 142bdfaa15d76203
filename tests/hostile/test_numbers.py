"""Every number that a user can give has a range, declared where the number is; what is outside is one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import click
import pydantic
import pytest
from tests.conftest import Outcome

from mcd.cli import State, cli
from mcd.components import Kind
from mcd.host import PluginHost
from mcd.networks.pooling import Pooling
from mcd.options import Options, bounds_of, describe_options, forms_of, parse_pairs
from mcd.study.study import Study


def numbers(cls: type[pydantic.BaseModel], place: str) -> Iterator[tuple[str, object, Sequence[object]]]:
    """Yield every number among the fields of a model, in lists and in models inside it too."""
    for name, field in cls.model_fields.items():
        yield from _inside(field.annotation, field.metadata, f"{place}.{name}")


def _inside(annotation: object, marks: Sequence[object], place: str) -> Iterator[tuple[str, object, Sequence[object]]]:
    for one, own in forms_of(annotation, tuple(marks)):
        if one in (int, float):
            yield place, one, own
        elif isinstance(one, type) and get_origin(one) is None and issubclass(one, pydantic.BaseModel):
            yield from numbers(one, place)
        elif get_origin(one) not in (None, Literal):
            for inner in get_args(one):
                yield from _inside(inner, (), f"{place}[]")


def unbounded(cls: type[pydantic.BaseModel], place: str) -> list[str]:
    """Return the numbers that may be as large, or as small, as anybody likes."""
    found = ((where, bounds_of(one, own)) for where, one, own in numbers(cls, place))
    return [where for where, ends in found if ends.low is None or ends.high is None]


def test_every_number_of_a_study_has_a_range() -> None:
    assert len(list(numbers(Study, "study"))) > 10
    assert unbounded(Study, "study") == []


@pytest.mark.parametrize("kind", [one for one in Kind if one is not Kind.COMMAND], ids=lambda kind: kind.value)
def test_every_number_of_a_component_has_a_range(kind: Kind) -> None:
    host, lacking = PluginHost.discover(), []
    for offer in host.offers(kind):
        if offer.missing():
            continue
        target = host.load(kind, offer.component.name)
        declared = getattr(target, "Options", target)
        if isinstance(declared, type) and issubclass(declared, pydantic.BaseModel):
            lacking += unbounded(declared, offer.component.name)
    assert lacking == []


def _flags(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Parameter]]:
    for parameter in command.params:
        yield f"{context.command_path} {parameter.name}", parameter
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _flags(inner, click.Context(inner, parent=context, info_name=name, obj=context.obj))


def test_every_flag_that_takes_a_number_has_a_range() -> None:
    taking, lacking, passing = 0, [], []
    for name, flag in _flags(cli, click.Context(cli, info_name="mcd", obj=State())):
        if not isinstance(flag.type, click.types.IntParamType | click.types.FloatParamType):
            continue
        taking += 1
        if getattr(flag.type, "min", None) is None or getattr(flag.type, "max", None) is None:
            lacking.append(name)
            continue
        for absurd in (10**30, -(10**30), "nan", "inf", "1e400", "9" * 5000):
            try:
                flag.type.convert(absurd, flag, None)
            except click.BadParameter:
                continue
            passing.append((name, absurd))
    assert taking > 50
    assert (lacking, passing) == ([], [])


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--workers", 100_000), ("--draws", 10**12), ("--batch-size", 10**9), ("--limit", 10**15), ("--sharpness", "nan")],
)
def test_an_absurd_flag_is_refused_with_its_range(
    flag: str, value: object, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command("dissect", flag, value)
    assert done.code == 2
    assert f"{value} is not in the range" in done.err


@pytest.mark.parametrize(
    "argument",
    [
        ("--scorer-arg", f"top_k={10**12}"),
        ("--scorer-arg", "temperature=inf"),
        ("--scorer-arg", "lam=nan"),
        ("--scorer-arg", "top_k=" + "9" * 5000),
        ("--scorer-arg", "top_k=[" + "9" * 5000 + "]"),
        ("--scorer-arg", "top_k=" + "[" * 100_000),
        ("--reporter", "html", "--reporter-arg", f"html.size={10**9}"),
        ("--model-arg", "input_size=[1000000,1000000]"),
        ("--pooling", "gem:" + "9" * 400),
        ("--pooling", "top-fraction:1.5"),
    ],
    ids=lambda argument: " ".join(argument)[:40],
)
def test_an_absurd_option_is_one_sentence(argument: Sequence[str], mcd_command: Callable[..., Outcome]) -> None:
    model = ("--model-plugin", "timm:resnet18", "--dissector", "phantom-clip", "--dataset", "phantom:4")
    done = mcd_command("dissect", *model, "--layers", "layer1", *argument, "-o", "nowhere", "--dry-run")
    assert done.code == 2, done.err[-500:]
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_numbers_of_a_study_file_are_refused_with_their_line(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    absurd = f"limit: {'9' * 5000}", "calibration: {draws: 1.0e+12}"
    for line in ("workers: 100000", "batch_size: .inf", "seed: -1", *absurd):
        file = tmp_path / "study.yaml"
        file.write_text(f"models: timm:resnet18\ndissectors: phantom-clip\ndataset: phantom:4\n{line}\n")
        done = mcd_command("run", file, "--dry-run")
        assert done.code == 2, (line[:40], done.err[-500:])
        assert "study.yaml:4" in done.err, (line[:40], done.err[-500:])


def test_settings_are_shown_with_their_range() -> None:
    class Sizes(Options):
        side: int | None = pydantic.Field(default=None, ge=1, le=4096, description="")
        parts: tuple[Annotated[float, pydantic.Field(gt=0, lt=1)], ...] = pydantic.Field(default=(), description="")

    assert [row[1] for row in describe_options(Sizes)] == ["int (≥ 1, ≤ 4,096) | None", "tuple[float (> 0, < 1), …]"]


def test_the_number_of_a_pooling_has_a_range() -> None:
    assert Pooling.parse("gem:100").number == 100
    for text in ("gem:0", "gem:100.5", "top-fraction:1.01"):
        with pytest.raises(ValueError, match="is above 0 and at most"):
            Pooling.parse(text)
    assert parse_pairs(["key=[1,2]"], "--x") == {"key": [1, 2]}
