from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import BackendError, ModelError
from runtime.model.foreign import foreign_info

FREE = [("tensor(float)", ["n", 3, "h", "w"])]


def nearest(scale: int, multiple: int, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that enlarges, and fails or pads where the size is no multiple."""
    height, width = batch.shape[2:]
    if height % multiple:
        raise BackendError("sizes do not fit")
    padded = np.pad(batch, ((0, 0), (0, 0), (0, 0), (0, -width % multiple)))
    return padded.repeat(scale, 2).repeat(scale, 3)


@pytest.mark.parametrize(("scale", "multiple"), [(1, 1), (2, 1), (4, 2), (3, 8), (4, 16), (4, 64)])
def test_scale_and_size_multiple_are_found(scale: int, multiple: int) -> None:
    info = foreign_info(FREE, FREE, lambda batch: nearest(scale, multiple, batch), where="m.onnx")
    assert (info.scale, info.size_multiple_px) == (scale, multiple)
    assert info.sample_type == "float32"
    assert info.halo_px >= 32
    assert info.halo_px % multiple == 0


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([("tensor(uint8)", [1, 3, None, None])], r"1 tensors tensor\(uint8\)"),
        ([("tensor(float)", ["n", 10])], r"1 tensors tensor\(float\)\['n', 10\]"),
        (FREE * 2, "has 2 tensors"),
        ([("tensor(float)", [1, 1, None, None])], "takes pictures of 1 channels"),
        ([("tensor(float)", [1, 3, 64, 64])], "takes pictures of 64x64 px alone"),
    ],
)
def test_networks_of_another_kind(inputs: list[tuple[str, list[object]]], message: str) -> None:
    with pytest.raises(ModelError, match=rf"m\.onnx .*{message}"):
        foreign_info(inputs, FREE, lambda batch: batch, where="m.onnx")


def test_networks_that_enlarge_nothing() -> None:
    with pytest.raises(ModelError, match=r"enlarges no pictures \(it makes \[1, 3, 32, 96\]"):
        foreign_info(FREE, FREE, lambda batch: batch[:, :, ::2, :96], where="m.onnx")


def test_a_file_runs_in_tiles(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the export extra")
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    from runtime.upscaler import Upscaler

    # Nearest neighbours x4 by way of pixels half as large: heights and widths must be even.
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    nodes = [
        helper.make_node("SpaceToDepth", ["lr"], ["deep"], blocksize=2),
        helper.make_node("DepthToSpace", ["deep"], ["same"], blocksize=2),
        helper.make_node("Resize", ["same", "", "scales"], ["hr"], mode="nearest"),
    ]
    graph = helper.make_graph(
        nodes,
        "of another program",
        [helper.make_tensor_value_info("lr", floats, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("hr", floats, ["n", 3, "hh", "ww"])],
        [helper.make_tensor("scales", floats, [4], [1, 1, 4, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "foreign.onnx")
    y, x = np.mgrid[0:101, 0:87]
    photo = np.stack([x, y, (x * y) % 256], axis=-1).astype(np.uint8)
    with Upscaler(tmp_path / "foreign.onnx", tile_size=80, overlap=8) as upscaler:
        assert (upscaler.info.scale, upscaler.info.size_multiple_px) == (4, 2)
        assert np.array_equal(upscaler(photo), photo.repeat(4, 0).repeat(4, 1))
