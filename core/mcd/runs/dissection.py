"""A dissection: the labels of one target, and what they were made of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import pandas as pd

from mcd.api.schema import read_record
from mcd.errors import StoreError, UsageError, amount
from mcd.extraction.map_store import FILE as MAPS
from mcd.extraction.probe_map import PRIVATE, copy_private, read_private, write_private
from mcd.files import MANIFEST, check_tree, expanded
from mcd.runs.evaluated import Evaluation, labels_digest
from mcd.runs.given import Given
from mcd.runs.manifest import Manifest, tables_only
from mcd.runs.recorded import UNTRAINED, Recorded
from mcd.runs.shown import ReportPath, TopImages, dissection_html, top_images_of
from mcd.runs.vocabulary import kept_concepts, write_concepts
from mcd.scoring.results import Results
from mcd.study.digests import damaged
from mcd.study.study import SCHEMA, Study

if TYPE_CHECKING:
    import PIL.Image
    from matplotlib.figure import Figure

    from mcd.comparison.alignment import Alignment
    from mcd.comparison.changes import Matching
    from mcd.comparison.compared import Comparison
    from mcd.figures.data import FigureData
    from mcd.host import PluginHost
    from mcd.runs.thumbnails import ProbeImages
    from mcd.scoring.calibration.thresholds import MeanScoreThreshold

__all__ = ["SCORED", "Dissection", "read_study", "store_of", "write_study"]


STUDY = f"{PRIVATE}/study.json"
SCORED = "scored"
"""The folder of a run in which its scorings lie."""

_RECORDED = replace(SCHEMA, remedy="run it again into another --output")


class Dissection(Recorded):
    """One target dissected with one dissector, probe set, concept set and scorer.

    Made by `mcd.dissect` and `mcd.load`.

    Attributes
    ----------
    labels
        The label table, long form: target, layer, neuron, status, verdict, rank, concept, category,
        broad_category, score, z, p, p_method, q. A neuron has as many rows as it keeps concepts, best first; one
        without a label has one row whose ``status`` says why: dead, constant or unscored.
    manifest
        What went in.
    results
        All tables: besides the labels those of neurons, nulls, explanations and controls
        (`mcd.scoring.results.Results`).
    folder
        The run folder.
    trust
        Whether what its study names is run, read and fetched; see `mcd.load`.
    given
        Parts that it was given in Python, as far as they are at hand.
    """

    _made_from: Dissection | None = None

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        results: Results,
        host: PluginHost | None = None,
        *,
        trust: bool = False,
        beside: Sequence[Path] = (),
        given: Given | None = None,
    ) -> None:
        super().__init__(folder / manifest.store.folder, manifest.store, manifest.layers, manifest.images)
        self.folder, self.manifest, self.results = folder, manifest, results
        self.trust, self._beside, self.given = trust, tuple(beside), given or Given()
        if host is not None:
            self.host = host

    def __repr__(self) -> str:
        neurons = sum(layer.neurons for layer in self.manifest.layers)
        images = "imported" if self.manifest.imported else amount(self.manifest.images, "image")
        size = f"{amount(len(self.layers), 'layer')}, {amount(neurons, 'neuron')}, {images}"
        return f"<Dissection of {self.manifest.target} by {self.manifest.dissector}: {size}>"

    @cached_property
    def host(self) -> PluginHost:
        """The plugins that the parts of the run are found again with: those given, or all that are installed."""
        from mcd.host import PluginHost

        return PluginHost.discover([], os.environ)

    def trusted(self) -> Dissection:
        """Return the same run, trusted: see ``trust`` of `mcd.load`."""
        return self._again(trust=True, given=self.given)

    def with_given(self, given: Given) -> Dissection:
        """Return the same run with parts at hand as objects; `mcd.load` makes sure that they are its own."""
        return self._again(trust=self.trust, given=given)

    def _again(self, *, trust: bool, given: Given) -> Dissection:
        host = self.__dict__.get("host")
        made = Dissection(self.folder, self.manifest, self.results, host, trust=trust, beside=self._beside, given=given)
        made._made_from = self  # whose folder may go with it
        return made

    @cached_property
    def probe_images(self) -> ProbeImages:
        """Its data set, and the samples by the ids that outputs show: once checked to be what it saw.

        Raises
        ------
        mcd.errors.MCDError
            When they cannot be found again, or have changed.
        """
        from mcd.runs.thumbnails import ProbeImages

        return ProbeImages.of(self)

    @cached_property
    def store_folder(self) -> Path:
        """The folder of activations, embeddings and the probe map; see `store_of`."""
        return store_of(self.folder, self.manifest, trust=self.trust, beside=self._beside)

    @property
    def labels(self) -> pd.DataFrame:
        """The label table."""
        return self.results.labels

    @property
    def evaluation(self) -> Evaluation | None:
        """How right the labels are, as ``mcd evaluate`` found; None where the run was not evaluated.

        Raises
        ------
        StoreError
            When the evaluation is damaged, or of labels that the run no longer has.
        """
        return Evaluation.read(self.folder, labels_digest(self.folder, self.manifest), self.manifest)

    @overload
    def top_images(self, layer: str, neuron: int, count: int = 5, *, show: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def top_images(self, layer: str, neuron: int, count: int = 5, *, show: Literal[True]) -> TopImages: ...
    def top_images(self, layer: str, neuron: int, count: int = 5, *, show: bool = False) -> pd.DataFrame | TopImages:
        """Return the images a neuron responds to most: rank, image id, activation, source.

        Parameters
        ----------
        show
            Return them as a notebook shows them, in a row: without those into which text is burned.

        Raises
        ------
        UsageError
            When the layer has no such neuron.
        DataError
            When they are to be shown and cannot be found again.
        """
        activations = self.activations(layer)
        if not 0 <= neuron < activations.shape[1]:
            raise UsageError(
                f"layer {layer} has neurons 0 to {activations.shape[1] - 1}, not {neuron}",
                "give a number of that range",
            )
        column = activations[:, neuron]
        order = column.sort(descending=True, stable=True).indices[:count].tolist()
        sources = {entry["id"]: entry["source"] for entry in self.probe_map}
        found = pd.DataFrame(
            {
                "rank": range(1, len(order) + 1),
                "image": [self.image_ids[row] for row in order],
                "activation": column[order].numpy(),
                "source": [sources.get(self.image_ids[row], "") for row in order],
            }
        )
        return top_images_of(self, layer, neuron, found) if show else found

    def image(self, image: str) -> PIL.Image.Image:
        """Return an image of the probe set by its id, as it is displayed: 8 bit grey or colour.

        Raises
        ------
        UnknownNameError
            When no image has such an id.
        DataError
            When it cannot be found again or has changed, or text is burned into it.
        """
        return self.probe_images.picture(image)

    def figure(
        self,
        name: str,
        *,
        layers: Sequence[str] = (),
        neurons: Sequence[tuple[str, int]] = (),
        copy_images: bool = False,
        threshold: MeanScoreThreshold | None = None,
    ) -> Figure:
        """Return one of the figures of the run by its name, as ``mcd figures`` draws it; a notebook shows it.

        Parameters
        ----------
        name
            One of ``mcd.figures.FIGURES``.
        layers, neurons, copy_images
            What it shows; see `mcd.figures.Wanted`.
        threshold
            Count neurons by the mean-score threshold of the paper; see `mcd.ComparisonSettings`.

        Raises
        ------
        UsageError
            When no figure has such a name, it needs a comparison, or would show nothing.
        """
        import mcd  # the public face, which stands above: imported when it is called

        mcd.figures.check_names([name])
        if threshold not in self._drawn_from:
            self._drawn_from[threshold] = mcd.figures.collect([self], mcd.ComparisonSettings(threshold=threshold))
        wanted = mcd.figures.Wanted(tuple(layers), tuple(neurons), copy_images)
        return mcd.figures.figure(self._drawn_from[threshold], name, wanted)

    @cached_property
    def _drawn_from(self) -> dict[MeanScoreThreshold | None, FigureData]:
        """What figures are drawn from, by threshold: it takes longer than drawing."""
        return {}

    def report(self, reporter: str | Mapping[str, object] = "html", *, output: str | Path | None = None) -> ReportPath:
        """Report on the run by one reporter; see `mcd.report`.

        Returns
        -------
        pathlib.Path
            Of its first file, which a notebook shows as a link; of the folder where it writes none.
        """
        import mcd

        written = mcd.report(self, reporters=reporter, output=output)
        return ReportPath(written[0] if written else output or self.folder)

    def compare(
        self,
        *others: Dissection | str | Path,
        align: Alignment | Mapping[str, str] = "auto",
        match: Matching = "identity",
        threshold: MeanScoreThreshold | None = None,
        resamples: int = 200,
        seed: int = 0,
        output: str | Path | None = None,
        trust: bool = False,
    ) -> Comparison:
        """Compare the run with others, to which it is the reference; see `mcd.compare`, also for ``trust`` in them."""
        import mcd

        return mcd.compare(
            [self, *others],
            align=align,
            match=match,
            threshold=threshold,
            resamples=resamples,
            seed=seed,
            output=output,
            trust=trust,
        )

    def evaluate(
        self,
        against: str | Sequence[str] | None = None,
        *,
        other: Dissection | str | Path | None = None,
        draws: int = 100,
        seed: int = 0,
        faithfulness: bool | Mapping[str, object] = False,
        output: str | Path | None = None,
        trust: bool = False,
    ) -> Evaluation:
        """Evaluate the labels of the run; see `mcd.evaluate`, also for ``trust``."""
        import mcd

        return mcd.evaluate(
            self,
            against=against,
            other=other,
            draws=draws,
            seed=seed,
            faithfulness=faithfulness,
            output=output,
            trust=trust,
        )

    def _repr_html_(self) -> str:
        return dissection_html(self)

    def save(self, folder: str | Path) -> Path:
        """Copy all but reports, evaluation, controls and scorings into a new run folder, which `mcd.load` reads.

        Raises
        ------
        UsageError
            When the folder exists and is not empty.
        """
        folder = expanded(folder)
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty", "save into another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            statistics = ["statistics"] if self.manifest.store.statistics else []  # older runs have none
            embeddings = [] if self.manifest.store.annotations else ["embeddings"]
            untrained = [UNTRAINED] if self.manifest.store.untrained else []
            if self.manifest.imported is None:
                for name in ("activations", *embeddings, *statistics, *untrained):
                    shutil.copytree(self.store_folder / name, folder / name)
                copy_private(self.store_folder / PRIVATE, folder / PRIVATE)
                write_study(folder, read_study(self.folder, self.manifest))  # that of a scoring is not that of its run
            if self.manifest.store.maps:
                shutil.copyfile(self.store_folder / MAPS, folder / MAPS)
        except OSError as error:
            raise StoreError(
                f"cannot save into {folder}: {error.strerror}", "choose another folder, one that you may write to"
            ) from None
        record = self.manifest.store.model_copy(update={"folder": "."})
        digests = self.results.write(folder)
        kept = kept_concepts(self.folder, self.manifest)
        if kept is not None:  # an older version kept none
            digests |= write_concepts(folder, kept)
        self.manifest.model_copy(update={"store": record, "digests": digests}).write(folder)
        return folder


def store_of(folder: Path, manifest: Manifest, *, trust: bool = False, beside: Sequence[Path] = ()) -> Path:
    """Return the folder of activations, embeddings and the probe map: of a scoring made anew, that of its run.

    Raises
    ------
    StoreError
        When it is another than that which the scoring lies in, or those ``beside``, and the run is not trusted.
    """
    found = folder / manifest.store.folder
    place, own = found.resolve(), folder.resolve()
    inside_its_run = own.parent.name == SCORED and place == own.parent.parent and (place / MANIFEST).is_file()
    if not (trust or place == own or inside_its_run or place in [one.resolve() for one in beside]):
        raise StoreError(
            f"{folder} refers to another folder for its activations, {manifest.store.folder}",
            "if you trust this run: --trust (in Python trust=True); or name that run too, where several are taken",
        )
    if place != own:
        check_tree(place, links=trust)
    return found


def write_study(folder: Path, study: Study) -> None:
    """Write the study with whole paths, which the manifest does not show; `read_study` finds them again."""
    text = json.dumps(study.settings(), indent=2, ensure_ascii=False) + "\n"
    write_private(folder / STUDY, text.encode("utf-8", "backslashreplace"))  # paths may be no UTF-8


def read_study(folder: Path, manifest: Manifest, *, checked: bool = True) -> Study:
    """Return the study of a run with its paths; where ``private`` was taken away, as the manifest shows it.

    Parameters
    ----------
    checked
        Whether it must be what the run wrote, to a bit.

    Raises
    ------
    StoreError
        When it is damaged, or of a version that is not read.
    """
    if manifest.imported is not None:
        raise tables_only(folder)
    path = folder / STUDY
    try:
        data, own = read_private(folder, STUDY)
    except FileNotFoundError:
        return read_record(json.dumps(manifest.study).encode(), _RECORDED, Study, f"the study in {folder / MANIFEST}")
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", _RECORDED.remedy) from None
    found = read_record(data, _RECORDED, Study, str(path), paths=True)
    if checked and not own:
        raise damaged(path)
    return found
