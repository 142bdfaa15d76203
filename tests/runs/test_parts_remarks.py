"""What a run has to say of its images: joined parts say it with the counts of one process, and in its order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from tests.runs.in_parts import Command, manifests, reports
from tests.runs.tiny import PLUGIN, tree

from mcd.files import MANIFEST

ODD = '''

class Odd(Images):
    """Of which a few have something to be said of: boxes, ranges, masks, what its author counts."""

    has_masks = True

    def scan(self):
        self.found, self.kinds, self.parts = 0, {}, []
        for one in super().scan():
            number = int(one.id)
            corners = {10: (4, 4, 1, 1), 90: (1, 1, 1, 5), 95: (1, 1, 40, 5), 140: (2, 2, 4, 4), 141: (2, 2, 4, 4)}
            boxes = (mcd.Box("mass", *corners[number]),) if number in corners else ()
            sizes = {140: "32×32", 141: "64×16"}
            facts = {"rows": "16", "columns": "16", **({"boxes": sizes[number]} if number in sizes else {})}
            yield replace(one, boxes=boxes, facts=facts)

    def remarks(self):
        return [
            "nobody knows the film",
            mcd.Remark("{count:image} seen twice among {of:image}", self.found, of=len(self.parts)),
            mcd.Remark("scanned by: {kinds}", kinds=self.kinds, usual=["a"]),
            *(["an author counted none of this"] if 64 in self.parts and os.environ.get("MCD_TEST_ONLY_SOME") else []),
            "all is said",
        ]

    def examine(self, sample):
        number = int(sample.id)
        self.parts.append(number)
        self.found += number in (70, 75)
        kind = "a" if number < 66 else "b" if number % 2 else "c"
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        return super().examine(sample)

    def read(self, sample):
        image = super().read(sample)
        return mcd.Image(image.pixels / 99, 1.0) if int(sample.id) in (80, 81, 3) else image

    def mask(self, sample, image):
        return None if int(sample.id) < 3 else np.ones(image.pixels.shape, bool)


class Cautious(mcd.ModelLoader):
    def load(self):
        return mcd.Target("first", Network(1), SIZE, caution="its weights are drawn")


@mcd.hookimpl(specname="mcd_register_datasets")
def odd():
    return [mcd.Component("odd-images", f"{__name__}:Odd", "tiny")]


@mcd.hookimpl(specname="mcd_register_models")
def cautious():
    return [mcd.Component("cautious", f"{__name__}:Cautious", "tiny")]
'''

STUDY = """
models: {{plugin: cautious, layers: two, pooling: masked-avg}}
dissectors: [tiny, annotations]
concepts: {concepts}
dataset:
  plugin: combine
  options:
    parts:
      - {{plugin: odd-images, options: {{images: 150}}, name: odd}}
      - {{plugin: csv, options: {{table: {table}, path: file, view: view, laterality: side}}, name: table}}
      - {{plugin: dicom, options: {{path: {folder}}}}}
calibration: {{draws: 20, most_draws: 20, exchangeable: image}}
batch_size: 8
device: cpu
workers: 0
on_error: skip
verify: true
store: off
"""


SAID = [
    "its weights are drawn",
    "hashed again: 0 of 194 remembered results differ",
    "headers were read again: 0 of 65",
    "odd: nobody knows the film",
    "odd: 2 images seen twice among 150 images",
    "odd: scanned by: a 66, b 42, c 42",
    "'view': 'XX' has no counterpart here (rows: 2",
    "table: 1 DICOM object without an image",
    "table: view unknown in 1 of 64 images",
    "table: laterality was found in: ImageLaterality 63, Laterality 1",
    "table: 2 images with burned-in annotation",
    "table: 3 images turned upright",
    "table: 2 images with transparency",
    "dicom: 2 images with burned-in annotation",
    "dicom: 2 images with bits set beyond BitsStored",
    "boxes are scaled",
    "boxes are left out",
    "boxes that leave the image",
    "corners are swapped",
    "boxes without area",
    "4 images cannot be used",
    "brings no breast masks",
    "1 of 3 concepts are not annotated",
    "3 images use less than a tenth",
    "images could not be decoded",
]


def picture(path: Path, number: int) -> None:
    """Write a picture; some are turned by EXIF, some are transparent."""
    noise = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
    image, more = PIL.Image.fromarray(noise), PIL.Image.Exif()
    if number in (5, 60, 61):
        more[274] = 3
    if number in (7, 8):
        image.putalpha(200)
    image.save(path, exif=more)


def mammogram(path: Path, number: int, **changes: object) -> None:
    """Write a DICOM file of 16×16 pixels."""
    head = FileMetaDataset()
    head.TransferSyntaxUID = ExplicitVRLittleEndian
    head.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    head.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
    file = FileDataset(str(path), {}, file_meta=head, preamble=b"\0" * 128)
    pixels = np.random.default_rng(number).integers(0, 4096, (16, 16), dtype=np.uint16)
    values: dict[str, object] = {
        "SOPClassUID": head.MediaStorageSOPClassUID,
        "SOPInstanceUID": head.MediaStorageSOPInstanceUID,
        "Modality": "MG",
        "PatientID": f"{number // 2}",
        "ViewPosition": "CC",
        "ImageLaterality": "L",
        "Rows": 16,
        "Columns": 16,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": pixels.tobytes(),
        **changes,
    }
    for name, value in values.items():
        if value is not None:
            setattr(file, name, value)
    pydicom.dcmwrite(path, file, enforce_file_format=True)


def unusual(number: int) -> dict[str, object]:
    """Return what is unusual about a DICOM file."""
    return {
        2: {"ViewPosition": None},
        3: {"BurnedInAnnotation": "YES"},
        33: {"BurnedInAnnotation": "YES", "ImageLaterality": None, "Laterality": "R"},
        34: {"PixelData": np.full((16, 16), 60000, np.uint16).tobytes()},
        40: {"Laterality": "R"},
        60: {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33", "Modality": "SR"},
        61: {"PixelData": np.full((16, 16), 61000, np.uint16).tobytes(), "ViewPosition": "MLO"},
    }.get(number, {})


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its plugin and its images: 150 drawn, 130 of a table, 65 of a folder; six shards."""
    folder = tmp_path_factory.mktemp("remarks")
    (folder / "odd.py").write_text(PLUGIN + ODD)
    rows = ["file,view,side"]
    for kind in ("listed", "dicoms"):
        (folder / kind).mkdir()
    for number in range(65):
        picture(folder / "listed" / f"{number:03d}.png", number)
        mammogram(folder / "listed" / f"{number:03d}.dcm", number, **unusual(number))
        mammogram(folder / "dicoms" / f"{number:03d}.dcm", number + 500, **unusual(number))
        rows += [f"listed/{number:03d}.{end},{'XX' if number == 4 else ''}," for end in ("png", "dcm")]
    (folder / "table.csv").write_text("\n".join(rows))
    (folder / "words.txt").write_text(f"mass\ncalcifications\n{'very ' * 90}long\n")
    study = STUDY.format(concepts=folder / "words.txt", table=folder / "table.csv", folder=folder / "dicoms")
    (folder / "study.yaml").write_text(study)
    return folder


@pytest.fixture(scope="module")
def computed(odd: Path, mcd_command: Command) -> Callable[..., Path]:
    def compute(name: str, *flags: object) -> Path:
        given = odd / "study.yaml", "--plugin-file", odd / "odd.py", "-o", odd / name, "-q", *flags
        done = mcd_command("run", *given, MCD_DIGESTS=str(odd / "known"))
        assert done.code == 0, done.err
        return odd / name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcd.extraction.file_memory._STILL", 0)  # the files were written just now
        compute("before")  # so that they are known, and the runs below read them again
    return compute


@pytest.fixture(scope="module")
def whole(computed: Callable[..., Path]) -> Path:
    return computed("whole")


def test_what_is_said_of_images_is_of_each_kind(whole: Path) -> None:
    said = "\n".join(json.loads((whole / "tiny" / MANIFEST).read_text())["warnings"])
    for one in SAID:
        assert one in said, one


@pytest.mark.parametrize("of", [3, pytest.param(5, marks=pytest.mark.nightly)])
def test_manifests_of_merged_parts_say_what_that_of_one_process_says(
    of: int, odd: Path, computed: Callable[..., Path], whole: Path, mcd_command: Command
) -> None:
    parts = [computed(f"{number}-of-{of}", "--part", f"{number}/{of}") for number in range(1, of + 1)]
    done = mcd_command("merge", "--plugin-file", odd / "odd.py", *parts, "-o", odd / f"merged-{of}")
    assert done.code == 0, done.err
    assert reports(tree(odd / f"merged-{of}")) == tree(whole)
    merged, one = manifests(odd / f"merged-{of}"), manifests(whole)
    assert merged == one


def test_a_text_that_only_some_parts_say_stands_with_their_numbers(
    odd: Path, computed: Callable[..., Path], mcd_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCD_TEST_ONLY_SOME", "1")
    parts = [computed(f"some-{number}", "--part", f"{number}/2") for number in (1, 2)]
    done = mcd_command("merge", "--plugin-file", odd / "odd.py", *parts, "-o", odd / "some")
    assert done.code == 0, done.err
    said = json.loads((odd / "some" / "tiny" / MANIFEST).read_text())["warnings"]
    assert "part 1/2: odd: an author counted none of this" in said
    assert said.count("odd: nobody knows the film") == 1
