"""Programs of torch.export: the same activations as the source network, and nothing of a hostile file runs."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from tests.conftest import Outcome
from torch import nn

import mcd
from mcd.errors import CheckpointError, UsageError
from mcd.networks.layers import inspect_layers
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder
from mcd.testing import check_model_loader
from mcd_plugins.exported.loader import ExportLoader


def exported(network: nn.Module, path: Path, *, batch: bool = True, side: int = 64) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if batch else None
    program = torch.export.export(network, (torch.rand(2, 3, side, side),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def load(path: Path, **options: object) -> mcd.Target:
    return ExportLoader(ExportLoader.Options.model_validate({"program": path, **options})).load()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    network: nn.Module = timm.create_model("resnet18", num_classes=3)
    return network.eval()


@pytest.fixture(scope="module")
def program(resnet: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(resnet, tmp_path_factory.mktemp("programs") / "resnet.pt2")


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_layers_keep_names_and_values(name: str, tmp_path: Path) -> None:
    source = timm.create_model(name, num_classes=3, **({"img_size": 64} if name.startswith("vit") else {})).eval()
    target = load(exported(source, tmp_path / "program.pt2"))
    assert (target.preprocessing.height, target.preprocessing.width, target.preprocessing.channels) == (64, 64, 3)
    batch = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    known = {layer.name: layer for layer in inspect_layers(source, batch) if not layer.reason}
    found = [layer for layer in inspect_layers(target.module, batch) if layer.name in known and not layer.reason]
    assert len(found) > len(known) / 2
    same = [known[layer.name] for layer in found]
    assert [layer.neurons for layer in found] == [layer.neurons for layer in same]
    with torch.inference_mode():
        with Recorder(target.module, found, Pooling("avg")) as recorder:
            target.module(batch)
            values = recorder.take()
        with Recorder(source, same, Pooling("avg")) as recorder:
            source(batch)
            expected = recorder.take()
    for layer in found:
        torch.testing.assert_close(values[layer.name], expected[layer.name], atol=1e-5, rtol=1e-5, msg=layer.name)


def test_a_run(program: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        f"torch-export:{program}",
        "--layers",
        "layer4.*",
        "--dataset",
        "phantom:5",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--scorer-arg",
        "top_k=5",
        "--batch-size",
        "19",
        "-o",
        tmp_path / "run",
        "--device",
        "cpu",
    )
    assert done.code == 0, done.err  # the last batch holds one image
    assert mcd.load(tmp_path / "run").layers == ["layer4.0", "layer4.1"]


def test_what_cannot_be_a_target_is_refused(resnet: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exactly 2"):
        load(exported(resnet, tmp_path / "fixed.pt2", batch=False))
    with pytest.raises(UsageError, match="training mode"):
        load(exported(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout()).train(), tmp_path / "awake.pt2"))
    torch.export.save(torch.export.export(nn.Linear(4, 2), (torch.rand(2, 4),)), tmp_path / "flat.pt2")
    with pytest.raises(UsageError, match="takes"):
        load(tmp_path / "flat.pt2")


def test_files_that_are_no_programs(program: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no file"):
        load(tmp_path / "nowhere.pt2")
    (tmp_path / "page.pt2").write_text("<html>not found</html>")
    with pytest.raises(CheckpointError, match=r"no.*\.pt2 archive|not a \.pt2"):
        load(tmp_path / "page.pt2")
    (tmp_path / "half.pt2").write_bytes(program.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=r"not a \.pt2"):
        load(tmp_path / "half.pt2")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt2")
    with pytest.raises(CheckpointError, match="no program"):
        load(tmp_path / "weights.pt2")


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes], extra: str = "") -> Path:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)))
        if extra:
            after.writestr(f"resnet/{extra}", b"\x7fELF")
    return target


def in_graph(pattern: str, replacement: str) -> Callable[[str, bytes], bytes]:
    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        text, count = re.subn(pattern, lambda _: replacement, data.decode())
        assert count, pattern
        json.loads(text)
        return text.encode()

    return change


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"torch\.ops\.aten\.relu_\.default", "torch.os.system"),
        (r"torch\.ops\.aten\.relu_\.default", "torch.ops.aten.relu_.default.__class__"),
        (r"Symbol\('s\d+', positive=True, integer=True\)", "__import__('os').system('true')"),
        (r"Symbol\('s\d+', positive=True, integer=True\)", "Symbol('s1').__class__"),
        (r"Symbol\('s\d+', positive=True, integer=True\)", "lambdify(s1, s1)"),
        (r'"name": "x"', '"name": "x=print(1)"'),
        (r'"forward_arg_names": \["x"\]', '"forward_arg_names": ["x=print(1)"]'),
        (r"L__self__conv1,conv1,", r"L__self__conv1,a\")or(print,"),
    ],
)
def test_a_graph_with_anything_foreign_is_not_opened(
    pattern: str, replacement: str, program: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="is not opened"):
        load(rewritten(program, tmp_path / "bad.pt2", in_graph(pattern, replacement)))


def test_no_pickle_in_it_runs(program: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    trap = pickle.dumps(Trap(mark))

    def sample(name: str, data: bytes) -> bytes:
        return trap if "sample_inputs" in name else data

    assert load(rewritten(program, tmp_path / "inputs.pt2", sample)).name == "inputs"  # they are not read

    def weight(name: str, data: bytes) -> bytes:
        if name.endswith("model_weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return trap if name.endswith("/weight_0") else data

    with pytest.raises(CheckpointError, match="pickled"):
        load(rewritten(program, tmp_path / "weight.pt2", weight))
    with pytest.raises(CheckpointError, match="compiled"):
        load(rewritten(program, tmp_path / "code.pt2", lambda _, data: data, "data/aotinductor/model/x.so"))
    with pytest.raises(CheckpointError, match="no tensor"):
        load(rewritten(program, tmp_path / "object.pt2", lambda _, data: data, "data/constants/custom_obj_0"))
    assert not mark.exists()
    assert load(rewritten(program, tmp_path / "same.pt2", lambda _, data: data)).name == "same"


def test_it_passes_the_kit(program: Path) -> None:
    check_model_loader(ExportLoader(ExportLoader.Options(program=program)))
