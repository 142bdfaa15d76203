"""The dissectors ``mammo-clip`` and ``mammo-clip-random-heads``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pydantic
import torch

import mcd
from mcd.errors import CheckpointError
from mcd.plugins import MayFetch, NameOrPath, Seed, digest, read_state_dict
from mcd_plugins.mammo_clip.loader import Recipe, imagenet_tower, recipe
from mcd_plugins.mammo_clip.network import MammoClipNetwork, Projection, build, built_text, open_checkpoint
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing
from mcd_plugins.mammo_clip.tokenizer import LENGTH, Tokenizer, find_vocabulary
from mcd_plugins.mammo_clip.tower import Network

__all__ = ["MammoClip", "RandomHeads"]

_WIDTH = 512


class _Dissector(mcd.Dissector):
    """What both share: a network and a tokenizer."""

    def _take(self, name: str, network: MammoClipNetwork, tokenizer: Tokenizer, own: MammoClipPreprocessing) -> None:
        self.name = name
        self.module = self._network = network
        self.image_tower = network.image_encoder
        self.preprocessing = own
        self._tokenizer = tokenizer

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, 512)`` of a batch ``(B, 3, 1520, 912)``, not normalised."""
        return self._network.images(batch)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), 512)``, not normalised."""
        device = next(self._network.parameters()).device
        ids, mask = self._tokenizer(texts)
        return self._network.texts(ids.to(device), mask.to(device))

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """Return the texts of more than 256 tokens."""
        return [text for text in texts if self._tokenizer.length(text) > LENGTH]

    def unknown(self, texts: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return text → the words of it that become [UNK]."""
        return {text: words for text in texts if (words := self._tokenizer.unknown(text))}

    def fingerprint(self) -> str:
        """Return a digest of how texts are read; the engine adds the weights. Names of files do not count."""
        return digest(type(self).__qualname__, self._network.pooling, self._tokenizer.content)


def _rows(network: MammoClipNetwork) -> int:
    return len(network.text_encoder.get_parameter("embeddings.word_embeddings.weight"))


class MammoClip(_Dissector):
    """Mammo-CLIP from a released checkpoint, which says all about the network.

    ``b5-model-best-epoch-7.tar`` or ``b2-model-best-epoch-10.tar``: a file of torch, not an archive; do not unpack
    it. The text weights are in it; only the tokenizer's vocabulary is needed besides. Paths that are baked into
    the file are not used. Embeddings are taken in eval mode.
    """

    class Options(mcd.Options):
        """Settings of the dissector."""

        checkpoint: Path = pydantic.Field(description="the released .tar")
        tokenizer: NameOrPath | None = pydantic.Field(
            default=None,
            description="vocab.txt of Bio_ClinicalBERT, a folder with it, or hub:OWNER/NAME; by default the "
            "vocab.txt beside the checkpoint",
        )
        preprocessing: Recipe = pydantic.Field(
            default={}, description='changes to the preprocessing mammo-clip, such as {"crop": false}'
        )

    options: Options

    def load(self) -> None:
        """Load the checkpoint and the vocabulary.

        Raises
        ------
        CheckpointError
            When a file is missing or invalid.
        """
        own = self.options
        opened = open_checkpoint(own.checkpoint)
        vocabulary = find_vocabulary(own.tokenizer, own.checkpoint)
        network = build(opened)
        self.caution = opened.caution
        tokenizer = Tokenizer(vocabulary, _rows(network))
        self._take(f"Mammo-CLIP {opened.network.upper()}", network, tokenizer, recipe(own.preprocessing))


class RandomHeads(_Dissector):
    """The released code's dissector of its general model G: ImageNet tower, stock BERT, random projection heads.

    Nothing ever aligned its images with its texts, so its labels are chance by construction; in the released
    code the heads were not even seeded. It is here to reproduce that set-up and as a control.
    """

    class Options(mcd.Options):
        """Settings of the dissector."""

        checkpoint: Path | None = pydantic.Field(default=None, description="ImageNet weights of the image tower")
        pretrained: Annotated[bool, MayFetch()] = pydantic.Field(
            default=False, description="fetch those from the hub instead"
        )
        text: Path = pydantic.Field(description="the weights of Bio_ClinicalBERT (.safetensors or .bin)")
        tokenizer: NameOrPath | None = pydantic.Field(
            default=None, description="vocab.txt, a folder with it, or hub:OWNER/NAME; by default beside text"
        )
        network: Network = pydantic.Field(default="b5", description="b2 or b5")
        seed: Seed = pydantic.Field(default=0, description="decides the heads")
        preprocessing: Recipe = pydantic.Field(default={}, description="changes to the preprocessing mammo-clip")

    options: Options

    caution = "its projection heads are random: labels are chance by construction (the paper's dissector of G)"

    def load(self) -> None:
        """Load the image tower and the text model, and draw the heads.

        Raises
        ------
        CheckpointError
            When a file is missing or invalid.
        """
        own = self.options
        tower, self.revision, unused = imagenet_tower(own.network, own.checkpoint, own.pretrained)
        self.caution = "; ".join(filter(None, (type(self).caution, unused)))
        bert = {name.removeprefix("bert."): one for name, one in read_state_dict(own.text).items()}
        bert = {name: one for name, one in bert.items() if not name.startswith("cls.")}
        if not bert:
            raise CheckpointError(
                f"{own.text} holds no BERT", "give the weights of Bio_ClinicalBERT (.safetensors or .bin) as text"
            )
        text = built_text(bert, own.text)
        width = text.get_parameter("embeddings.word_embeddings.weight").shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(own.seed)
            heads = Projection(1408 if own.network == "b2" else 2048, _WIDTH), Projection(width, _WIDTH)
        network = MammoClipNetwork(tower, text, heads, "eos").eval()
        tokenizer = Tokenizer(find_vocabulary(own.tokenizer, own.text), _rows(network))
        self._take(
            f"ImageNet {own.network.upper()} with random heads (seed {own.seed})",
            network,
            tokenizer,
            recipe(own.preprocessing),
        )
