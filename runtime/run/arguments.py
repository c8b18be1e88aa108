"""Options that `dggn-run` and `dggn-serve` share, and the parsers of their arguments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from runtime.errors import ConfigError
from runtime.model.info import DEFAULT_MODEL, GPU_DEFAULT_MODEL
from runtime.stores.url import StoreUrl

if TYPE_CHECKING:
    from runtime.backends.request import BackendName, BackendRequest


def place(text: str, name: str) -> Path | StoreUrl:
    """Parse a path or URL.

    Args:
        text: the argument.
        name: its name, for the message.

    Raises:
        ConfigError: it is empty, as from an unset shell variable, or not a URL of a known store.
    """
    if not text:
        raise ConfigError(f"{name} is empty: for the current folder, write .")
    return StoreUrl.parse(text) or Path(text)


def list_devices(devices: str | None) -> str | None:
    """Print the choices for `--devices` and exit, if requested."""
    if devices != "list":
        return devices
    from runtime.backends.devices import describe_devices

    for line in describe_devices():
        typer.echo(line)
    raise typer.Exit


def gpu_numbers(text: str) -> tuple[int, ...]:
    """Parse GPU numbers.

    Raises:
        ConfigError: they are none.
    """
    numbers = [number.strip() for number in text.split(",")]
    if len(set(numbers)) < len(numbers) or not all(
        number.isascii() and number.isdigit() for number in numbers
    ):
        raise ConfigError(
            f"--devices is {text!r}: expected different numbers, for example 0,1; "
            "or, with --backend openvino, for example GPU"
        )
    return tuple(map(int, numbers))


def openvino_device(text: str | None) -> str:
    """Parse an OpenVINO device name.

    Raises:
        ConfigError: it is none.
    """
    name = "CPU" if text is None else text.upper()
    kind, _, number = name.partition(".")
    if kind not in ("CPU", "GPU", "NPU") or not (name == kind or number.isdecimal()):
        raise ConfigError(
            f"--devices is {text!r}: OpenVINO has CPU, GPU, GPU.1 and NPU; "
            "`dggn-run --devices list` says which of them are here"
        )
    return name


PrecisionName = Literal["auto", "bfloat16", "float32", "int8"]

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE|URL",
        help="Shipped model, ONNX file of an RGB upscaler, or its https URL, downloaded once; "
        "append #sha256=... to pin the content "
        f"[default: {DEFAULT_MODEL}; on NVIDIA GPUs {GPU_DEFAULT_MODEL}].",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        help="Precision. auto: the fastest that reproduces the model's pictures on this "
        "machine. int8: the INT8 version of a shipped model."
    ),
]
BackendOption = Annotated[
    Literal["auto", "tensorrt", "cuda", "openvino", "onnxruntime", "cpu"],
    typer.Option(
        help="Inference library. auto: TensorRT if it has or can build an engine, else "
        "ONNX Runtime on CUDA, else OpenVINO on the CPU, else ONNX Runtime. onnxruntime or "
        "cpu: ONNX Runtime on the CPU."
    ),
]
DevicesOption = Annotated[
    str | None,
    typer.Option(
        metavar="N,...|NAME|list",
        help="CUDA device indices; the first GPU by default. With --backend openvino: CPU, "
        "GPU, GPU.1 or NPU. list: show the devices of each backend.",
        callback=list_devices,
        is_eager=True,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads for inference; all by default."),
]
NoBuildOption = Annotated[
    bool, typer.Option("--no-build", help="Never build an engine; use a cached one.")
]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=1e6,
        metavar="GB",
        help="Memory for pictures; larger ones are processed in strips.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]


def backend_request(
    backend: BackendName, precision: PrecisionName, devices: str | None, **more: Any
) -> BackendRequest:
    """Return the request that the options describe.

    Args:
        backend: of `BackendOption`.
        precision: of `PrecisionOption`.
        devices: of `DevicesOption`.
        more: other fields of the request.

    Raises:
        ConfigError: the devices are none of the backend's.
    """
    from runtime.backends.request import BackendRequest

    if backend == "openvino":
        more["openvino_device"] = openvino_device(devices)
    elif devices is not None:
        more["devices"] = gpu_numbers(devices)
    return BackendRequest(
        name=backend, precision=None if precision == "auto" else precision, **more
    )


def may_build(backend: BackendName, no_build: bool) -> bool:
    """Return whether a run may build TensorRT engines."""
    return backend in ("auto", "tensorrt") and not no_build
