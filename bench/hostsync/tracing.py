"""Observes each tracing of a `tf.function`: the function, the line that called it, and the cause of a retrace.

A function is traced anew for each Python value, for other shapes and dtypes, and for each function object.
Tracing takes milliseconds to seconds, during which the device is idle.
(https://www.tensorflow.org/guide/function#rules_of_tracing)
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import gc
import itertools
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from loop_bench.hostsync.callsite import as_written_in, call_site
from loop_bench.hostsync.tensorflow_private import (
    INITIALIZER,
    LOADER,
    TRACED,
    TracedFunction,
    components,
    function_of,
    traced_function,
)
from loop_bench.source import source_line

_NUMBERS, _PLAIN = (int, float, complex), (bool, int, float, complex, str, bytes, type(None))
_CONTAINERS = ("Tuple", "List", "Dict")  # names of the TraceTypes of Python's containers
_SCRATCH = "scratch_graph"
_SAVING = "_traced_"  # prefix of functions in each SavedModel for its variables, which are no steps of the program
_SHOWN_VALUES = 4

Kind = Literal["number", "value", "length", "shape", "dtype", "type", "object", "new function", "variables", "context"]


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One difference between a trace and the most similar earlier trace of the same function."""

    kind: Kind
    argument: str = ""  # argument that differs, such as `x` or `batch[1]`; "": not an argument
    before: str = ""
    after: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """One tracing of a function into a graph."""

    function: str  # the function's name, after the names of the functions around it
    file: str  # where the function is defined; for a function of a tf.data pipeline, where the pipeline is built
    line: int
    caller: tuple[str, int]  # file and line of the user's code that caused the tracing
    changes: tuple[Change, ...]  # differences from the earlier traces; empty for the first
    in_pipeline: bool  # whether it belongs to a tf.data pipeline, which runs on the host

    @property
    def again(self) -> bool:
        """Whether this is a retrace: neither the first trace nor the second one after variables were created.

        Functions of a pipeline are never retraces: they are traced whenever the pipeline is built.
        """
        return not self.in_pipeline and any(change.kind != "variables" for change in self.changes)


class Tracing:
    """Reports each function that is traced or loaded, between `install` and `restore`.

    Args:
        report: called with the trace (None for a loaded function) and the FuncGraph.
        compared: number of the latest earlier traces of a function to compare a trace with: a loop may make thousands.
        most_collected: most runs of the garbage collector, per place, to find out whether its last function is gone.
    """

    def __init__(
        self, report: Callable[[Trace | None, Any], None], compared: int = 32, most_collected: int = 4
    ) -> None:
        self._report = report
        self._compared, self._most_collected = compared, most_collected
        # The function traced last at each place, which lives as long as its `tf.function`.
        self._last: dict[tuple[str, int, str], weakref.ref[Any]] = {}
        self._callbacks: list[Any] = []
        # For each run of the garbage collector, which is slow, whether the last function of the place was gone.
        self._collected: dict[tuple[str, int, str], list[bool]] = collections.defaultdict(list)

    def install(self) -> None:
        """Starts reporting traced and loaded functions."""
        self._last.clear()
        self._collected.clear()
        self._callbacks = TRACED.get() if TRACED.is_there else []
        self._callbacks.append(self._traced)  # not called if the tracing raises an error of the program
        _loading.add(self._report)

    def restore(self) -> None:
        """Stops reporting, which leaves TensorFlow exactly as it was."""
        _loading.remove(self._report)
        self._callbacks.remove(self._traced)

    def _traced(self, concrete: Any) -> None:
        # Keras infers shapes in scratch graphs that never run, but a function that is traced in one is kept.
        name = re.sub(rf"^{_SCRATCH}[^/]*/", "", function_of(concrete.graph))
        if name.rpartition("/")[2] != INITIALIZER:
            self._report(self._trace(name, traced_function(concrete, self._compared)), concrete.graph)

    def _trace(self, name: str, traced: TracedFunction) -> Trace:
        site = call_site()
        file, line = site.file, site.line
        if traced.code is not None and not traced.in_pipeline:
            file, line = as_written_in(traced.code.co_filename, traced.code.co_firstlineno)
        changes = _changes(traced)
        if not traced.earlier and self._is_recreated((file, line, name), traced.wrapper):
            changes = (Change("new function"),)
        return Trace(name, file, line, (site.file, site.line), changes, traced.in_pipeline)

    def _is_recreated(self, place: tuple[str, int, str], function: Any) -> bool:
        """Whether a function replaces the last one traced at its place, which is gone; if both live, it does not."""
        last = self._last.get(place)
        with contextlib.suppress(TypeError):  # the function does not support weak references
            self._last[place] = weakref.ref(function)
        if last is None or last() is None:
            return last is not None
        collected = self._collected[place]  # a reference cycle, as in a model, may keep an unused function alive
        if len(collected) < self._most_collected:
            gc.collect()
            collected.append(last() is None)
        return sum(collected) > len(collected) / 2


class _Loading:
    """Reports each function that is loaded from a SavedModel; hooked into TensorFlow while there are listeners."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[None, Any], None]] = []
        self._original: Any = None

    def add(self, listener: Callable[[None, Any], None]) -> None:
        if not self._listeners and LOADER.is_there:
            self._original = LOADER.get()
            LOADER.put(self._loaded)
        self._listeners.append(listener)

    def remove(self, listener: Callable[[None, Any], None]) -> None:
        self._listeners.remove(listener)
        if not self._listeners and self._original is not None:
            LOADER.put(self._original)
            self._original = None

    def _loaded(self, *args: Any, **kwargs: Any) -> Any:
        functions = self._original(*args, **kwargs)
        graphs = [function.graph for function in functions.values() if not function.graph.name.startswith(_SAVING)]
        for listener in list(self._listeners):
            for graph in graphs:
                listener(None, graph)
        return functions


_loading = _Loading()


@contextlib.contextmanager
def watch_traces(report: Callable[[Trace], None]) -> Iterator[None]:
    """Reports each function that is traced inside, and nothing else, so that code that does not trace is not slowed.

    Args:
        report: called with each trace as it ends.
    """
    tracing = Tracing(lambda trace, graph: None if trace is None else report(trace), compared=2, most_collected=0)
    tracing.install()
    try:
        yield
    finally:
        tracing.restore()


def _changes(traced: TracedFunction) -> tuple[Change, ...]:
    """Differences from the most similar earlier trace, the latest of equally similar ones."""
    candidates = [_differences(earlier, traced.arguments) for earlier in traced.earlier]
    fewest = min(candidates, key=len, default=[])
    if candidates and not fewest:
        return (Change("variables" if traced.had_created_variables else "context"),)
    return tuple(fewest)


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    names = dict.fromkeys((*earlier, *now))
    return [change for name in names for change in _difference(name, earlier.get(name), now.get(name))]


def _difference(name: str, old: Any, new: Any) -> Iterator[Change]:
    """Differences between two trace types (tf.types.experimental.TraceType) of an argument."""
    if old == new:
        return
    old_parts, new_parts = components(old), components(new)
    if type(old) is type(new) and old_parts.keys() != new_parts.keys():
        yield Change("length", name, str(len(old_parts)), str(len(new_parts)))
    elif old_parts and old_parts.keys() == new_parts.keys():
        for key in old_parts:
            yield from _difference(f"{name}[{key!r}]", old_parts[key], new_parts[key])
    elif all(hasattr(each, "shape") and hasattr(each, "dtype") for each in (old, new)):
        if old.dtype != new.dtype:
            yield Change("dtype", name, old.dtype.name, new.dtype.name)
        if old.shape != new.shape:
            yield Change("shape", name, str(old.shape), str(new.shape))
        if old.dtype == new.dtype and old.shape == new.shape:
            yield Change("type", name, type(old).__name__, type(new).__name__)
    elif type(old) is not type(new):
        yield Change("type", name, _described(old), _described(new))
    elif hasattr(old, "value") and isinstance(old.value, _PLAIN):
        numbers = all(isinstance(each.value, _NUMBERS) and not isinstance(each.value, bool) for each in (old, new))
        yield Change("number" if numbers else "value", name, _described(old), _described(new))
    else:
        yield Change("object", name)


def _described(type_: Any) -> str:
    if hasattr(type_, "value"):
        value = type_.value
        return repr(value) if isinstance(value, _PLAIN) else "object"
    if hasattr(type_, "dtype"):
        return f"{type_.dtype.name} tensor"
    name = "nothing" if type_ is None else type(type_).__name__
    return {"Weakref": "object", "Reference": "object"}.get(name, name.lower() if name in _CONTAINERS else name)


@dataclasses.dataclass(frozen=True)
class TracedSite:
    """All traces of the functions with one name that are defined at one line."""

    function: str  # the function's name, without the functions around it
    file: str
    line: int
    traces: int
    again: int  # retraces among the traces
    why: tuple[str, ...]  # causes of the retraces, in words, the most frequent first
    kinds: tuple[Kind, ...]  # kinds of the causes, in the order of `why`
    callers: tuple[tuple[str, int], ...]  # lines of the user's code that caused the traces, the most frequent first
    in_pipeline: bool

    @property
    def source(self) -> str:
        """Source of the line; empty if the file is missing."""
        return source_line(self.file, self.line)


def by_function(traces: Iterable[Trace]) -> tuple[TracedSite, ...]:
    """Groups traces by function, those with most retraces first."""
    groups: dict[tuple[str, int, str], list[Trace]] = collections.defaultdict(list)
    for trace in traces:
        groups[trace.file, trace.line, trace.function.rpartition("/")[2]].append(trace)
    sites = (_site(place, group) for place, group in groups.items())
    return tuple(sorted(sites, key=lambda site: (-site.again, -site.traces, site.file, site.line)))


def _site(place: tuple[str, int, str], traces: list[Trace]) -> TracedSite:
    # A first trace that replaces a function from before these traces, such as another test's, is not a retrace.
    skipped = [change.kind for change in traces[0].changes] == ["new function"]
    retraces = [trace for trace in traces[skipped:] if trace.again]
    causes: dict[tuple[Kind, str], list[Change]] = collections.defaultdict(list)
    for change in itertools.chain.from_iterable(trace.changes for trace in retraces):
        causes[change.kind, change.argument].append(change)
    ordered = sorted(causes.items(), key=lambda item: -len(item[1]))
    file, line, function = place
    return TracedSite(
        function=function,
        file=file,
        line=line,
        traces=len(traces),
        again=len(retraces),
        why=tuple(_in_words(changes, counted=len(ordered) > 1) for _, changes in ordered),
        kinds=tuple(kind for (kind, _), _ in ordered),
        callers=tuple(caller for caller, _ in collections.Counter(trace.caller for trace in traces).most_common()),
        in_pipeline=traces[0].in_pipeline,
    )


def _in_words(changes: Sequence[Change], counted: bool) -> str:
    """Describes changes of one kind and one argument: `Python value of n: 0 → 1 → 2 → …`.

    Args:
        changes: the changes.
        counted: whether to add their number, for use beside other kinds.
    """
    kind, argument = changes[0].kind, changes[0].argument
    times = f" ({len(changes)} times)" if counted and len(changes) > 1 else ""
    match kind:
        case "new function":
            return f"a new function object each time{times}"
        case "object":
            return f"another object as {argument}{times}"
        case "context":
            return f"another context: device, strategy, thread or XLA{times}"
    what = {"number": "Python value", "value": "Python value"}.get(kind, kind)
    values = [*dict.fromkeys((changes[0].before, *(change.after for change in changes)))]
    shown = [_short(value) for value in values[:_SHOWN_VALUES]] + (["…"] if len(values) > _SHOWN_VALUES else [])
    return f"{what} of {argument}: {' → '.join(shown)}{times}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
