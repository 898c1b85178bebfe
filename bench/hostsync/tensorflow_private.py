"""All private names of TensorFlow that hostsync uses; no other module of hostsync uses any.

TensorFlow 2.16 to 2.21 have all of them. If another version has moved one, change it here: each name is looked up when
it is needed, and `lacking` says which names a capability lacks.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import pkgutil
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from loop_bench.errors import ProfilerError
from loop_bench.source import GENERATED, is_users

_HERE: Final = f"{__name__}:"
_FUNCTIONS: Final = "tensorflow.python.eager.polymorphic_function"
_TRACING: Final = f"{_FUNCTIONS}.tracing_compilation:"
_CONTEXT: Final = "tensorflow.python.eager.context:"
_SESSION: Final = "tensorflow.python.client.session:BaseSession"


class Place(NamedTuple):
    """A named attribute in TensorFlow, looked up at each use, so that it can be replaced."""

    owner: str  # for `pkgutil.resolve_name`: `module:` or `module:class`
    name: str

    def get(self) -> Any:
        """The attribute's current value.

        Raises:
            AttributeError, ImportError: this TensorFlow does not have the attribute.
        """
        return getattr(self._owner(), self.name)

    def put(self, value: Any) -> None:
        """Replaces the attribute's value."""
        setattr(self._owner(), self.name, value)

    @property
    def is_there(self) -> bool:
        """Whether this TensorFlow has the attribute."""
        try:
            self.get()
        except (AttributeError, ImportError):
            return False
        return True

    def _owner(self) -> Any:
        if self.owner.startswith(_HERE):  # without an import, which could load another revision of this package
            return globals()[self.owner.removeprefix(_HERE)]
        return pkgutil.resolve_name(self.owner)

    def __str__(self) -> str:
        return f"{self.owner.removeprefix(_HERE).rstrip(':').replace(':', '.')}.{self.name}"


class Member(Place):
    """A name in a collection, such as a function's local variables or a dataclass' fields."""

    __slots__ = ()

    @property
    def is_there(self) -> bool:
        """Whether the collection has the name."""
        try:
            return self.name in self._owner()
        except (AttributeError, ImportError):
            return False


def _eager_tensor() -> Any:
    """Finds the type of eager tensors without making one, which would start TensorFlow's devices; None if missing."""
    kinds = [tf.Tensor]
    while kinds:
        kind = kinds.pop()
        if kind.__name__ == "EagerTensor":
            return kind
        kinds += kind.__subclasses__()
    return None


EagerTensor: Final = _eager_tensor()
"""The type of eager tensors; None if this TensorFlow has no type of that name."""

NUMPY: Final = Place(f"{_HERE}EagerTensor", "_numpy_internal")
"""Method that returns a tensor's value for NumPy; every Python method of a tensor that reads it calls this one."""

COPY: Final = Place(f"{_HERE}EagerTensor", "_copy_to_device")
"""Method that copies a tensor to a device, given the device's name."""

DLPACK: Final = Place("tensorflow.python.pywrap_tfe:", "TFE_ToDlpackCapsule")
"""Function that exports a tensor as a DLPack capsule."""

TRACED: Final = Place(f"{_FUNCTIONS}.transform:", "CONCRETE_FUNCTION_CALLBACKS")
"""List of callbacks, called with each ConcreteFunction after its tracing and before it runs."""

INITIALIZER: Final = "initialize_variables"
"""Name of the function that TensorFlow itself traces, once for each `tf.function` that has created variables."""

LOADER: Final = Place("tensorflow.python.saved_model.function_deserialization:", "load_function_def_library")
"""Function that loads the ConcreteFunctions of a SavedModel, by name."""

SESSION_RUNS: Final = (
    Place(_SESSION, "_call_tf_sessionrun"),
    Place(_SESSION, "_call_tf_sessionprun"),
    Place(f"{_SESSION}._Callable", "__call__"),
)
"""Methods of TensorFlow 1 sessions; each run of a session calls exactly one of them."""

WRAPPERS: Final = frozenset({"error_handler", "op_dispatch_handler", "wrapper", "tf_method_wrapper", "__call__"})
"""Names of the wrappers around TensorFlow's public functions, which are no names that a user has written."""

READERS: Final = tuple(f"{Path(str(package.__file__)).parent}{os.sep}" for package in (tf, np))
"""Folders of TensorFlow and NumPy, whose code takes part in every read."""

AUTOGRAPH: Final = f"{READERS[0]}{Path('python', 'autograph')}{os.sep}"
"""Folder of AutoGraph's code."""

_GET: Final = "_get_function"  # a graph's method that returns a function by name
_OF_ONE_OP: Final = "__wrapped__"  # prefix of the functions in which TensorFlow wraps eager ops
_GENERATED: Final = str(Path(tempfile.gettempdir()) / GENERATED)

_NO_VARIABLES: Final = Place(f"{_TRACING}ScopeType", "NO_VARIABLE_CREATION")
_GRAPH_SECONDS: Final = Place(_TRACING, "_graph_building_time_counter")
_CONTEXT_SAFE: Final = Place(_CONTEXT, "context_safe")
_TRANSPILED: Final = Place("tensorflow.python.autograph.impl.api:_TRANSPILER._cache", "_cache")
_PROFILER: Final = Place("tensorflow.python.profiler.profiler_v2:", "_profiler")
_XSPACE: Final = Place("tensorflow.tsl.profiler.protobuf.xplane_pb2:", "XSpace")

BEFORE: Final = "graphs that were traced before"
TRACED_COPIES: Final = "copies that the profiler traces on a GPU"

NEEDED: Final[dict[str, tuple[Place, ...]]] = {
    "methods of a tensor (t.numpy(), float(t), if t, print(t), ...)": (NUMPY,),
    "copies of a tensor to the host (t.cpu())": (COPY,),
    "DLPack exports (tf.experimental.dlpack.to_dlpack(t), ...)": (DLPACK,),
    "runs of TensorFlow 1 sessions": SESSION_RUNS,
    "traces of functions, and the host ops in their graphs": (TRACED,),
    "what differs between the traces of a function": (
        Member(f"{_TRACING}_create_concrete_function.__code__.co_varnames", "tracing_options"),
        *(
            Member(f"{_TRACING}TracingOptions.__dataclass_fields__", name)
            for name in ("function_cache", "python_function", "scope_type", "attributes")
        ),
        Place("tensorflow.core.function.polymorphism.function_cache:FunctionCache", "_primary"),
        _NO_VARIABLES,
    ),
    "host ops in functions that are loaded": (LOADER,),
    "host ops inside the branches and loops of graphs": (Place("tensorflow.python.framework.ops:Graph", _GET),),
    "the functions around a traced function": (
        Place("tensorflow.python.framework.func_graph:FuncGraph", "outer_graph"),
    ),
    BEFORE: (
        _CONTEXT_SAFE,
        Place(f"{_CONTEXT}Context", "list_function_names"),
        Member(f"{_CONTEXT}Context.ensure_initialized.__code__.co_names", "_context_handle"),
    ),
    "seconds spent on tracing": (_GRAPH_SECONDS,),
    "lines of functions that AutoGraph has copied": (_TRANSPILED,),
    TRACED_COPIES: (_XSPACE,),
    "whether a program has stopped the profiler that traces it": (_PROFILER,),
}
"""Private names that each capability of a recording needs."""


def lacking(capability: str) -> str:
    """Message that names what a capability needs and this TensorFlow lacks; "" if it lacks nothing."""
    missing = [str(place) for place in NEEDED[capability] if not place.is_there]
    return f"TensorFlow {tf.__version__} has no {' and no '.join(missing)}" if missing else ""


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Shape of an eager tensor as plain numbers, without making a TensorShape if possible."""
    shape = getattr(tensor, "_shape_tuple", None)
    return tuple(tensor.shape) if shape is None else tuple(shape())


def function_of(graph: Any) -> str:
    """Name of the function that a graph was traced from, after the names of the functions around it; "" for others."""
    names = []
    while getattr(graph, "building_function", False):
        names.append(str(graph.name))
        graph = getattr(graph, "outer_graph", None)
    return "/".join(reversed(names))


@dataclasses.dataclass(frozen=True)
class TracedFunction:
    """What is known of a function that has just been traced."""

    wrapper: Any  # callable that belongs to this `tf.function` alone and lives as long; None: unknown
    code: CodeType | None  # code of the Python function inside; None: it has none
    arguments: dict[str, Any]  # TraceTypes of the arguments by name
    earlier: tuple[dict[str, Any], ...]  # `arguments` of earlier traces of the same `tf.function`, the latest first
    had_created_variables: bool  # whether this is the first trace after those that could create variables
    in_pipeline: bool  # whether the function belongs to a tf.data pipeline


def traced_function(concrete: Any, most: int) -> TracedFunction:
    """Describes the function that is being traced; to be called from a callback of TRACED.

    Args:
        concrete: the ConcreteFunction that the callback was called with.
        most: most earlier traces to describe, the latest ones.
    """
    options = _tracing_options()
    keys = reversed(getattr(getattr(options, "function_cache", None), "_primary", {}).keys())
    earlier = [*itertools.islice(keys, most)]  # pairs of a context and a FunctionType, which is slow to hash
    wrapper = getattr(options, "python_function", None)
    scope = getattr(options, "scope_type", None)
    no_variables = _NO_VARIABLES.get() if _NO_VARIABLES.is_there else object()
    return TracedFunction(
        wrapper=wrapper,
        code=_code_of(_unwrapped(wrapper)),
        arguments=_arguments(concrete.function_type),
        earlier=tuple(_arguments(function_type) for _, function_type in earlier),
        had_created_variables=scope is no_variables
        and all(context.scope_type is not no_variables for context, _ in earlier),
        in_pipeline="_tf_data_function" in (getattr(options, "attributes", None) or {}),
    )


def _tracing_options() -> Any:
    """TracingOptions of the tracing that is ending in this thread; None if this TensorFlow has no such variable."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and "tracing_options" not in frame.f_code.co_varnames:
        frame = frame.f_back
    return None if frame is None else frame.f_locals["tracing_options"]


def _arguments(function_type: Any) -> dict[str, Any]:
    return {name: parameter.type_constraint for name, parameter in function_type.parameters.items()}


def _unwrapped(function: Any) -> Any:
    while (wrapped := _wrapped_by(function)) is not None:
        function = wrapped
    return function


def _code_of(function: Any) -> CodeType | None:
    """The code of a function, or of the `__call__` of a user's object."""
    own = getattr(function, "__code__", None)
    called = None if function is None else getattr(_unwrapped(type(function).__call__), "__code__", None)
    return own or (called if called is not None and is_users(called.co_filename) else None)


def _wrapped_by(function: Any) -> Any:
    if isinstance(function, functools.partial):
        return function.func
    return getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)


def components(trace_type: Any) -> dict[Any, Any]:
    """TraceTypes of the elements of a tuple, a list or a dict, by place or key; empty for other TraceTypes."""
    of_list = getattr(trace_type, "components_tuple", trace_type)
    if hasattr(of_list, "components"):
        return dict(enumerate(of_list.components))
    named = getattr(trace_type, "named_attributes", trace_type)  # a class of the attrs package
    if hasattr(named, "attribute_names"):
        return dict(zip(named.attribute_names, named.attributes.components, strict=True))
    return dict(getattr(trace_type, "mapping", {}))


def graphs_in(op: Any, *attributes: str) -> list[Any]:
    """Graphs of the functions that an op runs.

    Args:
        op: an op, such as a While.
        attributes: names of the op's attributes that name the functions, such as `cond` and `body`; the value of an
            attribute may be one function or a list of functions.
    """
    values = (op.get_attr(attribute) for attribute in attributes)
    functions = (function for value in values for function in (value if isinstance(value, list | tuple) else [value]))
    return [getattr(op.graph, _GET)(function.name).graph for function in functions]


def graphs_before() -> int:
    """Number of function graphs that TensorFlow holds already; 0 if it has not started. Does not start TensorFlow."""
    if lacking(BEFORE):
        return 0
    context = _CONTEXT_SAFE.get()()
    if context is None or context._context_handle is None:
        return 0
    return sum(not name.startswith(_OF_ONE_OP) for name in context.list_function_names())


def seconds_tracing() -> float:
    """Seconds that this process has spent on tracing functions so far; 0 if TensorFlow does not count them."""
    return float(_GRAPH_SECONDS.get().get_cell().value()) / 1e6 if _GRAPH_SECONDS.is_there else 0.0


def is_generated(file: str) -> bool:
    """Whether a file is one of AutoGraph's temporary files, from which it runs copies of functions."""
    return file.startswith(_GENERATED)


@functools.lru_cache(maxsize=1024)
def generated_lines(file: str) -> dict[int, tuple[str, int, str]]:
    """Original file, line and function of each line of a generated file, by line number, as far as known.

    Taken from the source maps that AutoGraph keeps with the functions it has made.
    """
    caches = list(_TRANSPILED.get().values()) if _TRANSPILED.is_there else []
    factories = [factory for cached in caches for factory in list(cached.values())]
    for factory in factories:
        if factory.module is not None and factory.module.__file__ == file:
            return {
                location.lineno: (origin.loc.filename, origin.loc.lineno, origin.function_name)
                for location, origin in factory.source_map.items()
                if location.filename == file
            }
    return {}


def running_profiler() -> Any:
    """The profiler session that is running in this process, whoever started it; None if there is none or unknown."""
    return _PROFILER.get() if _PROFILER.is_there else None


def empty_trace() -> Any:
    """An empty `XSpace`, the protocol buffer that the profiler writes.

    Raises:
        ProfilerError: this TensorFlow has no `XSpace`.
    """
    if not _XSPACE.is_there:
        raise ProfilerError(f"TensorFlow {tf.__version__} has no {_XSPACE}, which reading its traces needs")
    return _XSPACE.get()()
