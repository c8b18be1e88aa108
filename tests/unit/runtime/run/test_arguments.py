from __future__ import annotations

from pathlib import Path

import pytest
import typer

from runtime.errors import ConfigError
from runtime.run.arguments import backend_request, gpu_numbers, list_devices, openvino_device, place
from runtime.stores.url import StoreUrl


def test_an_empty_path_is_a_mistake_not_the_current_folder() -> None:
    assert place("photos", "INPUT") == Path("photos")
    assert place("s3://bucket/photos/", "INPUT") == StoreUrl.parse("s3://bucket/photos/")
    with pytest.raises(ConfigError, match="INPUT is empty"):
        place("", "INPUT")


def test_devices_are_those_of_the_backend() -> None:
    assert backend_request("auto", "auto", None).precision is None
    request = backend_request("openvino", "bfloat16", "npu", threads=2)
    assert (request.openvino_device, request.devices, request.threads) == ("NPU", None, 2)
    request = backend_request("cuda", "float32", "1,0")
    assert (request.openvino_device, request.devices, request.precision) == (
        "CPU",
        (1, 0),
        "float32",
    )


@pytest.mark.parametrize(("text", "numbers"), [("0", (0,)), ("2, 0,1", (2, 0, 1))])
def test_gpu_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert gpu_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "0,", "0,0", "-1", "a", "GPU", "0;1", "²"])
def test_what_is_no_gpu_number(text: str) -> None:
    with pytest.raises(ConfigError, match="--devices is"):
        gpu_numbers(text)


@pytest.mark.parametrize(
    ("text", "name"), [(None, "CPU"), ("npu", "NPU"), ("gpu.1", "GPU.1"), ("GPU", "GPU")]
)
def test_openvino_devices(text: str | None, name: str) -> None:
    assert openvino_device(text) == name


@pytest.mark.parametrize("text", ["0", "GPU.", "GPU.x", "TPU", "GPU.1.2", ""])
def test_what_openvino_does_not_have(text: str) -> None:
    with pytest.raises(ConfigError, match="--devices list"):
        openvino_device(text)


def test_list_prints_the_devices_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["cuda: 0, Card", "onnxruntime: CPU"]
    monkeypatch.setattr("runtime.backends.devices.describe_devices", lambda: lines)
    with pytest.raises(typer.Exit):
        list_devices("list")
    assert capsys.readouterr().out.splitlines() == lines
    assert list_devices("0,1") == "0,1"
    assert list_devices(None) is None
