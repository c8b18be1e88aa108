"""DGGN: gradient-guided super-resolution, x4.

    >>> import dggn
    >>> large = dggn.upscale("photo.jpg")  # doctest: +SKIP

`upscale` and `Upscaler` need an inference library (`pip install 'dggn[cpu]'`), `load` needs
torch (`pip install 'dggn[train]'`). Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dggn import errors

if TYPE_CHECKING:
    from dggn.model.shipped import load
    from runtime.upscale import upscale
    from runtime.upscaler import Upscaler

    __version__: str

__all__ = ["Upscaler", "__version__", "errors", "load", "upscale"]


def __getattr__(name: str) -> Any:
    if name == "Upscaler":
        from runtime.upscaler import Upscaler

        return Upscaler
    if name == "upscale":
        from runtime.upscale import upscale

        return upscale
    if name == "load":
        from dggn.model.shipped import load

        return load
    if name == "__version__":
        from runtime.system.package import installed_version

        return installed_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
