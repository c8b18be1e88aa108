from __future__ import annotations

import pytest

from export.triton.config import Backend, ServedModel, config_text

MODEL = ServedModel(
    name='odd"name',
    input_name="in\\put",
    output_name="output",
    batch=4,
    tile_px=64,
    overlap_px=16,
    multiple_px=8,
    scale=4,
)


@pytest.mark.parametrize(
    ("backend", "kind"), [("onnxruntime", "KIND_AUTO"), ("tensorrt", "KIND_GPU")]
)
def test_what_is_asked_of_triton(backend: Backend, kind: str) -> None:
    text = config_text(MODEL, backend, instances=2)
    assert f'backend: "{backend}"' in text
    assert f"instance_group [ {{ count: 2 kind: {kind} }} ]" in text
    assert "max_queue_size: 128" in text
    assert 'key: "dggn.overlap_px" value { string_value: "16" }' in text
    assert text.count("{") == text.count("}")


def test_names_are_escaped() -> None:
    text = config_text(MODEL, "tensorrt", instances=1)
    assert 'name: "odd\\"name"' in text
    assert 'key: "in\\\\put"' in text


def test_one_warm_up_for_each_size_of_batch() -> None:
    assert config_text(MODEL, "tensorrt", instances=1).count("model_warmup") == 2
    single = ServedModel(**{**vars(MODEL), "batch": 1})
    assert config_text(single, "tensorrt", instances=1).count("model_warmup") == 1
