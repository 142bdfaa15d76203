"""Labels that mean something: uniform under noise, found when planted, not fooled by patients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mcd.api.concepts import Concept
from mcd.api.ranking import Ties
from mcd.api.scorer import Scorer
from mcd.scoring.activations import Held
from mcd.scoring.calibration.null import NullDistribution, PermutedColumns, Rankings, StratumNull, discoveries
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.labelling import Labeller
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Matrix
from mcd.scoring.tables import label_table
from mcd.study.adapters import FunctionScorer
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

CONCEPTS = [Concept(f"c{at}", f"category {at}", "broad", mammographic=at < 50) for at in range(60)]


def similarity(rng: np.random.Generator, patient: np.ndarray, shared: float, spread: float = 0.05) -> torch.Tensor:
    own = rng.standard_normal((len(patient), 24))
    hers = rng.standard_normal((patient.max() + 1, 24))[patient]
    raw = (np.sqrt(1 - shared) * own + np.sqrt(shared) * hers) @ rng.standard_normal((24, len(CONCEPTS)))
    return torch.from_numpy((0.1 + spread * raw / raw.std()).astype(np.float32))


def noise(rng: np.random.Generator, patient: np.ndarray, neurons: int, shared: float) -> np.ndarray:
    own = rng.standard_normal((len(patient), neurons))
    hers = rng.standard_normal((patient.max() + 1, neurons))[patient]
    return np.sqrt(1 - shared) * own + np.sqrt(shared) * hers


def scored(
    scorer: Scorer, activations: np.ndarray, similarity: torch.Tensor, patient: np.ndarray, **settings: object
) -> Scored:
    labeller = Labeller(
        scorer, Matrix(similarity), CONCEPTS, Calibration.model_validate(settings), [str(one) for one in patient], 5
    )
    (found,) = labeller.scored({"layer": lambda: torch.from_numpy(activations.astype(np.float32))})
    return found


def distance(p: np.ndarray) -> float:
    """Return the Kolmogorov–Smirnov distance from the uniform distribution."""
    ordered, steps = np.sort(p), np.arange(1, len(p) + 1) / len(p)
    return float(max((steps - ordered).max(), (ordered - steps + 1 / len(p)).max()))


@pytest.mark.slow
@pytest.mark.parametrize("scorer", [SoftWPMI(SoftWPMI.Options(top_k=40)), CosineCubed()], ids=lambda one: one.name)
@pytest.mark.parametrize(("neurons", "a_patient", "spread"), [(16, 1, 0.02), (100, 4, 0.1)])
def test_noise_gives_uniform_p_values_and_no_discoveries(
    scorer: Scorer, neurons: int, a_patient: int, spread: float
) -> None:
    found, p = 0, []
    patient = np.arange(400) // a_patient
    for seed in range(20):
        rng = np.random.default_rng([seed, neurons])
        shared = 0.5 if a_patient > 1 else 0.0
        one = scored(
            scorer,
            noise(rng, patient, neurons, shared),
            similarity(rng, patient, shared, spread),
            patient,
            draws=500,
            most_draws=500,
            null_seed=seed,
        )
        assert one.judged is not None
        p.append(one.judged.p_any)
        found += one.judged.significant > 0
        assert (one.judged.p[:, 0] >= one.judged.p_any - 1e-12).all()
    values = np.concatenate(p)
    # 20 nulls of 500 draws each are what the p-values hang on; neurons of one seed are not independent.
    assert distance(values) < 1.63 / np.sqrt(min(len(values), 20 * 30))
    assert abs((values < 0.05).mean() - 0.05) < 0.03
    assert found <= 4  # at q = 0.05, one seed in twenty is expected


def test_patients_are_not_four_witnesses() -> None:
    rates: dict[str, list[float]] = {"image": [], "patient": []}
    patient = np.arange(400) // 4
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        cosine, activations = similarity(rng, patient, 0.7), noise(rng, patient, 80, 0.7)
        for unit, found in rates.items():
            one = scored(
                SoftWPMI(SoftWPMI.Options(top_k=40)),
                activations,
                cosine,
                patient,
                exchangeable=unit,
                draws=500,
                most_draws=500,
            )
            assert one.judged is not None
            found.append(float((one.judged.p_any < 0.05).mean()))
    assert np.mean(rates["patient"]) < 0.09
    assert np.mean(rates["image"]) > 0.2


def test_planted_neurons_are_found_and_hardly_any_other() -> None:
    precision, recall, published = [], [], []
    patient = np.arange(1000)
    for seed in range(3):
        rng = np.random.default_rng([seed, 2])
        cosine = similarity(rng, patient, 0.0)
        activations = noise(rng, patient, 200, 0.0)
        own = rng.integers(0, len(CONCEPTS), 40)
        column = cosine[:, own].numpy()
        activations[:, :40] += (column - column.mean(0)) / column.std(0)  # a signal-to-noise ratio of 1
        one = scored(SoftWPMI(SoftWPMI.Options(prior="layer")), activations, cosine, patient, null_seed=seed)
        assert one.judged is not None
        above = one.judged.q[:, 0] <= 0.05
        precision.append(above[:40].sum() / above.sum())
        recall.append(above[:40].mean())
        best = one.scores.scores.amax(dim=1).numpy()
        rule = best >= best.mean()
        published.append(rule[:40].sum() / rule.sum())
    assert np.mean(precision) >= 0.95
    assert np.mean(recall) >= 0.95
    assert np.mean(published) < 0.75


def test_going_on_gives_what_drawing_all_at_once_gives() -> None:
    units = PermutationUnits.of([str(at // 4) for at in range(80)], "patient")
    templates = np.stack([np.random.default_rng(at).permutation(80)[:10] for at in range(6)], axis=1)

    def made() -> StratumNull:
        rankings = Rankings(units, templates, null_seed=3)
        return StratumNull(lambda start, stop: torch.from_numpy(rankings.of(start, stop).T.copy()).float(), 100, 70)

    slow, fast = made(), made()
    slow.highest(100)
    slow.highest(333)
    assert np.array_equal(slow.highest(700), fast.highest(700))


@pytest.mark.parametrize(
    ("scorer", "z", "exceeded"),
    [
        (Cosine(), [3.02174, 3.12204, -0.89369, 3.05598], [1, 1, 200, 1]),
        (Pearson(), [3.1116, 3.30486, -1.08, 3.08225], [1, 0, 200, 1]),
    ],
    ids=["cosine", "pearson"],
)
def test_the_null_of_a_seed_is_that_of_earlier_versions(scorer: Scorer, z: list[float], exceeded: list[int]) -> None:
    """Numbers of the commit before permutations were drawn in pieces; many activations are 0."""
    activations = np.maximum(np.arange(192).reshape(48, 4) * 37 % 101 - 40, 0)
    cosine = torch.from_numpy((np.arange(240).reshape(48, 5) * 53 % 97).astype(np.float32) / 97)
    patient = np.arange(48) // 3
    labeller = Labeller(
        scorer, Matrix(cosine), CONCEPTS[:5], Calibration(draws=200, most_draws=200), [str(one) for one in patient], 1
    )
    (found,) = labeller.scored({"layer": lambda: torch.from_numpy(activations.astype(np.float32))})
    judged = found.judged
    assert judged is not None
    assert found.order[:, 0].tolist() == [0, 4, 1, 1]
    assert judged.z[:, 0] == pytest.approx(z, abs=1e-4)
    assert judged.null.exceeded(judged.z, judged.stratum)[:, 0].tolist() == exceeded


def test_draws_are_the_same_however_many_are_asked_for_at_once() -> None:
    units = PermutationUnits.of([str(at // 4) for at in range(80)], "patient")
    activations = torch.from_numpy(np.random.default_rng(2).standard_normal((80, 7)).astype(np.float32))
    columns = PermutedColumns(units, Held(activations), Ties.of([str(at) for at in range(80)], 0), null_seed=3)
    whole = columns.of(0, 600)
    for start, stop in ((0, 250), (240, 260), (249, 502), (599, 600)):
        assert torch.equal(columns.of(start, stop), whole[:, start:stop])
    assert {tuple(one) for one in whole.sort(dim=0).values.T.tolist()} == {
        tuple(one) for one in activations.sort(dim=0).values.T.tolist()
    }


def test_p_counts_chance_and_cannot_reach_zero() -> None:
    null = NullDistribution([np.array([1.0, 2.0, 3.0])], torch.zeros(1, 2), torch.ones(1, 2))
    stratum = np.zeros(3, dtype=np.int64)
    assert null.p(np.array([[0.0], [2.0], [9.0]]), stratum)[:, 0].tolist() == [1.0, 0.75, 0.25]
    assert np.isnan(null.p(np.array([[np.nan]]), stratum[:1])[0, 0])


def test_draws_go_on_where_more_could_change_the_outcome() -> None:
    draws = np.full(100, 1000.0)

    def decided(exceeded: np.ndarray) -> bool:
        found = discoveries(exceeded, draws, 0.05, "benjamini-hochberg")
        return bool((found.most == found.least).all())

    assert decided(np.full(100, 500.0))
    assert decided(np.zeros(100))
    one = np.full(100, 500.0)
    one[0] = 0  # below 1/1001, but 1/2000 is needed
    assert not decided(one)


def test_a_custom_function_gets_a_null_for_free() -> None:
    def correlation(activations: torch.Tensor, cosine: torch.Tensor) -> torch.Tensor:
        a, p = activations - activations.mean(0), cosine - cosine.mean(0)
        return (a / a.norm(dim=0)).T @ (p / p.norm(dim=0))

    rng = np.random.default_rng(5)
    patient = np.arange(300)
    cosine = similarity(rng, patient, 0.0)
    activations = noise(rng, patient, 30, 0.0)
    activations[:, 3] += 30 * cosine[:, 7].numpy()
    one = scored(FunctionScorer(correlation), activations, cosine, patient)
    assert one.judged is not None
    assert np.flatnonzero(one.judged.q[:, 0] <= 0.05).tolist() == [3]
    assert one.order[3, 0] == 7


def test_verdicts_tell_kinds_of_neurons_apart() -> None:
    rng = np.random.default_rng(6)
    patient = np.arange(600)
    cosine = torch.from_numpy(rng.standard_normal((600, len(CONCEPTS))).astype(np.float32))
    activations = noise(rng, patient, 40, 0.0)
    activations[:, 0] += 3 * cosine[:, 4].numpy()  # one mammographic concept
    activations[:, 1] += 3 * cosine[:, 55].numpy()  # one that is not
    activations[:, 2] += 3 * (cosine[:, 10] + cosine[:, 20]).numpy()  # two of different categories
    activations[:, 3] = 0.0
    one = scored(CosineCubed(), activations, cosine, patient)
    table = label_table("net", "layer", one.scores, CONCEPTS, one.order, one.live, one.judged)
    first = table[(table["rank"] == 1) | table["rank"].isna()].set_index("neuron")
    assert first.loc[[0, 1, 2], "verdict"].tolist() == ["significant", "not mammographic", "multiple categories"]
    assert first.loc[3, ["status", "verdict"]].tolist() == ["dead", ""]
    assert (first.loc[4:, "verdict"] == "not significant").mean() > 0.9
    assert first.loc[0, "concept"] == "c4"
    assert first.loc[0, "z"] > 5
    assert first.loc[0, "p"] < 0.01
    silent = table[table["neuron"] == 3]
    assert silent[["score", "z", "p", "q"]].isna().all().all()


def test_without_draws_nothing_is_said_of_chance() -> None:
    patient = np.arange(60)
    rng = np.random.default_rng(7)
    one = scored(
        SoftWPMI(SoftWPMI.Options(top_k=10)), noise(rng, patient, 5, 0), similarity(rng, patient, 0), patient, draws=0
    )
    assert one.judged is None
    table = label_table("net", "layer", one.scores, CONCEPTS, one.order, one.live)
    assert (table["verdict"] == "").all()
    assert table["p"].isna().all()
