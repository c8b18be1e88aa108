"""On a machine with a GPU and TensorRT, engines match ONNX Runtime.

Engines are built once into pytest's own folder, which takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.backends.gpu import Gpu
from runtime.backends.trt.request import EngineRequest
from runtime.image.picture import Samples
from runtime.model.info import DEFAULT_MODEL, GPU_DEFAULT_MODEL
from runtime.upscaler import Upscaler

pytestmark = [pytest.mark.gpu, pytest.mark.tensorrt, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHIN_ONE_LEVEL = 0.999


def photograph(*, deep: bool = False) -> Samples:
    with Image.open(EXAMPLES / "coffee.jpg") as image:
        whole = np.asarray(image.convert("RGB"))
    return whole.astype(np.uint16) * 257 if deep else whole


def build(onnx: Path, request: EngineRequest, gpu: Gpu) -> Path:
    from export.trt.command import build_or_reuse, read_model

    source = read_model(onnx, request.flavor)
    return build_or_reuse(
        source, request, gpu, say=print, on_progress=lambda what, share: None
    ).path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGGN_CACHE", str(tmp_path_factory.mktemp("engines")))
        yield


@pytest.fixture
def said() -> list[str]:
    return []


def open_tensorrt(
    said: list[str], precision: str | None = None, model: str = DEFAULT_MODEL
) -> Upscaler:
    return Upscaler(
        model,
        backend="tensorrt",
        precision=precision,  # type: ignore[arg-type]
        tile_size=128,
        build=build,
        say=said.append,
    )


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("precision", [None, "float32"])
@pytest.mark.parametrize("model", [DEFAULT_MODEL, GPU_DEFAULT_MODEL])
def test_within_one_grey_level_of_onnx_runtime(
    said: list[str], model: str, precision: str | None, deep: bool
) -> None:
    picture = photograph(deep=deep)
    with Upscaler(model, backend="cpu", tile_size=128) as reference:
        expected = reference(picture).astype(np.int64)
    with open_tensorrt(said, precision, model) as upscaler:
        found = upscaler(picture).astype(np.int64)
    level = 257 if deep else 1
    share = float((np.abs(found - expected) <= level).mean())
    assert share >= WITHIN_ONE_LEVEL, f"{share:.5f}"
    assert said == [], "no graph was refused, no memory was short"


@pytest.mark.usefixtures("cache")
def test_results_do_not_depend_on_what_shares_a_batch(said: list[str]) -> None:
    """Batches of all sizes, first without a graph, then from one."""
    picture = photograph()
    parts = [
        picture[top : top + 128, left : left + 128] for top in (0, 80) for left in (0, 90, 170)
    ]
    with open_tensorrt(said) as upscaler:
        alone = [upscaler(part) for part in parts]
        for _ in range(3):
            whole = upscaler(picture)
        again = [upscaler(part) for part in parts]
        np.testing.assert_array_equal(upscaler(picture), whole)
    for first, second in zip(alone, again, strict=True):
        assert np.abs(first.astype(int) - second).max() <= 1


@pytest.mark.usefixtures("cache")
def test_torch_keeps_its_context(said: list[str]) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    before = torch.arange(1000, device="cuda")
    with open_tensorrt(said) as upscaler:
        upscaler(photograph()[:64, :64])
        assert int(before.sum()) == 499500
    assert int((before + 1).sum()) == 500500
