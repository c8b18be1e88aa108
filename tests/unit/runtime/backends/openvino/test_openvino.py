"""OpenVINO as a backend, with small made-up models."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.openvino import open as opening
from runtime.backends.openvino import trust
from runtime.backends.openvino.backend import OpenVinoBackend
from runtime.backends.openvino.library import OpenVinoDevice, reason, require_device
from runtime.backends.openvino.open import candidates, open_openvino
from runtime.backends.trt.verify import Bounds
from runtime.errors import BackendError, Cancelled, ConfigError, ImageError, ModelError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo, WantedPrecision
from runtime.tiles.stitch import upscale_in_tiles
from tests.processes import run

FLOATS = onnx.TensorProto.FLOAT
INFO = ModelInfo(
    preset="custom",
    scale=2,
    sample_type="float32",
    size_multiple_px=2,
    halo_px=4,
    origin="a test",
)


def write_model(
    path: Path,
    *,
    info: ModelInfo | None = INFO,
    weight: float = 1 / 9,
    domain: str = "",
) -> Path:
    """A blur and an enlargement to twice the size."""
    make = onnx.helper.make_node
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for channel in range(3):
        kernel[channel, channel] = weight
    nodes = [make("Conv", ["input", "kernel"], ["blurred"], pads=[1, 1, 1, 1], domain=domain)]
    nodes += [make("Resize", ["blurred", "", "scales"], ["output"], mode="nearest")]
    graph = onnx.helper.make_graph(
        nodes,
        "a test's",
        [onnx.helper.make_tensor_value_info("input", FLOATS, ["n", 3, "h", "w"])],
        [onnx.helper.make_tensor_value_info("output", FLOATS, ["n", 3, "hh", "ww"])],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    opsets += [onnx.helper.make_opsetid(domain, 1)] * bool(domain)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    if info is not None:
        onnx.helper.set_model_props(model, info.to_metadata())
    onnx.save(model, path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "m.onnx")


class Opener:
    """Opens backends, and counts how often they were compared with ONNX Runtime."""

    def __init__(self) -> None:
        self.verified = 0
        self.said: list[str] = []

    def __call__(
        self, path: Path, precision: WantedPrecision | None = None, **options: Any
    ) -> OpenVinoBackend:
        def reference() -> OrtBackend:
            self.verified += 1
            return OrtBackend(path, threads=1, where="cpu")

        return open_openvino(
            path,
            precision=precision,
            threads=1,
            say=self.said.append,
            open_reference=reference,
            **options,
        )


@pytest.fixture
def opener() -> Opener:
    return Opener()


def noise(height: int, width: int, dtype: type = np.uint8) -> Samples:
    top = np.iinfo(dtype).max + 1
    samples: Samples = np.random.default_rng(0).integers(0, top, (height, width, 3)).astype(dtype)
    return samples


def whole(backend: Any, picture: Samples) -> Samples:
    return upscale_in_tiles(picture, backend, tile_size=1 << 12, overlap=4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_float32_makes_the_pictures_of_onnx_runtime(
    model: Path, opener: Opener, dtype: type
) -> None:
    picture = noise(50, 62, dtype)
    with opener(model, "float32") as backend, OrtBackend(model, threads=1, where="cpu") as other:
        assert backend.info == other.info == INFO
        assert backend.precision == "float32"
        assert backend.description == "OpenVINO on the CPU in float32, 1 thread"
        found, expected = (whole(one, picture) for one in (backend, other))
    assert found.dtype == expected.dtype == dtype
    # Sums are taken in another order, and halves are rounded where they end up.
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found != expected) < (0.001 if dtype == np.uint8 else 0.05)


def test_many_tiles_come_back_each_to_its_place(model: Path, opener: Opener) -> None:
    picture = noise(130, 118)
    with opener(model, "float32") as backend:
        tiled = upscale_in_tiles(picture, backend, tile_size=24, overlap=4)
        np.testing.assert_array_equal(tiled, whole(backend, picture))


def test_a_tile_that_cannot_be_written_to_is_taken(model: Path, opener: Opener) -> None:
    picture = noise(24, 24)
    picture.flags.writeable = False
    results: list[Samples] = []
    with opener(model, "float32") as backend:
        backend.submit(picture, lambda result: results.append(result.copy()))
        backend.finish()
    assert results[0].shape == (48, 48, 3)


def test_models_of_other_programs(tmp_path: Path, opener: Opener) -> None:
    path = write_model(tmp_path / "m.onnx", info=None)
    with opener(path) as backend, OrtBackend(path, threads=1, where="cpu") as reference:
        assert backend.info == reference.info


def test_a_model_is_verified_once(model: Path, opener: Opener, cache: Path) -> None:
    for _ in range(2):
        with opener(model, "float32"):
            pass
    assert opener.verified == 1
    (verdict,) = (cache / "verified").iterdir()
    assert any((cache / "compiled").iterdir())
    verdict.write_text("torn", encoding="utf-8")
    with opener(model, "float32"):
        pass
    assert opener.verified == 2
    with opener(model, "float32") as backend:
        whole(backend, noise(8, 8, np.uint16))
        whole(backend, noise(8, 8, np.uint16))
    assert opener.verified == 3, "16 bits are another compiled model"


def test_another_version_of_a_model_is_verified_anew(model: Path, opener: Opener) -> None:
    with opener(model, "float32"):
        pass
    write_model(model, weight=0.1)
    with opener(model, "float32"):
        pass
    assert opener.verified == 2


def test_a_cache_that_cannot_be_written_only_costs_time(
    model: Path, opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "file" / "cache"))
    with opener(model, "float32") as backend:
        assert whole(backend, noise(8, 8)).shape == (16, 16, 3)
    (line,) = opener.said
    assert line.startswith("the next run will verify float32 again: ")


@pytest.mark.parametrize("kept_bytes", [0, 100, 5000])
def test_a_torn_compiled_model_is_made_again(
    model: Path, opener: Opener, cache: Path, kept_bytes: int
) -> None:
    with opener(model, "float32") as backend:
        expected = whole(backend, noise(16, 16))
    for path in (cache / "compiled").iterdir():
        path.write_bytes(path.read_bytes()[:kept_bytes])
    with opener(model, "float32") as backend:
        np.testing.assert_array_equal(whole(backend, noise(16, 16)), expected)


def test_what_computes_something_else_is_not_used(
    model: Path, tmp_path: Path, opener: Opener
) -> None:
    other = write_model(tmp_path / "other.onnx", weight=0.1)
    with pytest.raises(BackendError, match="float32 does not compute what the model does: .* dB"):
        open_openvino(
            model,
            precision="float32",
            threads=1,
            say=opener.said.append,
            open_reference=lambda: OrtBackend(other, threads=1, where="cpu"),
        )
    with pytest.raises(BackendError, match="does not compute what the model does"):
        opener(model, "float32")
    assert opener.verified == 0, "what was found is remembered"


def test_a_precision_that_fails_gives_way_to_float32(
    model: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "candidates", lambda *arguments: ["bfloat16", "float32"])

    def problem_of(subject: trust.Subject, *arguments: Any, **options: Any) -> str:
        return "it is pink" if subject.computed == "bfloat16" else ""

    monkeypatch.setattr(opening, "problem_of", problem_of)
    with opener(model) as backend:
        assert backend.precision == "float32"
    (line,) = opener.said
    assert line.startswith("bfloat16 is not used: ")
    assert line.endswith("does not compute what the model does: it is pink")


def test_what_is_tried_depends_on_the_device_and_the_wish() -> None:
    def device(name: str, *capabilities: str) -> OpenVinoDevice:
        return OpenVinoDevice(name=name, full_name="A chip", capabilities=capabilities)

    plain, quick = device("CPU", "FP32", "FP16"), device("CPU", "FP32", "BF16")
    assert candidates(INFO, None, plain) == candidates(INFO, "float32", quick) == ["float32"]
    assert candidates(INFO, None, quick) == ["bfloat16", "float32"]
    assert candidates(INFO, "bfloat16", quick) == ["bfloat16"]
    assert candidates(INFO, None, device("GPU", "FP32", "FP16")) == ["float16", "float32"]
    with pytest.raises(BackendError, match="A chip computes in float32, and bfloat16 is asked for"):
        candidates(INFO, "bfloat16", plain)
    with pytest.raises(ConfigError, match="computes in float32, and INT8 is asked for"):
        candidates(INFO, "int8", plain)


def test_pictures_of_16_bits_are_computed_in_float32_unless_asked_otherwise(
    model: Path, opener: Opener
) -> None:
    if "BF16" not in require_device("CPU").capabilities:
        pytest.skip("this processor computes no bfloat16")
    picture = noise(32, 32, np.uint16)
    with opener(model, "float32") as backend:
        exact = whole(backend, picture)
    with opener(model) as backend:
        assert backend.precision == "bfloat16"
        np.testing.assert_array_equal(whole(backend, picture), exact)
    with opener(model, "bfloat16") as backend:
        assert (whole(backend, picture) != exact).any()


class Stripes:
    """Pictures that depend on where a tile begins: seams of some grey levels."""

    uniform_tiles = False
    largest_tile_px = None
    precision = "float32"
    description = "a test"
    info = INFO

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def submit(self, tile_hwc: Samples, deliver: Callable[[Samples], None]) -> None:
        result = tile_hwc.repeat(2, 0).repeat(2, 1) // 2
        result[: tile_hwc.shape[0]] += np.uint8(self.levels)
        deliver(result)

    def finish(self) -> None: ...

    def cancel(self) -> None: ...

    def __enter__(self) -> Stripes:
        return self

    def __exit__(self, *exception: object) -> None: ...


@pytest.mark.parametrize(
    ("levels", "others", "passes"), [(1, 0, True), (2, 0, False), (2, 2, True)]
)
def test_seams_count_unless_the_model_has_them(
    levels: int, others: int, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trust.BOUNDS, "bfloat16", Bounds(psnr_db=1, largest_difference=255))
    subject = trust.Subject(
        onnx_sha256="0" * 64,
        openvino="1",
        device=OpenVinoDevice(name="CPU", full_name="A chip", capabilities=()),
        computed="bfloat16",
        samples="uint8",
    )
    problem = trust.problem_of(
        subject,
        INFO,
        Stripes(levels),
        lambda: Stripes(others),
        folder=tmp_path / "verdicts",
        say=pytest.fail,
    )
    assert (problem == "") is passes
    if not passes:
        assert "differ from the whole picture by up to 2 grey levels in bfloat16" in problem


def test_models_that_do_not_compile_say_so(tmp_path: Path, opener: Opener) -> None:
    path = write_model(tmp_path / "m.onnx", domain="of.nobody")
    with pytest.raises((ModelError, BackendError)) as caught:
        opener(path, "float32")
    assert str(path) in str(caught.value)
    assert "OpenVINO" in str(caught.value)
    assert "Exception from" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\x08\x07garbage", bytes(1000)])
def test_damaged_models_say_so_and_nothing_else(
    tmp_path: Path, opener: Opener, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "torn.onnx"
    path.write_bytes(content)
    with pytest.raises(
        ModelError, match=r"torn\.onnx cannot be loaded by OpenVINO \(.*(ONNX|parsed)"
    ):
        opener(path)
    assert capfd.readouterr() == ("", "")


def test_models_of_bytes_take_no_16_bits(tmp_path: Path, opener: Opener) -> None:
    make = onnx.helper.make_node
    bytes_type = onnx.TensorProto.UINT8
    graph = onnx.helper.make_graph(
        [make("Identity", ["input"], ["output"])],
        "a test's",
        [onnx.helper.make_tensor_value_info("input", bytes_type, ["n", "h", "w", 3])],
        [onnx.helper.make_tensor_value_info("output", bytes_type, ["n", "h", "w", 3])],
    )
    file = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9
    )
    info = ModelInfo(**{**vars(INFO), "scale": 1, "sample_type": "uint8"})
    onnx.helper.set_model_props(file, info.to_metadata())
    onnx.save(file, tmp_path / "m.onnx")
    picture = noise(24, 32)
    with opener(tmp_path / "m.onnx", "float32") as backend:
        np.testing.assert_array_equal(whole(backend, picture), picture)
        with pytest.raises(ImageError, match="takes 8-bit samples and the picture has 16"):
            whole(backend, picture.astype(np.uint16))


def test_a_device_that_is_not_there(model: Path, opener: Opener) -> None:
    with pytest.raises(BackendError, match=r"sees no GPU\.7 here: expected one of CPU: "):
        opener(model, device="GPU.7")


@pytest.fixture
def running(model: Path, opener: Opener) -> Iterator[OpenVinoBackend]:
    with opener(model, "float32") as backend:
        yield backend


def test_what_is_cancelled_ends(running: OpenVinoBackend) -> None:
    ended = threading.Event()

    def work() -> None:
        try:
            while True:
                running.submit(noise(256, 256), lambda result: None)
        except Cancelled:
            ended.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    running.cancel()
    thread.join(60)
    assert ended.is_set()
    with pytest.raises(Cancelled):
        running.finish()


def test_what_a_receiver_raises_ends_the_work(running: OpenVinoBackend) -> None:
    def full(result: Samples) -> None:
        raise ImageError("no room")

    running.submit(noise(16, 16), full)
    with pytest.raises(ImageError, match="no room"):
        running.finish()


def test_openvino_knows_the_setting_that_bounds_its_memory(
    model: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.backends.openvino import model as module

    monkeypatch.setattr(module, "_SHAPES_REMEMBERED", "no number")
    with pytest.raises(BackendError, match="CPU_RUNTIME_CACHE_CAPACITY"):
        opener(model, "float32")


def test_nobody_is_told_that_it_is_used(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from runtime.backends.openvino.library import load_openvino, openvino_devices\n"
        "openvino_devices()\n"
        "assert load_openvino() is sys.modules['openvino']\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    result = run([sys.executable, "-c", code], env={**os.environ, "HOME": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_reasons_leave_out_the_places_in_the_source() -> None:
    error = RuntimeError(
        "Exception from src/inference/src/cpp/core.cpp:117:\n"
        "Check 'x' failed at src/y.cpp:5:\nthe shape is odd\n\n"
    )
    assert reason(error) == "the shape is odd"
    assert reason(RuntimeError("")) == "RuntimeError"
