"""A concept is not called under-represented where the draws are too few for any neuron to be significant."""

from __future__ import annotations

import mcd


def test_nothing_is_detectable_where_no_draw_reaches_the_rate() -> None:
    run = mcd.dissect(
        "phantom-mammo",
        layers="stages.3",
        dissector="phantom-clip",
        dataset="phantom:20",
        concepts="phantom",
        scorer="cosine",
        calibration={"draws": 200, "most_draws": 200, "q": 1e-9},
        progress=False,
    )
    concepts = mcd.figures.collect([run]).comparison.concepts
    assert set(concepts["answer"]) == {"could not be shown"}
    assert concepts["detectable_auroc"].isna().all()
