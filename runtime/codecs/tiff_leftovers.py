"""Names tags of a TIFF that results do not hold, so that nothing is lost without a note."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import TiffTags

from runtime.codecs.exif import KEPT_TAGS
from runtime.codecs.tiff_tags import Table
from runtime.image.places import GEO_TAGS

_PROFILE = 34675
_COLOURS = (301, 318, 319)
"""Transfer function, white point and primaries, which a profile replaces."""

_READ = frozenset(
    {
        *(254, 255, 330),  # kind of the page, further pages inside it
        *(258, 259, 262, 277, 284, 317, 338, 339, 32995, 32996),  # kind of the samples
        *(256, 257, 273, 278, 279, 322, 323, 324, 325, 559),  # their size and location
        *(274, 282, 283, 296),  # orientation and resolution
        *(700, 33723, 34377, 37724, 50844, _PROFILE),  # XMP; noted elsewhere: Photoshop, RPC
        *GEO_TAGS,
        *KEPT_TAGS,
    }
)
_CODING = frozenset(
    {
        *(263, 264, 265, 266, 280, 281, 288, 289, 290, 291, 297, 320, 321),
        *(292, 293, 326, 327, 328),  # fax
        *(332, 333, 334, 336, 340, 341, 532, 529, 530, 531),  # inks, YCbCr
        *(347, *range(512, 522), 34925, 50674),  # tables of JPEG, LZMA and LERC
        *(0xEA1C,),  # padding for editing in place
    }
)
_CREDENTIALS = 52545
_NAMES = {
    _CREDENTIALS: "content credentials",
    33628: "MetaMorph's planes",
    34412: "Zeiss's image description",
    34682: "FEI's image description",
}


def tiff_leftovers(tables: Iterable[Table]) -> list[str]:
    """Return notes on tags of pages that results do not hold."""
    found: dict[int, None] = {}
    for table in tables:
        quiet = _READ | _CODING
        if _PROFILE in table.entries:
            quiet = quiet.union(_COLOURS)
        found |= dict.fromkeys(tag for tag in table.entries if tag not in quiet)
    if not found:
        return []
    names = [_title(tag) for tag in found]
    more = " and more" if len(names) > 5 else ""
    return [f"dropped: tags {', '.join(names[:5])}{more}"]


def _title(tag: int) -> str:
    name = _NAMES.get(tag) or TiffTags.lookup(tag).name
    return str(tag) if name == "unknown" else f"{tag} ({name})"
