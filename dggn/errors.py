"""The exceptions that DGGN raises; catch `DggnError` for all of them.

Examples:
    >>> import dggn
    >>> try:
    ...     dggn.upscale("no-such-file.png")
    ... except dggn.errors.ImageReadError as error:
    ...     print(error)
    no-such-file.png: does not exist: expected a picture
"""

from runtime.errors import (
    BackendError,
    Cancelled,
    ConfigError,
    DggnError,
    DownloadError,
    EnvironmentProblem,
    ImageError,
    ImageReadError,
    ImageWriteError,
    MissingDependency,
    ModelError,
    OutOfDeviceMemory,
    StoreError,
    TargetError,
)

__all__ = [
    "BackendError",
    "Cancelled",
    "ConfigError",
    "DggnError",
    "DownloadError",
    "EnvironmentProblem",
    "ImageError",
    "ImageReadError",
    "ImageWriteError",
    "MissingDependency",
    "ModelError",
    "OutOfDeviceMemory",
    "StoreError",
    "TargetError",
]
