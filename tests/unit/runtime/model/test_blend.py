"""Weights of two ONNX files, blended without the onnx package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")

from onnx import TensorProto, helper, numpy_helper

from runtime.errors import ModelError
from runtime.model.blend import blend


def model(origin: str = "one", **weights: Any) -> bytes:
    made = {"whole": np.array([3, 4], np.int64), **weights}
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in made.items()],
    )
    proto = helper.make_model(graph)
    helper.set_model_props(proto, {"dggn.origin": origin})
    return bytes(proto.SerializeToString())


def weights_of(content: bytes) -> dict[str, Any]:
    proto = onnx.load_from_string(content)
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


HALF = np.array([[1, 2], [3, 4]], np.float16)
FULL = np.array([5, 6, 7], np.float32)


@pytest.mark.parametrize(("share", "half", "full"), [(1, 1, 1), (0, 3, 2), (0.25, 2.5, 1.75)])
def test_weights_lie_between(share: float, half: float, full: float) -> None:
    one = model(a=HALF, b=FULL)
    other = model("other", b=2 * FULL, a=3 * HALF)  # found by name
    blended = blend(one, other, share, where="both")
    assert len(blended) == len(one)
    found = weights_of(blended)
    assert np.array_equal(found["a"], half * HALF)
    assert np.array_equal(found["b"], full * FULL)
    assert np.array_equal(found["whole"], [3, 4])
    assert onnx.load_from_string(blended).metadata_props[0].value == "one"


def test_the_gradient_operator_may_have_another_form() -> None:
    own: dict[str, Any] = {"gradient.kernel_x": FULL}
    one = model(**own, a=HALF)
    own["gradient.plain_x"] = FULL
    other = model(**own, a=3 * HALF)
    for first, second in ((one, other), (other, one)):
        found = weights_of(blend(first, second, 0.5, where="both"))
        assert np.array_equal(found["a"], 2 * HALF)
        assert found.keys() == weights_of(first).keys()


@pytest.mark.parametrize(
    "other",
    [model(a=HALF), model(a=HALF, b=FULL[:2]), model(a=HALF, b=FULL, c=FULL)],
    ids=["fewer", "smaller", "more"],
)
def test_other_structures_are_refused(other: bytes) -> None:
    with pytest.raises(ModelError, match="one and other: the models"):
        blend(model(a=HALF, b=FULL), other, 0.5, where="one and other")


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ((np.int8, np.float16), "first has weights of 8 bits"),
        ((np.float16, np.int8), "second has weights of 8 bits"),
        ((np.uint8, np.float16), "first has weights of 4 or 8 bits"),
    ],
)
def test_weights_of_few_bits_are_refused(stored: tuple[Any, Any], found: str) -> None:
    one, other = (model(a=HALF.astype(kind)) for kind in stored)
    with pytest.raises(ModelError, match=f"a.onnx and b.onnx: the {found}"):
        blend(one, other, 0.5, where="a.onnx and b.onnx")


def test_damaged_files_are_refused() -> None:
    whole = model(a=HALF, b=FULL)
    for damaged in (whole[:-7], b"\x07" + whole):
        with pytest.raises(ModelError, match="damaged"):
            blend(damaged, whole, 0.5, where="file")
