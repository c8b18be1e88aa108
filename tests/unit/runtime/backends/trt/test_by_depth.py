from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.backends.trt.by_depth import BitDepthRouter
from runtime.errors import BackendError, Cancelled, ImageError
from runtime.image.picture import Samples
from runtime.tiles.backend import Deliver
from tests.support.pipeline_bench import NearestUpscaler

BYTES, WORDS = (np.zeros((8, 8, 3), kind) for kind in (np.uint8, np.uint16))


class Engine:
    """Records its calls; delivers in `finish`."""

    uniform_tiles = True
    largest_tile_px = 64

    def __init__(self, name: str) -> None:
        self.description = self.precision = name
        self.info = replace(NearestUpscaler.info, sample_type="uint8")
        self.calls: list[str] = []
        self.waiting: list[tuple[Samples, Deliver]] = []

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        self.calls.append(f"submit {tile_hwc.dtype}")
        self.waiting.append((tile_hwc, deliver))

    def finish(self) -> None:
        self.calls.append("finish")
        for tile, deliver in self.waiting:
            deliver(tile)
        self.waiting.clear()

    def cancel(self) -> None:
        self.calls.append("cancel")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.calls.append("exit")


class Opener:
    def __init__(self, error: Exception | None = None) -> None:
        self.engine = Engine("floats")
        self.error = error
        self.count = 0

    def __call__(self) -> Engine:
        self.count += 1
        if self.error:
            raise self.error
        return self.engine


def test_tiles_go_to_the_engine_of_their_depth() -> None:
    of_bytes, opener = Engine("bytes"), Opener()
    router = BitDepthRouter(of_bytes, opener)
    results: list[Samples] = []
    router.submit(BYTES, results.append)
    assert opener.count == 0, "most runs never need it"
    router.submit(WORDS, results.append)
    router.submit(WORDS, results.append)
    assert opener.count == 1
    assert not results
    router.finish()
    assert [result.dtype for result in results] == [np.uint8, np.uint16, np.uint16]
    assert of_bytes.calls == ["submit uint8", "finish"]
    assert opener.engine.calls == ["submit uint16", "submit uint16", "finish"]


def test_it_describes_the_first_engine_and_takes_both_depths() -> None:
    router = BitDepthRouter(Engine("bytes"), Opener())
    assert (router.description, router.precision, router.largest_tile_px) == ("bytes", "bytes", 64)
    assert router.info.sample_type == "float32"


def test_without_a_second_engine_only_deep_pictures_fail() -> None:
    of_bytes, opener = Engine("bytes"), Opener(BackendError("no room for it"))
    router = BitDepthRouter(of_bytes, opener)
    for _ in range(2):
        with pytest.raises(ImageError, match="16 bits.*no room for it.*--io float32"):
            router.submit(WORDS, lambda result: None)
    assert opener.count == 1, "building it takes minutes"
    router.submit(BYTES, lambda result: None)
    router.finish()


def test_after_a_cancel_nothing_is_opened_for_long() -> None:
    router = BitDepthRouter(of_bytes := Engine("bytes"), Opener())
    router.cancel()
    assert of_bytes.calls == ["cancel"]
    with pytest.raises(Cancelled):
        router.submit(WORDS, lambda result: None)


def test_leaving_frees_both() -> None:
    of_bytes, opener = Engine("bytes"), Opener()
    with BitDepthRouter(of_bytes, opener) as router:
        router.submit(WORDS, lambda result: None)
    assert of_bytes.calls == ["cancel", "exit"]
    assert opener.engine.calls[1:] == ["cancel", "exit"]


def test_the_engine_for_16_bits_can_be_opened_before_the_first_tile() -> None:
    opener = Opener()
    router = BitDepthRouter(Engine("bytes"), opener)
    router.prepare_deep()
    router.submit(WORDS, lambda result: None)
    assert opener.count == 1
    router.cancel()
    with pytest.raises(Cancelled):
        router.prepare_deep()
    with pytest.raises(ImageError, match="no engine"):
        BitDepthRouter(Engine("bytes"), Opener(BackendError("no engine"))).prepare_deep()
