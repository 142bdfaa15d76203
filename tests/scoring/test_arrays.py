"""`mcd.label`: labels from plain arrays are those of a run, and what does not fit is said before anything is scored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mcd
from mcd.errors import MCDError
from mcd.runs.material import facts_of
from mcd.runs.rescore import rescore
from mcd.runs.revived import StoredScores
from mcd.study.calibration import Calibration
from mcd.study.study import Choice

PAGE = Path(__file__).parents[2] / "docs/how-to/label-your-own-arrays.md"
WORDS = ["mass", "implant", "text"]
RNG = np.random.default_rng(0)
P = RNG.random((60, 3))
A = np.stack([P[:, 1], RNG.random(60), np.zeros(60), np.ones(60)], axis=1)
FEW = {"draws": 100, "most_draws": 100}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    """A finished run of one layer over 40 images of 10 patients."""
    return mcd.dissect(
        "phantom-mammo",
        dissector="phantom-clip",
        layers="stages.2",
        dataset="phantom:10",
        concepts="phantom",
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 10}},
        calibration=FEW,
        output=tmp_path_factory.mktemp("runs") / "run",
        progress=False,
    )


@pytest.mark.filterwarnings("ignore:partial-correlation holds fixed")
@pytest.mark.parametrize("scorer", ["soft-wpmi", "pearson", "partial-correlation", "sparse"])
def test_a_run_and_its_arrays_have_the_same_labels(scorer: str, run: mcd.Dissection, tmp_path: Path) -> None:
    chosen = {"plugin": scorer, "options": {"top_k": 10} if scorer == "soft-wpmi" else {}}
    stored = StoredScores(run)
    found = mcd.label(
        run.activations("stages.2").numpy(),
        stored.material().similarity.whole(),
        stored.concepts,
        scorer=chosen,
        patients=run.patients,
        facts=facts_of(run).drop(columns="patient"),
        ids=run.image_ids,
        calibration=FEW,
    )
    again = rescore(
        run, scorer=Choice.model_validate(chosen), calibration=Calibration.model_validate(FEW), output=tmp_path / "out"
    )
    whole = ["p_any", "p_any_method"]
    expected = again.labels[list(found)[:-2]]
    pd.testing.assert_frame_equal(found.drop(columns=whole), expected, check_exact=True)
    neurons = again.results.neurons.set_index("neuron")
    for name in whole:
        assert found[name].tolist() == neurons.loc[found["neuron"], name].tolist()


def test_patients_are_the_permutation_unit(run: mcd.Dissection) -> None:
    stored = StoredScores(run)
    given = (run.activations("stages.2"), stored.material().similarity.whole(), stored.concepts.concepts)
    by = {
        unit: mcd.label(*given, scorer="pearson", patients=run.patients, calibration={**FEW, "exchangeable": unit})
        for unit in ("image", "patient")
    }
    alone = mcd.label(*given, scorer="pearson", calibration=FEW)
    default = mcd.label(*given, scorer="pearson", facts=facts_of(run), calibration=FEW)
    pd.testing.assert_frame_equal(alone, by["image"])
    pd.testing.assert_frame_equal(default, by["patient"])
    assert (by["patient"]["z"] < by["image"]["z"]).mean() > 0.5


def test_every_neuron_has_a_row_and_one_without_a_label_says_why() -> None:
    found = mcd.label(A, P, WORDS, scorer="pearson", calibration=FEW)
    columns = "neuron status verdict rank concept category broad_category score z p p_method q p_any p_any_method"
    assert list(found) == columns.split()
    assert found.groupby("neuron")["status"].first().tolist() == ["labelled", "labelled", "dead", "constant"]
    first = found[found["rank"] == 1].set_index("neuron")
    assert first.loc[0, "concept"] == "implant"
    assert first.loc[0, "p_any"] == pytest.approx(1 / 101)
    silent = found[found["neuron"] >= 2]
    assert silent[["score", "p", "q", "p_any"]].isna().all(axis=None)
    assert (silent["concept"] == "").all()


def product(a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return a.T @ p


class Product(mcd.Scorer):
    name = "product"

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return product(activations, similarity)


def test_a_scorer_is_a_name_options_an_object_or_a_function(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def product(A, P): return A.T @ P\n")
    found = [mcd.label(A, P, WORDS, scorer=one, calibration=FEW) for one in (product, Product(), f"{file}:product")]
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])
    by_name = mcd.label(A, P, WORDS, scorer={"plugin": "f1", "options": {"alpha": 0.3}}, calibration=FEW)
    assert not by_name.equals(mcd.label(A, P, WORDS, scorer="f1", calibration=FEW))


def test_concepts_with_categories_decide_verdicts() -> None:
    concepts = [mcd.Concept(word, "of the breast", "x", mammographic=word != "implant") for word in WORDS]
    found = mcd.label(A, P, concepts, scorer="pearson", calibration=FEW)
    assert found.loc[0, ["concept", "category", "verdict"]].tolist() == ["implant", "of the breast", "not mammographic"]


def test_half_precision_integers_and_other_layouts_are_taken() -> None:
    whole = np.round(100 * A).astype(np.int64)
    expected = mcd.label(whole.astype(np.float32), P, WORDS, scorer="pearson", calibration=FEW)
    for same in (whole, np.asfortranarray(whole), torch.from_numpy(whole).bfloat16(), torch.from_numpy(whole).half()):
        pd.testing.assert_frame_equal(mcd.label(same, P, WORDS, scorer="pearson", calibration=FEW), expected)


def test_defaults_that_a_caller_has_set_in_torch_decide_nothing() -> None:
    expected = mcd.label(A, P, WORDS, scorer={"plugin": "soft-wpmi", "options": {"top_k": 12}}, calibration=FEW)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu"):
            found = mcd.label(A, P, WORDS, scorer={"plugin": "soft-wpmi", "options": {"top_k": 12}}, calibration=FEW)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    pd.testing.assert_frame_equal(found, expected)


def test_without_significance_there_are_scores_alone() -> None:
    found = mcd.label(A, P, WORDS, scorer="pearson", calibration={"draws": 0})
    assert found["score"].notna().sum() == 6
    assert found[["z", "p", "q", "p_any"]].isna().all(axis=None)


def test_what_a_reader_of_the_labels_must_know_is_a_warning() -> None:
    chosen = {"top_k": 5, "prior": "layer"}
    with pytest.warns(UserWarning, match="compares a neuron with the others of its layer, and there is only one"):
        found = mcd.label(A[:, :1], P, WORDS, scorer={"plugin": "soft-wpmi", "options": chosen})
    assert found["status"].tolist() == ["unscored"]


@pytest.mark.parametrize("scorer", ["embedding", "contrastive", {"plugin": "adaptive-cosine", "options": "reference"}])
def test_a_scorer_that_reads_embeddings_is_refused(scorer: str | Mapping[str, object]) -> None:
    if isinstance(scorer, Mapping):
        scorer = {**scorer, "options": {"reference": "a mammogram", "min_images": 5}}
    with pytest.raises(MCDError, match="reads embeddings of the dissector, but only activations and similarity"):
        mcd.label(A, P, WORDS, scorer=scorer)


WITH_NAN, WITH_INFINITY = A.copy(), P.copy()
WITH_NAN[7, 1], WITH_INFINITY[[3, 9], 2] = np.nan, 1e300  # more than float32 holds


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"activations": A[:-1]}, "activations hold 59 images, similarity 60: not the same set"),
        ({"activations": A[:, 0]}, "activations: an array of shape (60,) was given"),
        ({"activations": A[:, :0]}, "activations: an array of shape (60, 0) was given"),
        ({"similarity": P.T}, "activations hold 60 images, similarity 3: not the same set"),
        ({"similarity": P[:, :2]}, "similarity has 2 columns for 3 concepts"),
        ({"similarity": P.astype(str)}, "similarity: values of type <U32 are not numbers"),
        ({"similarity": P.astype(complex)}, "similarity: values of type complex128 are not numbers"),
        (
            {"activations": WITH_NAN},
            "activations hold NaN or infinity (1 values as float32), first for image '7', neuron 1",
        ),
        (
            {"similarity": WITH_INFINITY, "ids": [f"case {row}" for row in range(60)]},
            "similarity hold NaN or infinity (2 values as float32), first for image 'case 3', concept 'text'",
        ),
        ({"activations": A[:1], "similarity": P[:1]}, "1 image cannot tell neurons apart"),
        ({"scorer": "soft-wpmi"}, "soft-wpmi looks at the top 100 images of a neuron, but the probe set has 60"),
        ({"concepts": "mass"}, "a list of words is needed, not one text"),
        ({"concepts": ["mass", "Mass", "text"]}, "'Mass' is given twice"),
        ({"concepts": [mcd.Concept("mass", "", "")] * 3}, "'mass' is given twice"),
        ({"ids": range(59)}, "59 ids for 60 images"),
        ({"ids": [*range(59), 0]}, "the id '0' is given twice"),
        ({"patients": ["p"] * 59}, "59 patients for 60 images"),
        ({"patients": ["p"] * 60, "facts": {"patient": ["q"] * 60}}, "patients are not those of the facts' column"),
        ({"facts": {"view": ["CC"] * 61}}, "facts have 61 rows for 60 images"),
        ({"facts": {"view": ["CC"], "vendor": ["a", "b"]}}, "facts are no table"),
        (
            {"facts": pd.DataFrame({"view": "CC"}, index=range(60, 0, -1)).rename(index=str), "ids": range(1, 61)},
            "the index of facts is not the ids, in their order",
        ),
        ({"calibration": {"exchangeable": "patient"}}, "the patient of no image is known"),
        ({"scorer": "soft-wmpi"}, "no scorer named 'soft-wmpi'"),
        ({"scorer": {"plugin": "f1", "options": {"alpah": 1}}}, "unknown setting 'alpah'"),
        ({"scorer": {"plugins": "f1"}}, "scorer: "),
        ({"scorer": Product}, "is not a scorer"),
        ({"scorer": "partial-correlation"}, "partial-correlation holds confounders fixed"),
        ({"calibration": {"q": 2}}, "calibration: setting 'q': Input should be less than 1"),
        ({"calibration": {"draw": 100}}, "calibration: unknown setting 'draw'"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(changed: Mapping[str, object], said: str) -> None:
    given: dict[str, object] = {"activations": A, "similarity": P, "concepts": WORDS, "scorer": "pearson", **changed}
    with pytest.raises(MCDError, match=re.escape(said)):
        mcd.label(**given)  # type: ignore[arg-type]  # a table of wrong calls


def test_the_how_to_runs_as_written() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    labels = names["labels"]
    assert isinstance(labels, pd.DataFrame)
    assert labels.loc[0, "concept"] == "mass"
