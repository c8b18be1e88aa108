from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.trt.builder.plan import Graph, build_plan, network_flags
from runtime.backends.trt.engine_cache import cache_folder
from runtime.backends.trt.library import Library, library_of
from runtime.backends.trt.request import EngineRequest
from runtime.errors import BackendError, ConfigError, ModelError, OutOfDeviceMemory

MakeTensorRt = Callable[[str], Any]

GRAPH = Graph(content=b"graph", least_px=8)
REQUEST = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=64,
    batch=4,
    targets=("sm86", "sm120"),
)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))


def build(library: Library, graph: Graph = GRAPH, **changes: Any) -> bytes:
    return build_plan(
        library,
        graph,
        replace(REQUEST, **changes),
        on_progress=lambda what, share: None,
        cancelled=threading.Event(),
    )


def names(values: list[tuple[Any, ...]]) -> set[str]:
    return {entry[0].name for entry in values}


FLAGS = {
    ("8.5", "fp32"): set(),
    ("8.5", "fp16"): {"FP16", "PREFER_PRECISION_CONSTRAINTS"},
    ("8.5", "int8"): {"FP16", "INT8", "PREFER_PRECISION_CONSTRAINTS"},
}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_precision_flags_of_every_age(library: Library, age: str, precision: Any) -> None:
    assert build(library, precision=precision) == b"plan"
    log = library.module.log
    wanted = FLAGS["8.5", precision] if age.startswith("8.") else set()
    assert names(log.of("IBuilderConfig.set_flag")) == wanted
    # Islands are float32, too.
    assert names(log.of("IBuilderConfig.clear_flag")) == {"TF32"}


def test_how_every_age_makes_a_network(library: Library, age: str) -> None:
    creation = library.module.NetworkDefinitionCreationFlag
    name = "EXPLICIT_BATCH" if age.startswith("8.") else "STRONGLY_TYPED"
    assert network_flags(library.module) == 1 << int(getattr(creation, name))
    build(library)
    assert library.module.log.of("Builder.create_network") == [(network_flags(library.module),)]


def test_profiles_and_targets_of_every_age(library: Library, age: str) -> None:
    build(library)
    log = library.module.log
    profiles = 3 if age == "8.5" else 1
    shapes = ((1, 8, 8, 3), (4, 64, 64, 3), (4, 64, 64, 3))
    assert log.of("IOptimizationProfile.set_shape") == [("input", *shapes)] * profiles
    assert len(log.of("IBuilderConfig.add_optimization_profile")) == profiles
    features = log.of("IBuilderConfig.set_preview_feature")
    assert names(features) == ({"PROFILE_SHARING_0806"} if age == "8.6" else set())
    targets = log.of("IBuilderConfig.set_compute_capability")
    expected = [("SM86", 0), ("SM120", 1)] if age.startswith("rtx") else []
    assert [(one.name, index) for one, index in targets] == expected
    assert log.of("IBuilderConfig.set_memory_pool_limit") == []


def test_float32_layers_are_asked_for_where_types_are_not_strong(
    library: Library, age: str
) -> None:
    module = library.module
    module.behaviour.layers = [module.make_layer("sqrt"), module.make_layer("conv")]
    build(library, replace(GRAPH, float32_layers=frozenset({"sqrt"})))
    expected = [("float32",)] if age.startswith("8.") else []
    assert module.log.of("ILayer.precision=") == expected
    assert module.log.of("ILayer.set_output_type") == [(0, *one) for one in expected]


def test_a_refused_graph_names_node_and_reason(library: Library, age: str) -> None:
    module = library.module
    module.behaviour.parses = False
    module.behaviour.errors = [module.make_error()]
    with pytest.raises(ModelError) as caught:
        build(library)
    message = str(caught.value)
    assert library.name in message
    assert "Unsupported ONNX operator" in message
    assert "--precision fp32" in message
    # Only later versions name the node.
    assert ("node trunk.3 (Conv)" if age in ("10.7", "11.4", "rtx-1.7") else "number 7") in message


def test_a_failed_build_gives_the_logs_reason(library: Library) -> None:
    behaviour = library.module.behaviour
    behaviour.plan = None
    behaviour.says = [(1, "Could not find any implementation for node conv"), (2, "a warning")]
    with pytest.raises(BackendError, match=r"Could not find any implementation.*--precision fp32"):
        build(library)


@pytest.mark.parametrize(
    "said", ["Cuda Runtime (out of memory)", "OutOfMemory (no details)", "std::bad_alloc"]
)
def test_want_of_memory_is_told_apart(library: Library, said: str) -> None:
    behaviour = library.module.behaviour
    behaviour.plan = None
    behaviour.says = [(1, said)]
    with pytest.raises(OutOfDeviceMemory, match="lower --batch or --tile"):
        build(library)


def test_a_builder_that_cannot_start(library: Library) -> None:
    def refuse(logger: Any) -> None:
        logger.log(1, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    library.module.Builder = refuse
    with pytest.raises(BackendError, match=r"cannot start \(CUDA initialization.*nvidia-smi"):
        build(library)


def test_a_refused_profile(library: Library) -> None:
    library.module.behaviour.profile_index = -1
    with pytest.raises(BackendError, match=r"rejects tiles from \[1, 8, 8, 3\].*--tile"):
        build(library)


def test_float_engines_have_channels_first(library: Library) -> None:
    build(library, sample_type="float32", batch=2)
    ((_, least, best, most), *_) = library.module.log.of("IOptimizationProfile.set_shape")
    assert (least, best, most) == ((1, 3, 8, 8), (2, 3, 64, 64), (2, 3, 64, 64))


def test_a_target_that_rtx_does_not_know(make_tensorrt: MakeTensorRt) -> None:
    library = library_of(make_tensorrt("rtx-1.7"), "tensorrt-rtx")
    with pytest.raises(ConfigError, match="builds nothing for sm90: expected some of .*sm86"):
        build(library, targets=("sm90",))


def test_the_timing_cache(library: Library, age: str) -> None:
    build(library)
    if age.startswith("rtx"):
        assert not cache_folder().exists()
        return
    path = cache_folder() / f"timing-tensorrt-{library.version}.cache"
    assert path.read_bytes() == b"timings"
    path.write_bytes(b"foreign")
    build(library)
    created = library.module.log.of("IBuilderConfig.create_timing_cache")
    assert created == [(b"",), (b"foreign",), (b"",)]
    assert path.read_bytes() == b"timings"


def test_timings_that_cannot_be_kept_cost_no_plan(
    library: Library, tmp_path: Path, age: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").touch()
    assert build(library) == b"plan"
    assert ("will take longer" in caplog.text) == (not age.startswith("rtx"))
