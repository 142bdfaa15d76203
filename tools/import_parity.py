"""Compare imported dictionaries with what the tools themselves compute.

Needs the tools, in an environment of their own; none of them is a dependency of mcd:

    python -m pip install mammo-clip-dissect dictionary_learning==0.1.0
    python tools/import_parity.py dictionary_learning

For each class a model is drawn and saved by the tool, imported, and both make latents of the same 500 vectors. Prints
the largest difference of each; 1 where one is above 1e-5. sparse_autoencoder 1.3.0, of Mammo-SAE, imports a name that
torch called otherwise until 2.1: there mend its import of ``params_t``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from mcd_plugins.dictionary.importing.saved import Asked
from mcd_plugins.dictionary.importing.writing import import_file
from mcd_plugins.units.dictionary import Dictionary

CHANNELS, LATENTS, K, CUT = 24, 64, 5, 1.25
DRAWN = torch.Generator().manual_seed(0)
VALUES = 2 * torch.randn(500, CHANNELS, generator=DRAWN) + 0.5
MOST = 1e-5


@dataclass(frozen=True)
class Case:
    """A dictionary that a tool saved into a folder, and its latents."""

    name: str
    file: Path
    latents: torch.Tensor
    asked: Asked = field(default_factory=Asked)


def _shaken(model: nn.Module) -> nn.Module:
    """Return a model whose every number was changed, so that none is 0 or shared by chance."""
    with torch.no_grad():
        for one in model.parameters():
            if one.numel() > 1:
                one.add_(0.1 * torch.randn(one.shape, generator=DRAWN))
    return model


def _dictionary_learning(folder: Path) -> Iterator[Case]:
    classes = import_module("dictionary_learning.dictionary")
    top = import_module("dictionary_learning.trainers.top_k").AutoEncoderTopK
    batch = import_module("dictionary_learning.trainers.batch_top_k").BatchTopKSAE
    nested = import_module("dictionary_learning.trainers.matryoshka_batch_top_k").MatryoshkaBatchTopKSAE
    names = ("AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder")
    models = [getattr(classes, name)(CHANNELS, LATENTS) for name in names]
    models += [top(CHANNELS, LATENTS, K), batch(CHANNELS, LATENTS, K)]
    models += [nested(CHANNELS, LATENTS, K, [20, LATENTS - 20])]
    for model in map(_shaken, models):
        name = type(model).__name__
        if name.endswith("BatchTopKSAE"):
            model.threshold = torch.tensor(CUT)
        place = folder / name
        place.mkdir()
        torch.save(model.state_dict(), place / "ae.pt")
        (place / "config.json").write_text(json.dumps({"trainer": {"dict_class": name, "k": K}, "buffer": {}}))
        if name == "AutoEncoder":
            model = classes.AutoEncoder.from_pretrained(place / "ae.pt")  # as it is used: of rows of length 1
        yield Case(name, place, model.encode(VALUES))


def _overcomplete(folder: Path) -> Iterator[Case]:
    sae = import_module("overcomplete.sae")
    points = torch.randn(40, CHANNELS, generator=DRAWN)
    batch = sae.BatchTopKSAE(CHANNELS, LATENTS, top_k=K * len(VALUES))
    models = [
        (sae.SAE(CHANNELS, LATENTS), Asked("relu")),
        (sae.SAE(CHANNELS, LATENTS, encoder_module="mlp_bn_1"), Asked("relu")),
        (sae.TopKSAE(CHANNELS, LATENTS, top_k=K), Asked("topk", K)),
        (sae.TopKSAE(CHANNELS, LATENTS, top_k=K).tied(bias=True), Asked("topk", K)),
        (sae.TopKSAE(CHANNELS, LATENTS, top_k=K).untied(bias=True), Asked("topk", K)),
        (batch, Asked("batchtopk")),
        (sae.JumpSAE(CHANNELS, LATENTS), Asked()),
        (sae.RATopKSAE(CHANNELS, LATENTS, points=points, top_k=K), Asked("topk", K)),
        (sae.RAJumpSAE(CHANNELS, LATENTS, points=points), Asked()),
    ]
    for number, (model, asked) in enumerate(models):
        _shaken(model).train()(VALUES)
        model.eval()
        file = folder / f"{number}.pt"
        torch.save(model.state_dict(), file)
        if model is batch:
            asked = Asked("batchtopk", threshold=float(batch.running_threshold))
        yield Case(f"{type(model).__name__}, {type(model.encoder).__name__}", file, model.encode(VALUES)[1], asked)


def _saelens(folder: Path) -> Iterator[Case]:
    saes, base = import_module("sae_lens"), import_module("sae_lens.saes.sae").SAE
    for centred in (True, False):
        for name, more in _inference(centred):
            settings = getattr(saes, f"{name}Config")(
                d_in=CHANNELS, d_sae=LATENTS, apply_b_dec_to_input=centred, **more
            )
            model = _shaken(getattr(saes, name)(settings))
            if hasattr(model, "threshold"):
                model.threshold.data = model.threshold.data.abs() + 0.5
            place = folder / f"{name}-{centred}"
            model.save_model(place)
            yield Case(place.name, place, base.load_from_disk(place).encode(VALUES))
    settings = saes.BatchTopKTrainingSAEConfig(d_in=CHANNELS, d_sae=LATENTS, k=K)
    training = _shaken(saes.BatchTopKTrainingSAE(settings))
    training.topk_threshold.fill_(CUT)
    training.save_inference_model(folder / "inference")
    training.save_model(folder / "training")
    latents = base.load_from_disk(folder / "inference").encode(VALUES)
    yield from (Case(f"BatchTopK, {one}", folder / one, latents) for one in ("inference", "training"))


def _inference(centred: bool) -> Iterator[tuple[str, dict[str, object]]]:
    yield "StandardSAE", {}
    yield "TopKSAE", {"k": K, "rescale_acts_by_decoder_norm": not centred}
    yield "JumpReLUSAE", {}
    yield "GatedSAE", {}


def _sparse_autoencoder(folder: Path) -> Iterator[Case]:
    """Yield what the package by which Mammo-SAE was trained saves, with an axis of components and without."""
    module: ModuleType = import_module("sparse_autoencoder.autoencoder.model")
    for components in (1, None):
        first = () if components is None else (components,)
        median = torch.randn((*first, CHANNELS), generator=DRAWN)
        model = _shaken(module.SparseAutoencoder(CHANNELS, LATENTS, median, components))
        file = folder / f"{components}.pt"
        torch.save(model.state_dict(), file)
        latents = model(VALUES.view(-1, *first, CHANNELS))[0]
        yield Case(f"{components or 'no'} components", file, latents.view(-1, LATENTS))


TOOLS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "dictionary_learning": _dictionary_learning,
    "overcomplete": _overcomplete,
    "sae_lens": _saelens,
    "sparse_autoencoder": _sparse_autoencoder,
}


def main() -> int:
    """Run the command; 1 where latents differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="+", choices=sorted(TOOLS), help="which are installed")
    worst = 0.0
    for tool in parser.parse_args().tools:
        with tempfile.TemporaryDirectory() as folder:
            for number, case in enumerate(TOOLS[tool](Path(folder))):
                own = Path(folder) / f"own-{number}.safetensors"
                import_file(case.file, own, None, "", case.asked)
                found = Dictionary(Dictionary.Options(file=own)).load().module(VALUES)
                difference = float((found - case.latents.detach().float()).abs().max())
                share = float((case.latents > 0).float().mean())
                print(f"{tool}: {case.name}: {difference:.1e} ({share:.0%} of latents respond)")
                worst = max(worst, difference)
    return int(worst > MOST)


if __name__ == "__main__":
    raise SystemExit(main())
