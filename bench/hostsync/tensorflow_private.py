"""Every private name of TensorFlow that hostsync relies on, as TensorFlow 2.21 has them; nothing else imports any.

What another version has moved is to be looked for here. Most of the names are resolved when this file is imported,
so one that is gone is an ImportError or an AttributeError that says which.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.client import session
from tensorflow.python.eager import context
from tensorflow.python.eager.polymorphic_function import tracing_compilation, transform
from tensorflow.python.framework import func_graph, ops
from tensorflow.python.profiler import profiler_v2
from tensorflow.python.saved_model import function_deserialization

from loop_bench.source import GENERATED, is_users

TENSOR: Final[type] = ops.EagerTensor
"""The type of eager tensors.

Not type(tf.constant(0)): making a tensor would start TensorFlow's devices, before a program can configure them.
"""


class Place(NamedTuple):
    """Where TensorFlow keeps a function, looked up again at each call, so that another can stand in for it."""

    owner: Any
    name: str


NUMPY: Final = Place(TENSOR, "_numpy_internal")
"""A tensor's value as NumPy has it: each of the tensor's Python methods that read passes here."""

COPY: Final = Place(TENSOR, "_copy_to_device")
"""A copy of a tensor on a device that is given by its name."""

DLPACK: Final = Place(pywrap_tfe, "TFE_ToDlpackCapsule")
"""A DLPack capsule of a tensor."""

TRACED: Final[list[Any]] = transform.CONCRETE_FUNCTION_CALLBACKS
"""Is called with each ConcreteFunction that a Python function has been traced into, and that has not run yet."""

INITIALIZER: Final = "initialize_variables"
"""The function that TensorFlow traces for itself, once for each `tf.function` that has created variables."""

LOADER: Final = Place(function_deserialization, "load_function_def_library")
"""The ConcreteFunctions of a SavedModel, by name."""

SESSION_RUNS: Final = (
    Place(session.BaseSession, "_call_tf_sessionrun"),
    Place(session.BaseSession, "_call_tf_sessionprun"),
    Place(session.BaseSession._Callable, "__call__"),
)
"""Methods of which each run of a TensorFlow 1 session calls one."""

WRAPPERS: Final = frozenset({"error_handler", "op_dispatch_handler", "wrapper", "tf_method_wrapper", "__call__"})
"""Functions that TensorFlow puts around its public ones: no names that a user has written."""

READERS: Final = tuple(f"{Path(str(package.__file__)).parent}{os.sep}" for package in (tf, np))
"""Folders of what is at work in every read."""

AUTOGRAPH: Final = f"{READERS[0]}{Path('python', 'autograph')}{os.sep}"
"""AutoGraph's folder."""

_OF_ONE_OP: Final = "__wrapped__"  # what TensorFlow makes of an op that runs eagerly
_NO_VARIABLES: Final = tracing_compilation.ScopeType.NO_VARIABLE_CREATION
_AUTOGRAPH_API: Final = "tensorflow.python.autograph.impl.api"
_GENERATED: Final = str(Path(tempfile.gettempdir()) / GENERATED)


def shape_of(tensor: Any) -> tuple[int, ...]:
    """An eager tensor's shape as plain numbers, without making a TensorShape."""
    return tuple(tensor._shape_tuple())


def function_of(graph: Any) -> str:
    """The function that a graph was traced from, the names of functions around it first; "" for another graph."""
    names = []
    while isinstance(graph, func_graph.FuncGraph):
        names.append(str(graph.name))
        graph = graph.outer_graph
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
    return TracedFunction(
        wrapper=wrapper,
        code=_code_of(_unwrapped(wrapper)),
        arguments=_arguments(concrete.function_type),
        earlier=tuple(_arguments(function_type) for _, function_type in earlier),
        had_created_variables=scope is _NO_VARIABLES and all(of.scope_type is not _NO_VARIABLES for of, _ in earlier),
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
    return [op.graph._get_function(each.name).graph for each in functions]


def graphs_before() -> int:
    """Graphs of functions that TensorFlow has at hand already; 0 where it has not started, which this does not."""
    started = context.context_safe()
    if started is None or started._context_handle is None:
        return 0
    return sum(not name.startswith(_OF_ONE_OP) for name in started.list_function_names())


def seconds_tracing() -> float:
    """Seconds that this process has spent on tracing functions so far."""
    return float(tracing_compilation._graph_building_time_counter.get_cell().value()) / 1e6


def is_generated(file: str) -> bool:
    """Whether AutoGraph has made the file: it runs a copy of a function from a temporary one."""
    return file.startswith(_GENERATED)


@functools.lru_cache(maxsize=1024)
def generated_lines(file: str) -> dict[int, tuple[str, int, str]]:
    """File, line and function that lines of a generated file were made from, by line, as far as they are known.

    They come from the maps that AutoGraph keeps beside the functions it made.
    """
    transpiler: Any = getattr(sys.modules.get(_AUTOGRAPH_API), "_TRANSPILER", None)
    try:
        factories = [made for cached in list(transpiler._cache._cache.values()) for made in list(cached.values())]
    except AttributeError:  # another version of TensorFlow
        return {}
    for factory in factories:
        if factory.module is not None and factory.module.__file__ == file:
            return {
                location.lineno: (origin.loc.filename, origin.loc.lineno, origin.function_name)
                for location, origin in factory.source_map.items()
                if location.filename == file
            }
    return {}


def running_profiler() -> Any:
    """The profiler session that runs in this program, started by whomever; None where none does."""
    return profiler_v2._profiler


def empty_trace() -> Any:
    """An `XSpace`, the protocol buffer that the profiler writes, with nothing in it."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # only a program that traces needs it

    return xplane_pb2.XSpace()
