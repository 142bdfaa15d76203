"""Settings of scorers that look at all activations: what is refused, and whether the hint helps."""

from __future__ import annotations

import pytest
import torch

from mcd.api.scorer import Scorer
from mcd.errors import ConfigError, DataError
from mcd.options import validate_options
from mcd_plugins.scorers.adaptive_cosine import AdaptiveCosine
from mcd_plugins.scorers.auprc import AUPRC
from mcd_plugins.scorers.auroc import AUROC
from mcd_plugins.scorers.normalised_wpmi import NormalisedWPMI
from mcd_plugins.scorers.overlap import F1, IoU
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.spearman import Spearman


def made(cls: type[Scorer], **options: object) -> Scorer:
    return cls(validate_options(cls.Options, options, cls.__name__))


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Pearson, {"quantile": 0.5}),
        (Spearman, {"alpha": 0.5}),
        (AUROC, {"quantile": 0}),
        (AUROC, {"quantile": 1}),
        (AUPRC, {"quantile": 1.5}),
        (AUPRC, {"quantile": "nan"}),
        (F1, {"alpha": 0}),
        (F1, {"quantile": 1}),
        (IoU, {"alpha": 1}),
        (IoU, {"top_k": 5}),
        (NormalisedWPMI, {"alpha": 0}),
        (NormalisedWPMI, {"temperature": 0}),
        (NormalisedWPMI, {"lam": -1}),
        (NormalisedWPMI, {"min_prob": 0}),
        (AdaptiveCosine, {"reach": 1}),
        (AdaptiveCosine, {"min_images": 0}),
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(cls: type[Scorer], options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        made(cls, **options)


@pytest.mark.parametrize(
    ("cls", "options", "images", "enough"),
    [
        (AUROC, {}, 9, 10),
        (AUPRC, {}, 9, 10),
        (AUROC, {"quantile": 0.01}, 40, 60),
        (F1, {"quantile": 0.5}, 9, 10),
        (IoU, {"alpha": 0.001}, 100, 500),
        (IoU, {"alpha": 0.5}, 9, 10),
        (NormalisedWPMI, {}, 9, 10),
        (AdaptiveCosine, {}, 9, 10),
    ],
)
def test_too_few_images_are_an_error_with_a_setting_that_helps(
    cls: type[Scorer], options: dict[str, object], images: int, enough: int
) -> None:
    with pytest.raises(DataError, match=str(images)) as caught:
        made(cls, **options).score(torch.rand(images, 2), torch.rand(images, 3))
    setting, _, value = caught.value.hint.rpartition(" ")[2].partition("=")
    made(cls, **{**options, setting: value}).check(images)
    made(cls, **options).check(enough)


def test_the_hint_always_helps() -> None:
    for images in range(2, 3000):
        for options in ({"quantile": 1e-6}, {"quantile": 1 - 1e-6}):
            with pytest.raises(DataError) as caught:
                made(AUROC, **options).check(images)
            made(AUROC, quantile=float(caught.value.hint.rpartition("=")[2])).check(images)
    with pytest.raises(DataError) as caught:
        made(AUROC).check(1)
    assert caught.value.hint == "use more images"
