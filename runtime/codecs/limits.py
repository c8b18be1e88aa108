"""Limits on source files, and their error messages."""

from __future__ import annotations

import contextlib
import errno
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from runtime.codecs.formats import FORMATS, HAS_HEIF
from runtime.codecs.kinds import KindNotRead
from runtime.errors import ImageReadError

MAX_PIXELS = 178_956_970
"""Maximum pixels of a source: Pillow's decompression bomb limit, whose x4 result already takes 8
GiB.
"""

MAX_FILE_BYTES = 2 << 30
"""Maximum size of a source file, which is read into memory whole."""

HEIF_BRAND_BYTES = 12
"""Leading bytes that distinguish HEIC from other formats."""

_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1")

_NOT_READ = re.compile("(?i)unsupported|not( yet)? supported|unknown pixel mode")
"""Pillow's messages that do not mean damage."""

_warnings_lock = threading.RLock()


class TooManyPixels(ImageReadError):
    """Raised for a picture too large to decode whole; it may still be read in strips."""


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Prefix messages about a file with its name."""
    try:
        yield
    except ImageReadError as error:
        raise type(error)(f"{path.name}: {error}") from error.__cause__


def check_file(path: Path, max_bytes: int) -> None:
    """Refuse a file that is not regular, is empty or too long.

    Raises:
        ImageReadError: it is; the message does not name it.
    """
    try:
        if not path.is_file():
            # A pipe or device would make the read wait for ever.
            found = "is not a regular file" if path.exists() else "does not exist"
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


def require_heif_support(begin: bytes) -> None:
    """Refuse HEIC if no reader is installed.

    Args:
        begin: at least the first `HEIF_BRAND_BYTES` of the file.

    Raises:
        KindNotRead: it is HEIC.
    """
    if not HAS_HEIF and begin[4:HEIF_BRAND_BYTES] in _HEIF_BRANDS:
        raise KindNotRead("is HEIC, which needs a separate package: pip install 'dggn[heif]'")


def refuse_too_large(image: Image.Image, max_pixels: int) -> None:
    """Refuse a picture with more than `max_pixels`.

    Raises:
        TooManyPixels: it has more.
    """
    if image.width * image.height > max_pixels:
        raise too_many_pixels((image.height, image.width), max_pixels)


def too_many_pixels(size_hw: tuple[int, int], max_pixels: int) -> TooManyPixels:
    """Return the error for a picture with too many pixels."""
    return TooManyPixels(_too_large(f"{size_hw[1]} x {size_hw[0]} pixels", max_pixels))


def too_many_frames(count: int, max_pixels: int) -> TooManyPixels:
    """Return the error for an animation or multi-page file with too many pixels in all."""
    return TooManyPixels(_too_large(f"{count} frames or pages", max_pixels))


def _too_large(found: str, max_pixels: int) -> str:
    return f"has {found}; at most {max_pixels:,} are read: cut it into parts"


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Convert whatever Pillow raises to `ImageReadError`: for damaged files, nearly anything."""
    try:
        yield
    except ImageReadError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixels(_too_large("too many pixels", MAX_PIXELS)) from error
    except UnidentifiedImageError as error:
        raise KindNotRead(
            f"is not a picture that can be read: expected an intact {', '.join(FORMATS)} file "
            "with 8 or 16 bits a sample"
        ) from error
    except MemoryError as error:
        raise ImageReadError("needs more memory than is available: cut it into parts") from error
    except Exception as error:
        # Pillow raises OSError for damaged files, too, without a number; places before the
        # beginning of a file are invalid arguments.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise ImageReadError(f"cannot be read: {error.strerror}") from error
        if _NOT_READ.search(str(error)):
            raise KindNotRead(
                f"is of an unsupported kind ({error}): save it as PNG or TIFF"
            ) from error
        raise ImageReadError(
            f"is damaged ({error or type(error).__name__}): copy or export it again"
        ) from error


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about large pictures and odd metadata.

    What Python remembers of warnings is shared by all threads, hence the lock. Decoding the
    samples, which takes the time, happens outside of it.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
