"""From a file, or an image in memory, to an upright `Picture`."""

from __future__ import annotations

import contextlib
import io
import math
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import X_RESOLUTION, TiffImageFile

from runtime.colour import channels_of, check_kind, raw_mode
from runtime.deep import deep_samples
from runtime.errors import ImageReadError
from runtime.exif import read_exif, read_exif_dpi, read_orientation
from runtime.formats import HAS_AVIF, HAS_HEIF, load_formats
from runtime.frames import Frames, duration_ms, frames_of
from runtime.metadata import read_text, read_xmp
from runtime.picture import Picture, Samples, reduce_to_8_bits, repeat_grey
from runtime.png_check import has_all_samples

MAX_PIXELS = 178_956_970
"""Of one source picture: what Pillow too calls a decompression bomb, and x4 already 8 GiB."""

MAX_FILE_BYTES = 2 << 30
"""Of one source file, which is read into memory whole."""

# Not all that Pillow can open: some of its formats start other programs, or are hardly tested.
# MPO, several JPEGs in one file, comes with JPEG.
FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "TIFF",
    "BMP",
    "GIF",
    *(("AVIF",) if HAS_AVIF else ()),
    *(("HEIF",) if HAS_HEIF else ()),
)


class TooManyPixels(ImageReadError):
    """A picture is too large to be read whole; it may be read in strips."""


_HEIF_BRAND_BYTES = 12
"""At the beginning of a file: they tell HEIC from other formats."""

_warnings_lock = threading.RLock()


def decode(path: Path, *, max_pixels: int | None = None) -> Picture:
    """Read one picture.

    Orientation is applied; the ICC profile, EXIF, XMP, DPI and words are kept. Further frames
    or pages are in `Picture.more`.

    Args:
        path: a regular file, whatever its name says of the format.
        max_pixels: that it may have, all frames or pages counted; `MAX_PIXELS` where None.

    Raises:
        TooManyPixels: it has more.
        ImageReadError: it cannot be read, is damaged, or not a picture; the message begins with
            its name.
    """
    load_formats()
    with naming(path):
        return _decode(_read(path), MAX_PIXELS if max_pixels is None else max_pixels)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Begin messages about a file with its name."""
    try:
        yield
    except ImageReadError as error:
        raise type(error)(f"{path.name}: {error}") from error.__cause__


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What a file's header tells of the picture that decoding will give."""

    size_hw: tuple[int, int]
    """Once it is upright."""
    frames: int
    """Or pages."""
    has_alpha: bool
    is_deep: bool
    """It has 16 bits a sample."""


def read_outline(path: Path, *, max_pixels: int | None = None) -> Outline:
    """What a file holds, from its header alone.

    Args:
        path: a regular file, whatever its name says of the format.
        max_pixels: that it may have, all frames of an animation counted; `MAX_PIXELS` where None.

    Raises:
        TooManyPixels: it has more.
        ImageReadError: the header cannot be read; what comes after it may still be damaged.
    """
    load_formats()
    with naming(path):
        check_file(path, MAX_FILE_BYTES)
        with translated(), quiet_pillow(), path.open("rb") as file:
            _say_what_heif_needs(file.read(_HEIF_BRAND_BYTES))
            file.seek(0)
            image = Image.open(file, formats=FORMATS)
            limit = MAX_PIXELS if max_pixels is None else max_pixels
            _refuse_too_large(image, limit)
            raw = raw_mode(image)
            check_kind(image, raw)
            # Pillow turns TIFF upright itself, and says so in its size.
            sideways = image.format != "TIFF" and read_orientation(image) >= 5
            frames = frames_of(image)
            count = len(frames.numbers)
            # Pages may be smaller than the first; frames of an animation are all alike.
            if frames.plays is not None and count * image.width * image.height > limit:
                raise _too_many_frames(count, limit)
            return Outline(
                size_hw=(image.width, image.height) if sideways else (image.height, image.width),
                frames=count,
                has_alpha=image.has_transparency_data,
                is_deep=";16" in raw or image.mode.startswith("I"),
            )


def picture_from_image(image: Image.Image) -> Picture:
    """The picture in a PIL image of any mode.

    Args:
        image: any mode; not changed, except that it is loaded. Its orientation is applied.

    Raises:
        ImageReadError: it cannot be loaded, or its samples have no meaning as a picture.
    """
    with translated():
        return _picture(image)


def image_from_picture(picture: Picture) -> Image.Image:
    """A PIL image with the picture's ICC profile, EXIF and DPI.

    Returns:
        Mode L, LA, RGB or RGBA, or I;16 for 16-bit grey without alpha. Pillow has no other
        16-bit modes, so those are reduced to 8 bits.
    """
    image = _image_of(picture)
    for name in ("icc_profile", "exif", "dpi"):
        value = getattr(picture, name)
        if value is not None:
            image.info[name] = value
    return image


def _image_of(picture: Picture) -> Image.Image:
    colour = picture.grey_hw() if picture.is_grey else picture.rgb_hwc
    if picture.alpha_hw is None:
        if picture.is_grey and colour.dtype == np.uint16:
            return Image.fromarray(colour)
        return Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(colour)))
    # Joined by Pillow: NumPy alone cannot say that two channels are grey and alpha.
    image = Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(colour)))
    image.putalpha(Image.fromarray(np.ascontiguousarray(reduce_to_8_bits(picture.alpha_hw))))
    return image


def _read(path: Path) -> bytes:
    check_file(path, MAX_FILE_BYTES)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error


def check_file(path: Path, max_bytes: int) -> None:
    """Refuse what is no regular file, empty, or too long.

    Raises:
        ImageReadError: it is; the message does not name it.
    """
    try:
        if not path.is_file():
            # A pipe or device would make the read wait for ever.
            found = "is not a regular file" if path.exists() else "is not there any more"
            raise ImageReadError(f"{found}: expected a picture")
        size = path.stat().st_size
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error
    if size > max_bytes:
        raise TooManyPixels(
            f"the file has {size:,} bytes; at most {max_bytes:,} are read: "
            "save it in a compressed format or cut it into parts"
        )
    if not size:
        raise ImageReadError("the file is empty: copy or export it again")


def _decode(data: bytes, max_pixels: int) -> Picture:
    with translated():
        _say_what_heif_needs(data)
        with quiet_pillow():
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        _refuse_too_large(image, max_pixels)
        with image:
            with quiet_pillow():
                frames = frames_of(image)
                if image.format == "PNG":
                    # Loading would not look at checksums, nor notice damage that still inflates.
                    Image.open(io.BytesIO(data), formats=("PNG",)).verify()
                    if not has_all_samples(data):
                        raise ImageReadError("is damaged (its samples end early): export it again")
            picture, *more = _frames(image, data, frames, max_pixels)
    return replace(
        picture,
        more=tuple(more),
        plays=frames.plays,
        notes=[*picture.notes, *frames.notes, *_notes_of_pages(more)],
    )


def _say_what_heif_needs(begin: bytes) -> None:
    if not HAS_HEIF and begin[4:_HEIF_BRAND_BYTES] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"):
        raise ImageReadError("is HEIC, which a package of its own reads: pip install 'dggn[heif]'")


def _frames(image: Image.Image, data: bytes, frames: Frames, max_pixels: int) -> Iterator[Picture]:
    pixels = 0
    for number in frames.numbers:
        if len(frames.numbers) > 1 or number:
            with quiet_pillow():
                image.seek(number)
        pixels += image.width * image.height
        if pixels > max_pixels:
            raise _too_many_frames(len(frames.numbers), max_pixels)
        picture = _picture(image, data, number if frames.plays is None else None)
        yield replace(picture, duration_ms=None if frames.plays is None else duration_ms(image))


def _notes_of_pages(pages: list[Picture]) -> list[str]:
    return list(dict.fromkeys(note for page in pages for note in page.notes))


def _picture(image: Image.Image, data: bytes = b"", page: int | None = None) -> Picture:
    raw = raw_mode(image)
    format_name = image.format or "PNG"
    with quiet_pillow():
        # Loading a TIFF reads its tags, and complains of damaged ones only the first time. It
        # also turns it upright, but not its resolution.
        stored_orientation = read_orientation(image)
    image.load()
    with quiet_pillow():
        orientation = read_orientation(image)
        deep = None if page is None else deep_samples(data, format_name, page, raw)
    channels = channels_of(image, raw, deep)
    colour, alpha = _upright(channels.colour, orientation), channels.alpha_hw
    is_grey = colour.ndim == 2
    picture = Picture(
        rgb_hwc=repeat_grey(colour) if is_grey else colour,
        alpha_hw=None if alpha is None else _upright(alpha, orientation),
        is_grey=is_grey,
        icc_profile=channels.icc_profile,
        source_format=format_name,
        notes=channels.notes,
    )
    return with_metadata(picture, image, max(orientation, stored_orientation))


def with_metadata(picture: Picture, image: Image.Image, orientation: int) -> Picture:
    """A picture with all that an image has beside its samples, but the profile.

    Args:
        picture: its notes are kept.
        image: where metadata comes from; it need not be loaded, where that tells no more.
        orientation: that has been undone.
    """
    with quiet_pillow():
        exif, notes = read_exif(image)
        xmp, xmp_notes = read_xmp(image)
    return replace(
        picture,
        exif=exif,
        dpi=_dpi(image, sideways=orientation >= 5),
        xmp=xmp,
        text=read_text(image),
        notes=picture.notes + notes + xmp_notes,
    )


def _upright(samples: Samples, orientation: int) -> Samples:
    """Undo an EXIF orientation.

    Args:
        samples: (H, W) or (H, W, C), as stored.
        orientation: 1 to 8; from 5 on the stored rows are columns of the scene.

    Returns:
        Contiguous, the same type.
    """
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return cast(Samples, np.ascontiguousarray(samples))


def _dpi(image: Image.Image, *, sideways: bool) -> tuple[float, float] | None:
    stated = image.info.get("dpi") or read_exif_dpi(image)
    if isinstance(image, TiffImageFile) and X_RESOLUTION not in image.tag_v2:
        return None  # not stated, for which Pillow says 1
    try:
        horizontal, vertical = (float(value) for value in stated or ())
    except (TypeError, ValueError, ArithmeticError):
        return None  # not stated, or damaged: of no account for the picture
    if not all(math.isfinite(value) and 1 <= value <= 100_000 for value in (horizontal, vertical)):
        return None
    return (vertical, horizontal) if sideways else (horizontal, vertical)


def _refuse_too_large(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise TooManyPixels(_too_large(f"{image.width} x {image.height} pixels", max_pixels))


def _too_many_frames(count: int, max_pixels: int) -> TooManyPixels:
    return TooManyPixels(_too_large(f"{count} frames or pages", max_pixels))


def _too_large(found: str, max_pixels: int) -> str:
    return f"has {found}; at most {max_pixels:,} are read: cut it into parts"


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Make an `ImageReadError` of whatever Pillow raises: for damaged files, nearly anything."""
    try:
        yield
    except ImageReadError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixels(_too_large("too many pixels", MAX_PIXELS)) from error
    except UnidentifiedImageError as error:
        raise ImageReadError(
            f"is not a picture that can be read: expected an intact {', '.join(FORMATS)} file "
            "with 8 or 16 bits a sample"
        ) from error
    except MemoryError as error:
        raise ImageReadError("needs more memory than there is: cut it into parts") from error
    except Exception as error:
        raise ImageReadError(
            f"is damaged ({error or type(error).__name__}): copy or export it again"
        ) from error


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings, of large pictures and odd metadata.

    What Python remembers of warnings is shared by all threads, hence the lock. Decoding the
    samples, which takes the time, happens outside of it.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
