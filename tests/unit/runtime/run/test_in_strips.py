"""Pictures whose results exceed the memory limit, through the pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.decode import decode
from runtime.codecs.output import OutputSettings
from runtime.errors import Cancelled, ImageReadError, ImageWriteError, TargetError
from runtime.image.picture import Picture, is_deep
from runtime.image.strip_source import EightBitReader, PictureReader
from runtime.jobs.job import Job
from runtime.jobs.journal import Journal
from runtime.run import in_strips as in_strips_module
from runtime.run.in_strips import NOTE, hand_over
from runtime.run.route import Route
from runtime.run.second_pass import SECOND_PASS_NOTE, EnlargedReader
from tests.support.pipeline_bench import LIMIT_S, Bench, NearestUpscaler, run, within_limit

noise = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
RESULT_BYTES = noise.nbytes * 16
ONE_LESS = RESULT_BYTES - 1


def job(bench: Bench, target: str = "a.png", source: str = "a.png", mode: str = "RGB") -> Job:
    Image.fromarray(noise).convert(mode).save(bench.folder / source)
    return Job(source=bench.folder / source, target=bench.out / target, name=source)


@pytest.mark.parametrize("target", ["a.png", "a.tiff", "a.jpg"])
@pytest.mark.parametrize("whole_bytes", [RESULT_BYTES, ONE_LESS])
def test_what_does_not_fit_is_made_in_strips(bench: Bench, target: str, whole_bytes: int) -> None:
    work = job(bench, target)
    result = run(bench.pipeline(whole_bytes=whole_bytes), [work])["a.png"]
    assert (result.status, result.message) == ("done", "")
    assert (result.source_size_hw, result.target_size_hw) == ((9, 8), (36, 32))
    assert result.target == str(work.target)
    assert (NOTE in result.notes) == (whole_bytes == ONE_LESS)
    found = decode(work.target).rgb_hwc
    expected = noise.repeat(4, axis=0).repeat(4, axis=1)
    assert np.abs(found.astype(int) - expected).max() <= (12 if target == "a.jpg" else 0)
    bench.journal.close()
    with Journal(bench.out) as journal:
        assert journal.is_done(work, "f")


@pytest.mark.parametrize("settings", [OutputSettings(), OutputSettings(max_size_px=20)])
def test_what_is_made_in_strips_has_the_same_preview(
    bench: Bench, settings: OutputSettings
) -> None:
    previews = []
    for whole_bytes in (RESULT_BYTES, ONE_LESS):
        pipeline = bench.pipeline(whole_bytes=whole_bytes, previews=True)
        pipeline._stages._settings = settings
        result = run(pipeline, [job(bench)])["a.png"]
        assert (NOTE in result.notes) == (whole_bytes == ONE_LESS)
        previews.append(result.preview)
    whole, strips = previews
    assert whole is not None
    assert strips is not None
    assert (strips.size_hw, strips.box) == (whole.size_hw, whole.box)
    assert (strips.before, strips.whole) == (whole.before, whole.whole)
    if not settings.max_size_px:  # reducing strips rounds a few samples differently
        assert strips.after == whole.after


TWICE = OutputSettings(scale=16, second_pass=True)


@pytest.mark.parametrize("whole_bytes", [16 * RESULT_BYTES, 16 * RESULT_BYTES - 1])
def test_a_second_pass(bench: Bench, whole_bytes: int) -> None:
    work = job(bench)
    result = run(bench.pipeline(TWICE, whole_bytes=whole_bytes), [work])["a.png"]
    assert (result.status, result.message, result.target_size_hw) == ("done", "", (144, 128))
    assert SECOND_PASS_NOTE in result.notes
    assert (NOTE in result.notes) == (whole_bytes < 16 * RESULT_BYTES)
    expected = noise.repeat(16, axis=0).repeat(16, axis=1)
    np.testing.assert_array_equal(decode(work.target).rgb_hwc, expected)
    assert bench.progress.shares == sorted(bench.progress.shares)
    assert bench.progress.shares[-1] == pytest.approx(1)


def test_a_second_pass_only_when_asked_for(bench: Bench) -> None:
    Image.fromarray(noise.repeat(2, axis=1)).save(bench.folder / "wide.png")
    wide = Job(source=bench.folder / "wide.png", target=bench.out / "wide.png", name="wide.png")
    pipeline = bench.pipeline(OutputSettings(width_px=40))
    results = run(pipeline, [job(bench), wide])
    assert "8x9 px are to become 40x45" in results["a.png"].message
    assert "--second-pass" in results["a.png"].message
    assert results["wide.png"].target_size_hw == (23, 40)
    assert results["wide.png"].notes == ()


def test_rows_of_a_first_pass(bench: Bench) -> None:
    reader = EnlargedReader(NearestUpscaler(), PictureReader(Picture(rgb_hwc=noise)), 4)
    expected = noise.repeat(4, axis=0).repeat(4, axis=1)
    assert reader.header.size_hw == (36, 32)
    for start, stop in ((0, 7), (3, 3 + 20), (5, 9), (30, 36)):
        np.testing.assert_array_equal(reader.rows(start, stop).rgb_hwc, expected[start:stop])
    np.testing.assert_array_equal(reader.again().rows(0, 36).rgb_hwc, expected)


def test_large_and_small_ones_side_by_side(bench: Bench) -> None:
    jobs = [*bench.jobs(6), job(bench, "x.tiff", "x.png"), job(bench, "y.png", "y.jpg")]
    results = run(bench.pipeline(whole_bytes=ONE_LESS, jobs=2), jobs)
    assert {result.status for result in results.values()} == {"done"}
    assert {name for name, result in results.items() if result.notes} == {"x.png", "y.jpg"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("a.webp", "WEBP is not written in strips: choose png, tiff or jpg"),
        ("a.gif", "GIF is not written in strips"),
        ("a.bmp", "BMP is not written in strips"),
    ],
)
def test_formats_that_are_not_written_in_strips(bench: Bench, target: str, message: str) -> None:
    results = run(bench.pipeline(whole_bytes=ONE_LESS), [job(bench, target)])
    assert message in results["a.png"].message
    assert bench.progress.names == []
    assert not (bench.out / target).exists()


def test_strips_that_do_not_fit_either(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NearestUpscaler, "strip_bytes", lambda self, header: 10**9)
    results = run(bench.pipeline(whole_bytes=ONE_LESS), [job(bench)])
    assert "one row of tiles takes 5.00 GB" in results["a.png"].message
    assert "smaller --tile" in results["a.png"].message


def test_pages_that_do_not_fit(bench: Bench) -> None:
    work = job(bench, "a.tiff", "a.tiff")
    page = Image.fromarray(noise)
    page.save(work.source, save_all=True, append_images=[page])
    results = run(bench.pipeline(whole_bytes=ONE_LESS), [work])
    assert "2 frames or pages" in results["a.tiff"].message
    assert "--memory" in results["a.tiff"].message


def test_a_source_too_large_to_decode_is_read_in_strips(tmp_path: Path) -> None:
    pytest.importorskip("pyvips", exc_type=ImportError)
    Image.fromarray(noise).save(tmp_path / "a.png")
    route = Route(NearestUpscaler.info, OutputSettings(), whole_bytes=64)
    assert route.max_pixels < 72
    opened = route.open(tmp_path / "a.png")
    assert not isinstance(opened, Picture)
    assert np.array_equal(opened.rows(0, 9).rgb_hwc, noise)
    header, frames, in_strips = route.foresee(tmp_path / "a.png")
    assert (header.size_hw, frames, in_strips) == ((9, 8), 1, True)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("whole_bytes", [RESULT_BYTES * 4 // 3, RESULT_BYTES, ONE_LESS])
def test_what_is_foreseen_comes_true(tmp_path: Path, mode: str, whole_bytes: int) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise).convert(mode).save(path)
    route = Route(NearestUpscaler.info, OutputSettings(), whole_bytes=whole_bytes)
    header, _, in_strips = route.foresee(path)
    opened = route.open(path)
    assert isinstance(opened, Picture) == (not in_strips)
    seen = opened if isinstance(opened, Picture) else opened.header
    assert seen.nbytes == header.nbytes


def test_too_many_frames_are_foreseen(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    frames = [Image.fromarray(noise[..., channel]) for channel in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    route = Route(
        NearestUpscaler.info, OutputSettings(), whole_bytes=16 * noise.shape[0] * noise.shape[1]
    )
    for look in (route.foresee, route.open):
        with pytest.raises(ImageReadError, match="is too large to be read whole"):
            look(path)


def test_a_model_of_8_bits_gets_no_more() -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (9, 8, 3), np.uint16)
    reader = EightBitReader(PictureReader(Picture(rgb_hwc=deep)))
    assert not is_deep(reader.header)
    assert reader.header.notes == ["reduced to 8 bits: the model takes no more"]
    assert not is_deep(reader.rows(0, 3))


def failing_source(bench: Bench, error: Exception) -> None:
    def before(strip: Picture) -> None:
        if strip.size_hw[0] == 1:  # the last one
            raise error

    bench.upscaler = NearestUpscaler(before)


def test_a_source_damaged_near_its_end_leaves_nothing(bench: Bench) -> None:
    failing_source(bench, ImageReadError("a.png: is damaged here"))
    (bench.out / "a.png").write_bytes(b"what was there")
    results = run(bench.pipeline(whole_bytes=ONE_LESS), [job(bench), *bench.jobs(2)])
    assert results["a.png"].message == "is damaged here"
    assert results["001.png"].status == "done"
    assert (bench.out / "a.png").read_bytes() == b"what was there"
    assert not list(bench.out.glob("*.partial"))


def test_a_full_disk_ends_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(in_strips_module, "write_png", full)
    with pytest.raises(TargetError, match="No space left on device"):
        run(bench.pipeline(whole_bytes=ONE_LESS), [job(bench)])
    assert not list(bench.out.glob("*.p*"))


def test_an_encoder_that_raises_fails_one_picture(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("no such colour")

    monkeypatch.setattr(in_strips_module, "write_png", fail)
    results = run(bench.pipeline(whole_bytes=ONE_LESS), [job(bench), *bench.jobs(1)])
    assert "cannot be encoded as PNG (no such colour)" in results["a.png"].message
    assert results["000.png"].status == "done"
    assert not list(bench.out.glob("*.partial"))


def test_cancelled_between_strips(bench: Bench) -> None:
    reached = threading.Event()

    def block(strip: Picture) -> None:
        reached.set()
        while not bench.upscaler.cancelled.is_set():
            time.sleep(0.005)

    bench.upscaler = NearestUpscaler(block)
    pipeline = bench.pipeline(whole_bytes=ONE_LESS)
    work = job(bench)
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            list(pipeline.run([work]))
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    assert reached.wait(LIMIT_S)
    pipeline.cancel()
    thread.join(LIMIT_S)
    assert len(errors) == 1
    assert not list(bench.out.glob("*.p*"))


def test_items_are_taken_in_order_in_another_thread() -> None:
    taken: list[int] = []
    threads: set[int] = set()

    def take(items: Iterator[int]) -> None:
        for item in items:
            threads.add(threading.get_ident())
            taken.append(item)

    within_limit(lambda: hand_over(range(50), take, threading.Event()))
    assert taken == list(range(50))
    assert threading.get_ident() not in threads


def test_a_taker_that_gives_up_stops_the_maker() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    def take(received: Iterator[int]) -> None:
        next(received)
        raise ImageWriteError("enough")

    with pytest.raises(ImageWriteError, match="enough"):
        within_limit(lambda: hand_over(items(), take, threading.Event()))
    assert len(made) < 10


def test_settings_are_kept_in_strips(bench: Bench) -> None:
    work = job(bench)
    pipeline = bench.pipeline(whole_bytes=ONE_LESS)
    pipeline._stages._settings = OutputSettings(max_size_px=10)
    assert run(pipeline, [work])["a.png"].target_size_hw == (10, 9)
    assert decode(work.target).size_hw == (10, 9)
