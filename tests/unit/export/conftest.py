from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dggn.model.generator import Generator


@pytest.fixture(scope="session")
def small() -> Generator:
    """An untrained generator of full structure and little work."""
    torch = pytest.importorskip("torch")
    from dggn.model.config import GeneratorConfig
    from dggn.model.generator import Generator

    torch.manual_seed(0)
    config = GeneratorConfig(width=16, image_units=2, gradient_units=1, tail_width=8)
    generator = Generator(config).eval()
    with torch.no_grad():
        # Large enough to leave [0, 1], so that clamping is seen.
        torch.nn.init.normal_(generator.image_tail.last.weight, std=0.05)
    return generator


@pytest.fixture(scope="session")
def exported(small: Generator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small generator, exported with every option."""
    import copy

    from export.write import ExportOptions, write_onnx

    folder = tmp_path_factory.mktemp("exported")
    paths = {}
    for name, sample_type, weights in (
        ("float32", "float32", "float32"),
        ("half", "float32", "float16"),
        ("int8", "float32", "int8"),
        ("bytes", "uint8", "float32"),
    ):
        paths[name] = folder / f"{name}.onnx"
        options = ExportOptions(
            sample_type=sample_type,  # type: ignore[arg-type]
            weights=weights,  # type: ignore[arg-type]
            halo_px=16,
            origin="a test",
        )
        write_onnx(copy.deepcopy(small), paths[name], options)
    return paths
