"""The threat model names every command, and every function that opens files, imports code or asks a server."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mcd.cli import State, cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threat-model.md").read_text(encoding="utf-8")

READING = re.compile(
    r"(^|\.)(open|fdopen|safe_open|read_bytes|read_text|dcmread|dcmread_partial|load_workbook|imread|memmap|fromfile|ZipFile"
    r"|read_parquet|read_csv|read_table|read_excel|read_file|load_file|from_pretrained|hf_hub_download|snapshot_download"
    r"|load_state_dict_from_url|create_model|create_model_and_transforms|get_tokenizer|get_weights|import_module|exec|eval"
    r"|read_regular|open_regular|open_tensors|read_private|files\.read|files\.check"
    r"|exec_module|spec_from_file_location|run_path|urlopen|getpixels|pixel_array|VideoCapture)$"
    r"|^(torch|np|numpy|pickle|joblib|json|yaml|tomllib|torch\.jit|torch\.export|torch\.hub)\.load$"
    r"|^os\.(open|popen|system)$|^subprocess\.|^(zipfile|tarfile|gzip|bz2|lzma)\."
)
"""Calls that read a file, a server or code, by their names in the source."""
NAMED = re.compile(
    r"^(from_pretrained|hf_hub_download|snapshot_download|load_state_dict_from_url|create_model|exec|eval)$"
)
"""What counts wherever it is named: it is also handed on, to be called elsewhere."""
_OURS = ("opener.open",)
_OUTPUT = re.compile(r"""["'][wxa]b?["']\)""")


def calls(tree: ast.AST, within: str = "") -> Iterator[tuple[str, str]]:
    """Yield every call that reads with the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inside = within
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{within}.{node.name}".lstrip(".")
        if isinstance(node, ast.Call):
            name = re.sub(r"^.*CheckedFiles\(.*\)", "files", ast.unparse(node.func), flags=re.DOTALL)
            name = name.rsplit(")", 1)[-1].lstrip(".")
            if READING.search(name) and name not in _OURS and not _OUTPUT.search(ast.unparse(node)):
                yield inside, name
        elif isinstance(node, ast.Attribute) and NAMED.match(node.attr):
            yield inside, node.attr
        yield from calls(node, inside)


def readers() -> dict[str, set[str]]:
    """Return the modules that read, each with its functions."""
    found: dict[str, set[str]] = {}
    for source in ("core", "plugins"):
        for path in sorted((ROOT / source).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / source).with_suffix("").parts)
            if name.startswith("mcd.testing"):
                continue  # of authors, on their own machines
            functions = {where or "(module)" for where, _ in calls(ast.parse(path.read_text(encoding="utf-8")))}
            if functions:
                found[name.removesuffix(".__init__")] = functions
    return found


def commands(group: click.Group, context: click.Context, above: str = "") -> Iterator[str]:
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        if isinstance(one, click.Group):
            yield from commands(one, context, f"{above}{name} ")
        else:
            yield f"{above}{name}"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, code marks taken off."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line] for line in lines]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_says_of_every_command_what_it_reads() -> None:
    there = set(commands(cli, click.Context(cli, obj=State())))
    said = [name.removeprefix("mcd ") for row in rows("Commands") for name in named(row[0])]
    assert sorted(said) == sorted(there), "docs/explanation/threat-model.md: add the command to the table Commands"


def test_the_page_names_every_function_that_reads() -> None:
    said = {f"{row[0].strip('`')}: {name}" for row in rows("Readers") for name in named(row[1])}
    there = {f"{module}: {name}" for module, names in readers().items() for name in names}
    assert sorted(said) == sorted(there), "docs/explanation/threat-model.md: name the function in the table Readers"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(p):\n    return p.read_bytes()", [("f", "p.read_bytes")]),
        ("class A:\n    def f(self):\n        with self.p.open('rb') as x: pass", [("A.f", "self.p.open")]),
        ("def f(p): Path(p).read_text()", [("f", "read_text")]),
        ("def f(p): return pd.read_parquet(p)", [("f", "pd.read_parquet")]),
        ("torch.load(p)", [("", "torch.load")]),
        ("def f(p): p.open('wb')", []),
        ("def f(p): CheckedFiles(p, {}).read('a', 1)", [("f", "files.read")]),
    ],
)
def test_a_new_reader_is_seen(code: str, found: list[tuple[str, str]]) -> None:
    assert list(calls(ast.parse(code))) == found
