"""What makes the host take part in a traced graph, which no Python function sees when the graph runs."""

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
"""Op types in which the host takes part, and why: it prints, calls Python, decides which branch to run, allocates a
result whose size depends on values, ...  Not all there are. (https://www.tensorflow.org/api_docs/python/tf/raw_ops)
"""

_ON_THE_CPU = "placed on the CPU"
_MOVES_NOTHING = frozenset({"Const", "Placeholder", "NoOp", "Identity", "_Arg", "_Retval"})

# What these give is in host memory on every device, whatever they are given: sizes are known without the values, and
# so is whether a variable is there or an iterator has more.
_KNOWN_TO_THE_HOST = frozenset(
    {"Const", "Shape", "ShapeN", "Size", "Rank", "VarIsInitializedOp", "OptionalHasValue"}
)  # fmt: skip
# On int32 these run on the host beside a GPU too (their kernels there are registered so); with other ops, such as a
# random number, that is not certain, and they are taken for the device's.
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
"""Attributes that name the graphs inside an op."""

_COMPARISONS = frozenset({"Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"})


@dataclasses.dataclass(frozen=True, slots=True)
class HostOp:
    """An op in a traced graph in which the host takes part."""

    kind: str  # print, py_function, numpy_function, summary, assertion, control flow, size of a result, file, text
    op: str  # its type in TensorFlow
    name: str  # in its graph, the branches and loops around it first
    function: str  # that was traced, the names of functions around it first; that was loaded
    file: str  # where it was made, in the user's code
    line: int


def host_ops(graph: Any, function: str, needed_at: tuple[str, int], within: str = "") -> list[HostOp]:
    """The ops in which the host takes part, in a graph and in the branches and loops inside it.

    Not listed: branches and loops on what the host knows, and on comparisons of int32 numbers, which TensorFlow keeps
    on the host even beside a GPU. Functions that the graph calls are traced by themselves.

    Args:
        graph: a FuncGraph.
        function: the traced function that it belongs to.
        needed_at: file and line of the user's code that has had it traced or loaded, for ops that do not say their own.
        within: names of the branches and loops around it, each with a slash.
    """
    found = []
    for op in graph.get_operations():
        for inner in _inside(op):
            found += host_ops(inner, function, needed_at, f"{within}{op.name}/")
        kind = KINDS.get(op.type)
        if kind is None and _is_placed_on_the_cpu(op):
            kind = _ON_THE_CPU
        if kind is None or (kind == "control flow" and _decided_on_the_host(op)):
            continue
        file, line = _made_at(op) or needed_at
        found.append(HostOp(kind, op.type, f"{within}{op.name}", function, file, line))
    return found


def _inside(op: Any) -> list[Any]:
    """The graphs of the branches of an op, or of its loop's condition and body."""
    try:
        return graphs_in(op, *_BRANCHES.get(op.type, ()))
    except (AttributeError, LookupError, ValueError):
        return []  # a graph that is not built as expected: not known, and no reason to stop the program that traces


def _is_placed_on_the_cpu(op: Any) -> bool:
    # What reads or writes a variable is placed where the variable is, which is the CPU where there is no GPU.
    with_variables = any(each.dtype.name == "resource" for each in op.inputs)
    return "CPU" in op.device.upper() and op.type not in _MOVES_NOTHING and not with_variables


def _decided_on_the_host(op: Any) -> bool:
    """Whether what decides depends on nothing but what the host knows."""
    try:
        if op.type in ("While", "StatelessWhile"):
            return _Loop(op).decided_on_the_host()
        return _is_known(op.inputs[1 if op.type in ("Switch", "RefSwitch") else 0], lambda _: True)
    except (AttributeError, LookupError, StopIteration, ValueError):
        return False  # a graph that is not built as expected: not known, and no reason to stop the program that traces


class _Loop:
    """A While, whose condition depends on what its body makes of the values that it starts with."""

    def __init__(self, op: Any) -> None:
        self._op = op
        self._cond, self._body = graphs_in(op, "cond", "body")
        self._known: dict[int, bool] = {}  # of the loop's variables, by number

    def decided_on_the_host(self) -> bool:
        return _is_known(self._cond.outputs[0], lambda input_: self._is_known_variable(self._cond, input_))

    def _is_known_variable(self, graph: Any, input_: Any) -> bool:
        number = next(number for number, each in enumerate(graph.inputs) if each is input_)
        if number not in self._known:
            self._known[number] = True  # until one of the two says otherwise
            self._known[number] = _is_known(self._op.inputs[number], lambda _: True) and _is_known(
                self._body.outputs[number], lambda again: self._is_known_variable(self._body, again)
            )
        return self._known[number]


def _is_known(tensor: Any, is_known_input: Callable[[Any], bool]) -> bool:
    """Whether the host knows a tensor without asking the device, as far as the tensor's graph goes.

    Args:
        tensor: what decides, or a number that goes into it.
        is_known_input: the same of an int32 input of the graph.
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
