"""Rules of the advice: how each pattern of reads, retraces or host ops is recognised, and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from loop_bench.hostsync.log import Site
from loop_bench.hostsync.statements import Line
from loop_bench.hostsync.tracing import Kind, TracedSite
from loop_bench.source import is_installed, shorter, whole

_KERAS_2 = ("tf_keras/",)
_KERAS_2_BATCHES, _KERAS_2_NUMBERS = ("tf_keras/src/engine/data_adapter",), ("tf_keras/src/utils/tf_utils",)
_KERAS = ("keras/", *_KERAS_2)
_KERAS_CALLBACKS = ("keras/src/callbacks/", "tf_keras/src/callbacks")
_BARS = ("tqdm/", "rich/progress", "keras/src/utils/progbar", "tf_keras/src/utils/generic_utils")
"""Paths of library code that shows what a read is for, as `source.shorter` writes paths."""

_NUMBERS = frozenset({"numpy", "float", "int", "format", "str", "repr", "print", "round", "item"})
_SCALAR = 8  # bytes

_INSTEAD_OF_NUMPY: Final = {
    "abs": "tf.abs", "all": "tf.reduce_all", "any": "tf.reduce_any", "argmax": "tf.argmax", "argmin": "tf.argmin",
    "clip": "tf.clip_by_value", "concatenate": "tf.concat", "dot": "tf.tensordot", "exp": "tf.exp",
    "isfinite": "tf.math.is_finite", "isinf": "tf.math.is_inf", "isnan": "tf.math.is_nan", "log": "tf.math.log",
    "matmul": "tf.matmul", "max": "tf.reduce_max", "mean": "tf.reduce_mean", "min": "tf.reduce_min",
    "norm": "tf.norm", "sqrt": "tf.sqrt", "square": "tf.square", "stack": "tf.stack",
    "std": "tf.math.reduce_std", "sum": "tf.reduce_sum", "where": "tf.where",
}  # fmt: skip


class Match(NamedTuple):
    """A rule that matched, and its advice."""

    rule: str  # name of the rule
    todo: str


def on_reads(site: Site) -> Match | None:
    """The rule that matches the reads of a line; None if no rule is sure."""
    line = Line(site.file, site.line)
    if line.is_python_in_a_graph():
        return None
    for rule in (_progress_bar, _keras, _element_of_dataset, _numpy_function, _decision, _metric):
        if todo := rule(site, line):
            return Match(rule.__name__.strip("_").replace("_", " "), todo)
    return None


def _progress_bar(site: Site, line: Line) -> str | None:
    asks_for_length = all(frames[0].function == "__init__" for frames, _ in site.readers)
    if not _mostly(site, _BARS) or asks_for_length:
        return None
    return "A progress bar needs no new number in every batch: update it every N batches, `if step % N == 0:`."


def _keras(site: Site, line: Line) -> str | None:
    if _mostly(site, _KERAS_CALLBACKS):
        return "A Keras callback reads: let it read less often (`update_freq` of TensorBoard), or once an epoch."
    if not _mostly(site, _KERAS):
        return None
    if site.route in ("fit", "evaluate") and "steps_per_execution" not in whole(site.file):
        if _mostly(site, _KERAS_2):
            return _keras_2(site)
        return (
            "Keras reads its loss and metrics after each call of its step: `compile(…, steps_per_execution=N)` makes "
            "that once in N batches (callbacks then see every N-th batch)."
        )
    if site.route in ("train_on_batch", "test_on_batch"):
        return (
            f"`{site.route}` returns numbers for every batch: use `fit` with `steps_per_execution`, or a step of your "
            "own in a `tf.function`, and read its metrics once an epoch."
        )
    return None


def _keras_2(site: Site) -> str:
    if 2 * _reads_by(site, _KERAS_2_NUMBERS) <= _reads_by(site, _KERAS_2_BATCHES):
        return (
            "Keras 2 reads before each call of its step how many batches the call has, and its loss only for a "
            "progress bar or a callback: `compile(…, steps_per_execution=N)` reads only once in N batches."
        )
    return (
        "Keras 2 reads its loss and metrics after each call of its step if a progress bar or a callback uses them: "
        "use `verbose=2` and callbacks that read once an epoch, or `compile(…, steps_per_execution=N)`, which reads "
        "only once in N batches."
    )


def _element_of_dataset(site: Site, line: Line) -> str | None:
    if site.route not in ("asarray", "array", "numpy") or site.route not in line.calls_on_elements():
        return None
    return (
        "Elements of tf.data are on the host: this copies them. Hand the tensor on as it is, or iterate over "
        "`dataset.as_numpy_iterator()` where arrays are wanted."
    )


def _numpy_function(site: Site, line: Line) -> str | None:
    instead = _INSTEAD_OF_NUMPY.get(site.route)
    if not instead or site.route not in line.calls_of_numpy() - line.calls_on_elements():
        return None  # elements of a dataset are on the host
    return f"`np.{site.route}` reads the tensor to the host: `{instead}` computes it on the device."


def _decision(site: Site, line: Line) -> str | None:
    if site.route != "bool" or site.readers or not line.decides():
        return None
    return (
        "Python decides, so the host must read the value: use `tf.where`, or put the branch inside the `tf.function`; "
        "if the host must decide (early stopping), do so every N batches and mark it with `hostsync.allow`."
    )


def _metric(site: Site, line: Line) -> str | None:
    if site.route not in _NUMBERS or site.nbytes > _SCALAR * site.reads or not line.is_in_every_batch():
        return None
    if line.reads_metric():
        return "The metric keeps its sum on the device: call its `result()` once an epoch, or every N batches."
    return (
        "Keep it on the device (collect the tensors, or a `keras.metrics.Mean`) and read it once an epoch, or every "
        "N batches."
    )


def _mostly(site: Site, folders: tuple[str, ...]) -> bool:
    """Whether code in these folders makes most of a line's reads."""
    return 2 * _reads_by(site, folders) > site.reads


def _reads_by(site: Site, folders: tuple[str, ...]) -> int:
    return sum(reads for frames, reads in site.readers if shorter(frames[0].file).startswith(folders))


_RETRACED: Final[dict[Kind, str]] = {
    "number": "A Python number is part of the graph, so each has its own: pass `tf.constant(n)` or a `tf.Variable`.",
    "shape": (
        "Each shape needs its own graph: give `tf.function` an `input_signature` with None for that axis or "
        "`reduce_retracing=True`, pad the data, or use `batch(…, drop_remainder=True)`."
    ),
    "dtype": "Each dtype needs its own graph: cast before the call.",
    "new function": "Create the `tf.function` once, outside the loop, and call that.",
}


def on_retraces(function: TracedSite) -> Match | None:
    """The rule for a function that is retraced, by its most frequent cause; None if there is none."""
    kind = function.kinds[0]
    todo = _RETRACED.get(kind)
    if kind == "new function" and shorter(function.file).startswith(_KERAS):
        todo = "Keras creates it again for each model and each `compile()`: build and compile the model once."
    elif is_installed(function.file):
        todo = _RETRACED_BY_A_LIBRARY if kind == "new function" else None
    return Match("retraced", todo) if todo else None


def is_step(function: TracedSite) -> bool:
    """Whether a function is known to run repeatedly: in a loop of the user's code or of Keras."""
    return shorter(function.file).startswith(_KERAS) or any(Line(*caller).is_repeated() for caller in function.callers)


_RETRACED_BY_A_LIBRARY: Final = (
    "The library creates it again in each call of this line: call it inside a `tf.function`, which is traced once."
)

_IN_GRAPHS: Final = {
    "py_function": "It runs Python on the host in the middle of the step: use TensorFlow's ops, or do it in tf.data.",
    "numpy_function": "It runs NumPy on the host in the middle of the step: use TensorFlow's ops, or do it in tf.data.",
    "print": "It takes the values to the host in each step: take it out, or run it every N steps.",
    "summary": "It takes the values to the host in each step: `tf.summary.record_if` every N steps.",
}


def on_host_ops(kind: str) -> Match | None:
    """The rule for a kind of host op in the graph of a step; None if there is none."""
    todo = _IN_GRAPHS.get(kind)
    return Match(f"{kind} in a step", todo) if todo else None
