"""Images whose bytes were changed where a decoder in C reads them: DICOM codestreams, PNG, JPEG, TIFF and others."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from random import Random

import numpy as np
import PIL.features
import PIL.Image
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from tests.hostile.families import Family, Generator, mutated
from tests.hostile.watching import Canary
from tests.plugins.cohorts.conftest import write_dicom
from tests.plugins.picture_files import chunk, packed_12_bits, png, tiff

import mcd
from mcd.errors import ImageError
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.dicom.dataset import DicomFolder

__all__ = ["Codestreams"]

_ROWS, _COLUMNS = 48, 40


class Codestreams(Family):
    """Small images in every format that is read, each also with an image in it that is damaged but well wrapped."""

    slice = 150
    starts_processes = True

    def __init__(self, folder: Path, canary: Canary) -> None:
        super().__init__(folder, canary)
        for name, content in self._files.items():  # the helper starts before this process is limited
            (folder / name).write_bytes(content)
            self.read(folder / name, folder)

    @property
    def generators(self) -> Mapping[str, Generator]:
        """Return a whole file in each format, and ones whose compressed pixels are changed."""
        whole = {f"whole {name}": partial(_written, name, content) for name, content in self._files.items()}
        inside = {
            f"changed {name}": partial(self._changed, name) for name in self._files if name.endswith(("dcm", "png"))
        }
        return whole | inside

    def read(self, path: Path, out: Path) -> object:
        """Examine a file and decode it as a run does."""
        pictures = ImageFolder.Options(path=path, white=1e6, frames="maximum")
        data = DicomFolder if path.suffix == ".dcm" else ImageFolder
        chosen = DicomFolder.Options(path=path) if path.suffix == ".dcm" else pictures
        dataset = data(chosen)
        found = dataset.examine(mcd.Sample("a", source=str(path)))
        if isinstance(found, mcd.Unreadable):
            raise ImageError(found.reason)
        stored = dataset.read_stored(found)
        stored.check()
        return stored if data is ImageFolder else dataset.read(found)

    @cached_property
    def _files(self) -> dict[str, bytes]:
        noise = np.random.default_rng(0).integers(0, 4096, (_ROWS, _COLUMNS, 4)).astype(np.uint16)
        return _pictures(noise) | self._dicom(noise[..., 0])

    def _dicom(self, grey: NDArray[np.generic]) -> dict[str, bytes]:
        return {
            "rle.dcm": self._compressed(RLELossless, None),
            "jpeg-ls.dcm": self._compressed(JPEGLSLossless, None),
            "jpeg-2000.dcm": self._compressed(JPEG2000Lossless, None),
            "jpeg.dcm": self._compressed(JPEGBaseline8Bit, _saved("L", grey >> 4, "JPEG")),
            "jpeg-lossless.dcm": self._compressed(JPEGLosslessSV1, _lossless_jpeg(grey)),
            "jpeg-extended.dcm": self._compressed(JPEGExtended12Bit, _deep_jpeg(), (1024, 256)),
            "native.dcm": write_dicom(self.folder / "native.dcm").read_bytes(),
        }

    def _compressed(
        self, syntax: pydicom.uid.UID, codestream: bytes | None, shape: tuple[int, int] = (_ROWS, _COLUMNS)
    ) -> bytes:
        file = pydicom.dcmread(write_dicom(self.folder / "native.dcm"))
        if codestream is None:
            file.compress(syntax)
        else:
            file.file_meta.TransferSyntaxUID, file.Rows, file.Columns = syntax, *shape
            bits = 8 if syntax == JPEGBaseline8Bit else 16
            file.BitsAllocated, file.BitsStored, file.HighBit = bits, min(bits, 12), min(bits, 12) - 1
            file.PixelData = encapsulate([codestream])
            file["PixelData"].VR, file["PixelData"].is_undefined_length = "OB", True
        out = io.BytesIO()
        file.save_as(out)
        return out.getvalue()

    def _changed(self, name: str, random: Random, folder: Path) -> Path:
        """Write a file with other bytes inside its wrapping, which is as it should be."""
        content = self._files[name]
        if name.endswith("png"):
            return _written(name, _other_png(content, random), random, folder)
        file = pydicom.dcmread(io.BytesIO(content))
        if not file.file_meta.TransferSyntaxUID.is_encapsulated:
            file.PixelData = mutated(file.PixelData, random)
        else:
            frames = [mutated(frame, random) for frame in generate_frames(file.PixelData, number_of_frames=1)]
            file.PixelData = encapsulate(frames if frames[0] else [b"\0\0"])
        if random.random() < 0.2:
            file.Rows, file.Columns = random.choice(((_COLUMNS, _ROWS), (0, 1), (65535, 65535), (_ROWS + 1, _COLUMNS)))
        if random.random() < 0.2:
            file.BitsStored = random.randrange(1, 17)
        path = folder / name
        file.save_as(path)
        return path


def _pictures(noise: NDArray[np.generic]) -> dict[str, bytes]:
    grey, eight = noise[..., 0], (noise >> 4).astype(np.uint8)
    formats: dict[str, tuple[str, NDArray[np.generic], str, dict[str, object]]] = {
        "palette.png": ("P", eight[..., :3], "PNG", {}),
        "grey.jpg": ("L", eight[..., 0], "JPEG", {}),
        "progressive.jpg": ("RGB", eight[..., :3], "JPEG", {"progressive": True}),
        "cmyk.jpg": ("CMYK", eight[..., :3], "JPEG", {}),
        "jpeg.tif": ("RGB", eight[..., :3], "TIFF", {"compression": "jpeg"}),
        "lzw.tif": ("L", eight[..., 0], "TIFF", {"compression": "tiff_lzw"}),
        "deflate.tif": ("RGB", eight[..., :3], "TIFF", {"compression": "tiff_adobe_deflate"}),
        "packbits.tif": ("L", eight[..., 0], "TIFF", {"compression": "packbits"}),
        "fax.tif": ("1", eight[..., 0], "TIFF", {"compression": "group4"}),
        "float.tif": ("F", eight[..., 0], "TIFF", {}),
        "grey.bmp": ("L", eight[..., 0], "BMP", {}),
        "colour.gif": ("P", eight[..., :3], "GIF", {}),
        "grey.pgm": ("L", eight[..., 0], "PPM", {}),
        "lossless.webp": ("RGBA", eight, "WEBP", {"lossless": True}),
        "lossy.webp": ("RGB", eight[..., :3], "WEBP", {}),
    }
    if PIL.features.check("jpg_2000"):
        formats["colour.jp2"] = ("RGB", eight[..., :3], "JPEG2000", {})
    found = {name: _saved(mode, pixels, kind, **more) for name, (mode, pixels, kind, more) in formats.items()}
    for name, pixels in (("grey16", grey << 4), ("rgb16", noise[..., :3] << 4), ("rgba16", noise << 4), ("rgb", eight)):
        found[f"{name}.png"] = png(pixels)
    found |= {"rgb16.tif": tiff(noise[..., :3] << 4, photometric=2)}
    found["planes.tif"] = tiff(eight[..., :3], photometric=2, planar=2)
    found["packed.tif"] = tiff(packed_12_bits(grey), bits=12, columns=_COLUMNS)
    found["turned.tif"] = tiff(grey, orientation=6, order=">")
    return found


def _saved(mode: str, pixels: NDArray[np.generic], kind: str, **more: object) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(out, kind, **more)
    return out.getvalue()


def _written(name: str, content: bytes, _random: Random, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _other_png(content: bytes, random: Random) -> bytes:
    """Return a PNG with a chunk changed, pixels before or after they are packed, whose checksums are right."""
    at, parts = 8, [content[:8]]
    packed = random.random() < 0.5
    while at < len(content):
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + length]
        if name == b"IDAT":
            data = mutated(data, random) if packed else zlib.compress(mutated(zlib.decompress(data), random))
        elif random.random() < 0.2:
            data = mutated(data, random)
        parts.append(chunk(name, data))
        at += 12 + length
    return b"".join(parts)


def _deep_jpeg() -> bytes:
    """Return JPEG of 12 bits, 1024×256, which nothing here writes: of a file that comes with pydicom."""
    path = Path(pydicom.__file__).parent / "data/test_files/JPGExtended.dcm"
    return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


def _lossless_jpeg(grey: NDArray[np.generic]) -> bytes:
    """Return lossless JPEG, first predictor, of values below 4096: each difference in 13 categories of 4 bits."""
    values = grey.astype(np.int32)
    expected = np.empty_like(values)
    expected[0, 0], expected[0, 1:], expected[1:, 0], expected[1:, 1:] = (
        2048,
        values[0, :-1],
        values[:-1, 0],
        values[1:, :-1],
    )
    bits = []
    for more in (values - expected).ravel().tolist():
        size = abs(more).bit_length()
        bits.append(f"{size:04b}" + (f"{more if more > 0 else more + (1 << size) - 1:0{size}b}" if size else ""))
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    scan = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")
    rows, columns = grey.shape
    frame = b"\x0c" + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + b"\1\1\x11\0"
    table = b"\0" + bytes([0, 0, 0, 13, *[0] * 12]) + bytes(range(13))
    parts = ((b"\xff\xc3", frame), (b"\xff\xc4", table), (b"\xff\xda", b"\1\1\0\1\0\0"))
    head = b"".join(name + (len(data) + 2).to_bytes(2, "big") + data for name, data in parts)
    return b"\xff\xd8" + head + scan + b"\xff\xd9"
