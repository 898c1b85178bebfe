"""Extracts the ops from a trace of TensorFlow's profiler.

The format on a CPU was determined from traces that TensorFlow 2.21.0 wrote of toy programs and of the built-in loops.
TensorFlow 2.18 and 2.20 write the same, except that 2.18 has no `end:` event of an XLA op: its events last as long as
the op, and some are on threads `host_executor/…`. TensorFlow 2.16 writes no events of XLA ops.

- There is one plane, `/host:CPU`, with a line for each thread, named by its pool: `python`, `tf_Compute/…` (the
  executor), `tf_numa_-1_Eigen/…` (within ops, and for XLA), `tf_data_…`. Times count from the start of the trace.
- An op of a plain graph is an event `name:Type` on the executor's thread, `while/body/_1/MatMul:_MklMatMul`, without
  stats. **Host level 2 shows only those that the executor classifies as expensive** (by measured cycles), level 1 none,
  level 3 all. For the built-in loop before, the ops that only level 3 shows took 3% of the time of all ops at preset
  paper; at tiny they were 988 of 1049 ops. Around an op are `ExecutorState::Process`, `KernelAndDeviceFunc::Run` and
  other events that are not ops, and the whole function, `__inference_step_44:__inference_step_44`, which is recognised
  by its first letter (as in TensorFlow's own `ParseTfOpFullname`). Pieces of an op on other threads are not events of
  ops (`ThreadpoolListener::StartRegion` and `StopRegion`, without a name), so an op counts once, whatever the number of
  threads.
- An op of a function compiled by XLA (`jit_compile=True`) is an event named as the HLO instruction, `MatMul.20`,
  `broadcast_divide_fusion.1`, `while.8`, already at level 1, with the stats `hlo_op` and `hlo_module`
  (`a_inference_step_44__XlaMustCompile_true_…`), on the calling thread or an Eigen one, inside
  `ThunkExecutor::Execute`. **Its duration is that of starting it**: an op that continues on another thread ends with an
  event `end: MatMul.20`, whose stat `_c` is the op's `_p`. The events of 50 large matrix products lasted 38 ms, the
  products 481 ms. **The thread that ends an op may first run the ops that waited for it**, in a
  `ThunkExecutor::Execute`, and write the end event afterwards: a copy of 16 KB at the beginning of a step seemed to
  take 0.4 ms, all but 0.01 ms of which were the ops after it. `while`, `call` and `conditional` enclose the ops that
  they run.
- An asynchronous kernel of a plain graph that calls such a function has no event `name:Type`.
- Level 2 adds 0 to 30% to the wall-clock time. Level 3 adds 20 to 40% to the loop before at preset paper, and 70 to
  300% at tiny, but no more than level 2 to the loop after, which XLA compiles. (Measured on two shared cores.)

A GPU's trace has a plane `/device:GPU:n` for each GPU with a line `Stream #…` for each stream, whose events are
kernels, copies and fills. This is from the profiler's source (see `loop_bench.hostsync.trace`) and was **not tried on a
GPU**. A line named `CUPTI overhead` is the profiler's own time, and is left out.
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
"""Host levels of the profiler that show the expensive ops of plain graphs, and all ops."""

MARK: Final = "bench: profiled stretch"
"""Name of the host event that marks the stretch."""

_GRAPH_OP: Final = re.compile(r"([A-Za-z0-9.][\w.\\/>-]*):([A-Z_]\w*)")
_FUNCTION: Final = re.compile(r"a_inference_(.+?)_\d+__")
_MODULE: Final = re.compile(r"a_inference_(.+?)_\d+__.*\(\d+\)")
"""Name of a function compiled by XLA, in the metadata of the plane `/host:metadata`; no event has it."""

_NUMBER: Final = re.compile(r"(?:[._]\d+)+$")
_RESUMED: Final = "ThunkExecutor::Execute"
"""Name of the event in which a thread runs XLA ops that have become ready."""

_TASK: Final = "ThreadpoolListener::StartRegion"
"""Name of the event at which a thread begins another task."""

_ENCLOSING: Final = {
    *("while", "call", "conditional"),  # XLA's
    *("PartitionedCall", "StatefulPartitionedCall", "XlaLaunch", "_XlaRun", "While", "StatelessWhile", "If"),
    *("StatelessIf", "Case", "StatelessCase"),
}
"""Kinds of ops that run other ops; they are left out, because those have events of their own."""


def traced(space: Any) -> Traced:
    """The ops in the marked stretch of a trace: those of the GPUs, or of the CPU if there is no GPU.

    Args:
        space: a `tensorflow.tsl.profiler.protobuf.xplane_pb2.XSpace`.

    Raises:
        ProfilerError: no stretch is marked.
    """
    begin, end = _stretch(space)
    gpus = [plane for _, plane in trace.gpus(space)]
    events = _of_gpus(gpus) if gpus else _of_cpu(space)
    ops = tuple(op for op in events if begin <= op.begin < end)
    problems = (*space.errors, *space.warnings, *(() if gpus else _missing(space)))
    return Traced("GPU" if gpus else "CPU", ops, begin, end, problems)


def _missing(space: Any) -> Iterator[str]:
    """Warns of functions compiled by XLA whose ops this version of TensorFlow does not trace."""
    names = {metadata.name for plane in space.planes for metadata in plane.event_metadata.values()}
    functions = sorted({match[1] for name in names if (match := _MODULE.fullmatch(name))})
    reason = trace.lacks_ops_of_xla()
    if functions and reason:
        yield f"{reason}: the time of {', '.join(functions)}, compiled by XLA, appears as gaps"


def kind_of(name: str) -> str:
    """The kind of an HLO instruction or a GPU's kernel: its name without numbers and C++ arguments."""
    plain = re.split(r"[<(]", name.removeprefix("void "), maxsplit=1)[0].strip()
    return _NUMBER.sub("", plain) or name


def _stretch(space: Any) -> tuple[int, int]:
    for plane in _hosts(space):
        for line in plane.lines:
            for event in line.events:
                if plane.event_metadata[event.metadata_id].name == MARK:
                    return _times(line, event)
    raise ProfilerError("the trace does not contain the profiled stretch: trace fewer batches")


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
                    op = OpEvent(graph_op[1], graph_op[2], number, begin, left, left)
                elif event.stats and (stats := _stats(plane, event)).get("hlo_op"):
                    name = names[event.metadata_id]
                    moments = ends.get((name, stats.get("_p")), ())
                    end = max(left, next((moment for moment in moments if moment > begin), left))
                    op = OpEvent(f"{name}{_function(stats)}", kind_of(name), number, begin, left, end)
                else:
                    continue
                if op.kind not in _ENCLOSING:
                    yield op


def _hosts(space: Any) -> list[Any]:
    return [plane for plane in space.planes if plane.name == "/host:CPU"]


def _ends(plane: Any) -> dict[tuple[str, Any], tuple[int, ...]]:
    """The possible end times of XLA ops, by name and the number of the run.

    The last time is that of the end event. If the thread ran other ops in the same task before it wrote the event, the
    first time is when it began them: it is the true end if they had waited for the op, so if it is after its begin.
    """
    names = {number: kind.name for number, kind in plane.event_metadata.items()}
    ends = {}
    for line in plane.lines:
        resumed: list[tuple[int, int]] = []  # begin and end of each resumption in this task
        for event in sorted(line.events, key=lambda event: event.offset_ps):
            name, (begin, left) = names[event.metadata_id], _times(line, event)
            if name == _TASK:
                resumed.clear()
            elif name == _RESUMED:
                resumed.append((begin, left))
            elif name.startswith("end: "):
                completed = [started for started, stopped in resumed if stopped <= begin]
                ends[name[5:], _stats(plane, event).get("_c")] = (*completed[-1:], begin)
    return ends


def _function(stats: dict[str, Any]) -> str:
    """The function that an instruction belongs to, in brackets; empty: its module does not name one."""
    match = _FUNCTION.match(str(stats.get("hlo_module", "")))
    return f" ({match[1]})" if match else ""


def _stats(plane: Any, event: Any) -> dict[str, Any]:
    """The stats of an event by name, with references to texts resolved."""
    stats = {}
    for stat in event.stats:
        which = stat.WhichOneof("value")
        value = getattr(stat, which) if which else None
        stats[plane.stat_metadata[stat.metadata_id].name] = (
            plane.stat_metadata[value].name if which == "ref_value" else value
        )
    return stats


def _times(line: Any, event: Any) -> tuple[int, int]:
    begin = line.timestamp_ns * 1000 + event.offset_ps
    return begin, begin + event.duration_ps
