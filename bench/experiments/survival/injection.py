"""The ways in which a fault gets into a training loop that knows nothing of it."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from typing_extensions import Self

from loop_bench.errors import UsageError
from loop_bench.experiments.survival.fault import EVERYTHING, GRADIENTS, LEARNING_RATE, WEIGHTS, Call, Fault
from loop_bench.experiments.survival.learning_rate import learning_rates
from loop_bench.experiments.survival.switch import Switch
from loop_bench.failure import error_line
from loop_bench.loop import TrainingLoop, as_made
from loop_bench.variables import replica_here, variable_name

_plain = tf.autograph.experimental.do_not_convert
"""For what is ours in somebody's graph. What calls the genuine function is left to AutoGraph, or that would not be
converted either."""


_OF_TF_FUNCTIONS = ("get_concrete_function", "experimental_get_tracing_count", "experimental_get_compiler_ir")


class Injection(Protocol):
    """A fault on its way into a loop, which must be built and trace its functions while this is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Leaves everything as it was found."""

    def attach(self, loop: TrainingLoop) -> None:
        """To be called once, after the loop is built and before it trains."""

    def set(self, strength: float | None) -> None:
        """From here on the fault happens with this factor, or it does not; to be called before each batch."""

    def strikes(self) -> int:
        """How often the fault has happened so far; reads the device."""

    def why_not(self) -> str:
        """Why it has not happened, as far as can be told."""


def injection(fault: Fault) -> Injection:
    """The way for a fault.

    Raises:
        UsageError: its place is a function that is not to be found.
    """
    if fault.place == GRADIENTS:
        return GradientInjection(fault)
    if fault.place == WEIGHTS:
        return WeightInjection(fault)
    if fault.place == LEARNING_RATE:
        return LearningRateInjection(fault)
    return CallInjection(fault)


class _Traced:
    """What both ways into a graph share."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.hit = 0  # tensors that have been traced, or computed eagerly, and that the fault can hit
        self.switch = Switch(fault)

    def attach(self, loop: TrainingLoop) -> None:
        """See `Injection`."""
        self.switch.prepare()

    def set(self, strength: float | None) -> None:
        """See `Injection`."""
        self.switch.set(strength)

    def strikes(self) -> int:
        """See `Injection`."""
        return self.switch.strikes()


class GradientInjection(_Traced):
    """Wraps `tf.GradientTape.gradient`, so that what any tape computes can go wrong."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self._elsewhere: set[int] = set()  # replicas that have computed gradients, and are not the one that is hit

    def __enter__(self) -> Self:
        genuine = self._genuine = tf.GradientTape.gradient

        def gradient(tape: tf.GradientTape, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            return self._corrupt(sources, genuine(tape, target, sources, *args, **kwargs))

        tf.GradientTape.gradient = gradient
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        tf.GradientTape.gradient = self._genuine
        self.set(None)  # functions that were traced meanwhile keep the switch

    def why_not(self) -> str:
        """See `Injection`."""
        if self.hit:
            return "no such gradient was computed in its batches"
        if self._elsewhere:
            computed = ", ".join(f"replica {number}" for number in sorted(self._elsewhere))
            return f"gradients were computed by {computed} alone"
        named = (
            "any variable" if self.fault.target == EVERYTHING else f"a variable with {self.fault.target!r} in its name"
        )
        return (
            f"no gradient of {named} was traced by tf.GradientTape.gradient; one by tf.gradients or by hand, or of a "
            "step traced earlier, gets no fault"
        )

    @_plain
    def _corrupt(self, sources: Any, gradients: Any) -> Any:
        if self.fault.replica is not None and (replica := replica_here()) != self.fault.replica:
            self._elsewhere |= set() if replica is None else {replica}
            return gradients
        before = self.hit

        def corrupt(source: Any, gradient: Any) -> Any:
            only_one = self.fault.extent != "all"
            if (
                not self.switch.takes(gradient)
                or not self.fault.hits(_name(source))
                or (only_one and self.hit > before)
            ):
                return gradient
            self.hit += 1
            return self.switch.corrupt(gradient)

        corrupted = tf.nest.map_structure(corrupt, sources, gradients, check_types=False)
        if self.hit > before:
            self.switch.count()
        return corrupted


class CallInjection(_Traced):
    """Wraps a function, so that an argument of it, or its result, can go wrong.

    A function of a module is replaced where it is defined; who has imported it by name from there keeps the genuine
    one. A method is replaced on the loop.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        assert fault.call is not None
        self._call: Call = fault.call
        self._restore: Callable[[], None] = lambda: None
        self.calls = 0  # that were traced, or made eagerly

    def __enter__(self) -> Self:
        if self._call.module is not None:
            try:
                module = importlib.import_module(self._call.module)
            except Exception as error:  # whatever a module does when it is imported
                problem = f"importing {self._call.module} failed ({error_line(error)})"
                raise UsageError(f"fault {self.fault}: {problem}") from error
            self._replace(module)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._restore()
        self.set(None)

    def attach(self, loop: TrainingLoop) -> None:
        """See `Injection`."""
        super().attach(loop)
        if self._call.module is None:
            self._replace(as_made(loop))

    def why_not(self) -> str:
        """See `Injection`."""
        if self.hit:
            return f"{self._call.function} was not called in its batches"
        where = "was never called" if not self.calls else "was not called with tensors or arrays of numbers"
        return f"{self._call.function} {where}; who has a function by another name is not followed"

    def _replace(self, root: Any) -> None:
        *path, name = self._call.function.split(".")
        try:
            owner = functools.reduce(getattr, path, root)
            genuine = getattr(owner, name)
        except AttributeError:
            kind = "the loop" if self._call.module is None else self._call.module
            raise UsageError(f"fault {self.fault}: {kind} has no {self._call.function}") from None
        try:
            signature = inspect.signature(getattr(genuine, "python_function", genuine))  # a tf.function's own
        except (TypeError, ValueError):  # no function, or one of C
            problem = f"{self._call.function} is a {type(genuine).__name__}, and no Python function"
            raise UsageError(f"fault {self.fault}: {problem}") from None
        argument = self._call.argument
        if argument is not None and argument not in signature.parameters:
            known = ", ".join(signature.parameters)
            raise UsageError(f"fault {self.fault}: {self._call.function} takes {known}, and no {argument}")

        # Not functools.wraps: it would take over the mark of a tf.function, by which AutoGraph finds the genuine one.
        def faulty(*args: Any, **kwargs: Any) -> Any:
            if argument is None:
                return self._corrupt(genuine(*args, **kwargs))
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            bound.arguments[argument] = self._corrupt(bound.arguments[argument])
            return genuine(*bound.args, **bound.kwargs)

        for extra in _OF_TF_FUNCTIONS:  # who asks a tf.function for its graph gets it, without the fault
            if hasattr(genuine, extra):
                setattr(faulty, extra, getattr(genuine, extra))
        found = inspect.getattr_static(owner, name, None)
        unbound = inspect.isclass(owner) and isinstance(found, (staticmethod, classmethod))  # takes no self of its own
        own = name in getattr(owner, "__dict__", ())
        try:
            setattr(owner, name, staticmethod(faulty) if unbound else faulty)
        except (AttributeError, TypeError) as error:
            raise UsageError(f"fault {self.fault}: {self._call.function} cannot be replaced ({error})") from None
        self._restore = (
            functools.partial(setattr, owner, name, found) if own else functools.partial(delattr, owner, name)
        )

    @_plain
    def _corrupt(self, values: Any) -> Any:
        self.calls += 1
        before = self.hit

        def corrupt(value: Any) -> Any:
            if not self.switch.takes(value) or (self.fault.extent != "all" and self.hit > before):
                return value
            self.hit += 1
            return self.switch.corrupt(value)

        corrupted = tf.nest.map_structure(corrupt, values)
        if self.hit > before:
            self.switch.count()
        return corrupted


class _Assigned:
    """What both ways over variables share: there is nothing to wrap."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._variables: list[Any] = []
        self._strikes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Nothing was changed but the loop."""

    def strikes(self) -> int:
        """See `Injection`."""
        return self._strikes


class WeightInjection(_Assigned):
    """Changes weights before a batch."""

    def attach(self, loop: TrainingLoop) -> None:
        """See `Injection`."""
        found = [each for each in loop.variables if each.trainable and self.fault.hits(variable_name(each))]
        self._variables = found if self.fault.extent == "all" else found[:1]

    def set(self, strength: float | None) -> None:
        """See `Injection`."""
        if strength is None:
            return
        for variable in self._variables:
            values = np.array(variable.numpy())
            part = values.reshape(-1)[:1] if self.fault.extent == "element" else values
            part[...] = _faulty(part, self.fault.kind, strength)
            variable.assign(values)
        self._strikes += bool(self._variables)

    def why_not(self) -> str:
        """See `Injection`."""
        return "the loop has no such weight"


class LearningRateInjection(_Assigned):
    """Changes the learning rate for as long as the fault lasts; how it is found: `learning_rates`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self._usual: list[Any] = []
        self._loop: TrainingLoop | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.set(None)

    def attach(self, loop: TrainingLoop) -> None:
        """See `Injection`."""
        self._loop = loop

    def set(self, strength: float | None) -> None:
        """See `Injection`."""
        if strength is None:
            for variable, usual in zip(self._variables, self._usual, strict=False):
                variable.assign(usual)
            self._usual = []
            return
        if (
            not self._variables and self._loop is not None
        ):  # not earlier: some optimizers make theirs in the first batch
            found = [each for name, each in learning_rates(self._loop.variables) if self.fault.hits(name)]
            self._variables = found if self.fault.extent == "all" else found[:1]
        if not self._usual:
            self._usual = [np.array(variable.numpy()) for variable in self._variables]
        for variable, usual in zip(self._variables, self._usual, strict=True):
            variable.assign(_faulty(usual, self.fault.kind, strength))
        self._strikes += bool(self._variables)

    def why_not(self) -> str:
        """See `Injection`."""
        return "the loop has no such variable called learning_rate"


def _faulty(values: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """What a fault makes of the values of a variable: as `Switch.corrupt`, with NumPy."""
    if np.issubdtype(values.dtype, np.integer):
        return np.full_like(values, np.iinfo(values.dtype).max)
    with np.errstate(over="ignore", invalid="ignore"):
        faulty = values.astype(float) * strength if kind == "scale" else np.full(values.shape, float(kind))
        return faulty.astype(values.dtype)


def _name(source: Any) -> str:
    """The name of a variable; a plain tensor that a tape watches has none in eager mode."""
    try:
        return variable_name(source)
    except AttributeError:
        return ""
