"""What code of other people raises is one sentence; Ctrl-C interrupts all the same, and no lack is anybody's fault."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import Outcome

from mcd.errors import MCDError, StoreError, lacks_memory, lacks_space, passes_through, said_by
from mcd.networks.foreign import calling

RAISED = {
    "sys.exit(0)": "it called sys.exit(0)",
    "sys.exit('bye')": "it called sys.exit('bye')",
    "raise ValueError('no such thing')": "ValueError: no such thing",
    "raise Panic('index out of bounds')": "Panic: index out of bounds",
    "raise ValueError('\\x1b]0;title\\x07\\u202ered')": "ValueError: \\u001b]0;title\\u0007\\u202ered",
}
"""Statements of somebody else's code, and what a user reads of each."""
INTERRUPT = "raise KeyboardInterrupt"
LACKS = (
    "raise MemoryError",
    "raise RuntimeError('[enforce fail] DefaultCPUAllocator: can not allocate memory: you tried to allocate 9 bytes')",
    "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB')",
    "raise ValueError('it failed') from MemoryError()",
)
FULL = (
    "raise OSError(errno.ENOSPC, 'No space left on device')",
    "raise OSError(errno.EDQUOT, 'Disk quota exceeded')",
    "raise OSError('300000 requested and 51200 written')",
    "raise RuntimeError('[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598')",
    "raise RuntimeError('PytorchStreamWriter failed writing file data/0: file write failed')",
    "raise RuntimeError('write(): fd 3 failed with No space left on device')",
    "raise safetensors.SafetensorError('Error while serializing: I/O error: No space left on device (os error 28)')",
    "raise ValueError('it failed') from OSError(errno.ENOSPC, 'No space left on device')",
)
"""What is raised on a full disk: by Python, numpy, torch and safetensors."""

SCORER = """
import errno, sys, safetensors, torch
class Panic(BaseException): pass
def score(activations, similarity):
    {}
"""
PLUGIN = """
import errno, sys, safetensors, torch, mcd
class Panic(BaseException): pass
def fail():
    {statement}
class Words(mcd.ConceptSource):
    def load(self):
        {load}
class Where(mcd.Dataset):
    def __len__(self):
        {length}
        return 1
    def scan(self):
        {scan}
        return [mcd.Sample("a", "a", "0")]
    def read(self, sample):
        {read}
class Print(mcd.Reporter):
    def report(self, dissection, folder):
        {report}
class Loader(mcd.ModelLoader):
    def load(self):
        {model}
@mcd.hookimpl
def mcd_register_concept_sets():
    {concepts}
    return [mcd.Component("acme", "acme:Words", "words")]
@mcd.hookimpl
def mcd_register_datasets():
    return [mcd.Component("acme", "acme:Where", "images")]
@mcd.hookimpl
def mcd_register_reporters():
    return [mcd.Component("acme", "acme:Print", "prints")]
@mcd.hookimpl
def mcd_register_models():
    return [mcd.Component("acme", "acme:Loader", "loads")]
@mcd.hookimpl
def mcd_on_event(event):
    {event}
{module}
"""
USED = {"load": "--concepts", "scan": "--dataset", "report": "--reporter", "model": "--model-plugin"}
"""Hooks and methods, each with the flag that makes the engine call it."""
PLACES = ("module", "concepts", *USED)


@pytest.fixture
def dissect(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Dissect a small network on phantoms, with other flags."""

    def run(*more: object) -> Outcome:
        given = {
            "--model-plugin": "phantom-mammo",
            "--dataset": "phantom:4",
            "--concepts": "phantom",
            "--scorer": "soft-wpmi:4",
        }
        flags = dict(zip(more[::2], more[1::2], strict=True))
        both = [part for pair in (given | flags).items() for part in pair]
        fixed = ("--layers", "head", "--dissector", "phantom-clip", "--draws", 0, "-o", tmp_path / "run")
        return mcd_command("dissect", *both, *fixed)

    return run


def scorer(folder: Path, statement: str) -> str:
    (folder / "mine.py").write_text(SCORER.format(statement))
    return f"{folder / 'mine.py'}:score"


def plugin(folder: Path, place: str, statement: str) -> Path:
    places = dict.fromkeys((*PLACES, "read", "event", "length"), "pass") | {place: "fail()"}
    (folder / "acme.py").write_text(PLUGIN.format(statement=statement, **places))
    return folder / "acme.py"


@pytest.mark.parametrize("statement", [*RAISED][::4])
def test_whatever_a_scorer_file_raises_is_one_sentence(
    statement: str, tmp_path: Path, dissect: Callable[..., Outcome]
) -> None:
    done = dissect("--scorer", scorer(tmp_path, statement))
    assert done.code in (2, 3), done.err
    assert RAISED[statement] in done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("statement", [*RAISED][::3])
def test_whatever_a_plugin_raises_is_one_sentence(
    place: str, statement: str, tmp_path: Path, dissect: Callable[..., Outcome]
) -> None:
    more = (USED[place], "acme") if place in USED else ()
    done = dissect("--plugin-file", plugin(tmp_path, place, statement), *more)
    assert done.code in (2, 3, 4), done.err
    assert RAISED[statement] in " ".join(done.err.split())
    assert "Traceback" not in done.err


@pytest.mark.parametrize("place", PLACES)
def test_an_interrupt_in_somebody_elses_code_interrupts(
    place: str, tmp_path: Path, dissect: Callable[..., Outcome]
) -> None:
    more = (USED[place], "acme") if place in USED else ()
    done = dissect("--plugin-file", plugin(tmp_path, place, INTERRUPT), *more)
    assert done.code == 130, done.err
    assert done.err.splitlines()[-1].startswith("interrupted")


def test_an_interrupt_in_a_scorer_file_interrupts(tmp_path: Path, dissect: Callable[..., Outcome]) -> None:
    assert dissect("--scorer", scorer(tmp_path, INTERRUPT)).code == 130


@pytest.mark.parametrize("statement", LACKS)
def test_a_lack_of_memory_is_blamed_on_nobody(statement: str, tmp_path: Path, dissect: Callable[..., Outcome]) -> None:
    done = dissect("--plugin-file", plugin(tmp_path, "module", statement))
    assert done.code == 1, done.err
    assert "this machine has too little memory" in done.err
    assert "acme" not in done.err.partition("error: ")[2]


def test_a_lack_of_memory_is_no_fault_of_a_scorer(tmp_path: Path, dissect: Callable[..., Outcome]) -> None:
    done = dissect("--scorer", scorer(tmp_path, LACKS[1]))
    assert done.code == 1, done.err
    assert "mine.py" not in done.err.partition("error: ")[2]


@pytest.mark.parametrize("statement", FULL)
def test_a_full_disk_is_no_fault_of_a_scorer(statement: str, tmp_path: Path, dissect: Callable[..., Outcome]) -> None:
    done = dissect("--scorer", scorer(tmp_path, statement))
    assert done.code == 4, done.err
    assert ": no space is left on the disk\n  hint: free space or choose another --output" in done.err


@pytest.mark.parametrize("place", ["load", "scan", "report", "model"])
def test_a_full_disk_is_said_of_what_a_plugin_was_doing(
    place: str, tmp_path: Path, dissect: Callable[..., Outcome]
) -> None:
    done = dissect("--plugin-file", plugin(tmp_path, place, FULL[3]), USED[place], "acme")
    assert done.code == 4, done.err
    assert ": no space is left on the disk\n  hint: free space or choose another --output" in done.err
    assert "inline_container" not in done.err


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_what_torch_raises_on_a_full_disk_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.save({"weights": torch.zeros(300_000)}, "/dev/full")
    assert lacks_space(caught.value)
    with pytest.raises(StoreError, match=r"^reporter 'x' failed: no space is left"), calling("reporter 'x' failed"):
        torch.save({"weights": torch.zeros(300_000)}, "/dev/full")


def test_space_is_lacking_where_what_was_being_handled_says_so() -> None:
    error = ValueError("the file is not whole")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert lacks_space(error)
    error.__context__ = error
    assert not lacks_space(error)
    assert not lacks_space(OSError(errno.EACCES, "Permission denied"))


def test_memory_is_lacking_where_a_cause_says_so() -> None:
    error = ValueError("it failed")
    error.__cause__ = MemoryError()
    assert lacks_memory(error)
    assert lacks_memory(OSError(12, "Cannot allocate memory"))
    assert lacks_memory(RuntimeError("CUDA error: out of memory"))
    assert not lacks_memory(RuntimeError("shape mismatch"))
    assert passes_through(KeyboardInterrupt())
    assert not passes_through(SystemExit(3))


def test_the_advice_of_libraries_to_turn_a_protection_off_stays_unsaid(tmp_path: Path) -> None:
    torch.save({"weights": MCDError}, tmp_path / "foreign.pt")
    with pytest.raises(MCDError) as caught, calling("the network cannot be made"):
        torch.load(tmp_path / "foreign.pt", weights_only=True)
    assert "Weights only load failed" in caught.value.message
    for advice in ("weights_only", "safe_globals", "trust"):
        assert advice not in str(caught.value)
    custom = "The repository a/b contains custom code. Please pass `trust_remote_code=True` to allow it to run."
    assert said_by(ValueError(custom)) == "ValueError: The repository a/b contains custom code."
    assert said_by(ValueError("Cannot load file with allow_pickle=False"), named=False) == "ValueError"


def test_the_advice_reaches_nobody_through_a_function_of_the_user(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    torch.save({"weights": MCDError}, tmp_path / "foreign.pt")
    (tmp_path / "make.py").write_text(
        f"import torch\ndef net():\n    return torch.load({str(tmp_path / 'foreign.pt')!r}, weights_only=True)\n"
    )
    for more in ((), ("--debug",)):
        done = mcd_command("layers", "--model-plugin", f"module:{tmp_path / 'make.py'}:net", *more)
        assert done.code == 2
        assert "UnpicklingError: Weights only load failed." in done.err
        assert "`False`" not in done.err
        assert "safe_globals" not in done.err


def test_a_scorer_of_a_plugin_without_a_name_is_one_sentence(tmp_path: Path, dissect: Callable[..., Outcome]) -> None:
    source = (
        "import mcd\nclass Nameless(mcd.Scorer):\n    def score(self, activations, similarity): pass\n@mcd.hookimpl\n"
    )
    source += "def mcd_register_scorers(): return [mcd.Component('nameless', 'nameless:Nameless', 'scores')]\n"
    (tmp_path / "nameless.py").write_text(source)
    done = dissect("--plugin-file", tmp_path / "nameless.py", "--scorer", "nameless")
    assert (done.code, "Traceback" in done.err) == (3, False)
    assert "scorer 'nameless' has no name" in done.err
