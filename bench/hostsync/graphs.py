"""What makes the host take part in a traced graph, which no Python function sees when the graph runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tensorflow.python.framework import func_graph

from bench.hostsync.callsite import is_users

KINDS: Final[dict[str, str]] = {
    **dict.fromkeys(("PrintV2", "Print"), "print"),
    **dict.fromkeys(("EagerPyFunc",), "py_function"),
    **dict.fromkeys(("PyFunc", "PyFuncStateless"), "numpy_function"),
    **dict.fromkeys(
        (
            "WriteSummary", "WriteScalarSummary", "WriteHistogramSummary", "WriteImageSummary", "WriteAudioSummary",
            "WriteRawProtoSummary", "WriteGraphSummary",
            "ScalarSummary", "HistogramSummary", "ImageSummary", "AudioSummaryV2", "TensorSummaryV2", "MergeSummary",
        ),
        "summary",
    ),
    "Assert": "assertion",
    **dict.fromkeys(
        ("If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase", "Switch", "RefSwitch", "LoopCond"),
        "control flow",
    ),
    **dict.fromkeys(
        ("Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "DynamicPartition"),
        "size of a result",
    ),
    **dict.fromkeys(("WriteFile", "SaveV2", "MergeV2Checkpoints"), "file"),
    **dict.fromkeys(("StringFormat", "AsString"), "text"),
}  # fmt: skip
"""Op types in which the host takes part, and why: it prints, calls Python, decides which branch to run, allocates a
result whose size depends on values, ...  (op names: https://www.tensorflow.org/api_docs/python/tf/raw_ops)"""

_COMPARISONS = frozenset({"Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"})

# Whether a variable is there, whether an iterator has more: their results are in host memory on every device.
_KNOWN_TO_THE_HOST = frozenset({"Const", "VarIsInitializedOp", "OptionalHasValue"})


@dataclasses.dataclass(frozen=True, slots=True)
class HostOp:
    """An op in a traced graph in which the host takes part."""

    kind: str  # print, py_function, numpy_function, summary, assertion, control flow, size of a result, file, text
    op: str  # its type in TensorFlow
    name: str  # in its graph
    function: str  # that was traced, the names of functions around it first
    file: str  # where it was made, in the user's code
    line: int


class Tracing:
    """Tells of the host ops of each graph as soon as it has been traced, while installed."""

    def __init__(self, tell: Callable[[Sequence[HostOp]], None]) -> None:
        self._original = original = func_graph.func_graph_from_py_func

        def traced_and_read(*args: Any, **kwargs: Any) -> Any:
            graph = original(*args, **kwargs)
            if found := host_ops(graph):
                tell(found)
            return graph

        self._ours = traced_and_read

    def install(self) -> None:
        """From here on."""
        func_graph.func_graph_from_py_func = self._ours

    def restore(self) -> None:
        """TensorFlow is as it was."""
        func_graph.func_graph_from_py_func = self._original


def host_ops(graph: Any) -> list[HostOp]:
    """The ops of one graph in which the host takes part; those of the graphs inside it are not among them.

    Not listed: branches and loops on what the host knows, and on comparisons of int32 numbers, which TensorFlow keeps
    on the host even beside a GPU.

    Args:
        graph: a FuncGraph.
    """
    found = []
    for op in graph.get_operations():
        kind = KINDS.get(op.type)
        if kind is None or (kind == "control flow" and _decided_on_the_host(op)):
            continue
        file, line = _made_at(op)
        found.append(HostOp(kind, op.type, op.name, _function(graph), file, line))
    return found


def _decided_on_the_host(op: Any) -> bool:
    """Whether what decides depends on nothing but constants and int32 numbers."""
    if op.type in ("While", "StatelessWhile"):
        predicate = op.graph._get_function(op.get_attr("cond").name).graph.outputs[0]
    else:
        predicate = op.inputs[1 if op.type in ("Switch", "RefSwitch") else 0]
    producer = predicate.op
    while producer.type in ("Identity", "LoopCond"):
        producer = producer.inputs[0].op
    if producer.type in _COMPARISONS:
        return _on_the_host(producer.inputs)
    return producer.type in _KNOWN_TO_THE_HOST or _on_the_host([predicate])


def _on_the_host(tensors: Iterable[Any]) -> bool:
    """Whether tensors and all that they are computed from, as far as their graph goes, are constants or int32."""
    waiting, seen = list(tensors), set()
    while waiting:
        tensor = waiting.pop()
        if tensor.op.type != "Const" and tensor.dtype.name != "int32":
            return False
        if tensor.op.name not in seen:
            seen.add(tensor.op.name)
            waiting.extend(tensor.op.inputs)
    return True


def _made_at(op: Any) -> tuple[str, int]:
    for frame in reversed(list(op.traceback)):
        if is_users(frame.filename):
            return frame.filename, int(frame.lineno)
    return "<unknown>", 0


def _function(graph: Any) -> str:
    names = []
    while isinstance(graph, func_graph.FuncGraph):
        names.append(str(graph.name))
        graph = graph.outer_graph
    return "/".join(reversed(names))
