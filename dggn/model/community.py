"""Checkpoints of other architectures, read with `spandrel`.

ESRGAN, RCAN and the rest of what spandrel knows: systems of the paper's tables, to be evaluated
beside ours and exported the same way. Its pickles are read by a restricted unpickler.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dggn.model.checkpoint import FORMAT_KEY, load_generator
from dggn.model.config import COMMUNITY_SUFFIXES
from dggn.model.generator import Generator
from runtime.errors import MissingDependency, ModelError
from runtime.system.package import require

_UNREADABLE = (
    pickle.UnpicklingError,
    SafetensorError,
    RuntimeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    TypeError,
    EOFError,
    OSError,
)
"""Exceptions of spandrel and PyTorch for unsuitable files."""


@dataclass(frozen=True, kw_only=True)
class CommunityConfig:
    """Public facts about a community model."""

    architecture: str
    """Name of the architecture, for example `ESRGAN`."""

    scale: int
    """HR pixels per LR pixel, along each axis."""

    size_multiple_px: int
    """Divisor of the LR input's height and width."""


class CommunityModel(nn.Module):
    """A network of another architecture, with the interface of :class:`Generator`.

    Args:
        network: (N, 3, H, W) in [0, 1] to (N, 3, scale * H, scale * W).
        config: public facts about it.
    """

    def __init__(self, network: nn.Module, config: CommunityConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, image_nchw: Tensor) -> Tensor:
        """Super-resolve a batch; see :meth:`Generator.forward`."""
        output: Tensor = self.network(image_nchw)
        return output


def read_module(path: Path) -> Generator | CommunityModel:
    """Load a checkpoint's network, ours or the community's, in evaluation mode on the CPU.

    Raises:
        ModelError: the file is missing, damaged, or of no architecture that spandrel knows.
        MissingDependency: it is not ours, and spandrel is not installed or cannot be imported.
    """
    foreign = path.suffix.lower() in COMMUNITY_SUFFIXES
    if foreign or (path.is_file() and _is_foreign(path)):
        return load_community(path)
    return load_generator(path)


def load_community(path: Path) -> CommunityModel:
    """Load a checkpoint of another architecture, in evaluation mode on the CPU.

    Raises:
        ModelError: the file is missing, damaged, of an unknown architecture, or enlarges no
            RGB pictures.
        MissingDependency: spandrel is not installed or cannot be imported.
    """
    if not path.is_file():
        raise ModelError(f"{path} does not exist: expected a checkpoint")
    require("spandrel", extra="community")
    try:
        import spandrel
    except (ImportError, RuntimeError) as error:
        # torchvision is built for one version of torch, and says so in a RuntimeError.
        raise MissingDependency(
            f"spandrel is installed but cannot be imported ({error}): it needs the torchvision "
            "that belongs to the installed torch"
        ) from error
    try:
        descriptor: Any = spandrel.ModelLoader().load_from_file(path)
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"{path} is of an architecture that the installed spandrel does not know: use another "
            "version of spandrel, or an ONNX file of the network"
        ) from error
    except _UNREADABLE as error:
        # PyTorch explains itself at length: the first line says what is wrong.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"{path} is damaged or not a checkpoint ({reason}): expected the weights of a "
            "super-resolution network, as their authors publish them"
        ) from error
    return _described(descriptor, path)


def _described(descriptor: Any, path: Path) -> CommunityModel:
    channels = (descriptor.input_channels, descriptor.output_channels)
    requirements = descriptor.size_requirements
    name = str(descriptor.architecture.name)
    if not isinstance(descriptor.model, nn.Module) or channels != (3, 3) or requirements.square:
        raise ModelError(
            f"{path} is {name} with {channels[0]} input and {channels[1]} output channels"
            f"{' for square pictures' if requirements.square else ''}: "
            "expected a network that enlarges RGB pictures of any shape"
        )
    config = CommunityConfig(
        architecture=name,
        scale=int(descriptor.scale),
        # A least size is a multiple of the multiple: its multiples meet both.
        size_multiple_px=max(int(requirements.multiple_of), int(requirements.minimum)),
    )
    model = CommunityModel(descriptor.model.float(), config).eval()
    _fold_for_good(model)
    return model


def _fold_for_good(model: nn.Module) -> None:
    """Have SPAN fold its branches once, instead of in every call.

    PyTorch crashes when a network replaces its own weights during export.
    """
    for module in model.modules():
        fold = getattr(module, "update_params", None)
        if callable(fold):
            fold()
            setattr(module, "update_params", _nothing)  # noqa: B010 # no attribute that mypy knows


def _nothing() -> None:
    """Replace later folding."""


def _is_foreign(path: Path) -> bool:
    """Return whether a safetensors file is another program's; damaged ones count as ours."""
    try:
        with safe_open(path, framework="pt") as file:
            return FORMAT_KEY not in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False
