from __future__ import annotations

import contextlib
import random
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from runtime.backends.trt.backend import TrtBackend
from runtime.backends.trt.engine import Engine
from runtime.backends.trt.slots import WAITING_SHAPES
from runtime.errors import BackendError, Cancelled, ImageError, ModelError
from runtime.image.picture import Samples
from runtime.tiles.stitch import OnTile, Watched, submit_in_tiles, upscale_in_tiles
from tests.support import fake_tensorrt
from tests.support.engine_bench import BATCH, FLOAT_INFO, SLOTS, TILE_PX, Bench, tile
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_tensorrt import GPU, FakeEngine, FakeTensorRT, nearest


def test_every_tile_is_delivered_once_and_right(bench: Bench) -> None:
    tiles = [tile(number) for number in range(30)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    assert bench.device.closed
    assert bench.said == []


def test_a_batch_waits_for_more_tiles_until_it_is_to_finish(bench: Bench) -> None:
    with bench.open() as backend:
        for number in range(BATCH - 1):
            bench.submit(backend, number, tile(number))
        assert bench.tensorrt.runs == 0
        bench.submit(backend, BATCH - 1, tile(BATCH - 1))
        assert bench.tensorrt.runs == 1
        bench.submit(backend, BATCH, tile(BATCH))
        backend.finish()
        assert bench.tensorrt.runs == 2
    bench.check([tile(number) for number in range(BATCH + 1)])


def test_batches_of_several_shapes_fill_at_the_same_time(bench: Bench) -> None:
    tiles = [tile(0), tile(1), tile(2, 8, 12), tile(3, 8, 12), tile(4)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    assert bench.tensorrt.runs == 2


def test_not_too_many_batches_wait(bench: Bench) -> None:
    """Pictures of all sizes must not wait for each other until the end."""
    tiles = [tile(number, 4 + 4 * (number % 4), 4 + 4 * (number // 4)) for number in range(12)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        assert bench.tensorrt.runs == len(tiles) - WAITING_SHAPES
        backend.finish()
    bench.check(tiles)


def test_pictures_of_one_size_fill_batches_and_use_their_graphs_again(bench: Bench) -> None:
    """Forty large tiles, and a shorter row and column, of each of 20 pictures."""
    of_one = [tile(number) for number in range(40)]
    of_one += [tile(number, 8, 16) for number in range(6)]
    of_one += [tile(number, 16, 8) for number in range(5)]
    of_one += [tile(0, 8, 8)]
    tiles = of_one * 20
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    batches = len(tiles) / BATCH
    assert bench.device.records == batches, "all of them are full"
    assert bench.device.graph_launches >= batches / 2


def test_the_host_waits_only_when_all_slots_are_at_work(bench: Bench) -> None:
    device = bench.device

    def all_are_at_work() -> None:
        assert sum(bool(stream.queue) for stream in device.streams) == SLOTS

    device.on_wait = all_are_at_work
    with bench.open(slots=SLOTS) as backend:
        for number in range(SLOTS * BATCH):
            bench.submit(backend, number, tile(number))
        assert device.waits == 0
        for number in range(SLOTS * BATCH, 10 * BATCH):
            bench.submit(backend, number, tile(number))
        assert device.waits > 0
        device.on_wait = lambda: None
        backend.finish()


def test_a_quick_device_is_never_waited_for(bench: Bench) -> None:
    bench.device.choose = lambda count: 0
    with bench.open() as backend:
        for number in range(10 * BATCH):
            bench.submit(backend, number, tile(number))
        assert bench.device.waits == 0
        assert len(bench.results) == 10 * BATCH, "delivered while further ones came"


def test_nothing_is_allocated_after_the_start(bench: Bench) -> None:
    with bench.open() as backend:
        allocations = bench.device.allocations
        living = len(bench.device.living)
        for number in range(20 * BATCH):
            bench.submit(backend, number, tile(number))
        backend.finish()
        assert bench.device.allocations == allocations
        assert len(bench.device.living) == living + SLOTS, "a graph for each slot"


def test_graphs_are_recorded_once_for_each_slot_and_shape(bench: Bench) -> None:
    with bench.open() as backend:
        for number in range(12 * BATCH):
            bench.submit(backend, number, tile(number))
        backend.finish()
        assert bench.device.graph_count == SLOTS
        assert bench.tensorrt.runs == 2 * SLOTS, "once without a graph, once to record"
        for number in range(12 * BATCH, 24 * BATCH):
            bench.submit(backend, number, tile(number, 8, 8))
        backend.finish()
        assert bench.device.graph_count == 2 * SLOTS
    assert len(bench.results) == 24 * BATCH


def test_a_device_without_graphs_says_so_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeTensorRT(), FakeDevice(graphs=False))
    tiles = [tile(number) for number in range(12 * BATCH)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    (line,) = bench.said
    assert line.startswith("CUDA graphs are not used")
    assert "not permitted" in line


def test_tensorrt_rtx_records_its_graphs_itself(tmp_path: Path) -> None:
    tensorrt = FakeTensorRT(rtx=True)
    bench = Bench(tmp_path, tensorrt, FakeDevice())
    tiles = [tile(number) for number in range(12 * BATCH)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)
    assert tensorrt.config is not None
    assert tensorrt.config.cuda_graph_strategy == "whole graph"
    assert bench.device.graph_count == 0
    assert bench.said == []


def test_old_engines_give_every_slot_a_profile(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeTensorRT(profiles=2), FakeDevice())
    tiles = [tile(number) for number in range(30)]
    with bench.open() as backend:
        assert len(bench.device.streams) == 2, "no more slots than profiles"
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)


def test_tiles_that_the_engine_cannot_take_are_made_to_fit(bench: Bench) -> None:
    tiles = [tile(0, 1, 1), tile(1, 3, 16), tile(2, 40, 24), tile(3, 64, 64)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)


@pytest.mark.parametrize("deep", [False, True])
def test_float_engines_take_both_depths(tmp_path: Path, deep: bool) -> None:
    bench = Bench(tmp_path, FakeTensorRT(FLOAT_INFO), FakeDevice())
    tiles = [tile(number, deep=deep) for number in range(9)]
    with bench.open() as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
    bench.check(tiles)


def test_byte_engines_refuse_16_bits_and_go_on(bench: Bench) -> None:
    with bench.open() as backend:
        with pytest.raises(ImageError, match="takes 8-bit samples and the picture has 16"):
            bench.submit(backend, 0, tile(0, deep=True))
        bench.submit(backend, 0, tile(0))
        backend.finish()
    bench.check([tile(0)])


def test_output_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    tensorrt = FakeTensorRT(FLOAT_INFO, lambda batch: nearest(batch) * np.float32(np.nan))
    bench = Bench(tmp_path, tensorrt, FakeDevice())
    with bench.open() as backend:
        bench.submit(backend, 0, tile(0))
        with pytest.raises(BackendError, match="not finite"):
            backend.finish()
    assert bench.results == {}


def test_a_failure_on_the_device_ends_it_for_good(bench: Bench) -> None:
    bench.device.fails_at = 20
    with bench.open() as backend:
        with pytest.raises(BackendError, match="ILLEGAL_ADDRESS"):
            bench.submit_all(backend, [tile(number) for number in range(100)])
        with pytest.raises(BackendError, match="ILLEGAL_ADDRESS"):
            backend.finish()
    assert bench.device.closed


def test_a_refusal_shows_tensorrts_own_reason(bench: Bench) -> None:
    bench.tensorrt.refuses_at = {2}
    with (
        bench.open() as backend,
        pytest.raises(
            BackendError, match=r"failed in execute_async_v3: \[enqueue\].*--backend cpu"
        ),
    ):
        bench.submit_all(backend, [tile(number) for number in range(2 * BATCH)])


def test_an_engine_that_does_not_load(bench: Bench) -> None:
    bench.tensorrt.loads = False
    with pytest.raises(BackendError, match="cannot load .*made by another version.*--force"):
        bench.open()
    assert bench.device.closed


def test_an_engine_with_other_tensors_than_its_sidecar_says(bench: Bench) -> None:
    file = bench.tensorrt.engine_file(bench.folder)
    file.path.write_bytes(b"plan float32 16 4")
    with pytest.raises(ModelError, match="input is float: expected uint8"):
        TrtBackend(file, bench.tensorrt.library, bench.device, GPU, say=bench.said.append)
    assert bench.device.closed


def test_an_engine_of_another_scale_writes_nothing(bench: Bench) -> None:
    bench.tensorrt.scale = 8
    with bench.open() as backend, pytest.raises(BackendError, match="makes .*expected"):
        bench.submit_all(backend, [tile(number) for number in range(BATCH)])
    assert bench.tensorrt.runs == 0


def test_cancelling_from_another_thread(bench: Bench) -> None:
    bench.device.on_wait = lambda: backend.cancel()
    with bench.open() as backend:
        with pytest.raises(Cancelled):
            bench.submit_all(backend, [tile(number) for number in range(100)])
        with pytest.raises(Cancelled, match="open a new one"):
            backend.finish()
    assert bench.device.closed


def test_what_delivering_raises_ends_the_work(bench: Bench) -> None:
    def refuse(result: Samples) -> None:
        raise Cancelled

    with bench.open() as backend:
        backend.submit(tile(0), refuse)
        with pytest.raises(Cancelled):
            backend.finish()


def test_what_a_callback_raises_ends_its_picture_alone(bench: Bench) -> None:
    """One of several pictures that share batches is cancelled by its callback."""

    class GivenUp(Exception):
        pass

    def give_up(share: float) -> None:
        raise GivenUp

    pictures = [tile(number, 40, 24) for number in range(3)]
    done: dict[int, Samples] = {}
    watched = Watched(give_up)
    watchers: list[OnTile | None] = [None, watched, None]
    with bench.open() as backend:
        for number, picture in enumerate(pictures):
            with contextlib.suppress(GivenUp):
                submit_in_tiles(
                    picture,
                    backend,
                    partial(done.__setitem__, number),
                    tile_size=TILE_PX,
                    overlap=4,
                    on_tile=watchers[number],
                )
        backend.finish()
        with pytest.raises(GivenUp):
            watched.check()
        with pytest.raises(GivenUp):
            upscale_in_tiles(pictures[0], backend, tile_size=TILE_PX, overlap=4, on_tile=give_up)
        again = upscale_in_tiles(pictures[0], backend, tile_size=TILE_PX, overlap=4)
    for number in (0, 2):
        np.testing.assert_array_equal(done[number], nearest(pictures[number][None])[0])
    np.testing.assert_array_equal(again, done[0])


def test_another_thread_may_submit(bench: Bench) -> None:
    tiles = [tile(number) for number in range(10)]
    with bench.open() as backend:
        thread = threading.Thread(target=bench.submit_all, args=(backend, tiles))
        thread.start()
        thread.join()
        backend.finish()
    bench.check(tiles)


@pytest.mark.parametrize("seed", range(20))
def test_slots_complete_in_any_order(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)

    def choose(count: int) -> int | None:
        return random_.randrange(count) if random_.random() < 0.8 else None

    bench = Bench(tmp_path, FakeTensorRT(), FakeDevice(choose=choose))
    tiles = [
        tile(number, *random_.choice([(16, 16), (16, 16), (16, 12), (8, 4)]))
        for number in range(80)
    ]
    with bench.open(slots=random_.randrange(1, 5)) as backend:
        for number, one in enumerate(tiles):
            bench.submit(backend, number, one)
            if random_.random() < 0.05:
                backend.finish()
                assert len(bench.results) == number + 1
        backend.finish()
    bench.check(tiles)


@pytest.mark.parametrize(("graphs", "count"), [(None, 0), (True, SLOTS)])
def test_graphs_are_off_with_8_unless_asked_for(
    bench: Bench, graphs: bool | None, count: int
) -> None:
    old = replace(bench.tensorrt.library.capabilities, precision_flags=True)
    bench.tensorrt.library = replace(bench.tensorrt.library, capabilities=old)
    tiles = [tile(number) for number in range(12 * BATCH)]
    with bench.open(graphs=graphs) as backend:
        bench.submit_all(backend, tiles)
        backend.finish()
        assert bench.device.graph_count == count
    bench.check(tiles)
    assert bench.said == []


def test_graphs_can_be_switched_off(bench: Bench, tmp_path: Path) -> None:
    with bench.open(graphs=False) as backend:
        bench.submit_all(backend, [tile(number) for number in range(12 * BATCH)])
        backend.finish()
    assert bench.device.graph_count == 0
    rtx = FakeTensorRT(rtx=True)
    Bench(tmp_path, rtx, FakeDevice()).open(graphs=False).__exit__(None, None, None)
    assert rtx.config is not None
    assert rtx.config.cuda_graph_strategy == "disabled"


@pytest.mark.parametrize("fails", ["_names", "_configure"])
def test_an_engine_that_fails_half_way_is_given_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Not at garbage collection: the error being reported keeps it alive."""
    tensorrt = FakeTensorRT(rtx=True)
    gone: list[str] = []

    class Counted(FakeEngine):
        def __del__(self) -> None:
            gone.append("engine")

    monkeypatch.setattr(fake_tensorrt, "FakeEngine", Counted)

    def fail(self: Engine, **options: object) -> None:
        raise ModelError("it has another output")

    monkeypatch.setattr(Engine, fails, fail)
    file = tensorrt.engine_file(tmp_path)
    with FakeDevice().active(), pytest.raises(ModelError) as caught:
        Engine(tensorrt.library, file.path, file.facts)
    assert caught.value.__traceback__ is not None, "with it the half-made object is alive"
    assert gone == ["engine"]
