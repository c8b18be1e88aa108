from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the calibrate extra")

import onnx

from dggn.onnx_graph.fold import fold_constants
from dggn.onnx_graph.weight_storage import store_weights


@pytest.mark.parametrize(
    ("name", "kernels", "others"), [("half", "float16", "float16"), ("int8", "int8", "float16")]
)
def test_folding_changes_the_form_and_not_the_function(
    name: str,
    kernels: str,
    others: str,
    models: dict[str, Path],
    run: Callable[..., NDArray[Any]],
    batch: NDArray[np.float32],
) -> None:
    model = onnx.load(models[name])
    before = model.SerializeToString(deterministic=True)
    expected = run(model, batch)
    names = {one.name for one in model.graph.initializer if not one.name.endswith(".scale")}
    storages = fold_constants(model)
    onnx.checker.check_model(model, full_check=True)
    assert storages["image_trunk.0.enter.weight.0"] == kernels
    assert storages["image_trunk.0.enter.bias.0"] == others
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    assert {stored[name].data_type for name in storages} == {onnx.TensorProto.FLOAT}
    assert not [node for node in model.graph.node if node.op_type == "Cast"]
    # Files keep what only training, or only the PyTorch module, uses.
    assert names - set(stored) == {"gradient.kernel_x", "gradient.kernel_y"} | {
        f"gradient_tail.{conv}.{kind}" for conv in ("enter", "last") for kind in ("weight", "bias")
    }
    np.testing.assert_array_equal(run(model, batch), expected)

    store_weights(model, storages)
    onnx.checker.check_model(model, full_check=True)
    was = {one.name: one for one in onnx.load_from_string(before).graph.initializer}
    for tensor in model.graph.initializer:
        assert tensor.SerializeToString() == was[tensor.name].SerializeToString(), tensor.name
    np.testing.assert_array_equal(run(model, batch), expected)


def test_other_casts_stay(models: dict[str, Path]) -> None:
    model = onnx.load(models["bytes"])
    fold_constants(model)
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert casts[0].input[0] == "input"
    assert casts[-1].output[0] == "output"
