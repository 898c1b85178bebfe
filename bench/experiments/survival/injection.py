"""Injects faults into a training loop without its cooperation: gradients, calls, weights, learning rates."""

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
"""Decorator for this module's code inside a loop's graph. It is not put on functions that call the original function,
because AutoGraph would then not convert the original either."""


_OF_TF_FUNCTIONS = ("get_concrete_function", "experimental_get_tracing_count", "experimental_get_compiler_ir")
"""Methods of a tf.function that its replacement passes on."""


class Injection(Protocol):
    """Context manager that injects a fault; the loop must be built, and trace its functions, inside it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Restores everything that was replaced."""

    def attach(self, loop: TrainingLoop) -> None:
        """Connects the fault to a loop; called once, after the loop is built and before it trains."""

    def set(self, strength: float | None) -> None:
        """Switches the fault on with this factor, or off (None); called before each batch."""

    def strikes(self) -> int:
        """The number of times that the fault has happened so far; reads the device."""

    def why_not(self) -> str:
        """The likely reason why the fault has not happened, in words."""


def injection(fault: Fault) -> Injection:
    """The injection for a fault's place.

    Raises:
        UsageError: the place is a function that cannot be found.
    """
    if fault.place == GRADIENTS:
        return GradientInjection(fault)
    if fault.place == WEIGHTS:
        return WeightInjection(fault)
    if fault.place == LEARNING_RATE:
        return LearningRateInjection(fault)
    return CallInjection(fault)


class _Traced:
    """Base of the injections into a graph, which share a switch."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.hit = 0  # tensors that the fault can hit, traced or computed eagerly so far
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
    """Wraps `tf.GradientTape.gradient`, so that the gradients of any tape can be corrupted."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self._other_replicas: set[int] = set()  # replicas that computed gradients, other than the fault's

    def __enter__(self) -> Self:
        original = self._original = tf.GradientTape.gradient

        def gradient(tape: tf.GradientTape, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            return self._corrupt(sources, original(tape, target, sources, *args, **kwargs))

        tf.GradientTape.gradient = gradient
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        tf.GradientTape.gradient = self._original
        self.set(None)  # functions that were traced meanwhile still contain the switch

    def why_not(self) -> str:
        """See `Injection`."""
        if self.hit:
            return "no such gradient was computed in the fault's batches"
        if self._other_replicas:
            computed = ", ".join(f"replica {number}" for number in sorted(self._other_replicas))
            return f"gradients were computed only by {computed}"
        named = (
            "any variable" if self.fault.target == EVERYTHING else f"a variable with {self.fault.target!r} in its name"
        )
        return (
            f"no gradient of {named} was traced by tf.GradientTape.gradient; faults do not reach gradients that are "
            "computed by tf.gradients or by hand, or in a step that was traced earlier"
        )

    @_plain
    def _corrupt(self, sources: Any, gradients: Any) -> Any:
        if self.fault.replica is not None and (replica := replica_here()) != self.fault.replica:
            self._other_replicas |= set() if replica is None else {replica}
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
    """Wraps a function, so that one of its arguments, or its result, can be corrupted.

    A function of a module is replaced in that module; modules that imported it by name keep the original. A method is
    replaced on the loop.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        assert fault.call is not None
        self._call: Call = fault.call
        self._restore: Callable[[], None] = lambda: None
        self.calls = 0  # calls that were traced, or made eagerly

    def __enter__(self) -> Self:
        if self._call.module is not None:
            try:
                module = importlib.import_module(self._call.module)
            except Exception as error:  # importing a module can raise anything
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
            return f"{self._call.function} was not called in the fault's batches"
        problem = "was never called" if not self.calls else "was not called with tensors or arrays of numbers"
        return f"{self._call.function} {problem}; calls by another name of the function are not seen"

    def _replace(self, root: Any) -> None:
        *path, name = self._call.function.split(".")
        try:
            owner = functools.reduce(getattr, path, root)
            original = getattr(owner, name)
        except AttributeError:
            kind = "the loop" if self._call.module is None else self._call.module
            raise UsageError(f"fault {self.fault}: {kind} has no {self._call.function}") from None
        try:
            signature = inspect.signature(getattr(original, "python_function", original))  # a tf.function's own
        except (TypeError, ValueError):  # not a function, or one written in C
            problem = f"{self._call.function} is a {type(original).__name__}, not a Python function"
            raise UsageError(f"fault {self.fault}: {problem}") from None
        argument = self._call.argument
        if argument is not None and argument not in signature.parameters:
            parameters = ", ".join(signature.parameters)
            raise UsageError(f"fault {self.fault}: {self._call.function} takes {parameters}, not {argument}")

        # Not functools.wraps, which would copy the mark of a tf.function, by which AutoGraph finds the original.
        def faulty(*args: Any, **kwargs: Any) -> Any:
            if argument is None:
                return self._corrupt(original(*args, **kwargs))
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            bound.arguments[argument] = self._corrupt(bound.arguments[argument])
            return original(*bound.args, **bound.kwargs)

        for extra in _OF_TF_FUNCTIONS:  # these return the original graph, without the fault
            if hasattr(original, extra):
                setattr(faulty, extra, getattr(original, extra))
        attribute = inspect.getattr_static(owner, name, None)
        unbound = inspect.isclass(owner) and isinstance(attribute, (staticmethod, classmethod))  # receives no self
        own = name in getattr(owner, "__dict__", ())
        try:
            setattr(owner, name, staticmethod(faulty) if unbound else faulty)
        except (AttributeError, TypeError) as error:
            raise UsageError(f"fault {self.fault}: {self._call.function} cannot be replaced ({error})") from None
        self._restore = (
            functools.partial(setattr, owner, name, attribute) if own else functools.partial(delattr, owner, name)
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
    """Base of the injections into variables, which replace nothing."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._variables: list[Any] = []
        self._strikes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Does nothing: only the loop's variables were changed."""

    def strikes(self) -> int:
        """See `Injection`."""
        return self._strikes


class WeightInjection(_Assigned):
    """Corrupts weights before a batch."""

    def attach(self, loop: TrainingLoop) -> None:
        """See `Injection`."""
        weights = [each for each in loop.variables if each.trainable and self.fault.hits(variable_name(each))]
        self._variables = weights if self.fault.extent == "all" else weights[:1]

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
    """Corrupts the learning rates that `learning_rates` finds, and restores them after the fault."""

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
        if not self._variables and self._loop is not None:  # only now: some optimizers make theirs in the first batch
            rates = [rate for name, rate in learning_rates(self._loop.variables) if self.fault.hits(name)]
            self._variables = rates if self.fault.extent == "all" else rates[:1]
        if not self._usual:
            self._usual = [np.array(variable.numpy()) for variable in self._variables]
        for variable, usual in zip(self._variables, self._usual, strict=True):
            variable.assign(_faulty(usual, self.fault.kind, strength))
        self._strikes += bool(self._variables)

    def why_not(self) -> str:
        """See `Injection`."""
        return "the loop has no such variable called learning_rate"


def _faulty(values: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Corrupts the values of a variable with NumPy, as `Switch.corrupt` does with tensors."""
    if np.issubdtype(values.dtype, np.integer):
        return np.full_like(values, np.iinfo(values.dtype).max)
    with np.errstate(over="ignore", invalid="ignore"):
        faulty = values.astype(float) * strength if kind == "scale" else np.full(values.shape, float(kind))
        return faulty.astype(values.dtype)


def _name(source: Any) -> str:
    """The name of a variable; empty for a plain tensor in eager mode, which has none."""
    try:
        return variable_name(source)
    except AttributeError:
        return ""
