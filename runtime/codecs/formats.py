"""Output file formats: their limits and file name suffixes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, PngImagePlugin, features

from runtime.codecs.libtiff import watch_libtiff
from runtime.codecs.png_chunks import MAX_TEXT_BYTES
from runtime.errors import ConfigError, ImageWriteError

# A Pillow too old to know of AVIF warns if it is asked about it.
HAS_AVIF = "avif" in features.modules and features.check("avif")

HAS_HEIF = find_spec("pillow_heif") is not None
"""Whether HEIC can be read."""

# Not all that Pillow can open: some of its formats start other programs, or are hardly tested.
# MPO, several JPEGs in one file, comes with JPEG.
_PLUGINS = {
    "PNG": "PIL.PngImagePlugin",
    "JPEG": "PIL.JpegImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    **({"AVIF": "PIL.AvifImagePlugin"} if HAS_AVIF else {}),
}
"""The modules of the formats that Pillow itself reads."""

FORMATS = (*_PLUGINS, *(("HEIF",) if HAS_HEIF else ()))
"""Pillow's names of the formats that are read."""


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """Limits and features of a file format."""

    pillow_name: str
    max_side_px: int
    max_samples_bytes: int | None = None
    """Maximum size of all samples, uncompressed; None for no limit."""

    has_alpha: bool = True
    has_16_bits: bool = False
    has_icc: bool = True
    max_exif_bytes: int | None = None
    max_xmp_bytes: int | None = None
    has_dpi: bool = True
    """Whether the format stores a resolution outside of EXIF."""
    has_frames: bool = False
    """Whether the format stores animation frames."""
    has_pages: bool = False
    """Whether the format stores pages of different sizes and kinds."""
    has_grey: bool = True
    """Whether the format, and what writes it, has grey pictures; others write them as RGB."""
    has_text: bool = False
    has_comment: bool = False
    has_iptc: bool = False
    has_places: bool = False
    """Whether the format stores georeferences and physical pixel sizes."""


PNG = OutputFormat(
    pillow_name="PNG", max_side_px=2**31 - 1, has_16_bits=True, has_frames=True, has_text=True
)
JPEG = OutputFormat(
    pillow_name="JPEG",
    max_side_px=65_500,
    has_alpha=False,
    max_exif_bytes=65_533,
    max_xmp_bytes=65_504,
    has_comment=True,
    has_iptc=True,
)
"""The format allows 65,535 pixels per side; libjpeg writes 65,500."""

WEBP = OutputFormat(
    pillow_name="WEBP", max_side_px=16_383, has_dpi=False, has_grey=False, has_frames=True
)
TIFF = OutputFormat(
    pillow_name="TIFF",
    max_side_px=2**31 - 1,
    has_16_bits=True,
    has_frames=True,
    has_pages=True,
    has_iptc=True,
    has_places=True,
)
GIF = OutputFormat(
    pillow_name="GIF",
    max_side_px=65_535,
    has_icc=False,
    max_exif_bytes=0,
    max_xmp_bytes=0,
    has_dpi=False,
    has_frames=True,
    has_comment=True,
)
AVIF = OutputFormat(
    pillow_name="AVIF", max_side_px=32_768, has_dpi=False, has_grey=False, has_frames=True
)
"""The format allows 65,536 pixels per side; its decoders refuse more than half of that."""

BMP = OutputFormat(
    pillow_name="BMP",
    max_side_px=2**31 - 1,
    max_samples_bytes=2**32 - 2**16,
    has_alpha=False,
    has_icc=False,
    max_exif_bytes=0,
    max_xmp_bytes=0,
)

_FORMATS_BY_SUFFIX = {
    ".png": PNG,
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), JPEG),
    ".webp": WEBP,
    **dict.fromkeys((".tif", ".tiff"), TIFF),
    ".bmp": BMP,
    ".gif": GIF,
    **({".avif": AVIF} if HAS_AVIF else {}),
}

WRITABLE_SUFFIXES = tuple(_FORMATS_BY_SUFFIX)
"""Suffixes of results, in lower case."""

READABLE_SUFFIXES = frozenset({*_FORMATS_BY_SUFFIX, ".apng", ".heic", ".heif"})
"""Suffixes of files that are treated as pictures, in lower case."""


_loading = threading.Lock()


def load_formats() -> None:
    """Load the plugins of our formats now, which Pillow would otherwise import on first use.

    Two threads that make it do so at once lose some formats for good. The plugins of its other
    formats would only cost time.
    """
    with _loading:
        Image.preinit()
        for plugin in _PLUGINS.values():
            import_module(plugin)
        watch_libtiff()
        # Workflows and profiles of printers have more than Pillow's 1 MiB. Longer ones do not come
        # so far (`png_chunks`).
        PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, MAX_TEXT_BYTES)
        if HAS_HEIF and "HEIF" not in Image.OPEN:
            import pillow_heif

            pillow_heif.register_heif_opener(thumbnails=False)


def output_format(target: Path) -> OutputFormat:
    """Return the format named by a target's suffix.

    Raises:
        ConfigError: its suffix names no writable format.
    """
    try:
        return _FORMATS_BY_SUFFIX[target.suffix.lower()]
    except KeyError:
        raise ConfigError(
            f"{target.name} names no writable format: expected a name that ends in "
            f"{', '.join(WRITABLE_SUFFIXES)}"
        ) from None


def check_size(size_hw: tuple[int, int], target: Path) -> None:
    """Refuse a result too large for its format; called before upscaling, too.

    Raises:
        ImageWriteError: it is too large; the message names formats that would do.
        ConfigError: the target's suffix names no writable format.
    """
    height, width = size_hw
    form = output_format(target)
    too_long = max(size_hw) > form.max_side_px
    too_big = form.max_samples_bytes is not None and height * width * 3 > form.max_samples_bytes
    if too_long or too_big:
        limit = f"{form.max_side_px:,} pixels a side" if too_long else "4 GiB"
        raise ImageWriteError(
            f"{target.name}: the result has {width} x {height} pixels, and {form.pillow_name} "
            f"holds at most {limit}: choose png or tiff (--format), or a smaller --max-size"
        )
