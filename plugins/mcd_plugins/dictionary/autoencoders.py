"""Sparse autoencoders by gradient steps: TopK, BatchTopK, and ReLU with an L1 penalty."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as functional

from mcd_plugins.dictionary.kinds import ACTIVATIONS, Fitted, Recipe, Scale

__all__ = ["train"]

_AUXILIARY = 1 / 32
"""Weight of the loss that revives dead latents: α of Gao et al. 2024, arXiv 2406.04093, appendix A.2."""
_DEAD_AFTER = 100
"""Steps without a response after which a latent counts as dead while it is trained."""
_DECAY = 0.2
"""Share of the steps, at the end, over which the learning rate falls to zero."""
_METHODS = {"topk": "TopK", "batchtopk": "BatchTopK", "relu": "ReLU-L1"}


class _Autoencoder:
    """Parameters of a sparse autoencoder of scaled samples, and how it is trained.

    Encoder and decoder start equal, in random directions (Gao et al. 2024, section 2.1).
    """

    def __init__(self, recipe: Recipe, channels: int, generator: torch.Generator, device: torch.device) -> None:
        drawn = torch.randn(recipe.latents, channels, generator=generator)
        start = functional.normalize(drawn, dim=1).to(device)
        self.recipe = recipe
        self.encoder, self.decoder = start.clone().requires_grad_(), start.clone().requires_grad_()
        self.encoder_bias = torch.zeros(recipe.latents, device=device, requires_grad=True)
        self.decoder_bias = torch.zeros(channels, device=device, requires_grad=True)
        self.silent = torch.zeros(recipe.latents, dtype=torch.int64, device=device)

    def parameters(self) -> list[torch.Tensor]:
        return [self.encoder, self.decoder, self.encoder_bias, self.decoder_bias]

    def products(self, samples: torch.Tensor) -> torch.Tensor:
        """Return what each latent would be without sparsity, ``(batch, latents)``."""
        return functional.linear(samples - self.decoder_bias, self.encoder, self.encoder_bias).relu()

    def sparse(self, products: torch.Tensor) -> torch.Tensor:
        """Return latents as the kind keeps them."""
        recipe = self.recipe
        if recipe.kind == "topk":
            return _kept(products, recipe.k)
        if recipe.kind == "batchtopk":
            return products * (products >= _least(products, recipe.k))
        return products

    def loss(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch: the unexplained share of variance, and what is added to it for sparsity."""
        products = self.products(samples)
        latents = self.sparse(products)
        left = samples - self.decoder_bias - latents @ self.decoder
        found = left.square().sum(dim=1).mean()
        with torch.no_grad():
            self.silent = torch.where((latents > 0).any(dim=0), 0, self.silent + 1)
        if self.recipe.kind == "relu":
            return found + self.recipe.sparsity * latents.sum(dim=1).mean()
        return found + _AUXILIARY * self.revived(products, left.detach())

    def revived(self, products: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
        """Return how badly dead latents explain what is left of the samples, as a share of it."""
        dead = self.silent > _DEAD_AFTER
        if not bool(dead.any()):
            return left.new_zeros(())
        most = min(int(dead.sum()), max(1, left.shape[1] // 2))
        by_dead = _kept(products[:, dead], most) @ self.decoder[dead]
        return (by_dead - left).square().sum(dim=1).mean() / left.square().sum(dim=1).mean().clamp_min(1e-12)

    @torch.no_grad()
    def keep_to_the_sphere(self) -> None:
        """Leave of the decoder's gradient what does not change the length of its rows."""
        gradient = self.decoder.grad
        assert gradient is not None
        gradient -= (gradient * self.decoder).sum(dim=1, keepdim=True) * self.decoder

    @torch.no_grad()
    def normalise(self) -> None:
        """Give each row of the decoder length 1."""
        self.decoder /= self.decoder.norm(dim=1, keepdim=True).clamp_min(1e-12)


def train(
    samples: torch.Tensor,
    recipe: Recipe,
    seed: int,
    scale: Scale,
    device: torch.device,
    advanced: Callable[[int], None] | None,
) -> Fitted:
    """Return a sparse autoencoder of samples ``(n, channels)``; for the parameters see `fitting.fit`."""
    generator = torch.Generator().manual_seed(seed)
    count, channels = samples.shape
    mean = scale.mean.to(device)
    model = _Autoencoder(recipe, channels, generator, device)
    rate = recipe.learning_rate or 0.05 / channels**0.5
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    falling = max(1, round(_DECAY * recipe.steps))

    def drawn() -> torch.Tensor:
        rows = torch.randint(count, (min(recipe.batch, count),), generator=generator)
        return (samples[rows].to(device) - mean) / scale.length

    for step in range(recipe.steps):
        adam.param_groups[0]["lr"] = rate * min(1.0, (recipe.steps - step) / falling)
        adam.zero_grad()
        torch.autograd.backward(model.loss(drawn()))
        model.keep_to_the_sphere()
        adam.step()
        model.normalise()
        if advanced is not None:
            advanced(step + 1)
    threshold = _threshold(model, samples, scale, generator) if recipe.kind == "batchtopk" else None
    return _raw(model, scale, threshold)


@torch.no_grad()
def _threshold(model: _Autoencoder, samples: torch.Tensor, scale: Scale, generator: torch.Generator) -> float:
    """Return the mean over batches of the least value kept (Bussmann et al. 2024, arXiv 2412.06410, equation 5).

    Batches are as large as while it was trained, and of all patients: samples come patient by patient. The last one
    takes of the one before what it lacks.
    """
    device = model.decoder.device
    mean = scale.mean.to(device)
    order, size = torch.randperm(len(samples), generator=generator), min(model.recipe.batch, len(samples))
    batches = [order[min(at, len(order) - size) :][:size] for at in range(0, len(order), size)]
    found = [
        _least(model.products((samples[rows].to(device) - mean) / scale.length), model.recipe.k) for rows in batches
    ]
    return float(torch.stack(found).mean())


@torch.no_grad()
def _raw(model: _Autoencoder, scale: Scale, threshold: float | None) -> Fitted:
    """Return the autoencoder of raw values.

    With samples (x − mean) / length, latents of raw values are those of scaled ones times the length; so are biases
    and thresholds, and the matrices stay.
    """
    recipe, length = model.recipe, scale.length
    return Fitted(
        encoder=model.encoder.detach().cpu(),
        decoder=model.decoder.detach().cpu(),
        encoder_bias=model.encoder_bias.detach().cpu() * length,
        decoder_bias=scale.mean + model.decoder_bias.detach().cpu() * length,
        threshold=None if threshold is None else torch.full((recipe.latents,), threshold * length),
        activation=ACTIVATIONS[recipe.kind],
        k=recipe.k if recipe.kind == "topk" else None,
        method=_METHODS[recipe.kind],
    )


def _kept(products: torch.Tensor, k: int) -> torch.Tensor:
    """Return the ``k`` largest of each row, zero elsewhere."""
    found = products.topk(k, dim=1)
    return torch.zeros_like(products).scatter(1, found.indices, found.values)


def _least(products: torch.Tensor, k: int) -> torch.Tensor:
    """Return the least value of a batch of which ``k`` latents a row are kept."""
    values = products.detach().flatten()
    return values.kthvalue(values.numel() - k * len(products) + 1).values
