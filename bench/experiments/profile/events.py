"""The ops in a trace of TensorFlow's profiler.

What TensorFlow 2.21.0 writes on a CPU was found by looking at traces of toys and of the built-in loops. TensorFlow
2.18 and 2.20 write the same, but that 2.18 has no `end:` of an op of XLA's: its events last as long as the op, and
some are on threads `host_executor/…`. TensorFlow 2.16 writes no event of XLA's ops.

- One plane, `/host:CPU`, with a line a thread, named by its pool: `python`, `tf_Compute/…` (the executor's),
  `tf_numa_-1_Eigen/…` (within ops, and for XLA), `tf_data_…`. Times count from the start of the trace.
- An op of a plain graph is an event `name:Type` on the executor's thread, `while/body/_1/MatMul:_MklMatMul`, without
  stats. **Host level 2 shows only those that the executor counts as expensive** (by cycles that it has measured), level
  1 none, level 3 all. Of the built-in loop before, at preset paper what only level 3 showed was 3% of the time of its
  ops; at tiny it was 988 of 1049 ops. Around an op are `ExecutorState::Process`, `KernelAndDeviceFunc::Run` and others
  that are no ops, and the whole function, `__inference_step_44:__inference_step_44`, whose first letter tells it apart
  (as TensorFlow's own `ParseTfOpFullname` has it). Pieces that an op hands to other threads are no events of their own
  (`ThreadpoolListener::StartRegion` and `StopRegion` there, without a name), so an op counts once on however many
  threads it works.
- An op of a function compiled by XLA (`jit_compile=True`) is an event named as the HLO instruction, `MatMul.20`,
  `broadcast_divide_fusion.1`, `while.8`, already at level 1, with the stats `hlo_op` and `hlo_module`
  (`a_inference_step_44__XlaMustCompile_true_…`), on the calling thread or an Eigen one, inside
  `ThunkExecutor::Execute`. **Its duration is that of starting it**: one that goes on elsewhere ends with an event
  `end: MatMul.20`, whose stat `_c` is the op's `_p`, maybe on another thread. Of 50 large matrix products the events
  lasted 38 ms and the products 481 ms. **The thread that ends an op may run what waited for it first**, in a
  `ThunkExecutor::Execute`, and write the end thereafter: a copy of 16 KB at the beginning of a step seemed to take
  0.4 ms, of which all but 0.01 ms were the ops after it. `while`, `call` and `conditional` enclose the ops that they
  run.
- An asynchronous kernel of a plain graph that calls such a function has no event `name:Type`.
- Level 2 adds 0 to 30% to the wall-clock time; level 3 adds 20 to 40% at preset paper, and 70 to 300% at tiny, to the
  loop before, and no more than level 2 to the one after, which XLA compiles. (On two cores that others used as well.)

A GPU's trace has a plane `/device:GPU:n` for each GPU with a line `Stream #…` for each stream, on which kernels, copies
and fills are the events. That was read in its source (see `loop_bench.hostsync.trace`) and **not tried on a GPU**. A
line named `CUPTI overhead` is the profiler's own time, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from loop_bench.errors import ProfilerError
from loop_bench.experiments.profile.figures import OpEvent, Traced
from loop_bench.hostsync import trace

EXPENSIVE: Final = 2
EVERY: Final = 3
"""Host levels of the profiler: those that show the expensive ops of plain graphs, and all of them."""

MARK: Final = "bench: profiled stretch"
"""Name of the event, on the host, whose time is the stretch that is looked at."""

_GRAPH_OP: Final = re.compile(r"([A-Za-z0-9.][\w.\\/>-]*):([A-Z_]\w*)")
_FUNCTION: Final = re.compile(r"a_inference_(.+?)_\d+__")
_MODULE: Final = re.compile(r"a_inference_(.+?)_\d+__.*\(\d+\)")
"""Name of what describes a function that XLA has compiled, in the plane `/host:metadata`; it is no event's."""

_NUMBER: Final = re.compile(r"(?:[._]\d+)+$")
_RESUMED: Final = "ThunkExecutor::Execute"
"""Name of the event in which a thread runs ops of XLA's that have become ready."""

_TASK: Final = "ThreadpoolListener::StartRegion"
"""Name of the event with which a thread takes up something else."""

_ENCLOSING: Final = {
    *("while", "call", "conditional"),  # XLA's
    *("PartitionedCall", "StatefulPartitionedCall", "XlaLaunch", "_XlaRun", "While", "StatelessWhile", "If"),
    *("StatelessIf", "Case", "StatelessCase"),
}
"""Kinds that run other ops, which have events of their own."""


def traced(space: Any) -> Traced:
    """The ops in the stretch that is marked in a trace: those of the GPUs if there are any, else of the CPU.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.

    Raises:
        ProfilerError: no stretch is marked.
    """
    begin, end = _stretch(space)
    gpus = [plane for _, plane in trace.gpus(space)]
    found = _of_gpus(gpus) if gpus else _of_cpu(space)
    ops = tuple(op for op in found if begin <= op.begin < end)
    problems = (*space.errors, *space.warnings, *(() if gpus else _unseen(space)))
    return Traced("GPU" if gpus else "CPU", ops, begin, end, problems)


def _unseen(space: Any) -> Iterator[str]:
    """What a trace of the CPU does not show, although the program may have run it."""
    compiled = {each.name for plane in space.planes for each in plane.event_metadata.values()}
    functions = sorted({found[1] for name in compiled if (found := _MODULE.fullmatch(name))})
    why = trace.lacks_ops_of_xla()
    if functions and why:
        yield f"{why}: where one of {', '.join(functions)} ran, which XLA has compiled, it seems that nothing did"


def kind_of(name: str) -> str:
    """What kind of op an HLO instruction or a GPU's kernel is: its name without numbers and C++ arguments."""
    plain = re.split(r"[<(]", name.removeprefix("void "), maxsplit=1)[0].strip()
    return _NUMBER.sub("", plain) or name


def _stretch(space: Any) -> tuple[int, int]:
    for plane in _hosts(space):
        for line in plane.lines:
            for event in line.events:
                if plane.event_metadata[event.metadata_id].name == MARK:
                    return _times(line, event)
    raise ProfilerError("the trace does not show the stretch that was to be profiled: trace less")


def _of_gpus(planes: list[Any]) -> Iterator[OpEvent]:
    streams = [(plane, line) for plane in planes for line in plane.lines if line.name.startswith("Stream #")]
    for number, (plane, line) in enumerate(streams):
        for event in line.events:
            name = plane.event_metadata[event.metadata_id].name
            begin, end = _times(line, event)
            yield OpEvent(name, kind_of(name), number, begin, end, end)


def _of_cpu(space: Any) -> Iterator[OpEvent]:
    for plane in _hosts(space):
        ends = _ends(plane)
        names = {number: kind.name for number, kind in plane.event_metadata.items()}
        graph_ops = {number: match for number, name in names.items() if (match := _GRAPH_OP.fullmatch(name))}
        for number, line in enumerate(plane.lines):
            for event in line.events:
                begin, left = _times(line, event)
                if graph_op := graph_ops.get(event.metadata_id):
                    found = OpEvent(graph_op[1], graph_op[2], number, begin, left, left)
                elif event.stats and (stats := _stats(plane, event)).get("hlo_op"):
                    name = names[event.metadata_id]
                    ended = ends.get((name, stats.get("_p")), ())
                    end = max(left, next((each for each in ended if each > begin), left))
                    found = OpEvent(f"{name}{_function(stats)}", kind_of(name), number, begin, left, end)
                else:
                    continue
                if found.kind not in _ENCLOSING:
                    yield found


def _hosts(space: Any) -> list[Any]:
    return [plane for plane in space.planes if plane.name == "/host:CPU"]


def _ends(plane: Any) -> dict[tuple[str, Any], tuple[int, ...]]:
    """When XLA's ops were complete, by name and the number that a run of one has.

    The last time is when that was written. Where its thread had run ops in the same task before, the first is when it
    began to: it is the end, if they were those that had waited for the op, and so came after its begin.
    """
    names = {number: kind.name for number, kind in plane.event_metadata.items()}
    found = {}
    for line in plane.lines:
        resumed: list[tuple[int, int]] = []  # of this task
        for event in sorted(line.events, key=lambda event: event.offset_ps):
            name, (begin, left) = names[event.metadata_id], _times(line, event)
            if name == _TASK:
                resumed.clear()
            elif name == _RESUMED:
                resumed.append((begin, left))
            elif name.startswith("end: "):
                over = [started for started, stopped in resumed if stopped <= begin]
                found[name[5:], _stats(plane, event).get("_c")] = (*over[-1:], begin)
    return found


def _function(stats: dict[str, Any]) -> str:
    """The function that an instruction belongs to, in brackets; nothing where its module does not say."""
    found = _FUNCTION.match(str(stats.get("hlo_module", "")))
    return f" ({found[1]})" if found else ""


def _stats(plane: Any, event: Any) -> dict[str, Any]:
    """The stats of an event by name; texts that are referred to are looked up."""
    found = {}
    for stat in event.stats:
        which = stat.WhichOneof("value")
        value = getattr(stat, which) if which else None
        found[plane.stat_metadata[stat.metadata_id].name] = (
            plane.stat_metadata[value].name if which == "ref_value" else value
        )
    return found


def _times(line: Any, event: Any) -> tuple[int, int]:
    begin = line.timestamp_ns * 1000 + event.offset_ps
    return begin, begin + event.duration_ps
