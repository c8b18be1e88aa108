from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")

from export.trt.builder import verified as build_module
from export.trt.builder.interrupt import build_interruptibly
from export.trt.builder.verified import BuildContext, build_engine
from runtime.backends.gpu import Gpu
from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.trt.engine_facts import EngineFacts
from runtime.backends.trt.engine_file import read_facts
from runtime.backends.trt.library import library_of
from runtime.backends.trt.request import EngineRequest
from runtime.errors import (
    BackendError,
    Cancelled,
    ConfigError,
    ModelError,
    OutOfDeviceMemory,
    TargetError,
)
from runtime.image.picture import Samples
from runtime.tiles.backend import Backend, Deliver

if TYPE_CHECKING:
    from dggn.onnx_graph.source import SourceModel

GPU = Gpu(
    index=0, name="Card", compute_capability=(8, 6), memory_bytes=1 << 30, cuda_version="12.8"
)
REQUEST = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=64,
    batch=2,
    targets=("sm86",),
)


class Running:
    """An engine that computes its model, with errors of some levels in some precisions."""

    description = "a test"
    uniform_tiles = False
    largest_tile_px: int | None = None
    precision = "float32"

    def __init__(self, facts: EngineFacts, source: SourceModel, errors: dict[str, int]) -> None:
        self.info = facts.info
        self._model = OrtBackend(source.path, threads=1)
        self._error = errors.get(facts.precision, 0)

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        result = self._model.run(tile_hwc[None])[0]
        result[::2] ^= result.dtype.type(self._error)
        deliver(result)

    def finish(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exception: object) -> None:
        self._model.cancel()


class Scene:
    """A build context with a fake library, with its messages and opened engines."""

    def __init__(
        self, module: Any, source: SourceModel, *, errors: dict[str, int] | None = None
    ) -> None:
        self.module = module
        self.source = source
        self.said: list[str] = []
        self.opened: list[EngineFacts] = []
        self.errors = errors or {}
        self.fails: str | None = None
        self.context = BuildContext(
            library=library_of(module, "tensorrt"),
            gpu=GPU,
            open_engine=self.open_engine,
            say=self.said.append,
            on_progress=lambda what, share: None,
            cancelled=threading.Event(),
        )

    def open_engine(self, path: Path, gpu: Gpu) -> Backend:
        facts = read_facts(path)
        self.opened.append(facts)
        if self.fails == facts.precision:
            raise BackendError("the device fell off the bus")
        return Running(facts, self.source, self.errors)

    def without_gpu(self) -> BuildContext:
        return dataclasses.replace(self.context, gpu=None, open_engine=None)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the timing cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DGGN_CACHE", str(folder))
    return folder


@pytest.fixture
def scene(lite: SourceModel, make_tensorrt: Callable[[str], Any]) -> Scene:
    return Scene(make_tensorrt("10.7"), lite)


def test_verified_before_it_is_kept(scene: Scene, tmp_path: Path, cache: Path) -> None:
    target = tmp_path / "deep" / "x.engine"
    facts = build_engine(scene.source, REQUEST, target, scene.context)
    assert read_facts(target) == facts
    assert facts.verification is not None
    assert facts.verification.psnr_db >= 50
    assert facts.precision == "fp16"
    assert facts.gpu_name == "Card"
    assert facts.info.sample_type == "uint8"
    assert facts.largest_activation is not None
    assert 1 < facts.largest_activation < 100
    # The verified engine is the kept one, and was unverified before.
    assert [dataclasses.replace(facts, verification=None)] == scene.opened
    assert sorted(path.name for path in target.parent.iterdir()) == ["x.engine", "x.engine.json"]
    assert (cache / "engines" / "timing-tensorrt-10.7.0.cache").read_bytes() == b"timings"


def test_without_a_gpu_it_is_kept_unverified(scene: Scene, tmp_path: Path) -> None:
    facts = build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.without_gpu())
    assert facts.verification is None
    assert (facts.gpu_name, facts.cuda_version) == ("", "")
    assert not scene.opened


def test_for_another_gpu_it_is_kept_unverified(scene: Scene, tmp_path: Path) -> None:
    request = dataclasses.replace(REQUEST, targets=("sm120",))
    facts = build_engine(scene.source, request, tmp_path / "x.engine", scene.context)
    assert facts.verification is None
    assert not scene.opened


@pytest.mark.parametrize("how", ["differs", "fails"])
def test_the_next_safer_precision_is_tried(scene: Scene, tmp_path: Path, how: str) -> None:
    if how == "differs":
        scene.errors = {"fp16": 15}
    else:
        scene.fails = "fp16"
    facts = build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert (facts.request.precision, facts.precision) == ("fp16", "fp32")
    assert facts.verification is not None
    assert [one.precision for one in scene.opened] == ["fp16", "fp32"]
    (said,) = [line for line in scene.said if "not good enough" in line]
    assert "building fp32 instead" in said
    assert ("dB against float32" if how == "differs" else "fell off the bus") in said


def test_a_precision_that_cannot_be_built_is_followed_by_a_safer_one(
    scene: Scene, tmp_path: Path
) -> None:
    behaviour = scene.module.behaviour
    behaviour.plan = None
    behaviour.says = [(1, "Could not find any implementation for node conv3x3")]
    builds: list[int] = []

    def on_build(step: int) -> None:
        if step == 0:
            builds.append(step)
            if len(builds) == 2:
                behaviour.plan, behaviour.says = b"plan", []

    behaviour.on_build = on_build
    facts = build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert (facts.request.precision, facts.precision, facts.batch) == ("fp16", "fp32", 2)
    assert [one.precision for one in scene.opened] == ["fp32"]
    (said,) = [line for line in scene.said if "cannot be built" in line]
    assert "implementation for node conv3x3" in said
    assert said.endswith("building fp32 instead")


def test_when_no_precision_can_be_built_the_last_reason_is_told(
    scene: Scene, tmp_path: Path
) -> None:
    scene.module.behaviour.plan = None
    scene.module.behaviour.says = [(1, "No kernel available")]
    with pytest.raises(BackendError, match="cannot build the engine .No kernel available"):
        build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert len([line for line in scene.said if "building for" in line]) == 2
    assert not list(tmp_path.iterdir())


def test_a_graph_that_the_parser_refuses_in_float16_is_built_in_float32(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = build_interruptibly

    def refuse_half(library: Any, graph: Any, request: EngineRequest, **options: Any) -> bytes:
        if request.precision == "fp16":
            raise ModelError("TensorRT refuses the graph: node a: unsupported type Half")
        return build(library, graph, request, **options)

    monkeypatch.setattr(build_module, "build_interruptibly", refuse_half)
    facts = build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert facts.precision == "fp32"
    assert [line for line in scene.said if "unsupported type Half" in line]


def test_a_builder_that_cannot_start_is_asked_once(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_builder(logger: object) -> None:
        raise RuntimeError("CUDA initialization failure")

    monkeypatch.setattr(scene.module, "Builder", no_builder)
    with pytest.raises(BackendError, match="cannot start"):
        build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert len([line for line in scene.said if "building" in line]) == 1


def test_want_of_memory_is_no_want_of_precision(scene: Scene, tmp_path: Path) -> None:
    def open_engine(path: Path, gpu: Gpu) -> Backend:
        raise OutOfDeviceMemory("too little memory left: use --batch and --tile")

    context = dataclasses.replace(scene.context, open_engine=open_engine)
    with pytest.raises(OutOfDeviceMemory, match="use --batch and --tile"):
        build_engine(scene.source, REQUEST, tmp_path / "x.engine", context)
    assert not list(tmp_path.iterdir())
    assert not [line for line in scene.said if "not good enough" in line]


def test_an_engine_that_does_not_fit_when_opened_is_built_smaller(
    scene: Scene, tmp_path: Path
) -> None:
    open_engine = scene.context.open_engine
    assert open_engine is not None
    opened: list[int] = []

    def open_second(path: Path, gpu: Gpu) -> Backend:
        opened.append(read_facts(path).batch)
        if len(opened) == 1:
            raise OutOfDeviceMemory("too little memory left")
        return open_engine(path, gpu)

    context = dataclasses.replace(scene.context, open_engine=open_second)
    facts = build_engine(scene.source, REQUEST, tmp_path / "x.engine", context)
    assert (opened, facts.batch, facts.precision) == ([2, 1], 1, "fp16")
    assert [line for line in scene.said if "2 tiles of 64 px do not fit: too little" in line]


def test_an_engine_takes_no_smaller_tiles_than_its_model(scene: Scene, tmp_path: Path) -> None:
    source = dataclasses.replace(scene.source, least_px=24)
    facts = build_engine(source, REQUEST, tmp_path / "x.engine", scene.context)
    assert facts.least_px == 24


def test_when_nothing_is_good_enough_nothing_is_kept(scene: Scene, tmp_path: Path) -> None:
    scene.errors = {"fp16": 15, "fp32": 15}
    target = tmp_path / "x.engine"
    target.write_bytes(b"what was there before")
    with pytest.raises(BackendError, match="fp32 engine does not reproduce.*Nothing was kept"):
        build_engine(scene.source, REQUEST, target, scene.context)
    assert target.read_bytes() == b"what was there before"
    assert [path.name for path in tmp_path.iterdir()] == ["x.engine"]


def test_values_beyond_float16_need_float32(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "largest_activation", lambda source, tile: 7e4)
    facts = build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert facts.precision == "fp32"
    assert "reaches values of 70000, and float16 ends at 65504: building fp32" in scene.said[0]


def test_want_of_memory_shrinks_batch_then_tile(scene: Scene, tmp_path: Path) -> None:
    behaviour = scene.module.behaviour
    behaviour.plan, behaviour.says = None, [(1, "out of memory")]
    tries: list[int] = []

    def on_build(step: int) -> None:
        if step == 0:
            tries.append(step)
            if len(tries) == 3:
                behaviour.plan, behaviour.says = b"plan", []

    behaviour.on_build = on_build
    request = dataclasses.replace(REQUEST, tile_px=256)
    facts = build_engine(scene.source, request, tmp_path / "x.engine", scene.context)
    assert (facts.batch, facts.tile_px) == (1, 128)
    assert (facts.request.batch, facts.request.tile_px) == (2, 256)
    assert [line for line in scene.said if "do not fit" in line and "2 tiles of 256 px" in line]
    assert [line for line in scene.said if "do not fit" in line and "1 tiles of 256 px" in line]


def test_want_of_memory_ends_somewhere(scene: Scene, tmp_path: Path) -> None:
    scene.module.behaviour.plan = None
    scene.module.behaviour.says = [(1, "out of memory")]
    with pytest.raises(BackendError, match="ran out of GPU memory"):
        build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert not list(tmp_path.iterdir())


def test_cancelling_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.module.behaviour.on_build = lambda step: scene.context.cancelled.set()
    with pytest.raises(Cancelled):
        build_engine(scene.source, REQUEST, tmp_path / "x.engine", scene.context)
    assert not list(tmp_path.iterdir())


def test_old_libraries_get_a_profile_for_each_context(
    lite: SourceModel, make_tensorrt: Callable[[str], Any], tmp_path: Path
) -> None:
    old = Scene(make_tensorrt("8.5"), lite)
    module = old.module
    names = [node.name for node in lite.model.graph.node if node.op_type in ("Sqrt", "Conv")]
    module.behaviour.layers = [module.make_layer(name) for name in names]
    facts = build_engine(lite, REQUEST, tmp_path / "x.engine", old.without_gpu())
    assert facts.profiles == 3
    assert len(module.log.of("IOptimizationProfile.set_shape")) == 3
    # One square root, the gradient operator's two convolutions, the mean of the colours, the
    # enlargement of picture and colours, two in each gate.
    assert len(module.log.of("ILayer.precision=")) == 1 + 2 + 1 + 2 + 2 * 4


@pytest.mark.parametrize("tile_px", [60, 32])
def test_tiles_that_make_no_sense(scene: Scene, tmp_path: Path, tile_px: int) -> None:
    request = dataclasses.replace(REQUEST, tile_px=tile_px)
    with pytest.raises(
        ConfigError, match=f"--tile is {tile_px}: expected a multiple of 8 above 32"
    ):
        build_engine(scene.source, request, tmp_path / "x.engine", scene.context)


def test_a_folder_that_cannot_be_written_is_known_before_the_build(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError):
        build_engine(scene.source, REQUEST, tmp_path / "file" / "x.engine", scene.context)
    assert not scene.module.log


def test_a_graph_for_one_picture_at_a_time(scene: Scene, lite: SourceModel, tmp_path: Path) -> None:
    model = copy.deepcopy(lite.model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    source = dataclasses.replace(lite, model=model)
    facts = build_engine(source, REQUEST, tmp_path / "x.engine", scene.without_gpu())
    assert (facts.request.batch, facts.batch) == (2, 1)
    ((_, least, best, most),) = scene.module.log.of("IOptimizationProfile.set_shape")
    assert (least, best, most) == ((1, 8, 8, 3), (1, 64, 64, 3), (1, 64, 64, 3))
