"""A DICOM header of which only what is on a list can be read, and whose values no message quotes."""

from __future__ import annotations

import io
import logging
import math
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import pydicom
from pydicom import uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, AllTransferSyntaxes

from mcd.errors import ImageError

__all__ = ["Header", "looks_like_dicom", "opened", "quiet"]

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")

_PIXEL_TAGS = frozenset(Tag(name) for name in _PIXELS)

_WANTED = (
    "SOPClassUID",
    "Modality",
    "PresentationIntentType",
    "ImageType",
    "Manufacturer",
    "SeriesDescription",
    "ProtocolName",
    "PaddleDescription",
    "EstimatedRadiographicMagnificationFactor",
    "PatientID",
    "StudyInstanceUID",
    "QualityControlImage",
    "BurnedInAnnotation",
    "DirectoryRecordSequence",
    "ViewPosition",
    "ViewCodeSequence",
    "ViewModifierCodeSequence",
    "ImageLaterality",
    "Laterality",
    "PatientOrientation",
    "BreastImplantPresent",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
)
"""What is read of a header: no names, no dates, no free text but three that name views, no private elements."""

_TAGS = [Tag(name) for name in (*_WANTED, *_PIXELS)]

_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OW OV PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_LONGEST = 1024
"""A length that the first element of a file, which is a number, a code or a UID, never reaches."""


_UNDEFINED = 0xFFFFFFFF
"""The length of an element that says where it ends only in the end."""

_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""What ends an element of unknown length. Some writers leave it out after the last frame."""

_META = 4096
_GROUP = b"DICM\2\0\0\0UL\4\0"
_SYNTAX = b"\2\0\x10\0UI"
"""The start of a file in which the transfer syntax is, and the elements of the length of that start and of it."""
_STEP = 1 << 24
_LARGEST = 2 << 30

_FIRST = frozenset(
    [(2, one) for one in (0x0000, 0x0001, 0x0002, 0x0003, 0x0010)]
    + [(8, one) for one in (0x0000, 0x0001, 0x0005, 0x0006, 0x0008, 0x0012, 0x0013, 0x0016, 0x0018, 0x0020, 0x0060)]
)
"""Elements that a file without preamble can begin with."""


def looks_like_dicom(path: str | Path) -> bool:
    """Say whether a file is DICOM by its content: the mark behind the preamble, or a first element that fits one.

    Files without a preamble begin with group 0002, or 0008 where the file meta information is absent too.

    Raises
    ------
    ImageError
        When the file cannot be read.
    """
    try:
        with _for_reading(Path(path)) as file:
            return _is_dicom(file.read(132))
    except OSError as error:
        raise ImageError(error.strerror or "it cannot be read") from None


def _is_dicom(start: bytes) -> bool:
    if start[128:132] == b"DICM":
        return True
    order: Literal["big", "little"] = "big" if start[:2] == b"\x00\x08" else "little"
    group, element = (int.from_bytes(start[at : at + 2], order) for at in (0, 2))
    if len(start) < 132 or (group, element) not in _FIRST:
        return False
    if start[4:6] in _REPRESENTATIONS:
        return True
    return group == 8 and order == "little" and int.from_bytes(start[4:8], "little") <= _LONGEST


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from warning or logging: both quote the header."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class Header:
    """What was read of a header, or of an item of one of its sequences; values are checked when they are asked for.

    Parameters
    ----------
    data
        What pydicom read. All of it is converted here, once, while `quiet`.
    little_endian
        The order of bytes in elements that pydicom does not split into values.

    Attributes
    ----------
    syntax
        The transfer syntax, where the file states one that the standard knows.
    is_cut
        Whether the file ends before its pixel data do.
    sop_class
        The name that the standard has for what kind of object this is; empty where it has none.

    Raises
    ------
    ImageError
        By every method, when the element asked for is broken. The message names it, never its value.
    """

    def __init__(self, data: pydicom.Dataset, *, little_endian: bool = True) -> None:
        self.data = data
        self.little_endian = little_endian
        self._values = {
            one: _converted(data, one, little_endian)
            for one in data.keys()  # noqa: SIM118  # iterating over the data set itself converts, and raises
            if one not in _PIXEL_TAGS
        }
        meta = getattr(data, "file_meta", pydicom.Dataset())
        syntax = _uid(meta, "TransferSyntaxUID")
        self.syntax = syntax if syntax in AllTransferSyntaxes else None
        raw = data.get_item("PixelData") if "PixelData" in data else None
        self.is_cut = isinstance(raw, RawDataElement) and _UNDEFINED > raw.length > len(raw.value or b"")
        self.sop_class = _named(_uid(data, "SOPClassUID")) or _named(_uid(meta, "MediaStorageSOPClassUID"))

    def has(self, name: str) -> bool:
        """Say whether an element is there, empty or not."""
        return name in self.data

    def value(self, name: str) -> object:
        """Return what pydicom makes of an element, a list of headers of a sequence, or None."""
        tag = tag_for_keyword(name)
        found = None if tag is None else self._values.get(BaseTag(tag))
        if isinstance(found, _Broken):
            raise _broken(name)
        return found

    def texts(self, name: str) -> list[str]:
        """Return the values of an element without the blanks around them."""
        return [str(one).strip(" \0") for one in _several(self.value(name))]

    def text(self, name: str) -> str:
        """Return the first value of an element, or an empty text."""
        return next(iter(self.texts(name)), "")

    def code(self, name: str) -> str:
        """Return the first value in capitals."""
        return self.text(name).upper()

    def numbers(self, name: str) -> list[float | None]:
        """Return the values of an element; None where one of several is empty."""
        return [_number(one, name) for one in self.texts(name)]

    def number(self, name: str) -> float | None:
        """Return the first value, or None."""
        return next(iter(self.numbers(name)), None)

    def integer(self, name: str) -> int | None:
        """Return the first value, or None."""
        value = self.number(name)
        if value is None:
            return None
        if value != int(value):
            raise _broken(name)
        return int(value)

    def items(self, name: str) -> list[Header]:
        """Return the items of a sequence."""
        value = self.value(name)
        if not isinstance(value, _Items):
            if value is None:
                return []
            raise _broken(name)
        return value.headers

    def item(self, name: str) -> Header | None:
        """Return the first item of a sequence, or None."""
        return next(iter(self.items(name)), None)

    def groups(self, name: str, frame: int) -> list[Header]:
        """Return the items of a functional group of a multi-frame image: the shared one, then the frame's own."""
        own = self.items("PerFrameFunctionalGroupsSequence")[frame : frame + 1]
        return [item for group in [*self.items("SharedFunctionalGroupsSequence"), *own] for item in group.items(name)]


@dataclass(frozen=True)
class _Items:
    headers: list[Header]


def _uid(data: pydicom.Dataset, name: str) -> UID | None:
    try:
        said = str(data.get(name) or "").strip(" \0")
        return UID(said) if said else None
    except Exception:  # as below
        return None


def _named(uid: UID | None) -> str:
    return uid.name if uid is not None and uid.name != uid else ""


class _Broken:
    """Stands for a value that pydicom could not make sense of."""


def _converted(data: pydicom.Dataset, tag: BaseTag, little_endian: bool) -> object:
    try:
        value: object = data[tag].value
    except MemoryError:
        raise
    except Exception:  # pydicom raises whatever the broken bytes lead to, and quotes them
        return _Broken()
    return _Items([Header(one, little_endian=little_endian) for one in value]) if isinstance(value, Sequence) else value


_KINDS = {
    b"\x1f\x8b": "an archive (gzip): unpack it",
    b"PK\3\4": "an archive (zip): unpack it",
    b"\x89PNG": "a PNG file",
    b"\xff\xd8\xff": "a JPEG file",
    b"II*\0": "a TIFF file",
    b"MM\0*": "a TIFF file",
}
"""What is often called .dcm, by how it begins."""


def _kind_of(file: BinaryIO) -> str:
    start = _start(file)
    return next((f", but {what}" for mark, what in _KINDS.items() if start.startswith(mark)), "")


def opened(file: Path | BinaryIO, *, pixels: bool) -> Header:
    """Read what is wanted of a file's header, and its pixels as they are stored.

    Raises
    ------
    ImageError
        When it is no DICOM file, cannot be read or is broken.
    """
    if isinstance(file, Path):
        with _for_reading(file) as handle:
            return opened(handle, pixels=pixels)
    try:
        if not _is_dicom(_start(file)):
            raise ImageError(f"it is not a DICOM file{_kind_of(file)}")
        with quiet():
            data = _read(file, pixels=pixels)
            if not len(data) and pixels:  # pydicom drops all it has read when the file ends inside such an element
                data = _read(io.BytesIO(_all(file) + _END), pixels=True)
            if not len(data):
                raise ImageError("its header has nothing of an image, or is cut short")
            return Header(data, little_endian=data.original_encoding[1] is not False)
    except (ImageError, MemoryError):
        raise
    except OSError as error:
        raise ImageError(error.strerror or "it cannot be read") from None
    except Exception:  # pydicom raises whatever the broken bytes lead to, and quotes them
        raise ImageError("its header is broken or cut short") from None


def _for_reading(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(error.strerror or "it cannot be read") from None


def _read(file: BinaryIO, *, pixels: bool) -> pydicom.FileDataset:
    _check_inflated(file)
    return pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=_TAGS, force=True)


def _check_inflated(file: BinaryIO) -> None:
    """Refuse a deflated file that fills the memory: pydicom inflates it as a whole, however large that is."""
    start = file.read(_META)
    at = start.find(_SYNTAX)
    said = start[at + 8 : at + 8 + int.from_bytes(start[at + 6 : at + 8], "little")].strip(b" \0") if at >= 0 else b""
    if said == uid.DeflatedExplicitVRLittleEndian.encode() and start[128:140] == _GROUP:
        file.seek(144 + int.from_bytes(start[140:144], "little"))
        inflater, total, data = zlib.decompressobj(-zlib.MAX_WBITS), 0, file.read()
        while data and not inflater.eof:
            total += len(inflater.decompress(data, _STEP))
            data = inflater.unconsumed_tail
            if total > _LARGEST:
                raise ImageError(f"it is deflated, from more than {_LARGEST >> 30} GiB, which no image has")
    file.seek(0)


def _all(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _start(file: BinaryIO) -> bytes:
    start = file.read(132)
    file.seek(0)
    return start


def _broken(name: str) -> ImageError:
    return ImageError(f"its header is broken: {name} is not what it should be")


def _several(value: object) -> Iterable[object]:
    if value is None or value == "":
        return ()
    return list(value) if isinstance(value, MultiValue | list | tuple) else (value,)


def _number(text: str, name: str) -> float | None:
    if text in ("", "None"):
        return None
    try:
        number = float(text)
    except ValueError:
        raise _broken(name) from None
    if not math.isfinite(number):
        raise _broken(name)
    return number
