"""The exceptions that DGGN raises.

    DggnError
    ├── ConfigError             an invalid setting or argument
    ├── ImageError              a failure of one picture; the others continue
    │   ├── ImageReadError      it cannot be decoded
    │   └── ImageWriteError     its result cannot be encoded in the requested format
    ├── ModelError              a model file is missing, damaged or unusable
    └── EnvironmentProblem      something is missing from this machine or installation
        ├── MissingDependency   a package is not installed; the message names the extra
        ├── BackendError        the inference library failed
        │   └── OutOfDeviceMemory   too little memory on the device; smaller work may fit
        ├── TargetError         the output folder cannot be written
        ├── StoreError          an object store cannot be reached, or refuses
        └── DownloadError       a model cannot be downloaded

    Cancelled                   a requested stop; not an error, but it ends the work

A message says what is wrong, what was found, what was expected and what to do.
"""

from __future__ import annotations


class DggnError(Exception):
    """Base class of DGGN's exceptions."""

    exit_code = 2
    """Exit code of a command that ends with this error."""


class ConfigError(DggnError):
    """An invalid setting or argument."""


class ImageError(DggnError):
    """A failure of one picture; the others continue."""

    exit_code = 1


class ImageReadError(ImageError):
    """A picture that cannot be decoded."""


class ImageWriteError(ImageError):
    """A result that cannot be encoded in the requested format."""


class ModelError(DggnError):
    """A model file that is missing, damaged or unusable."""


class EnvironmentProblem(DggnError):
    """A requirement that this machine or installation lacks."""

    exit_code = 3


class MissingDependency(EnvironmentProblem):
    """A missing package; the message names the extra that installs it."""


class BackendError(EnvironmentProblem):
    """A failure of the inference library."""


class OutOfDeviceMemory(BackendError):
    """Too little memory on the device; smaller work may fit."""


class TargetError(EnvironmentProblem):
    """An output folder that cannot be written."""


class StoreError(EnvironmentProblem):
    """An object store cannot be reached, or refuses."""


class DownloadError(EnvironmentProblem):
    """A failed model download."""


class Cancelled(Exception):
    """A requested stop; not an error, but it ends the work."""
