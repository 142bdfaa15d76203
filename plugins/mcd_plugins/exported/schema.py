"""What an exported program may consist of, entry by entry.

It follows ``torch/_export/serde/schema.py``, without what runs, imports or unpickles something: graphs within graphs,
operators and objects as arguments, guards as Python. What is not declared here is refused. Each declaration also says
what a value may be, since torch makes Python of names and evaluates expressions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from mcd_plugins.exported.arguments import (
    NAME,
    PATH,
    Argument,
    Limit,
    Name,
    Named,
    OneOf,
    Path,
    Real,
    Small,
    Strict,
    SymBool,
    SymFloat,
    SymInt,
    TensorMeta,
    Version,
    Whole,
    Word,
)
from mcd_plugins.exported.expressions import SYMBOL
from mcd_plugins.exported.operations import OPERATIONS

__all__ = ["Node", "Payloads", "Program"]


def _operation(name: str) -> str:
    if name not in OPERATIONS:
        raise ValueError(f"the operation {name[:80]!a}, which is not on the list of torch's own that are accepted")
    return name


def _unpickled(value: object) -> object:
    if value is not False:
        raise ValueError("pickled objects")
    return value


def _stack_alone(value: object) -> object:
    """Leave out everything but the modules: stack traces, the functions of the source, notes of other tools."""
    if not isinstance(value, Mapping):
        return value
    return {key: one for key, one in value.items() if key == "nn_module_stack"}


def _nothing(value: object) -> object:
    """Leave out the content of an object that is not used."""
    return {} if isinstance(value, Mapping) else value


def _none(_value: object) -> list[str]:
    """Leave out guards: conditions on the input, as Python that torch would write into the program."""
    return []


_STACK = rf"([A-Za-z0-9_.@]*,{PATH}(@[0-9]+)?,[A-Za-z0-9_.<>]*;?)+"


class Input(Strict):
    """An argument under its name in the operation's schema."""

    name: Annotated[str, StringConstraints(pattern=f"^({NAME})?$")]
    arg: Argument
    kind: Small | None = None


class Metadata(Strict):
    """The modules around an operation."""

    nn_module_stack: Annotated[str, StringConstraints(pattern=f"^{_STACK}$", max_length=20_000)] = ""


class Node(Strict):
    """A call of an operation."""

    target: Annotated[str, AfterValidator(_operation)]
    inputs: list[Input]
    outputs: list[Argument]
    metadata: Annotated[Metadata, BeforeValidator(_stack_alone)]
    is_hop_single_tensor_return: bool | None = None
    name: Name | None = None


class Graph(Strict):
    """The calls in their order, and what is known of their results."""

    inputs: list[Argument]
    outputs: list[Argument]
    nodes: Annotated[list[Node], Field(max_length=200_000)]
    tensor_values: dict[Name, TensorMeta]
    sym_int_values: dict[Name, SymInt]
    sym_bool_values: dict[Name, SymBool]
    is_single_tensor_return: bool = False
    custom_obj_values: Annotated[dict[str, None], Field(max_length=0)] = Field(default_factory=dict)
    sym_float_values: dict[Name, SymFloat] = Field(default_factory=dict)


class User(Strict):
    """An input or output of the program."""

    arg: Argument


class Parameter(Strict):
    """A parameter as an input of the graph."""

    arg: Named
    parameter_name: Path


class Buffer(Strict):
    """A buffer as an input of the graph."""

    arg: Named
    buffer_name: Path
    persistent: bool


class Constant(Strict):
    """A constant tensor as an input of the graph."""

    arg: Named
    tensor_constant_name: Path


class Value(OneOf):
    """A constant that is no tensor."""

    as_none: bool = False
    as_int: Whole = 0
    as_float: Real = 0.0
    as_string: Word = ""
    as_bool: bool = False


class Given(Strict):
    """An input that was the same constant whenever the program was exported."""

    name: Name
    value: Value


class InputSpec(OneOf):
    """What an input of the graph is."""

    user_input: User | None = None
    parameter: Parameter | None = None
    buffer: Buffer | None = None
    tensor_constant: Constant | None = None
    constant_input: Given | None = None


class Mutation(Strict):
    """A buffer that the graph changes."""

    arg: Named
    buffer_name: Path


class OutputSpec(OneOf):
    """What an output of the graph is."""

    user_output: User | None = None
    buffer_mutation: Mutation | None = None


class Signature(Strict):
    """What goes into the graph and comes out of it."""

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]


class Tree(Strict):
    """How arguments or results are nested."""

    type: Literal["builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"] | None
    context: str | None
    children_spec: Annotated[list[Tree], Field(max_length=1000)]

    @pydantic.field_validator("context")
    @classmethod
    def _keys(cls, text: str | None) -> str | None:
        return None if text is None else json.dumps(_KEYS.validate_json(text, strict=True))


_KEYS = pydantic.TypeAdapter[list[str | int] | None](list[Name | Whole] | None)


def _tree(text: str) -> str:
    return json.dumps(_TREE.dump_python(_TREE.validate_json(text, strict=False)))


_TREE = pydantic.TypeAdapter[tuple[int, Tree]](tuple[Literal[1], Tree])
Nested = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_tree)]


class CallSignature(Strict):
    """How the program is called."""

    inputs: list[Argument]
    outputs: list[Argument]
    in_spec: Nested
    out_spec: Nested
    forward_arg_names: list[Name] | None = None


class Call(Strict):
    """A module of the program."""

    fqn: Annotated[str, StringConstraints(pattern=f"^{PATH}(@[0-9]+)?$", max_length=1000)]
    signature: CallSignature | None = None


class GraphModule(Strict):
    """The graph and the modules that it came from."""

    graph: Graph
    signature: Signature
    module_call_graph: Annotated[list[Call], Field(max_length=200_000)]
    metadata: Annotated[dict[str, str], BeforeValidator(_nothing)] = Field(default_factory=dict)
    treespec_namedtuple_fields: Annotated[dict[str, str], BeforeValidator(_nothing)] = Field(default_factory=dict)


class Range(Strict):
    """The least and largest value of a size."""

    min_val: Limit
    max_val: Limit


class SchemaVersion(Strict):
    """Of the format."""

    major: Annotated[int, Field(ge=0, le=8)]
    minor: Annotated[int, Field(ge=0, le=1000)]


class Program(Strict):
    """An exported program."""

    graph_module: GraphModule
    opset_version: dict[Literal["aten"], Annotated[int, Field(ge=0, le=1000)]]
    range_constraints: dict[Annotated[str, StringConstraints(pattern=f"^{SYMBOL}$")], Range]
    schema_version: SchemaVersion
    verifiers: list[Literal["ATEN", "TRAINING"]] = Field(default_factory=list)
    torch_version: Version = "<=2.4"
    guards_code: Annotated[list[str], BeforeValidator(_none)] = Field(default_factory=list)


class Payload(Strict):
    """Where the bytes of a tensor are."""

    path_name: Annotated[str, StringConstraints(pattern=r"^(weight|tensor)_[0-9]{1,6}$")]
    is_param: bool
    use_pickle: Annotated[Literal[False], BeforeValidator(_unpickled)]
    tensor_meta: TensorMeta


class Payloads(Strict):
    """The tensors of a program by name."""

    config: dict[Path, Payload]
