"""Finds host ops: ops in a traced graph in which the host takes part, unseen by Python when the graph runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from loop_bench.hostsync.tensorflow_private import graphs_in
from loop_bench.source import is_users

KINDS: Final[dict[str, str]] = {
    op: kind
    for kind, ops in {
        "print": ("PrintV2", "Print"),
        "py_function": ("EagerPyFunc",),
        "numpy_function": ("PyFunc", "PyFuncStateless"),
        "summary": (
            "WriteSummary", "WriteScalarSummary", "WriteHistogramSummary", "WriteImageSummary", "WriteAudioSummary",
            "WriteRawProtoSummary", "WriteGraphSummary", "ScalarSummary", "HistogramSummary", "ImageSummary",
            "AudioSummaryV2", "TensorSummaryV2", "MergeSummary",
        ),
        "assertion": ("Assert", "CheckNumerics", "CheckNumericsV2"),
        "control flow": (
            "If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase", "Switch", "RefSwitch", "LoopCond",
        ),
        "size of a result": (
            "Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "DynamicPartition",
        ),
        "file": ("WriteFile", "SaveV2", "MergeV2Checkpoints", "SerializeTensor"),
        "text": ("StringFormat", "AsString"),
    }.items()
    for op in ops
}  # fmt: skip
"""Op types in which the host takes part, with the reason: it prints, calls Python, chooses a branch, allocates a result
whose size depends on values, and so on. The list is not complete; all ops are described at
https://www.tensorflow.org/api_docs/python/tf/raw_ops.
"""

_ON_THE_CPU = "placed on the CPU"
_MOVES_NOTHING = frozenset({"Const", "Placeholder", "NoOp", "Identity", "_Arg", "_Retval"})

# The results of these ops are in host memory on every device: sizes are known without the values, and so is whether a
# variable is initialised or an optional has a value.
_KNOWN_TO_THE_HOST = frozenset(
    {"Const", "Shape", "ShapeN", "Size", "Rank", "VarIsInitializedOp", "OptionalHasValue"}
)  # fmt: skip
# For int32 these ops run on the host even with a GPU, because their GPU kernels are registered so. Other ops, such as
# random numbers, may not, and are assumed to run on the device.
_INT32_ON_THE_HOST = frozenset(
    {
        "Add", "AddV2", "Sub", "Mul", "FloorDiv", "FloorMod", "Minimum", "Maximum", "Neg", "Identity", "Placeholder",
        "StridedSlice", "Pack", "ConcatV2", "Range", "Reshape", "ExpandDims", "Squeeze", "Prod", "Sum", "Max", "Min",
        "ReadVariableOp", "StopGradient",
    }
)  # fmt: skip
_BRANCHES = {
    **dict.fromkeys(("While", "StatelessWhile"), ("cond", "body")),
    **dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch")),
    **dict.fromkeys(("Case", "StatelessCase"), ("branches",)),
}
"""Attributes of an op that name the graphs of its branches, or of its condition and body."""

_COMPARISONS = frozenset({"Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"})


@dataclasses.dataclass(frozen=True, slots=True)
class HostOp:
    """An op in a traced graph in which the host takes part."""

    kind: str  # a value of KINDS, such as print or py_function, or "placed on the CPU"
    op: str  # the op's type in TensorFlow
    name: str  # name in its graph, after the names of the branches and loops around it
    function: str  # the traced or loaded function, after the names of the functions around it
    file: str  # where the user's code made the op
    line: int


def host_ops(graph: Any, function: str, needed_at: tuple[str, int], within: str = "") -> list[HostOp]:
    """Host ops of a graph and of the branches and loops inside it.

    Branches and loops are left out if their condition depends only on values that the host knows anyway, such as
    comparisons of int32 numbers, which TensorFlow keeps on the host even with a GPU. Functions that the graph calls
    are traced separately.

    Args:
        graph: a FuncGraph.
        function: name of the traced function that the graph belongs to.
        needed_at: file and line of the user's code that caused the tracing or loading, for ops without a line of
            their own.
        within: names of the branches and loops around the graph, each followed by a slash.
    """
    ops = []
    for op in graph.get_operations():
        for inner in _inside(op):
            ops += host_ops(inner, function, needed_at, f"{within}{op.name}/")
        kind = KINDS.get(op.type)
        if kind is None and _is_placed_on_the_cpu(op):
            kind = _ON_THE_CPU
        if kind is None or (kind == "control flow" and _decided_on_the_host(op)):
            continue
        file, line = _made_at(op) or needed_at
        ops.append(HostOp(kind, op.type, f"{within}{op.name}", function, file, line))
    return ops


def _inside(op: Any) -> list[Any]:
    """Graphs of an op's branches, or of a loop's condition and body."""
    try:
        return graphs_in(op, *_BRANCHES.get(op.type, ()))
    except (AttributeError, LookupError, ValueError):
        return []  # an unexpected graph must not stop the program that is being traced


def _is_placed_on_the_cpu(op: Any) -> bool:
    # An op on a variable is placed with the variable, which is on the CPU if there is no GPU.
    with_variables = any(input_.dtype.name == "resource" for input_ in op.inputs)
    return "CPU" in op.device.upper() and op.type not in _MOVES_NOTHING and not with_variables


def _decided_on_the_host(op: Any) -> bool:
    """Whether an op's condition depends only on values that the host knows."""
    try:
        if op.type in ("While", "StatelessWhile"):
            return _Loop(op).decided_on_the_host()
        return _is_known(op.inputs[1 if op.type in ("Switch", "RefSwitch") else 0], lambda _: True)
    except (AttributeError, LookupError, StopIteration, ValueError):
        return False  # an unexpected graph must not stop the program that is being traced


class _Loop:
    """A While op, whose condition depends on its initial values and on what its body makes of them."""

    def __init__(self, op: Any) -> None:
        self._op = op
        self._cond, self._body = graphs_in(op, "cond", "body")
        self._known: dict[int, bool] = {}  # whether the host knows each loop variable, by its number

    def decided_on_the_host(self) -> bool:
        return _is_known(self._cond.outputs[0], lambda input_: self._is_known_variable(self._cond, input_))

    def _is_known_variable(self, graph: Any, input_: Any) -> bool:
        number = next(number for number, candidate in enumerate(graph.inputs) if candidate is input_)
        if number not in self._known:
            self._known[number] = True  # assumed while its initial value and the body's result are examined
            self._known[number] = _is_known(self._op.inputs[number], lambda _: True) and _is_known(
                self._body.outputs[number], lambda inner: self._is_known_variable(self._body, inner)
            )
        return self._known[number]


def _is_known(tensor: Any, is_known_input: Callable[[Any], bool]) -> bool:
    """Whether the host knows a tensor's value without reading the device, judged within the tensor's graph.

    Args:
        tensor: a condition, or an int32 number that it depends on.
        is_known_input: whether the host knows an int32 input of the graph.
    """
    waiting, seen = [tensor], set()
    while waiting:
        tensor = waiting.pop()
        op = tensor.op
        if op.name in seen or op.type in _KNOWN_TO_THE_HOST:
            continue
        seen.add(op.name)
        passes = op.type in ("Identity", "LoopCond") or (op.type in _COMPARISONS and op.get_attr("T").name == "int32")
        if not passes and (tensor.dtype.name != "int32" or op.type not in _INT32_ON_THE_HOST):
            return False
        if op.type == "Placeholder" and not is_known_input(tensor):
            return False
        if op.type != "ReadVariableOp":  # int32 variables are on the host themselves
            waiting.extend(op.inputs)
    return True


def _made_at(op: Any) -> tuple[str, int] | None:
    for frame in reversed(list(op.traceback or ())):
        if is_users(frame.filename):
            return frame.filename, int(frame.lineno)
    return None
