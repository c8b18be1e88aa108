"""Every error that DGGN raises on purpose.

    DggnError
    ├── ConfigError             a setting or argument makes no sense
    ├── ImageError              one picture cannot be processed; the others go on
    │   ├── ImageReadError      it cannot be decoded
    │   └── ImageWriteError     its result cannot be encoded in the format asked for
    ├── ModelError              a model file is missing, damaged or not one of ours
    └── EnvironmentProblem      this machine or installation lacks something
        ├── MissingDependency   a package is not installed; the message names the extra
        ├── BackendError        the inference library failed
        │   └── OutOfDeviceMemory   for want of memory on the device; smaller work may do
        ├── TargetError         the output folder cannot be written
        ├── StoreError          an object store cannot be reached, or refuses
        └── DownloadError       a model cannot be fetched

    Cancelled                   someone asked to stop; not an error, but it ends the work

A message says what is wrong, what was found, what was expected and what to do.
"""

from __future__ import annotations


class DggnError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 2
    """What a command that ends with this error returns to the shell."""


class ConfigError(DggnError):
    """A setting or argument makes no sense."""


class ImageError(DggnError):
    """One picture cannot be processed; the others go on."""

    exit_code = 1


class ImageReadError(ImageError):
    """A picture cannot be decoded."""


class ImageWriteError(ImageError):
    """A result cannot be encoded in the format asked for."""


class ModelError(DggnError):
    """A model file is missing, damaged or not one of ours."""


class EnvironmentProblem(DggnError):
    """This machine or installation lacks something."""

    exit_code = 3


class MissingDependency(EnvironmentProblem):
    """A package is not installed; the message names the extra that brings it."""


class BackendError(EnvironmentProblem):
    """The inference library failed."""


class OutOfDeviceMemory(BackendError):
    """The device has not enough memory left; smaller work may do."""


class TargetError(EnvironmentProblem):
    """The output folder cannot be written."""


class StoreError(EnvironmentProblem):
    """An object store cannot be reached, or refuses."""


class DownloadError(EnvironmentProblem):
    """A model cannot be fetched."""


class Cancelled(Exception):
    """Someone asked to stop; not an error, but it ends the work."""
