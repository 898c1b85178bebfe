"""The fault to inject, as a value that is written as text and parsed from it."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
from typing_extensions import Self

from loop_bench.errors import UsageError

EVERYTHING = "all"
KINDS = ("nan", "inf", "scale")
GRADIENTS, WEIGHTS, LEARNING_RATE = "gradients", "weights", "learning_rate"
EXTENTS = ("all", "variable", "element")

_CALL = re.compile(r"(?:(?P<module>[\w.]+):)?(?P<function>[A-Za-z_][\w.]*)(?:\((?P<argument>[A-Za-z_]\w*)\))?")
_KEYS = {"in": "place"}  # keys in a fault's text that differ from the field's name


@dataclasses.dataclass(frozen=True)
class Call:
    """A function whose result, or one of whose arguments, a fault corrupts."""

    module: str | None  # None: the function is an attribute of the loop
    function: str  # with dots if it is an attribute of a class
    argument: str | None  # None: the result


@dataclasses.dataclass(frozen=True)
class Fault:
    """Corruption of numbers in chosen batches of a training run.

    Its text is the kind, and the fields that differ from the defaults: `scale=1e4,target=generator,batch=30`.

    Attributes:
        kind: `nan` and `inf` replace each number, `scale` multiplies it by `factor`. (An integer has neither NaN nor
            infinity, and becomes the largest of its type.)
        factor: finite; only for kind `scale`.
        place: `gradients` that any `tf.GradientTape` computes; `weights`, before a batch; `learning_rate` of the
            optimizers, during the fault; or a function, `module:function(argument)` or `method(argument)` of the loop,
            whose argument is corrupted, or without one its result. Its key in a text is `in`.
        target: part of the names of the variables that are hit (`generator`), or `all`. For a function: part of the
            names of the weights that the fault should reach.
        extent: `all` numbers of the target, only its first `variable`, or only that variable's first `element`, in
            every update.
        batch: number of batches before the fault.
        batches: number of batches that the fault lasts.
        probability: probability that it happens, drawn for each of its batches from `seed` and the seed of the run.
        growth: factor by which `factor` grows from one batch to the next.
        seed: see `probability`.
        replica: under tf.distribute, the only replica whose gradients are hit, before they are summed; None: all.
            Only for `gradients`.

    Raises:
        UsageError: a field is out of its range; the message names the field, its value and what is expected.
    """

    kind: str
    factor: float = 1.0
    place: str = GRADIENTS
    target: str = EVERYTHING
    extent: str = EXTENTS[0]
    batch: int = 10
    batches: int = 1
    probability: float = 1.0
    growth: float = 1.0
    seed: int = 0
    replica: int | None = None

    def __post_init__(self) -> None:
        def require(holds: bool, name: str, right: str) -> None:
            if not holds:
                raise UsageError(f"fault {name} {getattr(self, name)!r}: must be {right}")

        require(self.kind in KINDS, "kind", f"one of {', '.join(KINDS)}")
        require(math.isfinite(self.factor), "factor", "finite; nan and inf are kinds of their own")
        if self.kind != "scale":
            for name in ("factor", "growth"):
                require(getattr(self, name) == 1.0, name, f"left out: only the kind scale has one, not {self.kind}")
        places = f"{GRADIENTS}, {WEIGHTS}, {LEARNING_RATE}, module:function(argument) or method(argument)"
        require(_CALL.fullmatch(self.place) is not None, "place", places)
        require(bool(self.target) and not set(self.target) & set(",="), "target", "part of a variable's name, or all")
        require(self.extent in EXTENTS, "extent", f"one of {', '.join(EXTENTS)}")
        for name, least in (("batch", 1), ("batches", 1), ("seed", 0)):
            value = getattr(self, name)
            require(_is_whole(value) and value >= least, name, f"a whole number of at least {least}")
        require(0 < self.probability <= 1, "probability", "above 0 and at most 1")
        require(math.isfinite(self.growth) and self.growth > 0, "growth", "a finite number above 0")
        if self.replica is not None:
            require(_is_whole(self.replica) and self.replica >= 0, "replica", "a whole number of at least 0")
            right = f"left out: only {GRADIENTS} have a replica, not {self.place}"
            require(self.place == GRADIENTS, "replica", right)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a fault from its text, such as `nan,target=generator` or `scale=1e4,batch=30,batches=3`.

        Raises:
            UsageError: the text is not a fault; the message says why.
        """
        first, *rest = text.split(",")
        kind, equals, factor = first.partition("=")
        fields: dict[str, Any] = {"kind": kind}
        types: dict[str, type] = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        types["replica"] = int
        names = {_named(name): name for name in types if name not in ("kind", "factor")}
        try:
            if equals or kind == "scale":
                fields["factor"] = _number("factor", factor, float)
            for part in rest:
                key, _, value = part.partition("=")
                if key not in names:
                    raise UsageError(f"{key!r} is not one of {', '.join(names)}")
                if names[key] in fields:
                    raise UsageError(f"{key} is given twice")
                fields[names[key]] = _number(key, value, types[names[key]])
            return cls(**fields)
        except UsageError as error:
            raise UsageError(f"fault {text!r}: {error}") from None

    def __str__(self) -> str:
        parts = [f"scale={_shortest(self.factor)}" if self.kind == "scale" else self.kind]
        for field in dataclasses.fields(self)[2:]:
            value = getattr(self, field.name)
            if value != field.default:
                parts.append(f"{_named(field.name)}={_shortest(value) if isinstance(value, float) else value}")
        return ",".join(parts)

    @property
    def way(self) -> tuple[str, str, str, int | None]:
        """Place, target, extent and replica: faults with the same ones are injected by the same graph."""
        return self.place, self.target, self.extent, self.replica

    @property
    def end(self) -> int:
        """The first batch after the fault."""
        return self.batch + self.batches

    @property
    def call(self) -> Call | None:
        """The function that is the fault's place; None: the place is not a function."""
        if self.place in (GRADIENTS, WEIGHTS, LEARNING_RATE):
            return None
        match = _CALL.fullmatch(self.place)
        return Call(**match.groupdict()) if match else None

    def strength(self, batch: int, run: int = 0) -> float | None:
        """The factor for the numbers of a batch; 1 for kinds `nan` and `inf`; None: the fault does not happen.

        A factor that has grown beyond the range of a float is infinite.

        Args:
            batch: from 0.
            run: the seed of the run, which together with the fault's own determines random draws.
        """
        if not self.batch <= batch < self.end:
            return None
        if self.probability < 1 and np.random.default_rng([self.seed, run, batch]).random() >= self.probability:
            return None
        if self.factor == 0:  # not 0 times infinity
            return float(self.factor)
        with np.errstate(over="ignore"):
            return float(self.factor * np.float64(self.growth) ** (batch - self.batch))

    def hits(self, variable_name: str) -> bool:
        """Whether the fault hits the variable with this name."""
        return self.target == EVERYTHING or self.target in variable_name

    def describe(self) -> str:
        """The fault in words: `NaN gradients, generator`."""
        return ", ".join([self._what(), *self._which(), *self._when()])

    def _what(self) -> str:
        extent = {"all": "", "variable": " of one variable", "element": " in one element"}[self.extent]
        if self.kind == "scale":
            return f"{self._where()}{extent} × {self.factor:g}"
        name = {"nan": "NaN", "inf": "infinite"}[self.kind]
        if self.place == GRADIENTS:
            return f"{name} gradients{extent}"
        return f"{'NaN' if self.kind == 'nan' else 'infinity'} in {self._where()}{extent}"

    def _where(self) -> str:
        if (call := self.call) is None:
            return self.place.replace("_", " ")
        function = call.function.rpartition(".")[2]
        return f"{call.argument} of {function}" if call.argument else f"the result of {function}"

    def _which(self) -> list[str]:
        replica = [] if self.replica is None else [f"replica {self.replica} alone"]
        if self.target != EVERYTHING:
            return [self.target, *replica]
        return [*([] if self.call else ["all networks"]), *replica]

    def _when(self) -> list[str]:
        parts = []
        if self.probability < 1:
            parts.append(f"at random in {self.probability:.0%} of {self.batches} batches")
        elif self.batches > 1:
            parts.append(f"for {self.batches} batches")
        if self.growth != 1:
            parts.append(f"× {self.growth:g} more in each")
        if self.batch != Fault.batch:
            parts.append(f"from batch {self.batch} on" if self.batches > 1 else f"batch {self.batch}")
        return parts


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _named(field: str) -> str:
    """The key of a field in a fault's text."""
    return next((key for key, name in _KEYS.items() if name == field), field)


def _number(key: str, text: str, kind: type) -> Any:
    """Converts the text of a field to its type."""
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{key} {text!r}: must be a {'whole ' if kind is int else ''}number") from None


def _shortest(number: float) -> str:
    """A short text that parses to exactly this number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)
