"""The contract between the harness and a training loop, and the way from a factory's name to a loop."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from loop_bench import collectives
from loop_bench.errors import UsageError
from loop_bench.failure import FactoryError, blaming, located
from loop_bench.source import adopt
from loop_bench.variables import is_on_a_parameter_server


@dataclasses.dataclass(frozen=True)
class LoopSpec:
    """The harness's request for a loop; a factory may ignore what means nothing to it."""

    preset: str  # amount of work, by a name that the factory knows
    seed: int = 0  # of everything random, so that two loops draw the same
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # further options, by name


@runtime_checkable
class TrainingLoop(Protocol):
    """The interface of a training loop, which needs to know nothing of the harness.

    A loop may also have `describe() -> dict`: plain values worth keeping in the record, such as its configuration. A
    number called `temperature` in it gets a row in the table, `batches_per_epoch` one of host syncs an epoch. The
    number of `samples` that it has trained on so far is compared with that of the other loop; with `tokens_per_sample`,
    it gives the throughput of a run with several replicas.

    It may have `lines()`, the integers [batches, ...] that it has drawn at random in each batch so far: where rounding
    makes two loops differ, they show whether it has changed a draw.

    It may have `evaluate() -> {name: number}`: ratings of what it has learned so far, for `loop-bench converge`. It is
    never timed, and must leave training as it is. A name that ends in ↓ is better when lower, in ↑ when higher; for
    other names, no verdict says what is better.
    """

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches; device work may still be in flight on return."""

    def history(self) -> Mapping[str, np.ndarray]:
        """Metrics by name, one value for each batch so far, [batches]; may read the device; never timed."""

    @property
    def variables(self) -> Sequence[Any]:
        """Weights and optimizer state: tf.Variable or keras.Variable; the trainable ones count as weights.

        Under tf.distribute they may be distributed values, see `loop_bench.variables`: every replica is examined.
        """


LoopFactory = Callable[[LoopSpec], TrainingLoop]


def look_in_current_folder() -> None:
    """Lets modules of factories be found in the current folder too."""
    if (current := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, current)


def load(name: str) -> LoopFactory:
    """Loads the factory `module:factory`; its module may also be in the current folder.

    Raises:
        UsageError: the name is malformed, cannot be imported, or is nothing that can be called.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"factory {name!r}: must be module:factory, e.g. my_package.training:make_loop")
    look_in_current_folder()
    collectives.begin_numbering(collectives.ON_ONE_MACHINE)  # the module may make a strategy when it is imported
    try:
        factory: Any = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(f"factory {name!r}: importing {module_name} failed ({located(error)})") from error
    adopt(sys.modules[module_name].__spec__)  # the loop is the user's, wherever it is installed
    for part in attribute.split("."):
        if not hasattr(factory, part):
            raise UsageError(f"factory {name!r}: {module_name} has no {attribute}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise UsageError(f"factory {name!r}: is a {type(factory).__name__}, but must be callable with a LoopSpec")
    return factory  # type: ignore[no-any-return]


class NamedLoop:
    """A user's loop whose errors say which loop failed, in which call, and at which line.

    Args:
        name: of the loop, used in messages.
        own: the loop as its factory made it.
    """

    def __init__(self, name: str, own: TrainingLoop) -> None:
        self.name = name
        self.own = own

    def run(self, batches: int) -> None:
        """See TrainingLoop."""
        with blaming(f"{self.name}: run()"):
            self.own.run(batches)

    def history(self) -> Mapping[str, np.ndarray]:
        """See TrainingLoop."""
        with blaming(f"{self.name}: history()"):
            return self.own.history()

    @property
    def variables(self) -> Sequence[Any]:
        """See TrainingLoop."""
        with blaming(f"{self.name}: variables"):
            return self.own.variables

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def name_of(loop: TrainingLoop) -> str:
    """The loop's name in messages."""
    return loop.name if isinstance(loop, NamedLoop) else type(loop).__name__


def as_made(loop: TrainingLoop) -> TrainingLoop:
    """The loop as its factory made it, for code that changes it."""
    return loop.own if isinstance(loop, NamedLoop) else loop


def build(name: str, factory: LoopFactory, spec: LoopSpec, role: str = "") -> NamedLoop:
    """Builds a loop with its factory.

    Args:
        name: of the factory, used in messages.
        factory: makes the loop.
        spec: passed to the factory.
        role: of the loop among those of an experiment, such as `after`, used in messages.

    Raises:
        UsageError: the factory failed (FactoryError), or its loop does not keep the contract; the message says how.
    """
    of_role = f" ({role})" if role else ""
    factory_name = f"factory {name!r}{of_role}"
    collectives.begin_numbering()
    with blaming(f"{factory_name}:", FactoryError):
        loop = factory(spec)
    kind = type(loop).__name__
    for method in ("run", "history"):
        if not callable(getattr(loop, method, None)):
            raise UsageError(f"{factory_name}: its {kind} has no method {method}(); {_CONTRACT}")
    with blaming(f"{factory_name}: variables of its {kind}", FactoryError):
        variables = loop.variables
    if not isinstance(variables, Sequence) or not variables:
        raise UsageError(f"{factory_name}: variables of its {kind} is {_shorten(variables)}; {_CONTRACT}")
    for variable in variables:
        if not hasattr(variable, "assign") or not hasattr(variable, "trainable"):
            raise UsageError(f"{factory_name}: variables holds {_shorten(variable)}, which is no variable; {_CONTRACT}")
        if is_on_a_parameter_server(variable):
            raise UsageError(f"{factory_name}: {_ASYNCHRONOUS}")
    return NamedLoop(f"loop {name!r}{of_role}", loop)


def history(loop: TrainingLoop) -> dict[str, np.ndarray]:
    """The loop's history, each metric [batches] float.

    Raises:
        UsageError: the history does not have that form.
    """
    metrics = loop.history()
    if not isinstance(metrics, Mapping):
        raise UsageError(f"history() of {name_of(loop)} is {_shorten(metrics)}; {_CONTRACT}")
    arrays = {}
    for key, values in metrics.items():
        with blaming(f"{name_of(loop)}: history()"):
            try:
                arrays[str(key)] = np.asarray(values, float)
            except (TypeError, ValueError):
                raise UsageError(f"history() of {name_of(loop)}: {key!r} is {_shorten(values)}; {_CONTRACT}") from None
        if arrays[str(key)].ndim != 1:
            shape = arrays[str(key)].shape
            raise UsageError(f"history() of {name_of(loop)}: {key!r} has shape {shape}; {_CONTRACT}")
    return arrays


def lines(loop: TrainingLoop) -> np.ndarray | None:
    """The integers that the loop has drawn, [batches, ...]; None if it does not report or has not kept them."""
    method = getattr(loop, "lines", None)
    if not callable(method):
        return None
    with blaming(f"{name_of(loop)}: lines()"):
        drawn = np.asarray(method())
    return drawn if drawn.size else None


def evaluate(loop: TrainingLoop) -> dict[str, float]:
    """The loop's ratings of what it has learned, by name.

    Raises:
        UsageError: the loop has no evaluate(), or its result does not have that form.
    """
    method = getattr(loop, "evaluate", None)
    if not callable(method):
        raise UsageError(f"{name_of(loop)} has no evaluate() -> {{name: number}}, which says how good it is")
    with blaming(f"{name_of(loop)}: evaluate()"):
        ratings = method()
    try:
        return {str(name): float(value) for name, value in dict(ratings).items()}
    except (TypeError, ValueError):
        raise UsageError(f"evaluate() of {name_of(loop)} is {_shorten(ratings)}, but must be numbers by name") from None


def describe(loop: TrainingLoop) -> dict[str, Any]:
    """The loop's description of itself as plain values, others as their text; empty without one.

    Raises:
        UsageError: the description is no mapping.
    """
    method = getattr(loop, "describe", None)
    if not callable(method):
        return {}
    with blaming(f"{name_of(loop)}: describe()"):
        description = method()
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(description), default=_plain))
    except (TypeError, ValueError):  # also for keys that JSON lacks, and for cycles
        raise UsageError(
            f"describe() of {name_of(loop)} is {_shorten(description)}, but must be plain values by name"
        ) from None
    return plain


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


_ASYNCHRONOUS = (
    "its variables are on parameter servers, whose workers train on batches of their own: no batch has an end that "
    "could be timed; use MirroredStrategy or MultiWorkerMirroredStrategy"
)

_CONTRACT = "a loop has run(batches), history() -> {name: [batches]} and variables, a list of tf.Variable"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
