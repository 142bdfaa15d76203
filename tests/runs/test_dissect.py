"""The Python API with plain objects: what a notebook user writes, and what must never happen to her."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import mcd
from mcd.errors import DataError, MCDError, StoreError, UnknownNameError, UsageError
from mcd.extraction.image_statistics import STATISTICS

WORDS = ["bright", "dark", "left", "right"]


class Patches(Dataset[torch.Tensor]):
    """Grey images 12×12 whose brightness and balance grow with their number."""

    def __init__(self, count: int = 40) -> None:
        noise = torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0)) * 0.2
        self.images = (noise + torch.linspace(0, 0.8, count).view(-1, 1, 1, 1)).clamp(0, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.images[row]


class Net(nn.Module):
    """A convolution with one dead channel, dropout that must be off, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(1, 6, 3)
        self.drop = nn.Dropout(0.9)
        self.head = nn.Linear(6, 3)
        nn.init.zeros_(self.conv.weight[2])
        nn.init.zeros_(self.conv.bias[2:3])
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out: torch.Tensor = self.head(self.drop(self.conv(x)).mean((2, 3)))
        return out


class Brightness(mcd.Dissector):
    """Knows bright from dark and left from right, exactly."""

    def __init__(self, tower: nn.Module | None = None) -> None:
        super().__init__()
        self.name = "brightness"
        self.module = self.image_tower = tower or nn.Identity()
        self.preprocessing = mcd.Preprocessing()

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        self.module(batch)
        balance = batch[..., :6].mean((1, 2, 3)) - batch[..., 6:].mean((1, 2, 3))
        return torch.stack([batch.mean((1, 2, 3)) - 0.5, balance, torch.full_like(balance, 0.05)], dim=1)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        known = {"bright": [1.0, 0, 0], "dark": [-1.0, 0, 0], "left": [0, 1.0, 0], "right": [0, -1.0, 0]}
        return torch.tensor([known[text] for text in texts])


def dissect(**changes: object) -> mcd.Dissection:
    settings: dict[str, object] = {
        "model": Net(),
        "layers": ["conv", "head"],
        "dataset": Patches(),
        "dissector": Brightness(),
        "concepts": WORDS,
        "scorer": mcd_product,
        "progress": False,
        "batch_size": 8,
        "device": "cpu",
        **changes,
    }
    return mcd.dissect(**settings)


def mcd_product(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    return (activations - activations.mean(0)).T @ similarity


def test_six_lines_give_labels_and_top_images(tmp_path: Path) -> None:
    found = dissect()
    best = found.labels[found.labels["rank"] == 1].set_index(["layer", "neuron"])["concept"]
    rising = found.activations("conv")[-1] > found.activations("conv")[0]
    for neuron in (0, 1, 3, 4, 5):
        assert best["conv", neuron] == ("bright" if rising[neuron] else "dark")
    assert found.labels.query("layer == 'conv' and neuron == 2")["status"].tolist() == ["dead"]
    top = found.top_images("conv", 0, count=3)
    assert top["activation"].is_monotonic_decreasing
    assert set(top["image"]) == ({"000039", "000038", "000037"} if rising[0] else {"000000", "000001", "000002"})
    again = mcd.load(found.save(tmp_path / "kept"))
    assert again.labels.equals(found.labels)
    torch.testing.assert_close(again.activations("head"), found.activations("head"))


def test_activations_equal_a_plain_forward_pass() -> None:
    net = Net()
    found = dissect(model=net)
    caught: list[torch.Tensor] = []
    handle = net.conv.register_forward_hook(lambda _m, _i, output: caught.append(output))
    with torch.inference_mode():
        net.eval()(Patches().images)
    handle.remove()
    torch.testing.assert_close(found.activations("conv"), caught[0].mean((2, 3)))


def test_the_model_comes_back_as_it_was() -> None:
    net = Net().train()
    net.drop.eval()
    dissect(model=net)
    assert net.training
    assert not net.drop.training
    assert all(not module._forward_hooks for module in net.modules())


def test_a_model_that_refuses_eval_is_named() -> None:
    class Awake(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 2, 3), Stubborn()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.conv(x))
            return out

    class Stubborn(nn.Identity):
        def train(self, mode: bool = True) -> Stubborn:
            self.training = True
            return self

    with pytest.raises(UsageError, match=r"head \(Stubborn\) stays in training mode"):
        dissect(model=Awake())


def test_one_forward_serves_target_and_dissector_that_share_a_tower() -> None:
    net = Net()
    shared = dissect(model=net, dissector=Brightness(net), store="off")
    assert net.calls == 5 + 2 + 2  # five batches, and of each trial, of target and dissector, a batch and one image
    torch.testing.assert_close(shared.activations("conv"), dissect().activations("conv"))
    twin = Net()  # another object of the same weights
    dissect(model=Net(), dissector=Brightness(twin), store="off")
    assert twin.calls == 5 + 2


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    def tree(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    dissect(output=tmp_path / "one")
    dissect(output=tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_finished_run_is_not_computed_again_and_a_changed_one_is(tmp_path: Path) -> None:
    net = Net()
    first = dissect(model=net, output=tmp_path / "run")
    net.calls = 0
    dissect(model=net, output=tmp_path / "run")
    assert net.calls == 2  # the trial
    with torch.no_grad():
        net.conv.weight[0] += 1
    with pytest.raises(UsageError, match="another object was its target"):
        dissect(model=net, output=tmp_path / "run")
    (tmp_path / "run" / "labels.parquet").unlink()  # as where the first run was interrupted
    changed = dissect(model=net, output=tmp_path / "run")
    assert not torch.equal(changed.activations("conv")[:, 0], first.labels.index.to_numpy().mean() * torch.ones(40))
    assert len(list((tmp_path / "run" / "activations").iterdir())) == len(changed.layers)  # the stale shards are gone
    plain = dissect(model=net)
    torch.testing.assert_close(changed.activations("conv"), plain.activations("conv"))


def test_changed_images_are_seen(tmp_path: Path) -> None:
    images = Patches()
    before = dissect(dataset=images, output=tmp_path / "run").activations("conv")
    images.images[7] = images.images[7].flip(-1) * 0.5
    with pytest.raises(UsageError, match="another object was its probe set"):
        dissect(dataset=images, output=tmp_path / "run")
    (tmp_path / "run" / "labels.parquet").unlink()  # as where the first run was interrupted
    after = dissect(dataset=images, output=tmp_path / "run").activations("conv")
    assert not torch.equal(before[7], after[7])
    torch.testing.assert_close(before[8:], after[8:])


def test_another_run_in_the_folder_is_said_before_computing(tmp_path: Path) -> None:
    net = Net()
    dissect(output=tmp_path / "run")
    with pytest.raises(UsageError, match="holds another run; it differs in models"):
        dissect(model=net, layers="conv", output=tmp_path / "run")
    assert net.calls == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        dissect(output=tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        dissect(output=tmp_path / "file")


def test_one_image_tells_nothing_and_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    net = Net()
    with pytest.raises(DataError, match="one image cannot tell neurons apart"):
        dissect(model=net, limit=1, output=tmp_path / "run")
    assert not (tmp_path / "run" / "activations").exists()
    assert dissect(limit=2).manifest.images == 2


def test_blank_and_broken_images_are_named_or_left_out(tmp_path: Path) -> None:
    images = Patches()
    images.images[3] = 0.5
    images.images[5, 0, 0, 0] = float("nan")
    with pytest.raises(DataError, match=r"2 of 40 images cannot be used:\n  item 3: it is blank") as caught:
        dissect(dataset=images)
    assert "--on-error skip" in caught.value.hint
    found = dissect(dataset=images, on_error="skip", output=tmp_path / "run")
    assert found.manifest.images == 38
    assert found.manifest.left_out == {"unreadable": 2, "not decoded": 0}
    assert "000003" not in found.image_ids
    assert found.activations("conv").shape == (38, 6)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_near_and_kept_apart(precision: str, tmp_path: Path) -> None:
    exact = dissect(output=tmp_path / "fp32").activations("conv")
    found = dissect(output=tmp_path / precision, precision=precision)
    torch.testing.assert_close(found.activations("conv"), exact, atol=0.02, rtol=0.02)
    assert not torch.equal(found.activations("conv"), exact)
    with pytest.raises(UsageError, match="differs in precision"):
        dissect(output=tmp_path / "fp32", precision=precision)


def test_a_run_that_would_fill_the_disk_is_refused_before_computing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = Net()
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=100))
    needed = 4 * 40 * (6 + 3 + 3 + STATISTICS)  # images × (conv + head + the width of the embeddings + …)
    with pytest.raises(StoreError) as caught:
        dissect(model=net, output=tmp_path / "run")
    assert caught.value.message == (
        f"the run needs about {needed / 1024:.1f} KiB more in {tmp_path / 'run'}, and 100 B are free: "
        f"{(needed - 100) / 1024:.1f} KiB too few"
    )
    assert net.calls == 2  # the trial


def test_what_is_stored_already_needs_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Activations, embeddings and maps of a whole run are there; of a run that was cut short a part is."""

    def again(free: int, **changes: object) -> mcd.Dissection:
        monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
        return dissect(output=tmp_path / "run", dataset=Patches(100), store="off", **changes)

    first = again(10**9, maps=2)
    assert again(0, maps=2).labels.equals(first.labels)
    for shard in (tmp_path / "run" / "activations").glob("*/00001.safetensors"):
        shard.unlink()
    needed = 4 * (100 - 64) * (6 + 3)  # the embeddings of this shard are there
    with pytest.raises(StoreError, match=rf"needs about {needed / 1024:.1f} KiB more .*: 1 B too few"):
        again(needed - 1, maps=2)
    assert again(needed, maps=2).labels.equals(first.labels)
    needed = 6 * 3 * (10 * 10 + 16)  # neurons of the convolution × maps × (places + row and range)
    with pytest.raises(StoreError, match=rf"needs about {needed / 1024:.1f} KiB more"):
        again(needed - 1, maps=3)
    assert again(needed, maps=3).labels.equals(first.labels)


def test_an_activation_that_is_not_finite_names_layer_and_image() -> None:
    net = Net()
    with torch.no_grad():
        net.head.weight[1] = float("inf")
    with pytest.raises(DataError, match=r"layer head of Net gives NaN or infinity for image item 0") as caught:
        dissect(model=net)
    assert caught.value.hint == "check the image and the weights"


class Brittle(Net):
    """Works with the weights that it was made with, and with no others."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("made_with", self.head.weight.detach().clone())
        self.last = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(super().forward(x) / torch.equal(self.head.weight, self.made_with))
        return out


def test_the_hint_about_a_control_that_gives_nan_does_not_go_by_its_name() -> None:
    """timm calls a target without weights NAME (random weights), too."""
    with pytest.raises(DataError, match=r"layer last of .* gives NaN or infinity") as caught:
        dissect(model=Brittle(), layers=["last"], controls=True)
    assert caught.value.hint == "the control cannot be run with this target: leave out --controls"
    target = mcd.Target("Net (random weights)", Brittle(), mcd.Preprocessing())
    nn.init.zeros_(target.module.made_with)
    with pytest.raises(DataError, match=r"layer last of .* gives NaN or infinity") as caught:
        dissect(model=target, layers=["last"])
    assert caught.value.hint == "check the image and the weights"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_too_little_memory_for_a_batch_says_what_to_try(error: RuntimeError) -> None:
    class Large(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 4:
                raise error
            return super().forward(x)

    with pytest.raises(UsageError, match="cpu has too little memory for batches of 8 images") as caught:
        dissect(model=Large())
    assert caught.value.hint == "try --batch-size 4"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"layers": "cnv"}, "no layer matches 'cnv'"),
        ({"layers": []}, "which layers of Net"),
        ({"scorer": "soft-wpm"}, "no scorer named 'soft-wpm'"),
        ({"concepts": []}, "concept"),
        ({"concepts": ["a", "a"]}, "a"),
        ({"precision": "fp8"}, "precision"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used"),
        ({"dataset": [torch.rand(1, 8, 8), torch.rand(1, 9, 9)]}, "differ in size"),
        ({"dataset": [torch.rand(1, 8, 8) * 3 - 1]}, "outside 0"),
        ({"dataset": []}, "no image"),
        ({"pooling": "cls"}, "needs tokens"),
    ],
)
def test_mistakes_get_one_clear_message(changes: dict[str, object], error: str) -> None:
    with pytest.raises(MCDError, match=error):
        dissect(**changes)


def test_an_unknown_neuron_or_layer_is_named() -> None:
    found = dissect()
    with pytest.raises(UsageError, match="neurons 0 to 5, not 6"):
        found.top_images("conv", 6)
    with pytest.raises(UnknownNameError, match="'con'"):
        found.activations("con")


def test_loading_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a run folder"):
        mcd.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match="its schema is not mcd"):
        mcd.load(tmp_path)


def test_layers_may_have_other_names() -> None:
    target = mcd.Target("net", Net(), aliases={"_blocks.0": "conv", "_blocks.1": "head"})
    found = dissect(model=target, layers="_blocks[{0..1}]")
    assert found.layers == ["conv", "head"]
    assert dissect(model=target, layers=["conv", "_blocks.1"]).layers == ["conv", "head"]


class TwoValued(mcd.Dataset):
    """Patches, whose stored values are their negatives."""

    def __len__(self) -> int:
        return 40

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        return iter([mcd.Sample(f"{row:02d}", f"{row:02d}") for row in range(40)])

    def read(self, sample: mcd.Sample) -> mcd.Image:
        return mcd.Image(Patches().images[int(sample.id), 0].numpy(), 1.0)

    def read_stored(self, sample: mcd.Sample) -> mcd.Image:
        return mcd.Image(1 - Patches().images[int(sample.id), 0].numpy(), 1.0)


def test_a_model_that_wants_stored_values_gets_them() -> None:
    images = Patches().images
    net = Net().eval()
    for values, expected in (("displayed", images), ("stored", 1 - images)):
        target = mcd.Target("net", net, mcd.Preprocessing.model_validate({"values": values}))
        with torch.inference_mode():
            plain = net.conv(expected).mean(dim=(2, 3))
        found = dissect(model=target, dataset=TwoValued()).activations("conv")
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
