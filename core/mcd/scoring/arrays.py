"""Labels from plain arrays: `label`, which needs neither a network nor a run folder."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import pandas as pd
import pydantic
import torch

from mcd.api.concepts import Concept, ConceptSet
from mcd.api.probe import FACTS, Probe
from mcd.api.scorer import Scorer
from mcd.errors import ConfigError, DataError, UsageError, amount
from mcd.host import PluginHost
from mcd.networks.process import process_state_kept
from mcd.options import problem_line
from mcd.scoring.array_rungs import check_rows, columns_of, rung_data
from mcd.scoring.labelling import Labeller
from mcd.scoring.rungs import COLUMNS as RUNG_COLUMNS
from mcd.scoring.scored import Scored
from mcd.scoring.similarity import Matrix
from mcd.scoring.tables import label_table, p_methods
from mcd.study.adapters import FunctionScorer
from mcd.study.calibration import Calibration
from mcd.study.preparer import Preparer
from mcd.study.study import Choice, Study

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["label"]

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)
_Array: TypeAlias = "NDArray[np.generic] | torch.Tensor"
_Words: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]] | Sequence[Concept] | ConceptSet
_Scorer: TypeAlias = str | Mapping[str, object] | Scorer | Callable[[torch.Tensor, torch.Tensor], object]
_Facts: TypeAlias = pd.DataFrame | Mapping[str, Sequence[object]]


@process_state_kept()
def label(
    activations: NDArray[np.generic] | torch.Tensor,
    similarity: NDArray[np.generic] | torch.Tensor,
    concepts: Sequence[str] | Mapping[str, Sequence[str]] | Sequence[Concept] | ConceptSet,
    *,
    scorer: str | Mapping[str, object] | Scorer | Callable[[torch.Tensor, torch.Tensor], object] = "soft-wpmi",
    patients: Sequence[object] | None = None,
    facts: pd.DataFrame | Mapping[str, Sequence[object]] | None = None,
    ids: Sequence[object] | None = None,
    calibration: Mapping[str, object] | None = None,
    nuisances: NDArray[np.generic] | torch.Tensor | None = None,
    untrained: Sequence[NDArray[np.generic] | torch.Tensor] = (),
    annotations: NDArray[np.generic] | torch.Tensor | None = None,
) -> pd.DataFrame:
    """Label neurons with concepts, given activations and similarity as arrays.

    The scores and their significance are those of a run with one layer.

    Parameters
    ----------
    activations
        A, ``(images, neurons)``, finite: what each neuron does on each image.
    similarity
        P, ``(images, concepts)``, finite: how well each concept fits each image, such as the cosine of their
        embeddings. Rows as in A. Both are computed with as float32. For a scorer that takes annotations (``auroc``,
        ``auprc``, ``pearson``, ``spearman``) also what is annotated: 1 present, 0 absent, NaN not known.
    concepts
        The columns of P: words, categories with their words (``{"masses": ["mass", "cyst"]}``), `mcd.Concept` objects,
        whose categories decide some verdicts, or a concept set.
    scorer
        A name, ``{"plugin": "soft-wpmi", "options": {"top_k": 50}}``, an `mcd.Scorer`, or a function ``(A, P) -> S``.
    patients
        The patient of each image; None, NaN or an empty text where not known. By default the column ``patient`` of
        ``facts``. Where patients are known, they are the permutation unit, not images.
    facts
        What else is known of each image, a row each, for scorers that ask for it; see `mcd.Probe`.
    ids
        What messages call the images, by default their row numbers. A table of facts with an index of its own must
        have these in the same order.
    calibration
        How significance is computed: ``{"q": 0.1, "exchangeable": "image", "draws": 5000}``; see
        `mcd.study.calibration.Calibration`.
    nuisances
        ``(images, n)``: statistics of each image that have nothing to do with a concept, such as its brightness. Given
        this, with n of 0 or more, labels are also tested with it and view × laterality × vendor of ``facts`` held
        fixed.
    untrained
        A of networks of the same architecture with random weights, each ``(images, neurons of its layer)``. Given
        some, labels are also tested against theirs.
    annotations
        ``(images, concepts)``: 1 present, 0 absent, NaN not known. Given this, labels are also tested on half of the
        patients, which takes no part in naming there.

    Returns
    -------
    pandas.DataFrame
        A row for each of the ten best concepts of a neuron, best first, and one for a neuron without a label, whose
        ``status`` says why. Columns: neuron, status, verdict, rank, concept, category, broad_category, score, z, p,
        p_method, q, p_any, p_any_method. ``p_any`` is the neuron's own p: of the concept that stands highest above the
        null, whichever comes first by score. A method is ``empirical``, counted, or ``tail``, of the fitted one.
        Where a rung above the first was asked for, its q too (``q_nuisance``, ``q_untrained``, ``q_right``), and
        ``rung``: how far the first label of the neuron got, see `mcd.plugins.RUNGS`.

    Raises
    ------
    mcd.errors.MCDError
        When arrays do not fit each other or are not finite, when the scorer needs more than is given, or when a
        setting is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> import mcd
    >>> rng = np.random.default_rng(0)
    >>> similarity = rng.random((200, 3))
    >>> activations = np.stack([similarity[:, 1], rng.random(200)], axis=1)
    >>> found = mcd.label(activations, similarity, ["mass", "implant", "text"], scorer="pearson")
    >>> found.query("rank == 1")[["neuron", "concept", "p_any"]].round(3)  # doctest: +SKIP
       neuron  concept  p_any
    0       0  implant  0.001
    3       1     mass  0.735
    """
    words = _concepts(concepts)
    a = _matrix(activations, "activations", "neurons")
    p = _matrix(similarity, "similarity", "concepts")
    if len(a) != len(p):
        raise DataError(
            f"activations hold {amount(len(a), 'image')}, similarity {len(p)}: not the same set",
            "give both for the same images, in the same order",
        )
    if p.shape[1] != len(words):
        raise DataError(
            f"similarity has {amount(p.shape[1], 'column')} for {amount(len(words), 'concept')}", "give one a column"
        )
    names, made = _ids(ids, len(a)), _made(scorer)
    _check_finite(a, "activations", names, [f"neuron {number}" for number in range(a.shape[1])])
    _check_finite(_known(p, made), "similarity", names, [f"concept '{word.term}'" for word in words])
    table = _facts_of(facts, patients, names, named=ids is not None)
    settings = _valid(Calibration, calibration or {}, "calibration")
    if len(a) < _FEWEST:
        raise DataError(f"{len(a)} image cannot tell neurons apart", f"give at least {_FEWEST}")
    made.check(len(a))
    probe = Probe(words, None, None, lambda: table, None)
    bound = made.for_probe(probe)
    fixed, random, known = _above(nuisances, untrained, annotations, names)
    rungs = rung_data(p, made, probe, names, settings.null_seed, fixed, random, known)
    count: int = Study.model_fields["labels_per_neuron"].default
    labeller = Labeller(bound, Matrix(p), words, settings, list(table["patient"]), count, names, rungs)
    (found,) = labeller.scored({"": lambda: a})
    asked = columns_of(fixed, random, known)
    problems = [
        f"{rung}: {why}" for rung, why in labeller.ladder.problems.items() if why and RUNG_COLUMNS[rung] in asked
    ]
    for remark in filter(None, (bound.caution, labeller.caution, found.scores.reason, *problems)):
        warnings.warn(remark, stacklevel=2)
    return _table(found, words, asked)


_FEWEST = 2


def _above(
    nuisances: _Array | None, untrained: Sequence[_Array], annotations: _Array | None, ids: Sequence[str]
) -> tuple[torch.Tensor | None, list[torch.Tensor], torch.Tensor | None]:
    """Return what the rungs above the first are tested with, as float32; all but annotations is finite."""
    fixed = None
    if nuisances is not None:
        empty = np.ndim(nuisances) == 2 and 0 in np.shape(nuisances)[1:]
        fixed = torch.zeros(np.shape(nuisances)) if empty else _matrix(nuisances, "nuisances", "n")
        check_rows("nuisances", fixed, len(ids))
        _check_finite(fixed, "nuisances", ids, [f"column {number}" for number in range(fixed.shape[1])])
    random = [_matrix(one, "activations of an untrained network", "neurons") for one in untrained]
    for one in random:
        check_rows("activations of an untrained network", one, len(ids))
        names = [f"neuron {number}" for number in range(one.shape[1])]
        _check_finite(one, "activations of an untrained network", ids, names)
    known = None if annotations is None else _matrix(annotations, "annotations", "concepts")
    check_rows("annotations", known, len(ids))
    return fixed, random, known


def _table(found: Scored, concepts: Sequence[Concept], rungs: Sequence[str]) -> pd.DataFrame:
    """Return the label table of a layer without its name, with the p of each neuron as a whole.

    Of the rungs above the first it has the columns given.
    """
    table = label_table("", "", found.scores, concepts, found.order, found.live, found.judged, found.rungs)
    p_any, method = np.full(len(found.scores.status), np.nan), np.full(len(found.scores.status), "", dtype=object)
    if found.judged is not None:
        p_any[list(found.live)] = found.judged.p_any
        method[list(found.live)] = p_methods(found.judged.any_by_tail)
    neuron = table["neuron"]
    unasked = {"rung", *list(RUNG_COLUMNS.values())[1:]}.difference(rungs)
    known = table.drop(columns=["target", "layer", *unasked])
    return known.assign(p_any=p_any[neuron], p_any_method=method[neuron])


def _concepts(concepts: _Words) -> tuple[Concept, ...]:
    if isinstance(concepts, ConceptSet):
        return concepts.concepts
    if isinstance(concepts, Mapping):
        return ConceptSet.from_categories(concepts).concepts
    if isinstance(concepts, Set):
        raise UsageError("concepts are a set, which has no order: nobody knows which column is whose", "give a list")
    given = tuple(one for one in concepts if isinstance(one, Concept))
    words = ConceptSet.from_words(concepts if isinstance(concepts, str) else [_term(one) for one in concepts])
    return given if len(given) == len(words.concepts) else words.concepts


def _term(concept: str | Concept) -> str:
    return concept.term if isinstance(concept, Concept) else concept


def _matrix(values: _Array, name: str, columns: str) -> torch.Tensor:
    """Return an array as a float32 tensor ``(images, columns)`` on the CPU."""
    if not isinstance(values, torch.Tensor):
        array = np.asarray(values)
        if array.dtype.kind not in "bifu":
            raise DataError(f"{name}: values of type {array.dtype} are not numbers", "give an array of floats")
        with np.errstate(over="ignore"):  # what float32 does not hold is found as infinity
            values = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if values.is_complex():
        raise DataError(f"{name}: complex numbers have no order", "give real ones")
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(
            f"{name}: an array of shape {tuple(values.shape)} was given", f"give one of shape (images, {columns})"
        )
    return values.detach().cpu().float()


def _known(similarity: torch.Tensor, scorer: Scorer) -> torch.Tensor:
    """Return P with what is annotated as not known at 0, where the scorer takes annotations; else as it is."""
    if not scorer.takes_annotations:
        return similarity
    annotated = (similarity.isnan() | (similarity == 0) | (similarity == 1)).all(dim=0)
    return torch.where(annotated & similarity.isnan(), 0.0, similarity)


def _check_finite(values: torch.Tensor, name: str, images: Sequence[str], columns: Sequence[str]) -> None:
    wrong = (~torch.isfinite(values)).nonzero()
    if len(wrong):
        row, column = wrong[0].tolist()
        raise DataError(
            f"{name} hold NaN or infinity ({len(wrong)} values as float32), first for image '{images[row]}', "
            f"{columns[column]}",
            "leave these images or columns out",
        )


def _ids(ids: Sequence[object] | None, images: int) -> list[str]:
    names = [str(one) for one in (range(images) if ids is None else ids)]
    if len(names) != images:
        raise DataError(f"{amount(len(names), 'id')} for {amount(images, 'image')}", "give one id an image")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"the id '{repeated[0]}' is given twice", "give each image an id of its own")
    return names


def _facts_of(
    facts: _Facts | None, patients: Sequence[object] | None, ids: Sequence[str], *, named: bool
) -> pd.DataFrame:
    """Return the table of facts, all texts, with a column for each of `FACTS`."""
    try:
        table = pd.DataFrame({} if facts is None else facts, index=None if facts is not None else range(len(ids)))
    except ValueError as error:
        raise DataError(f"facts are no table: {error}", "give a pandas table, or columns of equal length") from None
    if len(table) != len(ids):
        raise DataError(
            f"facts have {amount(len(table), 'row')} for {amount(len(ids), 'image')}", "give one row an image"
        )
    if named and not isinstance(table.index, pd.RangeIndex) and [str(one) for one in table.index] != list(ids):
        raise DataError("the index of facts is not the ids, in their order", "use facts.loc[ids]")
    texts = {str(name): _texts(table[name]) for name in table}
    if patients is not None:
        own = _texts(patients)
        if len(own) != len(ids):
            raise DataError(
                f"{amount(len(own), 'patient')} for {amount(len(ids), 'image')}", "give one patient an image"
            )
        if texts.setdefault("patient", own) != own:
            raise DataError("patients are not those of the facts' column 'patient'", "give one of the two")
    known = dict.fromkeys(FACTS, [""] * len(ids)) | texts
    return pd.DataFrame(known, index=range(len(ids)))


def _texts(values: Iterable[object]) -> list[str]:
    """Return facts as `mcd.Probe` has them: what is not known is empty."""
    column = pd.Series(list(values), dtype=object)
    return [
        "" if missing else {True: "yes", False: "no"}[bool(one)] if isinstance(one, bool | np.bool_) else str(one)
        for one, missing in zip(column, column.isna(), strict=True)
    ]


def _made(scorer: _Scorer) -> Scorer:
    if isinstance(scorer, Scorer):
        return scorer
    if isinstance(scorer, str | Mapping):
        return Preparer(PluginHost.discover()).scorer(_valid(Choice, scorer, "scorer"))[0]
    if isinstance(scorer, type) or not callable(scorer):
        raise UsageError(
            f"scorer: {scorer!r} is not a scorer",
            'give a name, {"plugin": …, "options": …}, an mcd.Scorer, or a function',
        )
    return FunctionScorer(scorer)


def _valid(cls: type[ModelT], values: object, what: str) -> ModelT:
    try:
        return cls.model_validate(dict(values) if isinstance(values, Mapping) else values)
    except pydantic.ValidationError as error:
        raise ConfigError(
            f"{what}: {problem_line(error.errors(include_url=False)[0], cls)}",
            "see the settings in docs/reference/study.md",
        ) from None
