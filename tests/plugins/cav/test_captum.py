"""Scores are those of Captum, given the same images with and without the concept and the same kind of classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from captum.concept import TCAV, Classifier, Concept
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import Ridge
from tests.plugins.cav.material import null_of
from torch import nn
from torch.utils.data import DataLoader

from mcd_plugins.cav.null import ConceptSets
from mcd_plugins.cav.scores import tcav


class RidgeOfScikitLearn(Classifier):
    """What Captum asks for: weights of both concepts, the first of which is the concept, and their numbers."""

    def __init__(self) -> None:
        self.coefficients = torch.empty(0)

    def train_and_eval(self, dataloader: DataLoader[tuple[torch.Tensor, torch.Tensor]], **_: object) -> None:
        batches = list(dataloader)
        features = torch.cat([one for one, _ in batches]).double().numpy()
        first = torch.cat([label for _, label in batches]).numpy() == 0
        share = ledoit_wolf_shrinkage(features)
        penalty = len(features) * share / (1 - share) * features.var(axis=0).mean()
        found = Ridge(alpha=penalty).fit(features, first).coef_
        self.coefficients = torch.from_numpy(found / np.linalg.norm(found))

    def weights(self) -> torch.Tensor:
        return torch.stack([self.coefficients, -self.coefficients])

    def classes(self) -> list[int]:
        return [0, 1]


def test_scores_are_those_of_captum(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 3))
    images = torch.randn(70, 12, generator=generator)
    present = np.arange(70) < 30
    images[:30] += torch.randn(12, generator=generator)
    of_class = torch.randn(50, 12, generator=generator)

    concepts = [
        Concept(number, name, DataLoader(images[torch.from_numpy(rows)], batch_size=10))
        for number, (name, rows) in enumerate({"with": present, "without": ~present}.items())
    ]
    captum = TCAV(network, ["1"], classifier=RidgeOfScikitLearn(), save_path=str(tmp_path))
    features = network[:2](images).detach()
    inputs = network[:2](of_class).detach().requires_grad_()
    sets = ConceptSets([""] * 70, present, ~present, seed=0, sets=19)
    vectors = null_of(features, sets, "ridge")
    unit = vectors.vectors[0] / vectors.vectors[0].norm()
    for output in range(3):
        theirs = captum.interpret(of_class, [concepts], target=output)["0-1"]["1"]
        (gradients,) = torch.autograd.grad(network[2:](inputs)[:, output].sum(), inputs)
        found = vectors.judged(gradients)
        assert found is not None
        np.testing.assert_allclose(theirs["sign_count"], [found.tcav, 1 - found.tcav], atol=1e-5)
        sensitivities = gradients.double() @ unit
        assert abs(float(tcav(sensitivities)) - float(theirs["sign_count"][0])) < 1e-5
        # what Captum documents as magnitude is a share; what it computes is the mean
        length = gradients.double().norm(dim=1).mean()
        np.testing.assert_allclose(theirs["magnitude"][0], found.mean_sensitivity * length, atol=1e-5)
        np.testing.assert_allclose(theirs["magnitude"][0], sensitivities.mean(), atol=1e-5)
