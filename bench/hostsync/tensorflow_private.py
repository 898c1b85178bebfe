"""Every private name of TensorFlow that hostsync relies on, as TensorFlow 2.21 has them; nothing else imports any.

What another version has moved is to be looked for here. Most of the names are resolved when this file is imported,
so one that is gone is an ImportError or an AttributeError that says which.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from tensorflow.python import pywrap_tfe
from tensorflow.python.framework import func_graph, ops
from tensorflow.python.profiler import profiler_v2

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

TRACE: Final = Place(func_graph, "func_graph_from_py_func")
"""The FuncGraph that a Python function is traced into."""

WRAPPERS: Final = frozenset({"error_handler", "op_dispatch_handler", "wrapper", "tf_method_wrapper", "__call__"})
"""Functions that TensorFlow puts around its public ones: no names that a user has written."""

AUTOGRAPH: Final = Path("python", "autograph")
"""AutoGraph's folder inside TensorFlow's."""

_AUTOGRAPH_API: Final = "tensorflow.python.autograph.impl.api"
_GENERATED: Final = str(Path(tempfile.gettempdir()) / "__autograph_generated_file")


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


def graph_in(op: Any, attribute: str) -> Any:
    """The graph of a function that an op runs.

    Args:
        op: such as a While.
        attribute: of the op, that names the function: `cond`, `body`.
    """
    return op.graph._get_function(op.get_attr(attribute).name).graph


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
