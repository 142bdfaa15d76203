"""How many neurons are significant, and which concepts they carry, is the same in everything that says it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import Outcome
from tests.thin import dissected

import mcd
from mcd.comparison.layers import ALL
from mcd.comparison.outcomes import significant_labels
from mcd.runs.rescore import rescore
from mcd.scoring.verdicts import SIGNIFICANT
from mcd.study.calibration import Calibration
from mcd.study.study import Choice

CALIBRATIONS: Mapping[str, dict[str, object]] = {
    "as it comes": {"q": 0.05},
    "few draws": {"draws": 20, "most_draws": 20},
    "strict": {"q": 0.012},
    "nothing passes": {"q": 1e-9},
    "nearly all pass": {"q": 0.6},
    "dependence": {"correction": "benjamini-yekutieli", "q": 0.1},
    "storey": {"correction": "storey", "null_seed": 3},
}
PRIORS = [*((name, "layer") for name in CALIBRATIONS), ("as it comes", "null"), ("nearly all pass", "null")]
"""With the prior ``layer`` the first concept is often not the one with the highest z."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[mcd.Dissection, mcd.Dissection]:
    """Two runs that keep all five concepts of each neuron."""
    return dissected("one layer", tmp_path_factory.mktemp("counted"), labels_per_neuron=5)


def unpacked(packed: Mapping[str, str]) -> np.ndarray:
    ((kind, text),) = packed.items()
    return np.frombuffer(base64.b64decode(text), dtype=f"<{kind}")


def of_page(path: Path) -> list[int]:
    """Return how many neurons of each run of a page are significant, as its script counts them."""
    text = re.search(r'id="content">(.*?)</script>', path.read_text(), re.DOTALL)
    assert text is not None
    content = json.loads(text[1])
    words = [[run["verdicts"][at] for at in unpacked(run["verdict"])] for run in content["runs"]]
    return [sum(word in content["significant"] for word in one) for one in words]


@pytest.mark.parametrize(("name", "prior"), PRIORS)
def test_everything_that_counts_significant_neurons_agrees(
    name: str,
    prior: str,
    stored: tuple[mcd.Dissection, mcd.Dissection],
    tmp_path: Path,
    mcd_command: Callable[..., Outcome],
) -> None:
    calibration = Calibration.model_validate({"draws": 200, "most_draws": 200, **CALIBRATIONS[name]})
    scorer = Choice(plugin="soft-wpmi", options={"top_k": 10, "prior": prior})
    runs = [
        rescore(one, scorer=scorer, calibration=calibration, output=tmp_path / one.manifest.target) for one in stored
    ]
    both = mcd.compare(runs, resamples=0)
    drawn = mcd.figures.collect(runs[:1], mcd.ComparisonSettings(resamples=0)).comparison
    page = of_page(mcd.report(runs, output=tmp_path / "page")[0])
    for at, run in enumerate(runs):
        labels = pd.read_csv(run.folder / "labels.csv", keep_default_na=False, na_values=[""])
        first = labels[(labels["rank"] == 1) & labels["verdict"].isin(SIGNIFICANT)]
        count, name_of = len(first), run.manifest.target
        kept = labels[(labels["q"] <= calibration.q) & labels["verdict"].isin(SIGNIFICANT)]
        carried = kept["concept"].value_counts().to_dict()

        manifest = json.loads((run.folder / "manifest.json").read_text())
        assert sum(one["significant"] for one in manifest["summary"]) == count
        assert (first["q"] <= calibration.q).all()
        assert first["rung"].notna().sum() == count
        console = mcd_command("report", run.folder, "--reporter", "console")
        assert f"{count or 'none'} of 8 neurons " in console.out
        assert page[at] == count
        learned = run.results.learned
        assert learned["neurons"].sum() == count

        assert significant_labels(run)["concept"].value_counts().to_dict() == carried
        for table in (both,) if at else (both, drawn):
            whole = table.layers[(table.layers["run"] == name_of) & (table.layers["layer"] == ALL)]
            assert whole["significant"].tolist() == [count]
            carriers = table.carriers[table.carriers["run"] == name_of]
            assert carriers.groupby("concept")["carriers"].sum().to_dict() == carried
            concepts = table.concepts[table.concepts["run"] == name_of].set_index("concept")
            assert {term for term, answer in concepts["answer"].items() if answer == "carried"} == (
                set(carried) & set(concepts.index)
            )
            assert (concepts["first"] <= concepts["carriers"]).all()
            assert (concepts["carriers"] <= count).all()
    change = both.changes[0].neurons
    for run, side in zip(runs, ("before", "after"), strict=True):
        said = sum(one.significant or 0 for one in run.manifest.summary)
        assert change[f"concept_{side}"].ne("").sum() == said
