"""The contract between the harness and a training loop, and the way from a name to a loop."""

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
    """What the harness says of the loop that it wants; a factory may ignore what means nothing to it."""

    preset: str  # how much work, by a name that the factory knows
    seed: int = 0  # of everything random, so that two loops see the same
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # whatever else was asked for


@runtime_checkable
class TrainingLoop(Protocol):
    """What a loop must offer; it needs to know nothing of the harness.

    A loop may also have `describe() -> dict`: plain values worth keeping in the record, such as its
    configuration. A number called `temperature` in it gets a row in the table, `batches_per_epoch` one of host syncs
    an epoch; `samples`, the number that it has trained on so far, is held against that of the other loop, and makes,
    with `tokens_per_sample`, the throughput of a run with several replicas.

    And it may have `lines()`, integers [batches, ...] that it has drawn at random in each batch so far: where rounding
    makes two loops differ, it is then known whether it has flipped a draw.

    And it may have `evaluate() -> {name: number}`: how good what it has learned is now, for `loop-bench converge`.
    It is never timed, and must leave training as it is. A name that ends in ↓ is better the lower, in ↑ the higher; of
    one that ends in neither no verdict says what is better.
    """

    def run(self, batches: int) -> None:
        """Trains exactly that many more batches; device work may still be in flight on return."""

    def history(self) -> Mapping[str, np.ndarray]:
        """Metrics by name, one value for each batch so far, [batches]; may read the device; never timed."""

    @property
    def variables(self) -> Sequence[Any]:
        """Weights and optimizer state: tf.Variable or keras.Variable; the trainable ones count as weights.

        Under tf.distribute they may be distributed values: see `loop_bench.variables`. Every replica is looked at.
        """


LoopFactory = Callable[[LoopSpec], TrainingLoop]


def look_in_current_folder() -> None:
    """Has modules of factories found in the current folder too."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)


def load(name: str) -> LoopFactory:
    """The factory called `module:factory`; modules are looked for in the current folder too.

    Raises:
        UsageError: it is not of that form, cannot be imported, or is nothing that can be called.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"factory {name!r}: must be module:factory, e.g. my_package.training:make_loop")
    look_in_current_folder()
    collectives.begin_numbering(collectives.ON_ONE_MACHINE)  # the module may make a strategy when it is imported
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(f"factory {name!r}: importing {module_name} failed ({located(error)})") from error
    adopt(sys.modules[module_name].__spec__)  # the loop is the user's, wherever it is installed
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"factory {name!r}: {module_name} has no {attribute}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"factory {name!r}: is a {type(found).__name__}, but must be callable with a LoopSpec")
    return found  # type: ignore[no-any-return]


class NamedLoop:
    """A user's loop that says, when one of its calls fails, which loop it is, which call, and at which line.

    Args:
        name: of the loop, for messages.
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
    """What a loop is called in messages."""
    return loop.name if isinstance(loop, NamedLoop) else type(loop).__name__


def as_made(loop: TrainingLoop) -> TrainingLoop:
    """The loop as its factory made it, for what changes it."""
    return loop.own if isinstance(loop, NamedLoop) else loop


def build(name: str, factory: LoopFactory, spec: LoopSpec, role: str = "") -> NamedLoop:
    """A loop from its factory.

    Args:
        name: of the factory, for messages.
        factory: makes the loop.
        spec: to make it with.
        role: of the loop among those of an experiment, such as `after`, for messages.

    Raises:
        UsageError: the factory failed (FactoryError), or what came back does not keep the contract; it says in what.
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
        UsageError: it is not of that form.
    """
    found = loop.history()
    if not isinstance(found, Mapping):
        raise UsageError(f"history() of {name_of(loop)} is {_shorten(found)}; {_CONTRACT}")
    arrays = {}
    for key, values in found.items():
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
    """What the loop has drawn, integers [batches, ...]; None if it does not say or has not kept it."""
    say = getattr(loop, "lines", None)
    if not callable(say):
        return None
    with blaming(f"{name_of(loop)}: lines()"):
        found = np.asarray(say())
    return found if found.size else None


def evaluate(loop: TrainingLoop) -> dict[str, float]:
    """How good what the loop has learned is, by name.

    Raises:
        UsageError: the loop does not say, or what it says is not of that form.
    """
    say = getattr(loop, "evaluate", None)
    if not callable(say):
        raise UsageError(f"{name_of(loop)} has no evaluate() -> {{name: number}}, which says how good it is")
    with blaming(f"{name_of(loop)}: evaluate()"):
        found = say()
    try:
        return {str(name): float(value) for name, value in dict(found).items()}
    except (TypeError, ValueError):
        raise UsageError(f"evaluate() of {name_of(loop)} is {_shorten(found)}, but must be numbers by name") from None


def describe(loop: TrainingLoop) -> dict[str, Any]:
    """What the loop says of itself, if it says anything, as plain values; what is not plain as its text.

    Raises:
        UsageError: it is no mapping.
    """
    say = getattr(loop, "describe", None)
    if not callable(say):
        return {}
    with blaming(f"{name_of(loop)}: describe()"):
        found = say()
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(found), default=_plain))
    except (TypeError, ValueError):  # also of keys that JSON has not, and of what holds itself
        raise UsageError(
            f"describe() of {name_of(loop)} is {_shorten(found)}, but must be plain values by name"
        ) from None
    return plain


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


_ASYNCHRONOUS = (
    "its variables are on parameter servers, whose workers train on batches of their own: no batch has an end that "
    "could be timed; take MirroredStrategy or MultiWorkerMirroredStrategy"
)

_CONTRACT = "a loop has run(batches), history() -> {name: [batches]} and variables, a list of tf.Variable"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
