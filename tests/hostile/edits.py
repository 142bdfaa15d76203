"""Edits of the graph of a hostile exported program, one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from typing import Any

from tests.hostile.watching import Canary

__all__ = ["Edit", "graph"]

Edit = Callable[[Any, Random, Canary], object]  # a document is whatever JSON it is
"""Changes a document in its place."""

_OPERATIONS = (
    "torch.os.system",
    "torch.ops.aten.relu.default.__class__",
    "torch.ops.aten.relu.default.__init__.__globals__",
    "torch.ops.aten.from_file.default",
    "torch.ops.aten.save.default",
    "torch.ops.aten.set_.source_Storage",
    "torch.ops.aten.resize_.default",
    "torch.ops.aten.empty.memory_format",
    "torch.ops.aten.randn.default",
    "torch.ops.aten.pow.int",
    "torch.ops.aten.mul.left_t",
    "torch.ops.aten.relu.default\n",
    "torch.ops.aten.relu.default ",
    "torch.ops.aten.RELU.default",
    "torch.ops.aten.rеlu.default",  # with a Cyrillic letter
    "torch.ops.load_library",
    "torch.ops.prims.device_put.default",
    "torch.ops.higher_order.cond",
    "torch.ops.higher_order.wrap_with_set_grad_enabled",
    "torch.ops.profiler._record_function_enter.default",
    "torch.ops.mkldnn._is_mkldnn_acl_supported.default",
    "torch.ops.inductor._alloc_from_pool.default",
    "torch.serialization.os.system",
    "torch.hub.load",
    "torch.load",
    "torch.save",
    "torch.from_file",
    "torch.jit.load",
    "torch._C._jit_set_profiling_mode",
    "_operator.methodcaller",
    "_operator.attrgetter",
    "_operator.getitem",
    "_operator.lshift",
    "_operator.concat",
    "_operator.setitem",
    "math.factorial",
    "math.comb",
    "#custom:op",
    "os.system",
    "builtins.eval",
    "",
)
_EXPRESSIONS = (
    "__import__('os').system('COMMAND')",
    "Symbol('s1').__class__",
    "lambdify(s1, s1)",
    "9**9**9",
    "9**9**9**9",
    "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
    "Pow(Pow(Pow(Pow(Integer(99), Integer(8)), Integer(8)), Integer(8)), Integer(8))",
    "Mul(Pow(Symbol('s0', integer=True), Integer(99999999)), Integer(3))",
    "LShift(Integer(1), Integer(99999999999))",
    "Integer(1) << 99999999999",
    "factorial(10**9)",
    "prime(10**9)",
    "Float('1e999999999')",
    "Float('0.5', precision=999999999)",
    "Rational(1, 0)",
    "Integer('9' * 10**9)",
    "exec('1')",
    "atan2",
    "open('MARK', 'w')",
    "(lambda: 1)()",
    "[1 for x in range(10**9)]",
    "Symbol('s1', integer=__import__('os').system('COMMAND'))",
    "Symbol('a; b')",
    "Symbol('u99999999999')",
    "Function('f')(1)",
    "preview(Symbol('s0'))",
    "sympify('1')",
    "S('1')",
    "parse_expr('1')",
    "FloorDiv(Symbol('s0'), Integer(0))",
    "Mod(Symbol('s0'), Integer(0))",
    "s0 if __import__('os') else s0",
    "f'{1}'",
    "'a'.format(1)",
    "s0\n",
    "é",
    "",
    "Max()",
    "Add",
    "10 " + "0" * 5000,
)
_NAMES = (
    "x=print(1)",
    "a, b",
    "lambda",
    "__import__('os').system('COMMAND')",
    "x\nimport os",
    "self.__class__",
    "é",
    "x\x00",
    "1a",
    "",
    "a" * 100_000,
)


def graph() -> Mapping[str, Edit]:
    """Return edits of ``models/model.json``."""
    made: dict[str, Edit] = {f"the operation {name!a}": partial(_operation, name) for name in _OPERATIONS}
    made |= {f"the expression {text[:70]!a}": partial(_expression, text) for text in _EXPRESSIONS}
    for where, setter in _PLACES_OF_NAMES.items():
        made |= {f"{where} {name[:40]!a}": partial(_named, setter, name) for name in _NAMES}
    return made | {one.__name__.strip("_").replace("_", " "): one for one in _OTHERS}


def _filled(text: str, canary: Canary) -> str:
    return text.replace("COMMAND", canary.command).replace("MARK", str(canary.mark))


def _nodes(document: Any) -> list[Any]:
    return list(document["graph_module"]["graph"]["nodes"])


def _operation(name: str, document: Any, random: Random, canary: Canary) -> None:
    node = random.choice(_nodes(document))
    node["target"] = name
    if random.random() < 0.5:  # with what such a function takes
        given = random.choice(({"as_string": canary.command}, {"as_string": str(canary.victim)}, {"as_ints": [1] * 4}))
        node["inputs"] = [{"name": random.choice(("", "self", "filename")), "arg": given, "kind": 1}]


def _entries(document: object) -> Iterator[dict[str, Any]]:
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _expression(text: str, document: Any, random: Random, canary: Canary) -> None:
    found = [one for one in _entries(document) if "expr_str" in one]
    for one in found if random.random() < 0.5 else [random.choice(found)]:
        one["expr_str"] = _filled(text, canary)


def _named(
    setter: Callable[[Any, str, Random], None], name: str, document: Any, random: Random, canary: Canary
) -> None:
    setter(document, _filled(name, canary), random)


def _of_nodes(document: Any, name: str, random: Random) -> None:
    random.choice(_nodes(document))["name"] = name


def _of_values(document: Any, name: str, random: Random) -> None:
    """Rename a tensor wherever it stands, so that nothing else is wrong."""
    old = random.choice(list(document["graph_module"]["graph"]["tensor_values"]))
    values = document["graph_module"]["graph"]["tensor_values"]
    values[name] = values.pop(old)
    for one in _entries(document):
        for key, value in list(one.items()):
            if value == old and key in ("name", "as_name"):
                one[key] = name


def _of_arguments(document: Any, name: str, random: Random) -> None:
    random.choice(random.choice(_nodes(document))["inputs"])["name"] = name


def _of_the_call(document: Any, name: str, _random: Random) -> None:
    document["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [name]


def _of_a_module(document: Any, name: str, random: Random) -> None:
    random.choice(document["graph_module"]["module_call_graph"][1:])["fqn"] = name


def _of_a_parameter(document: Any, name: str, random: Random) -> None:
    found = [one for one in _entries(document) if "parameter_name" in one or "buffer_name" in one]
    one = random.choice(found)
    one["parameter_name" if "parameter_name" in one else "buffer_name"] = name


def _of_a_stack(document: Any, name: str, random: Random) -> None:
    node = random.choice(_nodes(document))
    key, _, rest = node["metadata"]["nn_module_stack"].partition(",")
    node["metadata"]["nn_module_stack"] = random.choice(
        (f"{key},{name},a.B", f"{name},{rest}", f'{key},a")or({name},B')
    )


def _of_keys(document: Any, name: str, _random: Random) -> None:
    signature = document["graph_module"]["module_call_graph"][0]["signature"]
    tree = json.loads(signature["in_spec"])
    tree[1]["children_spec"][1]["context"] = json.dumps([name])
    tree[1]["children_spec"][1]["children_spec"] = [{"type": None, "context": None, "children_spec": []}]
    signature["in_spec"] = json.dumps(tree)


_PLACES_OF_NAMES: Mapping[str, Callable[[Any, str, Random], None]] = {
    "a node called": _of_nodes,
    "a value called": _of_values,
    "an argument called": _of_arguments,
    "an input called": _of_the_call,
    "a module called": _of_a_module,
    "a parameter called": _of_a_parameter,
    "a stack with": _of_a_stack,
    "a keyword called": _of_keys,
}


def _guards_that_run(document: Any, _random: Random, canary: Canary) -> None:
    document["guards_code"] = [f"__import__('os').system({canary.command!r})"]


def _another_verifier(document: Any, random: Random, _canary: Canary) -> None:
    document["verifiers"] = [random.choice(("EDGE", "os.system", "", "\x1b[31m"))]


def _another_version(document: Any, random: Random, _canary: Canary) -> None:
    document["schema_version"] = {"major": random.choice((0, 7, 9, -1, 10**30)), "minor": random.choice((0, 10**9))}


def _a_symbol_with_a_great_number(document: Any, _random: Random, _canary: Canary) -> None:
    document["range_constraints"]["u9999999999"] = {"min_val": 0, "max_val": None}


def _ranges_the_wrong_way(document: Any, random: Random, _canary: Canary) -> None:
    for one in document["range_constraints"].values():
        one.update(min_val=random.choice((10**30, 5, -5)), max_val=random.choice((-(10**30), 4, 0)))


def _an_object_as_argument(document: Any, random: Random, _canary: Canary) -> None:
    value = random.choice(
        (
            {"as_custom_obj": {"name": "obj", "class_fqn": "__torch__.torch.classes.x.Y"}},
            {"as_operator": "torch.os.system"},
            {"as_graph": {"name": "g", "graph": document["graph_module"]["graph"]}},
            {"as_string_to_argument": {"a": {"as_int": 1}}},
            {"as_nested_tensors": [[{"name": "x"}]]},
            {"as_int": 1, "as_none": True},
            {},
        )
    )
    random.choice(random.choice(_nodes(document))["inputs"])["arg"] = value


def _an_object_as_input(document: Any, random: Random, _canary: Canary) -> None:
    name = {"name": "obj", "class_fqn": "__torch__.torch.classes.x.Y"}
    document["graph_module"]["graph"]["custom_obj_values"] = {"obj": name}
    document["graph_module"]["graph"]["inputs"].insert(0, {"as_custom_obj": name})
    spec = {"custom_obj": {"arg": name, "custom_obj_name": "obj"}}
    document["graph_module"]["signature"]["input_specs"].insert(
        0, random.choice((spec, {"token": {"arg": {"name": "t"}}}))
    )


def _a_tree_of_another_type(document: Any, random: Random, _canary: Canary) -> None:
    signature = document["graph_module"]["module_call_graph"][0]["signature"]
    tree = {"type": "builtins.dict", "context": json.dumps([{"__enum__": True, "fqn": "os.system", "name": "x"}])}
    kinds = ("collections.namedtuple", "os.system", "torch.return_types.max", "builtins.slice", "builtins.object")
    tree = random.choice((tree, {"type": random.choice(kinds), "context": '"os.system"'}))
    signature[random.choice(("in_spec", "out_spec"))] = json.dumps([1, {**tree, "children_spec": []}])


def _a_deep_tree(document: Any, random: Random, _canary: Canary) -> None:
    depth = random.choice((100, 50_000))
    opened = '{"type": "builtins.tuple", "context": "null", "children_spec": ['
    signature = document["graph_module"]["module_call_graph"][0]["signature"]
    signature["out_spec"] = "[1, " + opened * depth + "]}" * depth + "]"


def _sizes_that_are_huge(document: Any, random: Random, _canary: Canary) -> None:
    for meta in document["graph_module"]["graph"]["tensor_values"].values():
        meta["sizes"] = [{"as_int": random.choice((1 << 40, 1 << 62, -1))} for _ in meta["sizes"]]


def _many_dimensions(document: Any, random: Random, _canary: Canary) -> None:
    meta = random.choice(list(document["graph_module"]["graph"]["tensor_values"].values()))
    meta["sizes"] = meta["strides"] = [{"as_int": 1}] * random.choice((65, 10_000))


def _sizes_multiplied(document: Any, random: Random, _canary: Canary) -> None:
    """Square a size again and again."""
    graph, places = document["graph_module"]["graph"], [one for one in _nodes(document) if "_operator" in one["target"]]
    name = places[0]["outputs"][0]["as_sym_int"]["as_name"]
    at = graph["nodes"].index(places[0]) + 1
    operation = random.choice(("mul", "pow", "add"))
    for number in range(60):
        given = {"as_sym_int": {"as_name": name}}
        name = f"more_{number}"
        other = {"as_int": random.choice((8, 99))} if operation == "pow" else given
        inputs = [{"name": "", "arg": one, "kind": 1} for one in (given, other)]
        node = {**places[0], "target": f"_operator.{operation}", "inputs": inputs, "name": name}
        graph["nodes"].insert(at + number, {**node, "outputs": [{"as_sym_int": {"as_name": name}}]})
        graph["sym_int_values"][name] = {"as_int": 4}


def _a_list_multiplied(document: Any, random: Random, _canary: Canary) -> None:
    node = next(one for one in _nodes(document) if "_operator" in one["target"])
    first = random.choice(({"as_ints": [1, 2]}, {"as_string": "a"}, {"as_none": True}))
    node["inputs"] = [{"name": "", "arg": one, "kind": 1} for one in (first, {"as_int": 10**12})]


def _nodes_many_times(document: Any, _random: Random, _canary: Canary) -> None:
    document["graph_module"]["graph"]["nodes"] *= 50


def _nodes_in_another_order(document: Any, random: Random, _canary: Canary) -> None:
    random.shuffle(document["graph_module"]["graph"]["nodes"])


def _nothing_in_it(document: Any, random: Random, _canary: Canary) -> None:
    document["graph_module"]["graph"][random.choice(("nodes", "inputs", "outputs"))] = []


def _metadata_of_other_tools(document: Any, random: Random, canary: Canary) -> None:
    odd = {
        "source_fn_stack": f"x,torch.os.system;{canary.command}",
        "torch_fn": "a;b;c",
        "custom": "[" * 100_000,
        "from_node": '[{"pass_name": "x", "action": "os.system"}]',
        "stack_trace": "\x1b[31m",
    }
    random.choice(_nodes(document))["metadata"].update(random.sample(sorted(odd.items()), 2))
    document["graph_module"]["metadata"] = {"custom": random.choice(("[" * 100_000, "1", "x"))}
    document["graph_module"]["treespec_namedtuple_fields"] = {"os.system": {"field_names": ["x"]}}


def _a_device(document: Any, random: Random, _canary: Canary) -> None:
    device = {"type": random.choice(("cuda", "meta", "os", "cpu:0", "lazy")), "index": random.choice((None, 0, 99, -1))}
    for one in document["graph_module"]["graph"]["tensor_values"].values():
        one["device"] = device


def _a_text_as_argument(document: Any, random: Random, canary: Canary) -> None:
    text = random.choice(("same", "'", '"""', "\\", f"');__import__('os').system({canary.command!r});('", "a" * 10_000))
    random.choice(random.choice(_nodes(document))["inputs"])["arg"] = {"as_string": text}


_OTHERS: tuple[Edit, ...] = (
    _guards_that_run,
    _another_verifier,
    _another_version,
    _a_symbol_with_a_great_number,
    _ranges_the_wrong_way,
    _an_object_as_argument,
    _an_object_as_input,
    _a_tree_of_another_type,
    _a_deep_tree,
    _sizes_that_are_huge,
    _many_dimensions,
    _sizes_multiplied,
    _a_list_multiplied,
    _nodes_many_times,
    _nodes_in_another_order,
    _nothing_in_it,
    _metadata_of_other_tools,
    _a_device,
    _a_text_as_argument,
)
