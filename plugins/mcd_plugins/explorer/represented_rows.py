"""Which concepts are missing, as the page has them: columns of numbers."""

from __future__ import annotations

import numpy as np

from mcd.plugins import ANSWERS
from mcd_plugins.explorer.packing import Json, Names, rounded
from mcd_plugins.reporters.represented import Represented

__all__ = ["represented_rows"]


def represented_rows(found: Represented, concepts: Names) -> Json:
    """Return the answer for each concept of a run: number, answer, images, patients, AUROC that is detectable, why.

    Images and patients are null where they are not known. Where nothing is known, the reason is all there is.
    """
    table = found.table
    if not len(table):
        return {"missing": found.missing, "rows": []}
    annotated = table["positives"] + table["negatives"]
    named = zip(table["concept"], table["category"], table["broad_category"], strict=True)
    rows = zip(
        [concepts.number(*map(str, one)) for one in named],
        [ANSWERS.index(one) for one in table["answer"]],
        [int(one) if some > 0 else None for one, some in zip(table["positives"], annotated, strict=True)],
        [int(one) if one >= 0 else None for one in table["patients"]],
        rounded(table["detectable_auroc"].to_numpy(np.float64), 3),
        table["why"].astype(str),
        strict=True,
    )
    return {"missing": "", "rows": [list(one) for one in rows]}
