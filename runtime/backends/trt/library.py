"""Classic TensorRT (8.5 to 11) and TensorRT-RTX (1.x) behind one interface.

The two are different packages with nearly one API, which changed over the years. What a version
can do is found by looking for the attribute, never by comparing version numbers: a version that
we have never seen then behaves like the one it resembles.

Finding a library loads no driver, and works on machines without a GPU. Making a `Runtime` does
not: ask :func:`runtime.backends.gpu.probe` before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from runtime.backends.trt.messages import Messages, make_logger
from runtime.errors import MissingDependency

Flavor = Literal["tensorrt", "tensorrt-rtx"]
FlavorChoice = Literal["tensorrt", "tensorrt-rtx", "auto"]

FLAVORS: dict[Flavor, tuple[str, str]] = {
    "tensorrt": ("tensorrt", "trt"),
    "tensorrt-rtx": ("tensorrt_rtx", "rtx"),
}
"""Import name and extra of each flavor, in the order that `auto` prefers."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Capabilities of a TensorRT module."""

    strong_types: bool
    """Networks can be strongly typed (10.x) or always are: the ONNX file sets the precision."""

    explicit_batch: bool
    """Networks need an explicit batch flag (8.x)."""

    precision_flags: bool
    """FP16 and INT8 need builder flags (8.x), for lack of strong types."""

    shared_profiles: bool
    """Several execution contexts can share one optimization profile."""

    profile_sharing_preview: bool
    """Contexts can share a profile behind a preview feature (8.6)."""

    progress: bool
    """Builds report their progress and can be cancelled (`IProgressMonitor`)."""

    compute_capabilities: bool
    """Engines can be built for GPUs that are not present (RTX)."""

    runtime_config: bool
    """Execution contexts take a configuration: runtime cache, CUDA graphs (RTX)."""

    optimization_level: bool
    """The builder's optimization level can be set."""

    largest_opset: int
    """Largest ONNX opset known to be supported by its parser."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """An imported TensorRT library."""

    flavor: Flavor
    """Classic TensorRT or TensorRT-RTX."""

    version: str
    """Version, for example `10.14.1.48`."""

    module: Any
    """The imported package, untyped."""

    capabilities: Capabilities
    """Capabilities, detected from its attributes."""

    messages: Messages
    """Its log, for error messages."""

    logger: Any
    """Logger of `Builder`, `OnnxParser` and `Runtime`; there is one, since TensorRT keeps the
    first.
    """

    @property
    def name(self) -> str:
        """Human-readable name, for example `TensorRT 8.5.3.1`."""
        return f"{'TensorRT' if self.flavor == 'tensorrt' else 'TensorRT-RTX'} {self.version}"


def installed_flavors() -> tuple[Flavor, ...]:
    """List the installed flavors, preferred first, without importing them."""
    return tuple(flavor for flavor, (name, _) in FLAVORS.items() if find_spec(name) is not None)


def find_library(choice: FlavorChoice = "auto") -> Library:
    """Import TensorRT; the same flavor always gives the same object.

    Args:
        choice: flavor; `auto` prefers classic TensorRT if installed, else RTX.

    Raises:
        MissingDependency: it is not installed or cannot be loaded; the message names the extra.
    """
    installed = installed_flavors()
    if choice != "auto":
        if choice not in installed:
            package, extra = FLAVORS[choice]
            raise MissingDependency(
                f"this needs {package}, which is not installed: pip install 'dggn[{extra}]'"
            )
        return _load(choice)
    if not installed:
        raise MissingDependency(
            "this needs TensorRT, which is not installed: pip install 'dggn[trt]' for the classic "
            "one, or 'dggn[rtx]' for TensorRT-RTX (GeForce RTX and RTX PRO cards)"
        )
    return _load(installed[0])


@cache
def _load(flavor: Flavor) -> Library:
    name, extra = FLAVORS[flavor]
    try:
        module = import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        if "libcudnn.so.8" in str(error):  # the wheel of 8.5 takes any cuDNN
            raise MissingDependency(
                f"{name} is installed but cannot be loaded ({error}): "
                "pip install 'nvidia-cudnn-cu11<9'"
            ) from error
        raise MissingDependency(
            f"{name} is installed but cannot be loaded ({error}): reinstall it with "
            f"pip install --force-reinstall 'dggn[{extra}]', in a fresh environment if necessary"
        ) from error
    return library_of(module, flavor)


def library_of(module: Any, flavor: Flavor) -> Library:
    """Describe an imported TensorRT package."""
    messages = Messages()
    return Library(
        flavor=flavor,
        version=str(module.__version__),
        module=module,
        capabilities=capabilities_of(module),
        messages=messages,
        logger=make_logger(module, messages),
    )


def capabilities_of(module: Any) -> Capabilities:
    """Detect the capabilities of a TensorRT package from its attributes alone."""
    creation = module.NetworkDefinitionCreationFlag
    preview = getattr(module, "PreviewFeature", None)
    # A library without precision flags has nothing but strong types.
    strong_types = hasattr(creation, "STRONGLY_TYPED") or not hasattr(module.BuilderFlag, "FP16")
    return Capabilities(
        strong_types=strong_types,
        explicit_batch=hasattr(creation, "EXPLICIT_BATCH") and not strong_types,
        precision_flags=not strong_types,
        shared_profiles=strong_types,
        profile_sharing_preview=not strong_types and hasattr(preview, "PROFILE_SHARING_0806"),
        progress=hasattr(module, "IProgressMonitor"),
        compute_capabilities=hasattr(module.IBuilderConfig, "set_compute_capability"),
        # Classic 11.x has the class, too, without what RTX keeps there.
        runtime_config=hasattr(getattr(module, "IRuntimeConfig", None), "cuda_graph_strategy"),
        optimization_level=hasattr(module.IBuilderConfig, "builder_optimization_level"),
        # 8.5 and 8.6 read up to 17; what is strongly typed reads more than we write.
        largest_opset=19 if strong_types else 17,
    )
