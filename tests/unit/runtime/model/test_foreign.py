from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import ImageError, ModelError
from runtime.model.foreign import foreign_facts
from runtime.model.tensors import BYTES, OF_BYTES, PLAIN, SIGNED, TensorFormat
from tests.support.foreign_models import FREE, facts_of, nearest

LAST = [("tensor(float)", ["n", "h", "w", 3])]


@pytest.mark.parametrize(
    ("scale", "multiple"), [(1, 1), (2, 1), (4, 2), (8, 1), (3, 8), (4, 16), (4, 32), (4, 64)]
)
def test_scale_and_size_multiple_are_found(scale: int, multiple: int) -> None:
    found = facts_of(lambda batch: nearest(scale, multiple, batch))
    info = found.info
    assert (info.scale, info.size_multiple_px) == (scale, multiple)
    assert info.sample_type == "float32"
    assert info.halo_px >= 32
    assert info.halo_px % multiple == 0
    assert (found.tensors, found.least_px) == (PLAIN, multiple)


@pytest.mark.parametrize(
    ("least", "multiple", "found"),
    [(2, 1, 2), (17, 1, 17), (33, 1, 33), (20, 8, 24), (100, 1, 100)],
)
def test_the_least_size_is_found(least: int, multiple: int, found: int) -> None:
    facts = facts_of(lambda batch: nearest(4, multiple, batch, least))
    assert (facts.info.size_multiple_px, facts.least_px) == (multiple, found)


def test_channels_last() -> None:
    def network(batch: NDArray[Any]) -> NDArray[Any]:
        return nearest(4, 2, batch.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)

    found = facts_of(network, LAST)
    assert (found.info.scale, found.info.size_multiple_px) == (4, 2)
    assert found.tensors == TensorFormat(channels_last=True)


@pytest.mark.parametrize(
    ("kind", "sample_type", "depth"),
    [("tensor(float16)", "float16", "float32"), ("tensor(uint8)", "uint8", "uint8")],
)
def test_other_types(kind: str, sample_type: str, depth: str) -> None:
    def network(batch: NDArray[Any]) -> NDArray[Any]:
        assert batch.dtype == sample_type
        return nearest(2, 1, batch)

    found = facts_of(network, [(kind, ["n", 3, "h", "w"])])
    assert found.tensors.sample_type == sample_type
    assert found.info.sample_type == depth


@pytest.mark.parametrize(
    "tensors",
    [
        PLAIN,
        OF_BYTES,
        TensorFormat(takes=BYTES, gives=SIGNED),
        TensorFormat(sample_type="float16"),
        TensorFormat(takes=SIGNED, gives=SIGNED, channels_last=True),
    ],
)
def test_samples_come_back_as_they_went_in(tensors: TensorFormat) -> None:
    depth = np.uint8 if tensors.sample_type != "float32" else np.uint16
    tiles = np.random.default_rng(0).integers(0, np.iinfo(depth).max + 1, (2, 3, 6, 3), depth)
    fed = tensors.fed(tiles)
    assert fed.dtype == tensors.sample_type
    assert fed.shape == ((2, 3, 6, 3) if tensors.channels_last else (2, 3, 3, 6))
    (low, high), (least, most) = tensors.takes, tensors.gives
    if (low, high) != (least, most):
        fed = (fed - low) / (high - low) * (most - least) + least
    found = tensors.read(fed, tiles)
    assert found.dtype == tiles.dtype
    assert np.abs(found.astype(int) - tiles).max() <= (depth == np.uint16)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([("tensor(int32)", [1, 3, None, None])], r"1 tensors tensor\(int32\)"),
        ([("tensor(float)", ["n", 10])], r"1 tensors tensor\(float\)\['n', 10\]"),
        (FREE * 2, "has 2 tensors"),
        ([("tensor(float)", [1, 1, None, None])], "takes pictures with 1 channels"),
        ([("tensor(float)", [1, None, None, 4])], "takes pictures of 4xany px alone"),
        ([("tensor(float)", [1, 3, 64, 48])], "takes pictures of 48x64 px alone"),
        ([("tensor(float)", [1, 64, 48, 3])], "takes pictures of 48x64 px alone"),
    ],
)
def test_networks_of_another_kind(inputs: list[tuple[str, list[object]]], message: str) -> None:
    with pytest.raises(ModelError, match=rf"m\.onnx .*{message}"):
        foreign_facts(inputs, FREE, lambda batch: batch, where="m.onnx")


def test_networks_that_enlarge_nothing() -> None:
    with pytest.raises(ModelError, match=r"cannot enlarge pictures \(it makes \[1, 3, 96, 96\]"):
        facts_of(lambda batch: batch[:, :, ::2, :96])


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


def saved(path: Path, nodes: list[Any], constants: dict[str, Any], **shapes: Any) -> Path:
    """Another program's model, from `x` to `y`."""
    onnx = pytest.importorskip("onnx", reason="needs the export extra")
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    kind = shapes.get("kind", onnx.TensorProto.FLOAT)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*arguments, **options) for *arguments, options in nodes],
        "of another program",
        [onnx.helper.make_tensor_value_info("x", kind, shapes.get("x", ["n", 3, "h", "w"]))],
        [onnx.helper.make_tensor_value_info("y", kind, shapes.get("y", ["n", 3, "hh", "ww"]))],
        [
            onnx.numpy_helper.from_array(np.asarray(value), name)
            for name, value in constants.items()
        ],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


FOUR = np.array([1, 1, 4, 4], np.float32)


def reflecting(path: Path, px: int = 16) -> Path:
    """Pads by reflection, as `foreign-model-reflect-pad` does: no picture may be smaller."""
    return saved(
        path,
        [
            ("Pad", ["x", "pads"], ["p"], {"mode": "reflect"}),
            ("Resize", ["p", "", "sizes"], ["q"], {"mode": "nearest"}),
            ("Slice", ["q", "start", "end", "axes"], ["y"], {}),
        ],
        {
            "pads": np.array([0, 0, px, px, 0, 0, px, px]),
            "sizes": FOUR,
            "start": np.array([4 * px] * 2),
            "end": np.array([-4 * px] * 2),
            "axes": np.array([2, 3]),
        },
    )


@pytest.mark.parametrize("px", [16, 40])
def test_pictures_smaller_than_the_model_takes_are_padded(tmp_path: Path, px: int) -> None:
    from runtime.upscaler import Upscaler

    photo = np.random.default_rng(0).integers(0, 256, (50, 45, 3), np.uint8)
    with Upscaler(reflecting(tmp_path / "m.onnx", px), threads=1) as upscaler:
        assert upscaler.info.size_multiple_px == 1
        for height, width in ((5, 5), (1, 50), (50, 45), (17, 3)):
            part = photo[:height, :width]
            assert np.array_equal(upscaler(part), part.repeat(4, 0).repeat(4, 1))


def test_a_picture_that_a_model_does_not_take_is_that_pictures_error(tmp_path: Path) -> None:
    """This model fails on widths of 60 px and more."""
    from runtime.upscaler import Upscaler

    path = saved(
        tmp_path / "m.onnx",
        [
            ("Resize", ["x", "", "sizes"], ["r"], {"mode": "nearest"}),
            ("Shape", ["x"], ["w"], {"start": 3}),
            ("Less", ["w", "most"], ["fits"], {}),
            ("Cast", ["fits"], ["one"], {"to": 7}),
            ("Gather", ["zero", "index"], ["z"], {}),
            ("Sub", ["one", "unit"], ["at"], {}),
            ("Mul", ["at", "far"], ["where"], {}),
            ("Gather", ["zero", "where"], ["nothing"], {}),
            ("Add", ["r", "nothing"], ["y"], {}),
        ],
        {
            "sizes": FOUR,
            "most": np.array([60]),
            "unit": np.array([1]),
            "far": np.array([99]),
            "index": np.array(0),
            "zero": np.zeros(1, np.float32),
        },
    )
    photo = np.full((20, 70, 3), 99, np.uint8)
    with Upscaler(path, threads=1) as upscaler:
        assert (upscaler(photo[:, :50]) == 99).all()
        with pytest.raises(ImageError, match="the model fails on a tile of 20x70 px"):
            upscaler(photo)
        assert (upscaler(photo[:, :50]) == 99).all()


def test_a_model_of_halves_channels_last_and_bytes(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the export extra")
    from runtime.upscaler import Upscaler

    resize = ("Resize", ["a", "", "sizes"], ["b"], {"mode": "nearest"})
    half = saved(
        tmp_path / "half.onnx",
        [("Cast", ["x"], ["a"], {"to": 1}), resize, ("Cast", ["b"], ["y"], {"to": 10})],
        {"sizes": FOUR},
        kind=onnx.TensorProto.FLOAT16,
    )
    last = saved(
        tmp_path / "last.onnx",
        [
            ("Transpose", ["x"], ["a"], {"perm": [0, 3, 1, 2]}),
            resize,
            ("Transpose", ["b"], ["y"], {"perm": [0, 2, 3, 1]}),
        ],
        {"sizes": FOUR},
        x=["n", "h", "w", 3],
        y=["n", "hh", "ww", 3],
    )
    bent = saved(
        tmp_path / "bent.onnx",
        [
            ("Clip", ["x", "low", "high"], ["a"], {}),
            resize,
            ("Sub", ["b", "middle"], ["c"], {}),
            ("Div", ["c", "middle"], ["d"], {}),
            ("Clip", ["d", "less", "more"], ["e"], {}),
            ("Mul", ["e", "middle"], ["f"], {}),
            ("Add", ["f", "middle"], ["y"], {}),
        ],
        {
            "sizes": FOUR,
            "low": np.float32(10),
            "high": np.float32(255),
            "middle": np.float32(127.5),
            "less": np.float32(-1),
            "more": np.float32(1),
        },
    )
    photo = np.random.default_rng(0).integers(10, 256, (30, 40, 3), np.uint8)
    for path in (half, last, bent):
        with Upscaler(path, threads=1) as upscaler:
            assert np.array_equal(upscaler(photo), photo.repeat(4, 0).repeat(4, 1)), path.name
