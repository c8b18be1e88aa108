"""Versions of TensorRT's API, without TensorRT.

`tensorrt_api.json` holds the public attributes of real packages, read with `dir()` from 8.5.3.1,
8.6.1, 10.7.0, 11.4.0 and RTX 1.7.1. A fake made from it has those attributes and no others: using
one that an age does not have fails, as it would there.
"""

from __future__ import annotations

import enum
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

RECORDED = json.loads((Path(__file__).parent / "tensorrt_api.json").read_text(encoding="utf-8"))
AGES = tuple(RECORDED)

ENUMS = ("BuilderFlag", "ComputeCapability", "NetworkDefinitionCreationFlag", "PreviewFeature")


class Log(list[tuple[Any, ...]]):
    """Log of the calls to the library: object.method and arguments."""

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self if entry[0] == what]


def fake_tensorrt(age: str) -> Any:
    """Make a module with the classes and enumerations of one version.

    Its builder makes `b"plan"` in three steps; `module.behaviour` changes that.
    """
    classes = {name: set(text.split()) for name, text in RECORDED[age]["classes"].items()}
    log = Log()
    behaviour = SimpleNamespace(
        parses=True, errors=[], plan=b"plan", says=[], profile_index=0, layers=[], on_build=None
    )

    class Surface:
        """Has the attributes of its real class, and no others."""

        kind = ""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name not in classes.get(self.kind, ()):
                raise AttributeError(f"{self.kind} of {age} has no {name}")
            return lambda *arguments: log.append((f"{self.kind}.{name}", *arguments))

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in classes.get(self.kind, ()):
                raise AttributeError(f"{self.kind} of {age} has no {name}")
            log.append((f"{self.kind}.{name}=", value))
            object.__setattr__(self, name, value)

    class Config(Surface):
        kind = "IBuilderConfig"

        def add_optimization_profile(self, profile: Any) -> int:
            log.append(("IBuilderConfig.add_optimization_profile",))
            return int(behaviour.profile_index)

        def create_timing_cache(self, content: bytes) -> Any:
            log.append(("IBuilderConfig.create_timing_cache", content))
            return "cache of another GPU" if content == b"foreign" else "cache"

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            log.append(("IBuilderConfig.set_timing_cache", cache))
            return bool(cache == "cache")

        def get_timing_cache(self) -> Any:
            return SimpleNamespace(serialize=lambda: b"timings")

    class Layer(Surface):
        kind = "ILayer"

        def __init__(self, name: str) -> None:
            object.__setattr__(self, "name", name)
            object.__setattr__(self, "num_outputs", 1)

    class Network(Surface):
        kind = "INetworkDefinition"

        @property
        def num_layers(self) -> int:
            return len(behaviour.layers)

        def get_layer(self, index: int) -> Any:
            return behaviour.layers[index]

        def get_input(self, index: int) -> Any:
            return SimpleNamespace(name="input")

    class ParserError(Surface):
        kind = "ParserError"

        def node(self) -> int:
            return 7

        def desc(self) -> str:
            return "Unsupported ONNX operator"

        if "node_name" in classes["ParserError"]:

            def node_name(self) -> str:
                return "trunk.3"

            def node_operator(self) -> str:
                return "Conv"

    class Parser(Surface):
        kind = "OnnxParser"

        def __init__(self, network: Any, logger: Any) -> None:
            pass

        def parse(self, graph: bytes) -> bool:
            return bool(behaviour.parses)

        @property
        def num_errors(self) -> int:
            return len(behaviour.errors)

        def get_error(self, index: int) -> Any:
            return behaviour.errors[index]

    class Builder(Surface):
        kind = "Builder"

        def __init__(self, logger: Any) -> None:
            object.__setattr__(self, "logger", logger)

        def create_network(self, flags: int) -> Any:
            log.append(("Builder.create_network", flags))
            return Network()

        def create_builder_config(self) -> Any:
            return Config()

        def create_optimization_profile(self) -> Any:
            profile = Surface()
            object.__setattr__(profile, "kind", "IOptimizationProfile")
            return profile

        def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
            for severity, text in behaviour.says:
                self.logger.log(severity, text)
            monitor = config.__dict__.get("progress_monitor")
            if monitor is not None:
                monitor.phase_start("Building engine", None, 3)
                for step in range(3):
                    if behaviour.on_build is not None:
                        behaviour.on_build(step)
                    if not monitor.step_complete("Building engine", step):
                        return None
                monitor.phase_finish("Building engine")
            elif behaviour.on_build is not None:
                behaviour.on_build(0)
            plan: bytes | None = behaviour.plan
            return plan

    class Plain:
        """A base that Python code derives from."""

    module = SimpleNamespace(
        __version__=RECORDED[age]["version"],
        ILogger=Plain,
        Builder=Builder,
        OnnxParser=Parser,
        float32="float32",
        log=log,
        behaviour=behaviour,
        make_layer=Layer,
        make_error=ParserError,
    )
    for name, attributes in classes.items():
        if name in ENUMS:
            members = sorted(attributes)
            setattr(module, name, enum.IntEnum(name, {one: k for k, one in enumerate(members)}))
        elif name == "IProgressMonitor":
            module.IProgressMonitor = Plain
        elif not hasattr(module, name):
            setattr(module, name, type(name, (), dict.fromkeys(attributes)))
    return module
