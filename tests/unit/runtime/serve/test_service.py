"""Requests that wait, fail or are abandoned."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="needs the serve extra")

from runtime.errors import BackendError, ImageError
from tests.support.pipeline_bench import within_limit
from tests.support.processes import HANGS_S, wait_until
from tests.support.serve_bench import Answered, Bench, file_of, noise, served

ID = "a" * 32
PICTURE = file_of(noise(40, 30))


def in_thread(work: Callable[[], Answered]) -> Callable[[], Answered]:
    """Start a call in a thread; return a function that waits for it."""
    found: list[Answered] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()

    def wait() -> Answered:
        within_limit(thread.join)
        return found[0]

    return wait


def hold(bench: Bench, path: str = "/upscale") -> Callable[[], Answered]:
    """A request that runs until the gate opens."""
    bench.backend.gate.clear()
    answer = in_thread(lambda: bench.ask(path, PICTURE))
    wait_until(bench.backend.waits.is_set)
    return answer


def test_full_places_are_said_with_when_to_come_again(bench: Bench) -> None:
    answers = [hold(bench)]
    for _ in range(3):
        answers.append(in_thread(lambda: bench.ask("/upscale", PICTURE)))
    wait_until(lambda: bench.service._taken == 4)
    refused = bench.ask("/upscale", PICTURE)
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    assert "server is busy" in refused.json["error"]
    assert bench.ask("/readyz").status == 503
    assert bench.ask("/healthz").status == 200
    bench.backend.gate.set()
    assert [answer().status for answer in answers] == [200] * 4
    wait_until(bench.is_idle)
    assert bench.ask("/readyz").status == 200


def test_others_go_on_while_an_engine_for_16_bits_is_built(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, asked = threading.Event(), []

    def prepare_deep() -> None:
        asked.append(threading.get_ident())
        assert built.wait(HANGS_S)

    monkeypatch.setattr(bench.service.upscaler, "prepare_deep", prepare_deep)
    content = io.BytesIO()
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(content, "PNG")
    deep = [in_thread(lambda: bench.ask("/upscale", content.getvalue())) for _ in range(2)]
    wait_until(lambda: asked and bench.service._taken == 2)
    assert bench.ask("/upscale", PICTURE).status == 200
    built.set()
    assert [answer().status for answer in deep] == [200, 200]
    assert len(set(asked)) == 1
    assert asked[0] not in bench.backend.threads, "not the thread that feeds all requests"
    # What is open does not wait for what another request has opened meanwhile.
    asked.clear()
    assert bench.ask("/upscale", content.getvalue()).status == 200
    assert not asked


def test_an_engine_that_cannot_be_built_fails_its_requests_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare_deep() -> None:
        raise ImageError("the picture has 16 bits, which needs an engine of its own")

    monkeypatch.setattr(bench.service.upscaler, "prepare_deep", prepare_deep)
    content = io.BytesIO()
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(content, "PNG")
    for _ in range(2):
        refused = bench.ask("/upscale", content.getvalue())
        assert (refused.status, "engine of its own" in refused.json["error"]) == (422, True)
    assert bench.ask("/upscale", PICTURE).status == 200


def test_a_small_picture_overtakes_a_large_one(bench: Bench) -> None:
    bench.backend.gate.clear()
    large = in_thread(lambda: bench.ask("/upscale", file_of(noise(190, 200))))
    wait_until(bench.backend.waits.is_set)
    small = in_thread(lambda: bench.ask("/upscale", file_of(noise(12, 12))))
    wait_until(
        lambda: (
            bench.service.strengths.default.feeder._ranks
            and len(next(iter(bench.service.strengths.default.feeder._ranks.values()))) == 2
        )
    )
    bench.backend.gate.set()
    assert small().status == large().status == 200
    sizes = [tile.shape[0] for tile in bench.backend.taken]
    assert sizes.index(12) < 4, "of some 600 tiles"


def test_a_client_that_goes_away_frees_its_place(bench: Bench) -> None:
    bench.backend.gate.clear()
    connection = bench.begin("/upscale", file_of(noise(190, 200)))
    wait_until(bench.backend.waits.is_set)
    (room,) = bench.rooms
    connection.close()
    wait_until(lambda: 'status="499"' in bench.ask("/metrics").body.decode())
    wait_until(lambda: not bench.service.strengths.default.feeder._ranks)
    bench.backend.gate.set()
    wait_until(bench.is_idle)
    assert not room.exists()
    assert len(bench.backend.taken) < 10, "the other tiles were not computed"


def test_a_client_that_goes_away_while_it_waits_does_so_too(bench: Bench) -> None:
    answer = hold(bench)
    size = bench.service._sizes[0]
    for _ in range(size.at_once - 1):
        size.places._value -= 1  # others of its size
    connection = bench.begin("/upscale", PICTURE)
    wait_until(lambda: bench.service._taken == 2)
    connection.close()
    wait_until(lambda: bench.service._taken == 1)
    for _ in range(size.at_once - 1):
        size.places.release()
    bench.backend.gate.set()
    assert answer().status == 200
    wait_until(bench.is_idle)


def test_an_upload_that_is_broken_off_leaves_nothing(bench: Bench) -> None:
    with socket.create_connection(("127.0.0.1", bench.port)) as client:
        head = b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        client.sendall(head + PICTURE[:100])
        wait_until(lambda: bench.rooms)
    wait_until(bench.is_idle)


def test_what_takes_too_long_is_given_up() -> None:
    with served(timeout_s=1) as bench:
        bench.backend.gate.clear()
        late = bench.ask("/upscale", PICTURE)
        assert late.status == 504
        assert "1 s" in late.json["error"]
        bench.backend.gate.set()
        wait_until(bench.is_idle)
        assert bench.ask("/upscale", PICTURE).status == 200


def test_a_slow_upload_is_given_up() -> None:
    with (
        served(timeout_s=1) as bench,
        socket.create_connection(("127.0.0.1", bench.port)) as client,
    ):
        client.sendall(b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 408
        wait_until(bench.is_idle)


def test_stopping_finishes_what_is_begun_and_takes_no_more(bench: Bench) -> None:
    answer = hold(bench)
    bench.service.is_closing = True
    refused = bench.ask("/upscale", PICTURE)
    assert refused.status == 503
    assert "stopping" in refused.json["error"]
    bench.backend.gate.set()
    finished = answer()
    assert finished.status == 200
    np.testing.assert_array_equal(
        np.asarray(finished.image), noise(40, 30).repeat(2, 0).repeat(2, 1)
    )


def test_a_broken_backend_is_told_to_the_server(bench: Bench) -> None:
    bench.backend.error = BackendError("the device is lost")
    answer = bench.ask("/upscale", PICTURE)
    assert answer.status == 500
    assert "lost" not in answer.body.decode()
    wait_until(lambda: bench.failures)
    assert bench.ask("/upscale", PICTURE).status == 500


def test_progress_is_told_to_whoever_knows_the_id(bench: Bench) -> None:
    assert bench.ask(f"/progress?id={ID}").status == 404
    assert bench.ask("/progress").status == 400
    answer = hold(bench, f"/upscale?id={ID}")
    assert bench.ask(f"/progress?id={ID}").json == {"state": "working", "share": 0.0}
    again = bench.ask(f"/upscale?id={ID}", PICTURE)
    assert again.status == 409
    bench.backend.gate.set()
    assert answer().status == 200
    wait_until(bench.is_idle)
    assert bench.ask(f"/progress?id={ID}").status == 404


def test_metrics_count_requests_seconds_and_pixels(bench: Bench) -> None:
    bench.ask("/upscale", PICTURE)
    bench.ask("/upscale", b"no picture")
    bench.ask("/made/up")
    text = bench.ask("/metrics").body.decode()
    for line in (
        'dggn_requests_total{path="/upscale",status="200"} 1.0',
        'dggn_requests_total{path="/upscale",status="415"} 1.0',
        'dggn_requests_total{path="other",status="404"} 1.0',
        'dggn_request_seconds_count{path="/upscale",status="200"} 1.0',
        'dggn_pixels_total{of="sources"} 1200.0',
        'dggn_pixels_total{of="results"} 4800.0',
        "dggn_queue 0.0",
        'dggn_working{size="small"} 0.0',
    ):
        assert line in text.splitlines()
