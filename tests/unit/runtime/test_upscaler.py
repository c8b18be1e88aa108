from __future__ import annotations

import doctest
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

import dggn
import runtime.upscale
import runtime.upscaler
from runtime.backends import select
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.request import BackendRequest
from runtime.errors import Cancelled, ConfigError, ImageError, ImageReadError, ModelError
from runtime.image.picture import Picture
from runtime.image.strips import header_of
from runtime.model.info import DEFAULT_MODEL, model_path
from runtime.tiles.backend import Backend
from runtime.tiles.strips import STRIP_BYTES
from runtime.upscaler import Upscaler

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler()


def photograph(side: int = 48) -> np.ndarray:
    with Image.open(EXAMPLES / "coffee.jpg") as image:
        return np.asarray(image.convert("RGB"))[:side, :side]


def luma_distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_the_documented_examples_run() -> None:
    for module in (runtime.upscaler, runtime.upscale, dggn.errors):
        results = doctest.testmod(module, raise_on_error=False)
        assert results.attempted >= 2
        assert results.failed == 0


def test_public_names_are_the_runtimes() -> None:
    assert dggn.Upscaler is Upscaler
    assert dggn.upscale is runtime.upscale.upscale


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_read_like_dggn_run_reads_it(
    upscaler: Upscaler, tmp_path: Path, kind: type[str] | type[Path]
) -> None:
    image = Image.fromarray(photograph(24)[:16])
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    frames = [image.rotate(180)]
    image.save(tmp_path / "a.png", exif=exif.tobytes(), save_all=True, append_images=frames)
    result = upscaler(kind(tmp_path / "a.png"))
    assert isinstance(result, Image.Image)
    upright = image.transpose(Image.Transpose.ROTATE_270)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(upscaler(upright)))


def test_a_file_that_cannot_be_read(upscaler: Upscaler, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        with pytest.raises(ImageReadError, match=r"^a\.png: "):
            upscaler(path)


@pytest.mark.parametrize("setting", ["backend", "precision"])
def test_unknown_names_are_refused(setting: Any) -> None:
    options: dict[str, Any] = {setting: "fastest"}
    with pytest.raises(ConfigError, match=f"^{setting} is 'fastest': expected one of .*, "):
        Upscaler(**options)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 30), (7, 9), (8, 8), (23, 41)])
def test_any_size_comes_out_four_times_larger(upscaler: Upscaler, size_hw: tuple[int, int]) -> None:
    result = upscaler(photograph()[: size_hw[0], : size_hw[1]])
    assert result.shape == (4 * size_hw[0], 4 * size_hw[1], 3)
    assert result.dtype == np.uint8


@pytest.mark.parametrize(("model", "most_levels"), [("dggn-lite", 3), (DEFAULT_MODEL, 5)])
def test_colours_stay_where_they_are(model: str, most_levels: float) -> None:
    """Reduced again, the result is the input: no channel is swapped, nothing is shifted.

    A model for photographs also sharpens and cleans, and may differ more.
    """
    image = photograph(64)
    with Upscaler(model) as upscaler:
        large = Image.fromarray(upscaler(image))
    small = np.asarray(large.resize((64, 64), Image.Resampling.BOX))
    assert luma_distance(small, image) < most_levels
    assert luma_distance(small[..., ::-1], image) > 10
    assert luma_distance(np.roll(small, 1, axis=0), image) > luma_distance(small, image)


@pytest.mark.parametrize(
    ("options", "name", "strength"),
    [
        ({}, "dggn-photo", None),
        ({"denoise": 1.0}, DEFAULT_MODEL, 1.0),
        ({"precision": "int8"}, DEFAULT_MODEL, None),
    ],
)
def test_gpus_have_a_default_of_their_own(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], name: str, strength: float | None
) -> None:
    def try_gpus(onnx: Path, request: BackendRequest) -> tuple[Backend, str]:
        return OrtBackend(onnx, threads=1, where="cpu"), "a GPU was found"

    monkeypatch.setattr(select, "_try_gpus", try_gpus)
    with Upscaler(**options) as upscaler:
        assert (upscaler.model_name, upscaler.denoise) == (name, strength)
        assert upscaler.why == "a GPU was found"
    with Upscaler(backend="cpu", **options) as upscaler:
        assert upscaler.model_name == DEFAULT_MODEL


def test_the_result_is_sharper_than_bicubic() -> None:
    """Uses the model for this reduction; the one for photographs also expects noise."""
    reference = photograph(128)
    small = Image.fromarray(reference).resize((32, 32), Image.Resampling.BICUBIC)
    bicubic = np.asarray(small.resize((128, 128), Image.Resampling.BICUBIC))
    with Upscaler("dggn-lite") as upscaler:
        result = np.asarray(upscaler(small))
    inside = slice(8, -8)

    def error(image: np.ndarray) -> float:
        difference = image[inside, inside].astype(float) - reference[inside, inside]
        return float((difference**2).mean())

    assert error(result) < 0.9 * error(bicubic)


def test_sixteen_bits_are_not_eight_bits_scaled() -> None:
    image = photograph(24)
    with Upscaler(precision="float32") as upscaler:
        eight = upscaler(image)
        sixteen = upscaler(image.astype(np.uint16) * 257)
    assert sixteen.dtype == np.uint16
    assert np.abs(sixteen / 257 - eight).max() <= 0.51
    assert (sixteen % 257).any()


def test_grey_and_alpha_arrays_keep_their_shape(upscaler: Upscaler) -> None:
    image = photograph(16)
    assert upscaler(image[..., 0]).shape == (64, 64)
    with_alpha = np.dstack((image, np.full((16, 16), 200, np.uint8)))
    result = upscaler(with_alpha)
    assert result.shape == (64, 64, 4)
    assert (result[..., 3] == 200).all()
    np.testing.assert_array_equal(result[..., :3], upscaler(image))


def test_hidden_colours_do_not_show_at_edges(upscaler: Upscaler) -> None:
    """A red square on transparent green, laid onto red, shows nothing but red."""
    image = np.full((24, 24, 4), (0, 255, 0, 0), np.uint8)
    image[8:16, 8:16] = (255, 0, 0, 255)
    result = upscaler(image).astype(float)
    opacity = result[..., 3:] / 255
    shown = result[..., :3] * opacity + np.array([255, 0, 0]) * (1 - opacity)
    assert np.abs(shown - (255, 0, 0)).max() < 24


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("RGB", "RGB"), ("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L")],
)
def test_pil_images_of_any_mode(upscaler: Upscaler, mode: str, expected: str) -> None:
    result = upscaler(Image.fromarray(photograph(16)).convert(mode))
    assert result.mode == expected
    assert result.size == (64, 64)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((0, 8), np.uint8),
    ],
)
def test_other_arrays_are_refused(upscaler: Upscaler, array: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="expected"):
        upscaler(array)


def test_the_input_is_not_changed(upscaler: Upscaler) -> None:
    image = photograph(16).copy()
    before = image.copy()
    picture = Picture(rgb_hwc=image)
    upscaler.upscale_picture(picture)
    np.testing.assert_array_equal(picture.rgb_hwc, before)


def test_tiles_must_suit_the_model() -> None:
    with pytest.raises(ConfigError, match="tile size is 100: this model needs a multiple of 8"):
        Upscaler(tile_size=100)
    with pytest.raises(ConfigError, match="overlap is 3"):
        Upscaler(overlap=3)


def test_what_was_opened_is_closed_if_the_tiles_do_not_suit_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[object] = []
    monkeypatch.setattr(OrtBackend, "__exit__", lambda self, *exception: closed.append(self))
    with pytest.raises(ConfigError, match="overlap is 3"):
        Upscaler(overlap=3, backend="onnxruntime")
    assert len(closed) == 1


def test_tiles_shrink_where_a_row_of_them_would_take_much() -> None:
    pixel = Picture(rgb_hwc=np.zeros((1, 1, 3), np.uint16))
    narrow, wide = (header_of(pixel, (8000, width)) for width in (1000, 8192))
    with (
        Upscaler("dggn-lite", overlap=56) as upscaler,
        Upscaler("dggn-lite", overlap=56, tile_size=512) as as_asked,
    ):
        assert upscaler.tile_size == as_asked.tile_size == 512
        assert upscaler.strip_bytes(narrow) == as_asked.strip_bytes(narrow)
        assert upscaler.strip_bytes(wide) <= STRIP_BYTES < as_asked.strip_bytes(wide)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded.*dggn-export onnx"):
        Upscaler(path)
    path.write_bytes(model_path("dggn-lite").read_bytes()[:10_000])
    with pytest.raises(ModelError, match=r"model\.onnx"):
        Upscaler(path)


def test_cancel_interrupts_a_running_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((1, 1200, 1200, 3), np.uint8)
    with OrtBackend(model_path("dggn-lite"), threads=1) as backend:
        raised: list[BaseException] = []
        begun, infer = threading.Event(), backend._infer

        def tell_and_infer(batch: NDArray[Any]) -> NDArray[Any]:
            begun.set()
            return infer(batch)

        monkeypatch.setattr(backend, "_infer", tell_and_infer)

        def work() -> None:
            try:
                backend.run(image)
            except BaseException as error:  # noqa: BLE001
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(60)
        time.sleep(0.2)  # usually into ONNX Runtime; the inference takes seconds
        backend.cancel()
        thread.join(60)
        assert [type(error) for error in raised] == [Cancelled]
        with pytest.raises(Cancelled, match="open a new one"):
            backend.run(image[:, :8, :8])


def test_sixteen_bits_are_refused_by_an_8_bit_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dataclasses import replace

    with OrtBackend(model_path("dggn-lite")) as backend:
        monkeypatch.setattr(backend, "info", replace(backend.info, sample_type="uint8"))
        with pytest.raises(ImageError, match="takes 8-bit samples"):
            backend.run(np.zeros((1, 8, 8, 3), np.uint16))


def test_the_description_says_what_runs_where(tmp_path: Path) -> None:
    with Upscaler("dggn-lite", threads=2, backend="onnxruntime") as upscaler:
        assert upscaler.description == "dggn-lite x4, ONNX Runtime on the CPU, 2 threads"
    other = tmp_path / "4x-Nice.onnx"
    other.write_bytes(model_path("dggn-lite").read_bytes())
    with Upscaler(other, threads=1, backend="cpu") as upscaler:
        assert upscaler.description.startswith("4x-Nice x4, ONNX Runtime")
    with Upscaler("dggn-lite-photo", threads=1, backend="cpu") as upscaler:
        assert upscaler.description.startswith("dggn-lite-photo x4, ONNX Runtime")
