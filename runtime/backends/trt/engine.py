"""A TensorRT engine on a device; the only module that calls TensorRT's runtime objects.

The same calls do for every version from 8.5 to 11 and for TensorRT-RTX; what differs is asked for
with `hasattr` (`runtime.backends.trt.library`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.backends.cuda.device import Stream
from runtime.backends.trt.engine_facts import EngineFacts
from runtime.backends.trt.kernel_cache import KernelCache
from runtime.backends.trt.layout import layout_of
from runtime.backends.trt.library import Library
from runtime.backends.trt.slots import BatchShape
from runtime.errors import BackendError, ModelError, OutOfDeviceMemory


class Engine:
    """A deserialized engine. Its device must be current in every call.

    Args:
        library: the TensorRT that built it; a GPU has been looked for, because some versions end
            the process without one.
        path: the plan.
        facts: facts from its sidecar.
        graphs: whether TensorRT-RTX is to make CUDA graphs; with others, the slots do.

    Raises:
        ModelError: it has other inputs and outputs than its sidecar says.
        OutOfDeviceMemory: it does not fit.
        BackendError: TensorRT refuses it.
    """

    def __init__(
        self, library: Library, path: Path, facts: EngineFacts, *, graphs: bool = True
    ) -> None:
        self.library = library
        self.facts = facts
        self.path = path
        self._runtime: Any = None
        self._engine: Any = None
        self._config: Any = None
        self._kernels: KernelCache | None = None
        try:
            self._load()
            self.input_name, self.output_name = self._names()
            if library.capabilities.runtime_config:
                self._configure(graphs=graphs)
        except BaseException:
            # Not when Python collects it: its device may be closed by then.
            self._drop()
            raise

    def _load(self) -> None:
        library, path = self.library, self.path
        mark = library.messages.mark()
        try:
            self._runtime = library.module.Runtime(library.logger)
            self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
        except TypeError as error:  # how 8.5 says that there is no Runtime
            raise self.failed(f"cannot start ({error})", mark) from error
        if self._engine is None:
            raise self.failed(f"cannot load {path}", mark)

    def execution(self, number: int) -> EngineExecution:
        """Create an execution context.

        Args:
            number: index of the context and, if contexts cannot share a profile, of its profile.

        Raises:
            OutOfDeviceMemory: it does not fit.
            BackendError: TensorRT cannot create it.
        """
        profile = number if self.facts.profiles > 1 else 0
        if profile >= self.facts.profiles:
            raise BackendError(
                f"{self.path} was built for {self.facts.profiles} slots: expected {number + 1}"
            )
        mark = self.library.messages.mark()
        captures_itself = self._config is not None
        if self._config is None:
            context = self._engine.create_execution_context()
        else:
            context = self._engine.create_execution_context(self._config)
        if context is None:
            raise self.failed("cannot create an execution context", mark)
        return EngineExecution(self, context, profile, captures_itself=captures_itself)

    def close(self) -> None:
        """Free the engine, after its execution contexts."""
        if self._kernels is not None:
            self._kernels.save()
        self._drop()

    def _drop(self) -> None:
        # An engine goes before its runtime.
        self._kernels = self._config = self._engine = None
        self._runtime = None

    def _configure(self, *, graphs: bool) -> None:
        """Let TensorRT-RTX capture CUDA graphs and cache its kernels itself.

        It must: it compiles better kernels for a shape while the first batches run with others,
        and only it knows when the time to record has come.
        """
        config = self._engine.create_runtime_config()
        if not hasattr(config, "cuda_graph_strategy"):
            return  # classic TensorRT, from 11 on, has one, too, but with nothing in it for us
        if graphs:
            config.cuda_graph_strategy = self.library.module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._kernels = KernelCache.beside(self.path, config)
        self._config = config

    def _names(self) -> tuple[str, str]:
        """Return the names of the input and output."""
        trt, engine = self.library.module, self._engine
        uint8 = self.facts.info.sample_type == "uint8"
        kind = trt.DataType.UINT8 if uint8 else trt.DataType.FLOAT
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        if len(names) != 2 or len(inputs) != 1:
            raise ModelError(
                f"{self.path} has the tensors {', '.join(names)}: expected one input and one output"
            )
        for name in names:
            if engine.get_tensor_dtype(name) != kind:
                raise ModelError(
                    f"{self.path}: {name} is {engine.get_tensor_dtype(name)}: expected {kind}"
                )
        output = next(name for name in names if name not in inputs)
        return inputs[0], output

    def failed(self, what: str, mark: int) -> BackendError:
        """Create the exception for a failed call; `mark` was taken before it."""
        messages = self.library.messages
        message = f"{self.library.name} {what}: {messages.reason(mark)}"
        if messages.ran_out_of_memory(mark):
            return OutOfDeviceMemory(
                f"{message}. Close other programs that use the GPU, or lower --tile"
            )
        return BackendError(
            f"{message}. `dggn-export trt --force` builds the engine again; "
            "--backend cuda and --backend cpu do without"
        )


class EngineExecution:
    """One execution context, used by one slot; created by :class:`Engine`."""

    def __init__(
        self, engine: Engine, context: Any, profile: int, *, captures_itself: bool
    ) -> None:
        self.captures_itself = captures_itself
        self._engine = engine
        self._context = context
        self._profile = profile
        self._stream = 0

    def bind(self, stream: Stream, input_address: int, output_address: int) -> None:
        """Set the profile, stream and buffers."""
        self._stream = stream.handle
        engine = self._engine
        # The first context has profile 0 from the beginning.
        if self._context.active_optimization_profile != self._profile:
            self._check("set_optimization_profile_async", self._profile, self._stream)
            stream.wait()
        self._check("set_tensor_address", engine.input_name, input_address)
        self._check("set_tensor_address", engine.output_name, output_address)

    def reshape(self, shape: BatchShape) -> None:
        """Set the shape of the following batches."""
        engine, info = self._engine, self._engine.facts.info
        layout = layout_of(info)
        batch, height, width = shape
        self._check("set_input_shape", engine.input_name, layout.shape(batch, height, width))
        found = tuple(self._context.get_tensor_shape(engine.output_name))
        expected = layout.shape(batch, height * info.scale, width * info.scale)
        # It would be written there whether the buffer is large enough or not.
        if found != expected:
            raise BackendError(
                f"{engine.path} makes {list(found)}: expected {list(expected)}. "
                "Build it again with `dggn-export trt --force`"
            )

    def enqueue(self) -> None:
        """Enqueue the inference of a batch."""
        self._check("execute_async_v3", self._stream)

    def free(self) -> None:
        """Free the context."""
        self._context = None

    def _check(self, name: str, *arguments: Any) -> None:
        """Call a method that returns whether it succeeded."""
        mark = self._engine.library.messages.mark()
        if not getattr(self._context, name)(*arguments):
            raise self._engine.failed(f"failed in {name}", mark)
