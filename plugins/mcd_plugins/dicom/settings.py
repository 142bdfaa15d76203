"""How DICOM files are read: the settings."""

from __future__ import annotations

from typing import Literal

import pydantic

import mcd

__all__ = ["DicomOptions"]


class DicomOptions(mcd.Options):
    """How DICOM files are read."""

    voi: Literal["standard", "window", "lut", "none", "min-max"] = pydantic.Field(
        default="standard",
        description="what becomes black and white: standard takes the file's VOI LUT, else its window, else all values "
        "there can be; window and lut insist on one; none takes all values there can be; min-max each image's own",
    )
    voi_index: int = pydantic.Field(
        default=0, ge=0, le=65_535, description="which of several VOI LUTs or windows, from 0"
    )
    colour: Literal["refuse", "luma"] = pydantic.Field(
        default="refuse", description="images that are truly coloured: refuse them, or take their luma (BT.601)"
    )
    frames: Literal["refuse", "middle", "maximum"] = pydantic.Field(
        default="refuse",
        description="images of several frames, such as tomosynthesis: refuse them, take the middle frame, or the "
        "brightest value of all frames at each pixel",
    )
    for_processing: Literal["refuse", "log"] = pydantic.Field(
        default="refuse",
        description="what the detector measured, not made for the eye: refuse it, or show a crude negative logarithm "
        "that is not comparable with images for presentation",
    )
    special_views: Literal["leave-out", "keep"] = pydantic.Field(
        default="leave-out",
        description="magnification and spot compression views, specimens and quality control images",
    )
    unused_bits: Literal["mask", "refuse"] = pydantic.Field(
        default="mask",
        description="bits of a pixel beyond BitsStored: mask them, as the standard says, or refuse images with any",
    )
    depth_from: Literal["both", "header", "codestream"] = pydantic.Field(
        default="both",
        description="where a compressed image and its header contradict each other about bits or sign: refuse it if "
        "pixels depend on that, or believe one of them",
    )
