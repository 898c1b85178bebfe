"""Each tracing of a `tf.function`: which function, for whom, and what differed from the traces that it had already.

A function is traced anew for each Python value, for other shapes and dtypes, and for each function object; that takes
milliseconds to seconds, in which the device does nothing.
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
_CONTAINERS = ("Tuple", "List", "Dict")  # of Python, as TraceTypes of them are called
_SCRATCH = "scratch_graph"
_SAVING = "_traced_"  # in each SavedModel, for its variables; no step of the program's
_SHOWN_VALUES = 4

Kind = Literal["number", "value", "length", "shape", "dtype", "type", "object", "new function", "variables", "context"]


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What differs between a trace and the one before it that is most like it."""

    kind: Kind
    argument: str = ""  # of the function, such as `x` or `batch[1]`; "" where it is none of an argument
    before: str = ""
    after: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """One tracing of a function into a graph."""

    function: str  # its name, the functions around it first
    file: str  # where it is defined; for a function of a tf.data pipeline, where that is built
    line: int
    caller: tuple[str, int]  # file and line of the user's code that needed it
    changes: tuple[Change, ...]  # against its earlier traces; empty for the first
    in_pipeline: bool  # of tf.data, which runs on the host

    @property
    def again(self) -> bool:
        """Whether it is a retrace: not the function's first trace, nor the one after it has made its variables.

        A function of a pipeline belongs to the pipeline, and is traced as often as that is built.
        """
        return not self.in_pipeline and any(change.kind != "variables" for change in self.changes)


class Tracing:
    """Tells of each function that is traced, or loaded, while installed.

    Args:
        tell: is given the trace, None for a loaded function, and the FuncGraph.
        compared: earlier traces of a function that each is held against, the latest ones: a loop may make thousands.
        most_collected: how often the garbage collector is asked whether the last function of a place is gone.
    """

    def __init__(self, tell: Callable[[Trace | None, Any], None], compared: int = 32, most_collected: int = 4) -> None:
        self._tell = tell
        self._compared, self._most_collected = compared, most_collected
        # What was traced last at a place; it lives as long as its `tf.function`.
        self._last: dict[tuple[str, int, str], weakref.ref[Any]] = {}
        self._callbacks: list[Any] = []
        # Whether it was found to be gone by the garbage collector, which takes long and is asked a few times only.
        self._collected: dict[tuple[str, int, str], list[bool]] = collections.defaultdict(list)

    def install(self) -> None:
        """From here on."""
        self._last.clear()
        self._collected.clear()
        self._callbacks = TRACED.get() if TRACED.is_there else []
        self._callbacks.append(self._traced)  # called with each graph; an error of the program does not pass here
        _loading.add(self._tell)

    def restore(self) -> None:
        """TensorFlow is as it was."""
        _loading.remove(self._tell)
        self._callbacks.remove(self._traced)

    def _traced(self, concrete: Any) -> None:
        # Keras makes graphs to learn shapes, and never runs them; but a function that is traced in one is kept.
        name = re.sub(rf"^{_SCRATCH}[^/]*/", "", function_of(concrete.graph))
        if name.rpartition("/")[2] != INITIALIZER:
            self._tell(self._trace(name, traced_function(concrete, self._compared)), concrete.graph)

    def _trace(self, name: str, traced: TracedFunction) -> Trace:
        site = call_site()
        file, line = site.file, site.line
        if traced.code is not None and not traced.in_pipeline:
            file, line = as_written_in(traced.code.co_filename, traced.code.co_firstlineno)
        changes = _changes(traced)
        if not traced.earlier and self._is_made_anew((file, line, name), traced.wrapper):
            changes = (Change("new function"),)
        return Trace(name, file, line, (site.file, site.line), changes, traced.in_pipeline)

    def _is_made_anew(self, place: tuple[str, int, str], function: Any) -> bool:
        """Whether the function that was traced last at a place is gone; two that live side by side are two."""
        last = self._last.get(place)
        with contextlib.suppress(TypeError):  # what no weak reference can be made to
            self._last[place] = weakref.ref(function)
        if last is None or last() is None:
            return last is not None
        collected = self._collected[place]  # a cycle, such as a model is in, may keep what nobody has any more
        if len(collected) < self._most_collected:
            gc.collect()
            collected.append(last() is None)
        return sum(collected) > len(collected) / 2


class _Loading:
    """Tells listeners of each function that is loaded from a SavedModel; hooked into TensorFlow while it has any."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[None, Any], None]] = []
        self._theirs: Any = None

    def add(self, tell: Callable[[None, Any], None]) -> None:
        if not self._listeners and LOADER.is_there:
            self._theirs = LOADER.get()
            LOADER.put(self._loaded)
        self._listeners.append(tell)

    def remove(self, tell: Callable[[None, Any], None]) -> None:
        self._listeners.remove(tell)
        if not self._listeners and self._theirs is not None:
            LOADER.put(self._theirs)
            self._theirs = None

    def _loaded(self, *args: Any, **kwargs: Any) -> Any:
        functions = self._theirs(*args, **kwargs)
        graphs = [each.graph for each in functions.values() if not each.graph.name.startswith(_SAVING)]
        for tell in list(self._listeners):
            for graph in graphs:
                tell(None, graph)
        return functions


_loading = _Loading()


@contextlib.contextmanager
def watch_traces(tell: Callable[[Trace], None]) -> Iterator[None]:
    """Tells of each function that is traced inside, and watches nothing else: what does not trace takes no longer.

    Args:
        tell: is given each trace as it ends.
    """
    tracing = Tracing(lambda trace, graph: None if trace is None else tell(trace), compared=2, most_collected=0)
    tracing.install()
    try:
        yield
    finally:
        tracing.restore()


def _changes(traced: TracedFunction) -> tuple[Change, ...]:
    """What differs from the earlier trace that is most like it, the later of several."""
    found = [_differences(earlier, traced.arguments) for earlier in traced.earlier]
    fewest = min(found, key=len, default=[])
    if found and not fewest:
        return (Change("variables" if traced.had_created_variables else "context"),)
    return tuple(fewest)


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    names = dict.fromkeys((*earlier, *now))
    return [change for name in names for change in _difference(name, earlier.get(name), now.get(name))]


def _difference(name: str, old: Any, new: Any) -> Iterator[Change]:
    """What differs between two trace types, tf.types.experimental.TraceType, of an argument."""
    if old == new:
        return
    inside, among = components(old), components(new)
    if type(old) is type(new) and inside.keys() != among.keys():
        yield Change("length", name, str(len(inside)), str(len(among)))
    elif inside and inside.keys() == among.keys():
        for key in inside:
            yield from _difference(f"{name}[{key!r}]", inside[key], among[key])
    elif all(hasattr(each, "shape") and hasattr(each, "dtype") for each in (old, new)):
        if old.dtype != new.dtype:
            yield Change("dtype", name, old.dtype.name, new.dtype.name)
        if old.shape != new.shape:
            yield Change("shape", name, str(old.shape), str(new.shape))
        if old.dtype == new.dtype and old.shape == new.shape:
            yield Change("type", name, type(old).__name__, type(new).__name__)
    elif type(old) is not type(new):
        yield Change("type", name, _named(old), _named(new))
    elif hasattr(old, "value") and isinstance(old.value, _PLAIN):
        numbers = all(isinstance(each.value, _NUMBERS) and not isinstance(each.value, bool) for each in (old, new))
        yield Change("number" if numbers else "value", name, _named(old), _named(new))
    else:
        yield Change("object", name)


def _named(type_: Any) -> str:
    if hasattr(type_, "value"):
        value = type_.value
        return repr(value) if isinstance(value, _PLAIN) else "object"
    if hasattr(type_, "dtype"):
        return f"{type_.dtype.name} tensor"
    name = "nothing" if type_ is None else type(type_).__name__
    return {"Weakref": "object", "Reference": "object"}.get(name, name.lower() if name in _CONTAINERS else name)


@dataclasses.dataclass(frozen=True)
class TracedSite:
    """All traces of the functions that are defined at one line under one name."""

    function: str  # its name, without the functions around it
    file: str
    line: int
    traces: int
    again: int  # of them, retraces
    why: tuple[str, ...]  # what differed in retraces, in words, the most frequent first
    kinds: tuple[Kind, ...]  # the same as kinds, in the order of `why`
    callers: tuple[tuple[str, int], ...]  # lines of the user's code that needed them, the most frequent first
    in_pipeline: bool

    @property
    def source(self) -> str:
        """The line; empty where the file is not there."""
        return source_line(self.file, self.line)


def by_function(traces: Iterable[Trace]) -> tuple[TracedSite, ...]:
    """One for each function, those with most retraces first."""
    gathered: dict[tuple[str, int, str], list[Trace]] = collections.defaultdict(list)
    for trace in traces:
        gathered[trace.file, trace.line, trace.function.rpartition("/")[2]].append(trace)
    found = (_site(place, each) for place, each in gathered.items())
    return tuple(sorted(found, key=lambda site: (-site.again, -site.traces, site.file, site.line)))


def _site(place: tuple[str, int, str], traces: list[Trace]) -> TracedSite:
    # The first one here is no retrace by a function of that line that was gone before: somebody else's test, say.
    begun = [change.kind for change in traces[0].changes] == ["new function"]
    again = [trace for trace in traces[begun:] if trace.again]
    changed: dict[tuple[Kind, str], list[Change]] = collections.defaultdict(list)
    for change in itertools.chain.from_iterable(trace.changes for trace in again):
        changed[change.kind, change.argument].append(change)
    ordered = sorted(changed.items(), key=lambda item: -len(item[1]))
    file, line, function = place
    return TracedSite(
        function=function,
        file=file,
        line=line,
        traces=len(traces),
        again=len(again),
        why=tuple(_in_words(changes, counted=len(ordered) > 1) for _, changes in ordered),
        kinds=tuple(kind for (kind, _), _ in ordered),
        callers=tuple(caller for caller, _ in collections.Counter(trace.caller for trace in traces).most_common()),
        in_pipeline=traces[0].in_pipeline,
    )


def _in_words(changes: Sequence[Change], counted: bool) -> str:
    """Changes of one kind, of one argument: `Python value of n: 0 → 1 → 2 → …`.

    Args:
        changes: those.
        counted: whether to say how many they are, where there are several kinds.
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
