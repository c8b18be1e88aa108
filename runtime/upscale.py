"""The `upscale` function: an image in, a larger one out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from numpy.typing import NDArray
from PIL import Image

from runtime.upscaler import AnyImage, Upscaler


@overload
def upscale(image: str | Path, *, model: str | Path | None = ...) -> Image.Image: ...


@overload
def upscale(image: AnyImage, *, model: str | Path | None = ...) -> AnyImage: ...


def upscale(
    image: str | Path | Image.Image | NDArray[Any], *, model: str | Path | None = None
) -> Image.Image | NDArray[Any]:
    """Upscale one image; for many, `Upscaler` loads the model only once.

    Examples:
        >>> from PIL import Image
        >>> import dggn
        >>> dggn.upscale(Image.new("L", (30, 20))).size
        (120, 80)

    Args:
        image: a file, a PIL image or an array; see `Upscaler.__call__`.
        model: name of a shipped model, or path of an ONNX file; see `Upscaler` for the default.

    Returns:
        An array for an array, a PIL image otherwise, larger.

    Raises:
        DggnError: see `Upscaler` and `Upscaler.__call__`.
    """
    with Upscaler(model) as upscaler:
        result: Image.Image | NDArray[Any] = upscaler(image)
        return result
