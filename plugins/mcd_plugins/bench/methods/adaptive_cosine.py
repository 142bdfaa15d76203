"""WWW and MAMMI: several concepts a unit, by their cosine beyond that of the template.

Sources: Ahn et al., WWW, CVPR 2024; MAMMI, MICCAI 2024; both with the settings of the released code.
"""

from __future__ import annotations

import numpy as np

from mcd_plugins.bench.contract import OR, SINGLE, TIED, TWO, Case, Decision, Flags, Method, Numbers, Values
from mcd_plugins.bench.methods.choice import activations as a_of
from mcd_plugins.bench.methods.choice import few, named, top_images
from mcd_plugins.bench.methods.choice import similarity as p_of

__all__ = ["METHODS", "WWW_IMAGES", "accepted", "mammi", "www"]

WWW_IMAGES = 40
_REACH = 0.93
_BETA = 0.95


def www(similarity: Values, template: Values, ranked: Numbers) -> Values:
    """Return the mean over the top images of ``cos(image, text) - cos(image, template)``, ``(units, concepts)``.

    Parameters
    ----------
    similarity
        P, ``(images, concepts)``.
    template
        Cosine of each image and the template without a word, ``(images,)``.
    ranked
        The top images, ``(n, units)``; published: n = 40.
    """
    found: Values = (similarity - template[:, None])[ranked].mean(axis=0)
    return found


def mammi(activations: Values, similarity: Values, template: Values) -> Values:
    """Return the same over the images that exceed 93 % of a unit's range, ``(units, concepts)``.

    NaN for a unit that is the same on every image: no image exceeds its range.
    """
    high, low = activations.max(axis=0), activations.min(axis=0)
    chosen = (activations > high - (high - low) * (1 - _REACH)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        found: Values = (chosen / chosen.sum(axis=0)).T @ (similarity - template[:, None])
    return found


def accepted(scores: Values) -> Flags:
    """Return which concepts a unit is named by, ``(units, concepts)``: above 0.95 of the best score.

    None where no score is above 0, as in the released code.
    """
    best = np.where(np.isnan(scores), -np.inf, scores).max(axis=1, keepdims=True)
    kept: Flags = (best > 0) & (scores > _BETA * best)
    return kept


def _template(case: Case) -> Values:
    return case.images.astype(np.float64) @ case.empty.astype(np.float64)


def _www(case: Case) -> Decision:
    scores = www(p_of(case), _template(case), top_images(case, few(case, WWW_IMAGES)))
    return named(case, scores, accepted=accepted(scores))


def _mammi(case: Case) -> Decision:
    scores = mammi(a_of(case), p_of(case), _template(case))
    return named(case, scores, accepted=accepted(scores))


_RULE = "its best cosine is above the template's"

METHODS = (
    Method(
        name="WWW",
        source="Ahn et al., WWW, CVPR 2024, adaptive cosine and concepts above 0.95 of the best",
        needs=("similarity", "embeddings"),
        made_for=(SINGLE, OR, TWO, TIED),
        decide=_www,
        rule=_RULE,
    ),
    Method(
        name="MAMMI",
        source="MAMMI, MICCAI 2024, adaptive cosine over an adaptive set of images",
        needs=("similarity", "embeddings"),
        made_for=(SINGLE, OR, TWO, TIED),
        decide=_mammi,
        rule=_RULE,
    ),
)
