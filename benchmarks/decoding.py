"""Images a second, beside plain decoders.

The same phantom mammograms, enlarged to full size with quantum noise, 12 bits of 16, are written in every format. For
each file in turn, the plain library (pydicom, Pillow) decodes it; mcd reads it (decodes, renders as a workstation does,
checks); mcd reads it while it fills the cache of decoded images, and again from the cache. Processor time of one
process, and of the helper that decodes for it, with the files in memory; what a disk adds depends on the size of the
files. The cache helps for compressed files, slow disks, and any recipe that crops or shrinks, not for uncompressed
files that lie in memory at full size. Below, what the cache could have been made of: the least milliseconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pyarrow as pa
import pydicom
from numpy.typing import NDArray
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

import mcd
from benchmarks.report import Line, Report, Table
from benchmarks.timing import seconds, with_helper
from mcd.extraction.cache import ImageCache
from mcd.extraction.reading import Reader
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.dicom.dataset import DicomFolder
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing
from mcd_plugins.phantom.dataset import PhantomDataset

Pixels = NDArray[np.uint16]

SYNTAXES = {
    "DICOM native": ExplicitVRLittleEndian,
    "DICOM RLE": RLELossless,
    "DICOM JPEG 2000": JPEG2000Lossless,
}


def mammogram(phantom: NDArray[np.uint8], rows: int, columns: int, seed: int) -> Pixels:
    """Return a phantom enlarged to ``(rows, columns)``, 12 bits, with noise that grows as the root of the signal."""
    large = cv2.resize(phantom.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC).clip(0, 255) * 16
    noise = np.random.default_rng(seed).standard_normal(large.shape, dtype=np.float32)
    twelve: Pixels = (large + 0.35 * np.sqrt(large) * noise).clip(0, 4095).astype(np.uint16)
    return twelve


def write_dicom(path: Path, pixels: Pixels, syntax: pydicom.uid.UID) -> None:
    header = pydicom.Dataset()
    header.SOPClassUID, header.SOPInstanceUID = DigitalMammographyXRayImageStorageForPresentation, generate_uid()
    header.Modality, header.PresentationIntentType = "MG", "FOR PRESENTATION"
    header.ViewPosition, header.ImageLaterality = "MLO", "L"
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.WindowCenter, header.WindowWidth = 2048, 4096
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OW"
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax.is_compressed:
        header.compress(syntax, generate_instance_uid=False)
    header.save_as(path, enforce_file_format=True)


def decode_dicom(path: str) -> None:
    _ = pydicom.dcmread(path).pixel_array


def decode_png(path: str) -> None:
    with PIL.Image.open(path) as picture:
        np.asarray(picture)


def files(folder: Path, images: list[Pixels]) -> dict[str, tuple[mcd.Dataset, Callable[[str], None]]]:
    """Write the images in every format; return each format's data set and plain decoder."""
    found: dict[str, tuple[mcd.Dataset, Callable[[str], None]]] = {}
    for name, syntax in SYNTAXES.items():
        place = folder / name
        place.mkdir()
        for number, pixels in enumerate(images):
            write_dicom(place / f"{number}.dcm", pixels, syntax)
        found[name] = DicomFolder(DicomFolder.Options(path=place)), decode_dicom
    place = folder / "PNG"
    place.mkdir()
    for number, pixels in enumerate(images):
        cv2.imwrite(str(place / f"{number}.png"), pixels << 4)
    found["PNG, 16 bits"] = ImageFolder(ImageFolder.Options(path=place)), decode_png
    return found


@dataclass
class Seconds:
    """What reading every file took: by the plain library, by mcd, by mcd while it fills the cache, from the cache."""

    plain: float = 0.0
    read: float = 0.0
    filling: float = 0.0
    cached: float = 0.0


def timed(run: Callable[[], object]) -> float:
    return seconds(run, with_helper)


def each(dataset: mcd.Dataset, decode: Callable[[str], None], cache: ImageCache) -> Seconds:
    """Return the seconds an image."""
    samples = chosen(dataset)
    direct, caching = Reader(dataset), Reader(dataset, cache=cache)
    decode(samples[0].source)  # libraries load their codecs
    total = Seconds()
    for turn, sample in enumerate(samples):
        total.filling += timed(partial(caching.image, sample, "displayed")) / len(samples)
        runs: list[tuple[str, Callable[[], object]]] = [
            ("plain", partial(decode, sample.source)),
            ("read", partial(direct.image, sample, "displayed")),
            ("cached", partial(caching.image, sample, "displayed")),
        ]
        for name, run in runs[turn % 3 :] + runs[: turn % 3]:
            setattr(total, name, getattr(total, name) + timed(run) / len(samples))
    return total


def chosen(dataset: mcd.Dataset) -> list[mcd.Sample]:
    samples = [found for found in dataset.scan() if isinstance(found, mcd.Sample)]
    return [found for found in map(dataset.examine, samples) if isinstance(found, mcd.Sample)]


COLUMNS = ("format", "plain", "mcd", "mcd / plain", "filling", "cached", "cached / plain", "cached / mcd")


def compare_readers(images: list[Pixels], title: str) -> Report:
    rows: list[tuple[str, float, float, float, float, float, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        formats = files(folder, images)
        for what, (dataset, decode) in formats.items():
            cache = ImageCache(folder / "cache" / what, 10**12)
            one = each(dataset, decode, cache)
            if cache.problem:
                raise OSError(f"the cache: {cache.problem}")
            plain, read, filled, cached = (1 / spent for spent in (one.plain, one.read, one.filling, one.cached))
            rows.append((what, plain, read, read / plain, filled, cached, cached / plain, cached / read))
        dataset = formats["DICOM native"][0]
        made = Reader(dataset, MammoClipPreprocessing(values="displayed"), ImageCache(folder / "made", 10**12))
        samples = chosen(dataset)
        for sample in samples:
            made.image(sample, "displayed")
        spent = sum(timed(partial(made.image, sample, "displayed")) for sample in samples) / len(samples)
    shrunk = Table(
        "The same from the cache after Mammo-CLIP's recipe, 1520×912, 8 bits",
        ("format", "images/s"),
        [("cached", 1 / spent)],
    )
    lines = [
        Line(f"{what}, images/s", mcd_rate, "plain decoder", plain, ratio) for what, plain, mcd_rate, ratio, *_ in rows
    ]
    return Report([Table(title, COLUMNS, rows), shrunk], lines)


def compare_formats(pixels: Pixels, rounds: int) -> Table:
    """Return what the cache could have been made of: the least milliseconds, and the size."""
    rows: list[tuple[str, float, float, float]] = []
    zstd = pa.Codec("zstd", compression_level=1)

    def npz(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, pixels=pixels)

    def deflate(path: Path) -> None:
        path.write_bytes(zstd.compress(pixels, asbytes=True))

    def inflate(path: Path) -> Pixels:
        raw: bytes = zstd.decompress(path.read_bytes(), pixels.nbytes, asbytes=True)
        return np.frombuffer(raw, np.uint16).reshape(pixels.shape).copy()

    def png(path: Path) -> None:
        path.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache, key = ImageCache(folder / "cache", 10**12), "a" * 64
        kept = cache.folder / key[:2] / f"{key[2:]}.image"
        formats: dict[str, tuple[Path, Callable[[Path], object], Callable[[Path], object]]] = {
            "the cache": (kept, lambda _: cache.put(key, mcd.Image(pixels, 4095.0)), lambda _: cache.get(key)),
            "PNG, level 1": (folder / "png", png, lambda path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)),
            "npz": (folder / "npz", npz, lambda path: np.load(path)["pixels"]),
            "zstd, level 1": (folder / "zstd", deflate, inflate),
            "npy": (folder / "x.npy", lambda path: np.save(path, pixels), np.load),
        }
        for what, (path, write, read) in formats.items():
            written, found = [], []
            for _ in range(rounds):
                path.unlink(missing_ok=True)
                written.append(seconds(partial(write, path)) * 1000)
                found.append(seconds(partial(read, path)) * 1000)
            rows.append((what, min(written), min(found), path.stat().st_size / 1e6))
    title = f"What the cache could have been made of, {pixels.shape[0]}×{pixels.shape[1]}"
    return Table(title, ("format", "write, ms", "read, ms", "MB"), rows)


@dataclass(frozen=True)
class Settings:
    """How many mammograms, their rows and columns, and rounds of the comparison of formats."""

    images: int = 6
    rows: int = 4096
    columns: int = 3328
    rounds: int = 9


TOY = Settings(images=1, rows=256, columns=208, rounds=1)


def measure(settings: Settings) -> Report:
    """Return images a second, and what the cache could have been made of."""
    cv2.setNumThreads(1)
    phantoms = PhantomDataset(PhantomDataset.Options(patients=(settings.images + 3) // 4))
    drawn = [phantoms.read(sample).pixels.astype(np.uint8) for sample in chosen(phantoms)[: settings.images]]
    large = [mammogram(pixels, settings.rows, settings.columns, seed) for seed, pixels in enumerate(drawn)]
    found = compare_readers(large, f"{settings.images} mammograms of {settings.rows}×{settings.columns}, images/s")
    return replace(found, tables=[*found.tables, compare_formats(large[0], settings.rounds)])
