"""From a `Picture` to a file that is either complete or not there."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageCms

from runtime.colour import to_srgb
from runtime.decode import image_from_picture
from runtime.errors import ImageWriteError, TargetError
from runtime.exif import exif_for
from runtime.formats import (
    JPEG,
    PNG,
    READABLE_SUFFIXES,
    TIFF,
    WEBP,
    OutputFormat,
    OutputSettings,
    check_size,
    output_format,
    target_suffix,
)
from runtime.picture import Picture, on_white, reduce_to_8_bits

__all__ = [
    "READABLE_SUFFIXES",
    "TEMPORARY_PREFIX",
    "OutputSettings",
    "check_size",
    "encode",
    "output_format",
    "target_suffix",
    "temporary_path",
]

Options: TypeAlias = dict[str, Any]

_TIFF_PREDICTOR = 317

TEMPORARY_PREFIX = ".dggn-"
TEMPORARY_SUFFIX = ".partial"
"""What unfinished files in the target folder are called, so that a later run can remove them."""

BIG_TIFF_BYTES = 2**32 - 2**20
"""From so many bytes of samples on, a classic TIFF's 32-bit offsets might not do."""


def temporary_path(target: Path) -> Path:
    """Where a target is written until it is complete; another name each time."""
    # Without the target's name, which may be as long as names can be already.
    name = f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
    return target.with_name(name)


def encode(picture: Picture, target: Path, settings: OutputSettings) -> list[str]:
    """Write a picture in the format that the target's suffix names.

    It is written to a temporary name in the target's folder, which is made where it is missing,
    and renamed when complete; on any failure the temporary file is removed, and what is at the
    target stays as it was. The profile is kept byte for byte where the format holds one.

    Returns:
        Notes on what the format could not keep.

    Raises:
        ImageWriteError: this picture cannot be written under this name or in this format.
        TargetError: the folder cannot be written, so that no other picture can either.
        ConfigError: the target's suffix is none that can be written.
    """
    form = output_format(target)
    check_size(picture.size_hw, target)
    try:
        image, notes = _prepare(picture, form)
        # Into memory first: a failure of the encoder cannot be taken for one of the disk.
        buffer = io.BytesIO()
        image.save(buffer, form.pillow_name, **_save_options(image, form, settings))
    except Exception as error:
        raise ImageWriteError(
            f"{target.name}: cannot be encoded as {form.pillow_name} "
            f"({error or type(error).__name__}): choose another --format"
        ) from error
    del image
    _write(buffer, target)
    return notes


def _prepare(picture: Picture, form: OutputFormat) -> tuple[Image.Image, list[str]]:
    """The picture as the format can hold it, its `info` with the metadata to write."""
    notes = []
    name = form.pillow_name
    if picture.alpha_hw is not None and not form.has_alpha:
        picture = replace(
            picture, rgb_hwc=on_white(picture.rgb_hwc, picture.alpha_hw), alpha_hw=None
        )
        notes.append(f"alpha was flattened onto white: {name} has none")
    is_deep_grey = picture.is_grey and picture.alpha_hw is None and form.has_16_bit_grey
    if picture.rgb_hwc.dtype == np.uint16 and not is_deep_grey:
        picture = _with_8_bits(picture)
        notes.append("reduced to 8 bits: 16 are written for grey PNG and TIFF without alpha only")
    image = image_from_picture(picture)
    exif, exif_notes = exif_for(picture)
    notes += exif_notes
    if exif and form.max_exif_bytes is not None and len(exif) > form.max_exif_bytes:
        notes.append(f"the EXIF block was left out: {name} holds {form.max_exif_bytes} bytes of it")
        exif = None
    image.info["exif"] = exif
    if picture.icc_profile and not form.has_icc:
        try:
            converted = to_srgb(image, picture.icc_profile)
        except ImageCms.PyCMSError:
            del image.info["icc_profile"]
            notes.append(f"the ICC profile was left out: {name} holds none, and it is damaged")
        else:
            notes.append(f"colours were converted to sRGB: {name} holds no ICC profile")
            image = converted.convert("L") if picture.is_grey else converted
    return image, notes


def _with_8_bits(picture: Picture) -> Picture:
    alpha = picture.alpha_hw
    return replace(
        picture,
        rgb_hwc=reduce_to_8_bits(picture.rgb_hwc),
        alpha_hw=None if alpha is None else reduce_to_8_bits(alpha),
    )


def _save_options(image: Image.Image, form: OutputFormat, settings: OutputSettings) -> Options:
    """Pillow's arguments: quick ones, for encoding must keep up with the network."""
    options: Options = {
        name: image.info[name] for name in ("icc_profile", "exif", "dpi") if image.info.get(name)
    }
    if form is PNG:
        # Pillow's default of 6 takes over three times as long for a fifth of the size.
        options["compress_level"] = 1
    elif form is JPEG:
        # 4:4:4: halving the colours' resolution would undo a part of what was just computed.
        options |= {"quality": settings.quality, "subsampling": 0}
    elif form is WEBP and settings.quality == 100:
        # Here Pillow's quality is effort: more of it takes four times as long for 1 %.
        options |= {"lossless": True, "quality": 20, "method": 1}
    elif form is WEBP:
        options |= {"quality": settings.quality, "method": 2}
    elif form is TIFF:
        is_big = len(image.getbands()) * image.width * image.height >= BIG_TIFF_BYTES
        if is_big or "exif" in options:
            # Pillow's own writer does not compress, but libtiff's holds no nested EXIF and no
            # 64-bit offsets.
            options["big_tiff"] = is_big
        else:
            # Differences of neighbours, or LZW would hardly compress.
            options |= {"compression": "tiff_lzw", "tiffinfo": {_TIFF_PREDICTOR: 2}}
    return options


def _write(data: io.BytesIO, target: Path) -> None:
    temporary = temporary_path(target)
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data.getbuffer())
        except OSError as error:
            raise TargetError(
                f"cannot write to the folder {target.parent}: {error.strerror or error}. "
                "Make room or get permission, or choose another OUTPUT; then run it again"
            ) from error
        try:
            os.replace(temporary, target)
        except OSError as error:
            # The folder takes files, as the temporary one proves: it is this name.
            raise ImageWriteError(
                f"{target.name}: cannot be put in its place: {error.strerror or error}. "
                "Choose another name, or move away what is there"
            ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
