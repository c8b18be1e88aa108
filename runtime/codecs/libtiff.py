"""Keeps messages of the libtiff inside Pillow off standard error, and counts them instead.

One damaged fax has hundreds of them. Pillow raises an exception where libtiff gives up, but says
nothing where it goes on behind the damage.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

from PIL import _imaging

DAMAGE_NOTE = "its samples are damaged: parts of the picture may be wrong"

_found = threading.local()


def _count(module: int, form: int, arguments: int) -> None:
    """Count an error of this thread; called by libtiff with three pointers."""
    _found.errors = getattr(_found, "errors", 0) + 1


# Kept for as long as libtiff may call it.
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(_count)


def watch_libtiff() -> None:
    """Have libtiff report errors here.

    Where Pillow contains it without its names (on Windows), or lacks it, nothing changes.
    """
    with contextlib.suppress(OSError, AttributeError):
        # Looks its names up in the libraries that Pillow's own one needs, too.
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(ctypes.cast(_HANDLER, ctypes.c_void_p))


@contextlib.contextmanager
def libtiff_notes() -> Iterator[list[str]]:
    """Note the damage that libtiff finds in this thread.

    Yields:
        Notes, complete when the block is left.
    """
    notes: list[str] = []
    before = getattr(_found, "errors", 0)
    yield notes
    if getattr(_found, "errors", 0) > before:
        notes.append(DAMAGE_NOTE)
