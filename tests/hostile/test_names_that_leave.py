"""A mistyped folder stays on this machine: whatever it is given to, no address is looked up and nothing is sent."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome

from mcd.components import Kind
from mcd.errors import CheckpointError, UsageError
from mcd.host import PluginHost
from mcd.plugins import hub_repository
from mcd_plugins.mammo_clip.tokenizer import find_vocabulary

MISTYPED = (
    "models/jane-doe",  # as a repository is written, beside a folder that exists
    "absent/jane-doe",
    "models/jane-doe@v2",
    "jane-doe",
    "models/deeper/jane-doe",
    "./models/jane-doe",
    "hub:models/deeper/jane-doe",
    "hub:/models/jane-doe",
    "hub:../jane-doe",
    "hf-hub:models/jane doe",
    "hf_hub:models/jane-doe",
    "https://huggingface.co/models/jane-doe",
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A folder with ``models``, the hub not ruled out, and what anything tries to reach, which is refused."""
    reached: list[object] = []

    def refuse(*arguments: object, **_: object) -> object:
        reached.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    return reached


def _components(kind: Kind) -> list[str]:
    return [offer.component.name for offer in PluginHost.discover().offers(kind) if not offer.missing()]


@pytest.mark.parametrize("name", _components(Kind.MODEL))
def test_no_loader_asks_for_a_mistyped_folder(
    name: str, asked: list[object], mcd_command: Callable[..., Outcome]
) -> None:
    for typed in MISTYPED if name in ("transformers", "open-clip") else MISTYPED[:3]:
        done = mcd_command("layers", "--model-plugin", f"{name}:{typed}")
        assert done.code in (2, 4), (typed, done.err)
        assert done.err.startswith("error: ")
        assert "hint: " in done.err
    assert asked == []


@pytest.mark.parametrize("name", _components(Kind.DISSECTOR))
def test_no_dissector_asks_for_a_mistyped_folder(
    name: str, asked: list[object], mcd_command: Callable[..., Outcome]
) -> None:
    for typed in MISTYPED if name in ("transformers-clip", "open-clip") else MISTYPED[:3]:
        done = mcd_command("embed", "--dissector", f"{name}:{typed}", "--text", "mass", "-o", "words.safetensors")
        assert done.code in (2, 4), (typed, done.err)
        assert "hint: " in done.err
    assert asked == []


@pytest.mark.parametrize("name", [one for one in _components(Kind.DATASET) if one != "phantom"])
def test_no_data_set_asks_for_a_mistyped_folder(
    name: str, asked: list[object], mcd_command: Callable[..., Outcome]
) -> None:
    for typed in MISTYPED[:3]:
        done = mcd_command(
            "embed", "--dissector", "phantom-clip", "--dataset", f"{name}:{typed}", "-o", "x.safetensors"
        )
        assert done.code in (2, 4), (typed, done.err)
        assert "hint: " in done.err
    assert asked == []


@pytest.mark.parametrize("typed", MISTYPED)
def test_no_tokenizer_is_asked_for_by_a_mistyped_folder(typed: str, asked: list[object]) -> None:
    with pytest.raises((CheckpointError, UsageError)):
        find_vocabulary(typed, Path("b5.tar"))
    assert asked == []


def test_only_hub_names_a_repository() -> None:
    assert hub_repository("hub:acme/tiny-clip") == "acme/tiny-clip"
    assert hub_repository("hf-hub:acme/tiny-clip@v2") == "acme/tiny-clip@v2"
    assert hub_repository("hub:acme/tiny-clip@refs/pr/1") == "acme/tiny-clip@refs/pr/1"
    assert hub_repository("acme/tiny-clip") == ""
