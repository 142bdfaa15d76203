"""Texts and images meet where the released network puts them, whatever the checkpoint's heads and pooling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mcd.errors import CheckpointError
from mcd.testing import check_dissector
from mcd_plugins.mammo_clip.dissector import MammoClip, RandomHeads
from mcd_plugins.mammo_clip.network import Opened, Pooling, build, pooled
from mcd_plugins.mammo_clip.tokenizer import LENGTH, Tokenizer, find_vocabulary

State = dict[str, torch.Tensor]


def dissector(path: Path, **options: object) -> MammoClip:
    made = MammoClip(MammoClip.Options.model_validate({"checkpoint": path, **options}))
    made.load()
    return made


def test_texts_and_images_are_embedded_as_by_the_released_network(golden: Path, filled: Callable[..., State]) -> None:
    network = build(Opened(Path("golden"), filled("b2", "tiny_text"), "b2", "eos"))
    with np.load(golden / "expected_tiny_text.npz") as file:
        expected = {name: torch.from_numpy(file[name]) for name in file.files}
    with np.load(golden / "expected_image_encoder.npz") as file:
        vector = torch.from_numpy(file["b2/304x184/pooled"])
    ids, mask = expected["input_ids"], expected["attention_mask"]
    with torch.inference_mode():
        hidden = network.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        texts = torch.nn.functional.normalize(network.texts(ids, mask), dim=1)
        image = torch.nn.functional.normalize(network.image_projection(vector[None]), dim=1)[0]
    torch.testing.assert_close(pooled(hidden, mask, "eos"), expected["text_features_eos"], atol=1e-5, rtol=0)
    torch.testing.assert_close(texts, expected["text_embeddings"], atol=1e-5, rtol=0)
    torch.testing.assert_close(image, expected["image_embedding_b2_304x184"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("pooling", "expected"), [("eos", 2.0), ("bos", 1.0), ("mean", 1.5)])
def test_each_pooling_takes_its_tokens_and_no_padding(pooling: Pooling, expected: float) -> None:
    hidden = torch.tensor([1.0, 2.0, 99.0])[None, :, None]
    assert pooled(hidden, torch.tensor([[1, 1, 0]]), pooling).item() == expected


def test_the_second_kind_of_head_adds_a_skip_and_a_norm(b2_state: State, filled: Callable[..., State]) -> None:
    state = dict(b2_state)
    for head in ("image", "text"):
        state |= {
            f"{head}_projection.fc.weight": torch.zeros(32, 32),
            f"{head}_projection.fc.bias": torch.zeros(32),
            f"{head}_projection.layer_norm.weight": torch.ones(32),
            f"{head}_projection.layer_norm.bias": torch.zeros(32),
        }
    head = build(Opened(Path("x"), state, "b2", "eos")).image_projection
    vector = torch.rand(3, 1408)
    with torch.inference_mode():
        plain = torch.nn.functional.linear(
            vector, state["image_projection.projection.weight"], state["image_projection.projection.bias"]
        )
        torch.testing.assert_close(head(vector), torch.nn.functional.layer_norm(plain, (32,)))


def test_a_text_has_one_embedding_whatever_its_company_and_capitals_do_not_count(b2: Path) -> None:
    made = dissector(b2)
    with torch.inference_mode():
        together = made.encode_texts(["no mass", "Suspicious Calcification", "a much longer text about a breast"])
        torch.testing.assert_close(made.encode_texts(["NO MASS"])[0], together[0], atol=1e-5, rtol=1e-5)
    assert made.name == "Mammo-CLIP B2"
    assert together.shape == (3, 32)


def test_texts_are_lower_cased_ended_with_sep_and_cut_at_256_tokens(shared: Path) -> None:
    vocabulary = shared / "data" / "bert_cased_vocab" / "vocab.txt"
    words = vocabulary.read_text(encoding="utf-8").splitlines()
    ids, mask = Tokenizer(vocabulary, 28996)(["No Mass", " ".join(["breast"] * 900)])
    assert [words[one] for one in ids[0][mask[0] == 1]] == ["[CLS]", "no", "mass", "[SEP]"]
    assert ids.shape == (2, LENGTH)
    assert words[ids[1, -1]] == "[SEP]"


def test_the_vocabulary_is_found_beside_the_checkpoint_in_a_folder_or_as_a_file(b2: Path, tmp_path: Path) -> None:
    beside = b2.with_name("vocab.txt")
    assert find_vocabulary(None, b2) == beside
    assert find_vocabulary(str(b2.parent), tmp_path / "x.tar") == beside
    assert find_vocabulary(str(beside), tmp_path / "x.tar") == beside
    same = dissector(b2, tokenizer=str(beside)).fingerprint()
    assert dissector(b2).fingerprint() == same


@pytest.mark.parametrize("choice", [None, "some/folder", "hub:some/name-on-the-hub", "/no/such/folder", "."])
def test_offline_without_a_vocabulary_the_message_says_what_to_fetch_and_where_to_put_it(
    choice: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        find_vocabulary(choice, tmp_path / "weights" / "b5.tar")
    assert "fetch vocab.txt (213 kB) of emilyalsentzer/Bio_ClinicalBERT" in caught.value.hint
    place = tmp_path / "vocab.txt" if choice == "." else tmp_path / "weights" / "vocab.txt"
    assert f"put it at {place}" in caught.value.hint


def test_another_models_vocabulary_is_refused(b2: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nmass\n")
    with pytest.raises(CheckpointError, match="5 lines for 28996 tokens"):
        dissector(b2, tokenizer=str(tmp_path))


@pytest.fixture
def never_aligned(b2: Path, b2_state: State, tmp_path: Path) -> dict[str, object]:
    """Settings of random heads upon an image tower and a text tower that lie in two files."""
    prefix = "text_encoder.text_encoder."
    bert = {f"bert.{name.removeprefix(prefix)}": one for name, one in b2_state.items() if name.startswith(prefix)}
    torch.save({**bert, "cls.predictions.bias": torch.zeros(3)}, tmp_path / "bert.bin")
    tower = {name.removeprefix("image_encoder."): one for name, one in b2_state.items() if name.startswith("image_e")}
    torch.save({**tower, "_fc.weight": torch.zeros(1000, 1408), "_fc.bias": torch.zeros(1000)}, tmp_path / "b2.pth")

    files = {"checkpoint": tmp_path / "b2.pth", "text": tmp_path / "bert.bin"}
    return {**files, "network": "b2", "tokenizer": str(b2.parent)}


def test_random_heads_are_seeded_named_and_come_with_a_caution(never_aligned: dict[str, object]) -> None:
    def made(seed: int) -> RandomHeads:
        dissector = RandomHeads(RandomHeads.Options.model_validate({**never_aligned, "seed": seed}))
        dissector.load()
        return dissector

    with torch.inference_mode():
        first, again, other = (made(seed).encode_texts(["mass"]) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert first.shape == (1, 512)
    assert "chance by construction" in made(0).caution
    assert "random heads (seed 0)" in made(0).name


@pytest.mark.slow
def test_random_heads_pass_the_kit(never_aligned: dict[str, object]) -> None:
    size = {"preprocessing": {"height": 96, "width": 64}}
    check_dissector(RandomHeads(RandomHeads.Options.model_validate({**never_aligned, **size})))
