"""Every private name of TensorFlow that hostsync relies on; nothing else has any.

TensorFlow 2.16 to 2.21 have all of them. What another version has moved is to be looked for here: each name is looked
up when it is needed, and `missing` says of a route which name it lacks.
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
    """Where TensorFlow keeps something, looked up again at each use, so that another can stand in for it."""

    owner: str  # as `pkgutil.resolve_name` has it: `module:` or `module:class`
    name: str

    def get(self) -> Any:
        """What is there now.

        Raises:
            AttributeError, ImportError: nothing is.
        """
        return getattr(self._owner(), self.name)

    def put(self, value: Any) -> None:
        """Something else from here on."""
        setattr(self._owner(), self.name, value)

    @property
    def is_there(self) -> bool:
        """Whether this TensorFlow has it."""
        try:
            self.get()
        except (AttributeError, ImportError):
            return False
        return True

    def _owner(self) -> Any:
        if self.owner.startswith(_HERE):  # without an import, which may find another revision of ours by now
            return globals()[self.owner.removeprefix(_HERE)]
        return pkgutil.resolve_name(self.owner)

    def __str__(self) -> str:
        return f"{self.owner.removeprefix(_HERE).rstrip(':').replace(':', '.')}.{self.name}"


class Member(Place):
    """A name among others: of a function's local variables, of a dataclass' fields."""

    __slots__ = ()

    @property
    def is_there(self) -> bool:
        """Whether this TensorFlow has it."""
        try:
            return self.name in self._owner()
        except (AttributeError, ImportError):
            return False


def _eager_tensor() -> Any:
    """The type of eager tensors, without making one, which would start TensorFlow's devices; None where it is gone."""
    kinds = [tf.Tensor]
    while kinds:
        kind = kinds.pop()
        if kind.__name__ == "EagerTensor":
            return kind
        kinds += kind.__subclasses__()
    return None


EagerTensor: Final = _eager_tensor()
"""The type of eager tensors; None in a TensorFlow that has none by this name."""

NUMPY: Final = Place(f"{_HERE}EagerTensor", "_numpy_internal")
"""A tensor's value as NumPy has it: each of the tensor's Python methods that read passes here."""

COPY: Final = Place(f"{_HERE}EagerTensor", "_copy_to_device")
"""A copy of a tensor on a device that is given by its name."""

DLPACK: Final = Place("tensorflow.python.pywrap_tfe:", "TFE_ToDlpackCapsule")
"""A DLPack capsule of a tensor."""

TRACED: Final = Place(f"{_FUNCTIONS}.transform:", "CONCRETE_FUNCTION_CALLBACKS")
"""A list of what is called with each ConcreteFunction that a Python function has been traced into, before it runs."""

INITIALIZER: Final = "initialize_variables"
"""The function that TensorFlow traces for itself, once for each `tf.function` that has created variables."""

LOADER: Final = Place("tensorflow.python.saved_model.function_deserialization:", "load_function_def_library")
"""The ConcreteFunctions of a SavedModel, by name."""

SESSION_RUNS: Final = (
    Place(_SESSION, "_call_tf_sessionrun"),
    Place(_SESSION, "_call_tf_sessionprun"),
    Place(f"{_SESSION}._Callable", "__call__"),
)
"""Methods of which each run of a TensorFlow 1 session calls one."""

WRAPPERS: Final = frozenset({"error_handler", "op_dispatch_handler", "wrapper", "tf_method_wrapper", "__call__"})
"""Functions that TensorFlow puts around its public ones: no names that a user has written."""

READERS: Final = tuple(f"{Path(str(package.__file__)).parent}{os.sep}" for package in (tf, np))
"""Folders of what is at work in every read."""

AUTOGRAPH: Final = f"{READERS[0]}{Path('python', 'autograph')}{os.sep}"
"""AutoGraph's folder."""

_GET: Final = "_get_function"  # of a graph, by name
_OF_ONE_OP: Final = "__wrapped__"  # what TensorFlow makes of an op that runs eagerly
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
"""What each capability needs."""


def lacking(capability: str) -> str:
    """Which of the names that a capability needs this TensorFlow does not have, in words; "" where it has all."""
    gone = [str(place) for place in NEEDED[capability] if not place.is_there]
    return f"TensorFlow {tf.__version__} has no {' and no '.join(gone)}" if gone else ""


def shape_of(tensor: Any) -> tuple[int, ...]:
    """An eager tensor's shape as plain numbers, where TensorFlow has them without making a TensorShape."""
    shape = getattr(tensor, "_shape_tuple", None)
    return tuple(tensor.shape) if shape is None else tuple(shape())


def function_of(graph: Any) -> str:
    """The function that a graph was traced from, the names of functions around it first; "" for another graph."""
    names = []
    while getattr(graph, "building_function", False):
        names.append(str(graph.name))
        graph = getattr(graph, "outer_graph", None)
    return "/".join(reversed(names))


@dataclasses.dataclass(frozen=True)
class TracedFunction:
    """What is known of a function that has just been traced."""

    wrapper: Any  # what this `tf.function` alone calls, and what lives as long as it; None where it is not known
    code: CodeType | None  # of the Python function inside; None where it has none
    arguments: dict[str, Any]  # their TraceTypes by name
    earlier: tuple[dict[str, Any], ...]  # the same of the traces that its `tf.function` has already, the latest first
    had_created_variables: bool  # whether it is the first trace after those in which variables could be created
    in_pipeline: bool  # of tf.data


def traced_function(concrete: Any, most: int) -> TracedFunction:
    """What is known of the function in whose tracing a callback of TRACED is called.

    Args:
        concrete: that it is called with.
        most: earlier traces to be told of, the latest ones.
    """
    options = _tracing_options()
    keys = reversed(getattr(getattr(options, "function_cache", None), "_primary", {}).keys())
    earlier = [*itertools.islice(keys, most)]  # each a context and a FunctionType, which takes long to hash
    wrapper = getattr(options, "python_function", None)
    scope = getattr(options, "scope_type", None)
    no_variables = _NO_VARIABLES.get() if _NO_VARIABLES.is_there else object()
    return TracedFunction(
        wrapper=wrapper,
        code=_code_of(_unwrapped(wrapper)),
        arguments=_arguments(concrete.function_type),
        earlier=tuple(_arguments(function_type) for _, function_type in earlier),
        had_created_variables=scope is no_variables and all(of.scope_type is not no_variables for of, _ in earlier),
        in_pipeline="_tf_data_function" in (getattr(options, "attributes", None) or {}),
    )


def _tracing_options() -> Any:
    """The TracingOptions of the tracing that is about to end in this thread; None in another version of TensorFlow."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and "tracing_options" not in frame.f_code.co_varnames:
        frame = frame.f_back
    return None if frame is None else frame.f_locals["tracing_options"]


def _arguments(function_type: Any) -> dict[str, Any]:
    return {name: each.type_constraint for name, each in function_type.parameters.items()}


def _unwrapped(function: Any) -> Any:
    while (under := _under(function)) is not None:
        function = under
    return function


def _code_of(function: Any) -> CodeType | None:
    """The code of a function, or of what a user's object does when it is called."""
    own = getattr(function, "__code__", None)
    called = None if function is None else getattr(_unwrapped(type(function).__call__), "__code__", None)
    return own or (called if called is not None and is_users(called.co_filename) else None)


def _under(function: Any) -> Any:
    if isinstance(function, functools.partial):
        return function.func
    return getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)


def components(trace_type: Any) -> dict[Any, Any]:
    """What a TraceType of a tuple, a list or a dict is made of, by place or key; empty for any other."""
    of_list = getattr(trace_type, "components_tuple", trace_type)
    if hasattr(of_list, "components"):
        return dict(enumerate(of_list.components))
    named = getattr(trace_type, "named_attributes", trace_type)  # of attrs
    if hasattr(named, "attribute_names"):
        return dict(zip(named.attribute_names, named.attributes.components, strict=True))
    return dict(getattr(trace_type, "mapping", {}))


def graphs_in(op: Any, *attributes: str) -> list[Any]:
    """The graphs of the functions that an op runs.

    Args:
        op: such as a While.
        attributes: of the op, that name the functions: `cond`, `body`; a list of names is fine, too.
    """
    named = (op.get_attr(attribute) for attribute in attributes)
    functions = (each for found in named for each in (found if isinstance(found, list | tuple) else [found]))
    return [getattr(op.graph, _GET)(each.name).graph for each in functions]


def graphs_before() -> int:
    """Graphs of functions that TensorFlow has at hand already; 0 where it has not started, which this does not."""
    if lacking(BEFORE):
        return 0
    started = _CONTEXT_SAFE.get()()
    if started is None or started._context_handle is None:
        return 0
    return sum(not name.startswith(_OF_ONE_OP) for name in started.list_function_names())


def seconds_tracing() -> float:
    """Seconds that this process has spent on tracing functions so far; 0 where TensorFlow does not count them."""
    return float(_GRAPH_SECONDS.get().get_cell().value()) / 1e6 if _GRAPH_SECONDS.is_there else 0.0


def is_generated(file: str) -> bool:
    """Whether AutoGraph has made the file: it runs a copy of a function from a temporary one."""
    return file.startswith(_GENERATED)


@functools.lru_cache(maxsize=1024)
def generated_lines(file: str) -> dict[int, tuple[str, int, str]]:
    """File, line and function that lines of a generated file were made from, by line, as far as they are known.

    They come from the maps that AutoGraph keeps beside the functions it made.
    """
    caches = list(_TRANSPILED.get().values()) if _TRANSPILED.is_there else []
    factories = [made for cached in caches for made in list(cached.values())]
    for factory in factories:
        if factory.module is not None and factory.module.__file__ == file:
            return {
                location.lineno: (origin.loc.filename, origin.loc.lineno, origin.function_name)
                for location, origin in factory.source_map.items()
                if location.filename == file
            }
    return {}


def running_profiler() -> Any:
    """The profiler session that runs in this program, started by whomever; None where none does, or it is not known."""
    return _PROFILER.get() if _PROFILER.is_there else None


def empty_trace() -> Any:
    """An `XSpace`, the protocol buffer that the profiler writes, with nothing in it.

    Raises:
        ProfilerError: this TensorFlow has none.
    """
    if not _XSPACE.is_there:
        raise ProfilerError(f"TensorFlow {tf.__version__} has no {_XSPACE}, with which its traces are read")
    return _XSPACE.get()()
