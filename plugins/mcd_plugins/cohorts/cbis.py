"""The data set ``cbis-ddsm``."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot, files_below
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, join_rows, read_csv
from mcd_plugins.cohorts.vocabulary import DENSITIES, SIDES
from mcd_plugins.datasets.pictures import SUFFIXES

__all__ = ["CbisDdsm"]

_SUSPICIOUS = ("suspicious calcifications",)
_BENIGN = ("typically benign calcifications",)
_SHAPES: Mapping[str, tuple[str, ...]] = {
    "ROUND": ("mass", "round shape"),
    "OVAL": ("mass", "oval shape"),
    "LOBULATED": ("mass", "oval shape"),
    "IRREGULAR": ("mass", "irregular shape"),
    "ARCHITECTURAL_DISTORTION": ("architectural distortion",),
    "LYMPH_NODE": ("intramammary lymph node",),
    "ASYMMETRIC_BREAST_TISSUE": ("asymmetry", "global asymmetry"),
    "FOCAL_ASYMMETRIC_DENSITY": ("asymmetry", "focal asymmetry"),
}
_MARGINS: Mapping[str, tuple[str, ...]] = {
    "CIRCUMSCRIBED": ("circumscribed margin",),
    "OBSCURED": ("obscured margin",),
    "MICROLOBULATED": ("microlobulated margin",),
    "ILL_DEFINED": ("indistinct margin",),
    "SPICULATED": ("spiculated margin",),
}
_TYPES: Mapping[str, tuple[str, ...]] = {
    "AMORPHOUS": (*_SUSPICIOUS, "amorphous calcifications"),
    "PLEOMORPHIC": _SUSPICIOUS,
    "FINE_LINEAR_BRANCHING": (*_SUSPICIOUS, "fine-linear branching calcifications"),
    "PUNCTATE": ("punctate calcifications",),
    "ROUND_AND_REGULAR": (*_BENIGN, "round calcifications"),
    "LUCENT_CENTER": (*_BENIGN, "rim calcifications"),
    "LUCENT_CENTERED": (*_BENIGN, "rim calcifications"),
    "EGGSHELL": (*_BENIGN, "rim calcifications"),
    "VASCULAR": (*_BENIGN, "vascular calcifications"),
    "COARSE": (*_BENIGN, "popcorn calcifications"),
    "DYSTROPHIC": (*_BENIGN, "dystrophic calcifications"),
    "MILK_OF_CALCIUM": (*_BENIGN, "milk of calcium"),
    "SKIN": (*_BENIGN, "skin calcifications"),
    "LARGE_RODLIKE": (*_BENIGN, "large rod-like calcifications"),
    "SUTURE": (*_BENIGN, "suture calcifications"),
}
_DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "CLUSTERED": ("grouped distribution",),
    "LINEAR": ("linear distribution",),
    "REGIONAL": ("regional distribution",),
    "SEGMENTAL": ("segmental distribution",),
    "DIFFUSELY_SCATTERED": ("diffuse distribution",),
}

_PATHOLOGY: Mapping[str, str] = {"MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign"}
_ASSESSMENTS: Mapping[str, str] = {at: at for at in "540321"}
"""The gravest first: of several abnormalities in an image the first of these counts."""
_KNOWN: Mapping[str, Mapping[str, str]] = {
    column: dict.fromkeys(words, "")
    for column, words in (
        ("mass shape", _SHAPES),
        ("mass margins", _MARGINS),
        ("calc type", _TYPES),
        ("calc distribution", _DISTRIBUTIONS),
    )
}
_VIEWS: Mapping[str, str] = {"CC": "CC", "MLO": "MLO"}
_COMMON = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality type",
    "assessment",
    "pathology",
    "image file path",
)


@dataclass(frozen=True)
class _Kind:
    """One of the two kinds of abnormality: how tables and folders call it, and its columns of descriptors."""

    table: str
    folder: str
    type: str
    density: str
    descriptors: tuple[str, str]


_KINDS = (
    _Kind("mass", "Mass", "mass", "breast_density", ("mass shape", "mass margins")),
    _Kind("calc", "Calc", "calcification", "breast density", ("calc type", "calc distribution")),
)
_PARTS = {"train": "Training", "test": "Test"}


@dataclass(frozen=True)
class _Abnormality:
    """A row: one abnormality in one image, whose folder and part are the release's; ``seen`` are concepts."""

    row: Row
    kind: _Kind
    folder: str
    part: str
    patient: str
    side: str
    view: str
    seen: frozenset[str]
    assessment: str
    density: str
    pathology: str

    @property
    def film(self) -> tuple[str, str, str]:
        """What the image shows; the release holds some films twice, once with masses and once with calcifications."""
        return self.patient, self.side, self.view


class CbisDdsm(Cohort):
    """CBIS-DDSM (TCIA): 3,103 digitised films, whose masses and calcifications are described one by one.

    One sample an image, however many abnormalities it has. Words of the third edition of the lexicon become those
    of the fifth. Cropped images and masks of abnormalities are not read.
    """

    collection = "cbis-ddsm"
    licence = "CC BY 3.0"

    class Options(CohortOptions):
        """Settings of CBIS-DDSM."""

        tables: PathBelowRoot = pydantic.Field(
            default=Path(), description="the folder of the four csv files, below root where it is not a full path"
        )
        images: PathBelowRoot = pydantic.Field(
            default=Path("CBIS-DDSM"),
            description="the folder that holds a folder an image (Mass-Training_P_00001_LEFT_CC), as the downloader of "
            "TCIA makes it, or the jpeg folder of the copy on Kaggle; below root where it is not a full path",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._twice: Counter[str] = Counter()

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of the tables: masses before calcifications, train before test."""
        folder = self.options.root / self.options.images
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}", "give the folder of the images' folders as images=DIR")
        images: dict[str, list[_Abnormality]] = defaultdict(list)
        films: dict[tuple[str, str, str], list[_Abnormality]] = defaultdict(list)
        breasts: dict[tuple[str, str], list[_Abnormality]] = defaultdict(list)
        for one in self._abnormalities():
            images[one.folder].append(one)
            films[one.film].append(one)
            breasts[one.patient, one.side].append(one)
        self._twice = Counter(_stored(film) for film in films.values())
        return [self._sample(own, films[own[0].film], breasts[own[0].patient, own[0].side]) for own in images.values()]

    def remarks(self) -> list[str]:
        """Return how often an image is there twice, and which words have no counterpart."""
        twice = self._twice["twice"] + self._twice["in both"]
        said = f"{twice} films are stored twice, once for masses and once for calcifications: equal pixels, two samples"
        both = self._twice["in both"]
        split = f"{both} of them are in the training part with one and in the test part with the other"
        return [*([said] if twice else []), *([split] if both else []), *super().remarks()]

    def _abnormalities(self) -> Iterator[_Abnormality]:
        for kind in _KINDS:
            for part, word in _PARTS.items():
                name = f"{kind.table}_case_description_{part}_set.csv"
                needed = (*_COMMON, kind.density, *kind.descriptors)
                for row in read_csv(self.options.root / self.options.tables / name, needed):
                    yield self._abnormality(row, kind, part, word)

    def _abnormality(self, row: Row, kind: _Kind, part: str, word: str) -> _Abnormality:
        patient, view = row.key("patient_id", "the patient's id"), row.one_of("image view", _VIEWS)
        side = row.one_of("left or right breast", SIDES)
        row.one_of("abnormality type", {kind.type: ""})
        return _Abnormality(
            row,
            kind,
            f"{kind.folder}-{word}_{patient}_{'LEFT' if side == 'L' else 'RIGHT'}_{view}",
            part,
            patient,
            side,
            view,
            frozenset(self._seen(row, kind)),
            self.mapped(row, "assessment", _ASSESSMENTS),
            self.mapped(row, kind.density, DENSITIES),
            self.mapped(row, "pathology", _PATHOLOGY),
        )

    def _sample(
        self, own: Sequence[_Abnormality], film: Sequence[_Abnormality], breast: Sequence[_Abnormality]
    ) -> mcd.Sample:
        first = own[0]
        seen = sorted({concept for one in film for concept in one.seen})
        cancer = _cancer(film, breast)
        assessed, densities = {one.assessment for one in own}, {one.density for one in own} - {""}
        return mcd.Sample(
            id=first.folder,
            source=str(self._file(first)),
            patient=first.patient,
            exam=first.patient,
            view=first.view,
            laterality=first.side,
            density=densities.pop() if len(densities) == 1 else "",
            assessment=next((one for one in _ASSESSMENTS if one in assessed), ""),
            split=first.part,
            findings=dict.fromkeys(seen, True) | ({} if cancer is None else {"breast cancer": cancer}),
            labels=_labels(own),
        )

    def _seen(self, row: Row, kind: _Kind) -> set[str]:
        """Return the concepts that a row names."""
        kinds, features = (self._words(row, column) for column in kind.descriptors)
        if kind.table == "calc":
            return {"calcifications", *_concepts(kinds, _TYPES), *_concepts(features, _DISTRIBUTIONS)}
        if "LYMPH_NODE" in kinds:  # other words are the shape of the node
            return {*_SHAPES["LYMPH_NODE"]}
        found = _concepts(kinds, _SHAPES) if kinds else {"mass"}
        return found | (_concepts(features, _MARGINS) if "mass" in found else set())

    def _words(self, row: Row, column: str) -> list[str]:
        """Return the words of a cell, which hyphens join; those without a counterpart are noted."""
        words = [word.strip() for word in row[column].split("-") if word.strip()]
        for word in words:
            self.mapped(Row(row.file, row.number, {column: word}), column, _KNOWN[column])
        return words

    def _file(self, one: _Abnormality) -> Path:
        """Return where an image is. The path in the table is that of no download; its last folder is the series."""
        images = self.options.root / self.options.images
        series = one.row["image file path"].replace("\\", "/").split("/")[-2:-1]
        folders = [images / one.folder, *(images / name for name in series if re.fullmatch(r"\d+(\.\d+)+", name))]
        folder = next((path for path in folders if path.is_dir()), folders[0])
        try:
            files = files_below(folder, lambda path: path.suffix.lower() in (".dcm", *SUFFIXES))
        except DataError:  # which `examine` will say
            return folder / "1-1.dcm"
        if len(files) > 1:
            files = [path for path in files if "full mammogram" in path.parent.name]
            if len(files) != 1:
                raise DataError(
                    f"{folder} holds several images, and none or several that its folder calls a full mammogram",
                    "keep the mammogram in it, without masks and cropped images",
                )
        return files[0]


def _cancer(film: Iterable[_Abnormality], breast: Iterable[_Abnormality]) -> bool | None:
    """Return whether an image shows cancer; it does not, where all that is described in the breast is benign."""
    if any(one.pathology == "malignant" for one in film):
        return True
    return False if all(one.pathology == "benign" for one in breast) else None


def _concepts(words: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {concept for word in words for concept in known.get(word, ())}


def _stored(film: Iterable[_Abnormality]) -> str:
    folders, parts = {one.folder for one in film}, {one.part for one in film}
    return "once" if len(folders) == 1 else "twice" if len(parts) == 1 else "in both"


def _labels(rows: Sequence[_Abnormality]) -> dict[str, str]:
    """Return the cells of the rows of an image; several rows remain distinguishable."""
    kind = rows[0].kind
    columns = ("abnormality type", kind.density, *kind.descriptors, "assessment", "pathology", "subtlety")
    found = {column: [one.row.get(column) for one in rows] for column in columns}
    return {column: text for column, cells in found.items() if (text := join_rows(cells))}
