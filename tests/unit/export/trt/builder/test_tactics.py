"""Tactic sources of TensorRT 8 without cuDNN or cuBLAS."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from export.trt.builder.tactics import LIBRARIES, disable_missing_tactics

MODULE = SimpleNamespace(
    TacticSource=SimpleNamespace(CUBLAS=0, CUBLAS_LT=1, CUDNN=2, EDGE_MASK_CONVOLUTIONS=3),
    PreviewFeature=SimpleNamespace(DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805="own kernels"),
)


class Config:
    def __init__(self, sources: int) -> None:
        self.sources = sources
        self.features: list[tuple[object, bool]] = []

    def get_tactic_sources(self) -> int:
        return self.sources

    def set_tactic_sources(self, sources: int) -> bool:
        self.sources = sources
        return True

    def set_preview_feature(self, feature: object, enable: bool) -> None:
        self.features.append((feature, enable))


@pytest.mark.parametrize(
    ("there", "sources", "left"),
    [
        ((), 0b1101, 0b1000),
        (("libcublas.so.11",), 0b1101, 0b1001),
        (("libcublas.so.12", "libcudnn.so.8"), 0b1101, 0b1101),
        (("libcublas.so.11",), 0b1111, 0b1001),
        ((), 0b1000, 0b1000),
    ],
)
def test_only_what_is_missing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    there: tuple[str, ...],
    sources: int,
    left: int,
) -> None:
    def load(name: str) -> object:
        if name not in there:
            raise OSError(f"{name}: cannot open shared object file")
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    config = Config(sources)
    disable_missing_tactics(MODULE, config)
    assert config.sources == left
    assert config.features == ([] if left == sources else [("own kernels", True)])
    assert ("nvidia-cudnn-cu11<9" in caplog.text) == (left != sources)


def test_a_library_without_sources_is_left_alone() -> None:
    disable_missing_tactics(SimpleNamespace(), object())
    assert set(LIBRARIES) <= set(vars(MODULE.TacticSource))
