"""Upscales pictures whose results would not fit into memory, in strips from reader to file.

    StripReader  ->  a row of tiles at a time  ->  reduced  ->  as the format holds it  ->  file

The network runs in the thread that calls; another one compresses and writes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol, TypeVar

from runtime.codecs.encode import metadata_for, replacing_target, samples_for, save_options
from runtime.codecs.formats import JPEG, PNG, TIFF, OutputFormat, output_format
from runtime.codecs.jpeg import write_jpeg
from runtime.codecs.output import OutputSettings
from runtime.codecs.png import write_png
from runtime.codecs.tiff import write_tiff_strips
from runtime.errors import Cancelled, DggnError, ImageWriteError
from runtime.image.picture import Picture
from runtime.image.resize import fit_strips
from runtime.image.strip_source import StripReader
from runtime.image.strips import header_of, rows_of
from runtime.system.budget import POLL_S
from runtime.tiles.stitch import OnTile

STRIPS_AT_ONCE = 5
"""Strips in memory: two in the backend, one in transit, one being written, and its copies."""

NOTE = "made in strips, because it is too large for memory"

Item = TypeVar("Item")


class StripUpscaler(Protocol):
    """The part of `Upscaler` used here."""

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """Yield the result's rows from top to bottom; see `Upscaler.strips`."""

    def strip_bytes(self, header: Picture) -> int:
        """Return the size of the largest strip in bytes."""


def check_strips(
    upscaler: StripUpscaler, headers: Sequence[Picture], target: Path, *, memory_bytes: int
) -> int:
    """Refuse what cannot be made in strips, before anything is computed.

    Args:
        upscaler: upscaler for the picture.
        headers: headers of each pass's input; the first is the source's.
        target: names the format.
        memory_bytes: memory limit.

    Returns:
        The memory it takes, in bytes.

    Raises:
        ImageWriteError: the format is none that is written in strips, or the strips are too large.
    """
    if output_format(target) not in (PNG, JPEG, TIFF):
        raise ImageWriteError(
            f"{target.name}: the result is too large for memory, and "
            f"{output_format(target).pillow_name} is not written in strips: choose png, tiff or "
            "jpg (--format), allow more with --memory, or choose a smaller size"
        )
    needed = STRIPS_AT_ONCE * sum(upscaler.strip_bytes(header) for header in headers)
    if needed > memory_bytes:
        raise ImageWriteError(
            f"{target.name}: even one row of tiles takes {needed / 1e9:.2f} GB, and "
            f"{memory_bytes / 1e9:.2f} GB may be used: choose a smaller --tile, or allow more "
            "with --memory"
        )
    return needed


def write_in_strips(
    upscaler: StripUpscaler,
    reader: StripReader,
    target: Path,
    settings: OutputSettings,
    *,
    scale: int,
    target_hw: tuple[int, int],
    stop: threading.Event,
    on_tile: OnTile | None = None,
    on_strip: Callable[[Picture], None] = lambda strip: None,
) -> list[str]:
    """Upscale a picture into a file, which appears when it is complete.

    Args:
        upscaler: upscaler for the picture.
        reader: input of the last pass, read once.
        target: a PNG, TIFF or JPEG file name.
        settings: output settings.
        scale: the model's.
        target_hw: the size of the result, at most `scale` times the reader's.
        stop: set to give up.
        on_tile: receives the completed share of the picture.
        on_strip: receives the rows of the result as written, from top to bottom.

    Returns:
        Notes on what the format could not keep.

    Raises:
        ImageError: the source is damaged, or the result cannot be written.
        TargetError: the folder cannot be written.
        BackendError: the inference library failed.
        Cancelled: a stop was requested.
    """
    form = output_format(target)
    height, width = reader.header.size_hw
    header, notes = _target_header(reader.header, target_hw, form)
    enlarged = upscaler.strips(reader, on_tile=on_tile)
    fitted = fit_strips(enlarged, (scale * height, scale * width), target_hw)
    with replacing_target(target) as file:

        def write(strips: Iterator[Picture]) -> None:
            try:
                _write(
                    header, (samples_for(strip, form)[0] for strip in strips), form, settings, file
                )
            except (OSError, DggnError, Cancelled):
                raise
            except Exception as error:
                raise ImageWriteError(
                    f"{target.name}: cannot be encoded as {form.pillow_name} "
                    f"({error or type(error).__name__}): choose another --format"
                ) from error

        hand_over(_shown(fitted, on_strip), write, stop)
    return [NOTE, *notes]


def hand_over(
    items: Iterable[Item], take: Callable[[Iterator[Item]], None], stop: threading.Event
) -> None:
    """Produce items in this thread and consume them one by one in another.

    Raises:
        Cancelled: `stop` was set.
        Exception: whatever either of them raised first.
    """
    handed: queue.Queue[tuple[Item] | None] = queue.Queue(1)
    given_up = threading.Event()
    errors: list[BaseException] = []

    def received() -> Iterator[Item]:
        while not (stop.is_set() or given_up.is_set()):
            try:
                item = handed.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if item is None:
                return
            yield item[0]
        raise Cancelled

    def run() -> None:
        try:
            take(received())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def hand(item: tuple[Item] | None) -> bool:
        while thread.is_alive() and not stop.is_set():
            try:
                handed.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    try:
        for item in items:
            if not hand((item,)):
                break
        else:
            hand(None)
    except BaseException:
        given_up.set()
        raise
    finally:
        thread.join()
    if errors:
        raise errors[0]
    if stop.is_set():
        raise Cancelled


def _shown(strips: Iterable[Picture], to: Callable[[Picture], None]) -> Iterator[Picture]:
    for strip in strips:
        to(strip)
        yield strip


def _target_header(
    source: Picture, target_hw: tuple[int, int], form: OutputFormat
) -> tuple[Picture, list[str]]:
    pixel, notes = samples_for(rows_of(source, 0, 1), form)
    header, metadata_notes = metadata_for(header_of(pixel, target_hw), form)
    return header, [*notes, *metadata_notes]


def _write(
    header: Picture,
    strips: Iterable[Picture],
    form: OutputFormat,
    settings: OutputSettings,
    file: IO[bytes],
) -> None:
    if form is TIFF:
        write_tiff_strips([(header, strips)], file)
        return
    options = save_options(header, form, settings)
    write = write_png if form is PNG else write_jpeg
    write(header, strips, file, options)
