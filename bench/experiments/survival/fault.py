"""What goes wrong: a value that can be printed, recorded and made again from its text."""

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
_KEYS = {"in": "place"}  # what a field is called in a text, where it is called otherwise


@dataclasses.dataclass(frozen=True)
class Call:
    """A function through which a fault gets in: by its result, or by one of its arguments."""

    module: str | None  # None: the function is an attribute of the loop
    function: str  # with dots where it is an attribute of a class
    argument: str | None


@dataclasses.dataclass(frozen=True)
class Fault:
    """Numbers that go wrong in chosen batches of a training run.

    As text it is a kind and what differs from the defaults: `scale=1e4,target=generator,batch=30`.

    Attributes:
        kind: `nan` and `inf` replace each number, `scale` multiplies it by `factor`. (An integer has neither NaN nor
            infinity, and becomes the largest of its type.)
        factor: finite; of kind `scale` only.
        place: `gradients`, that any `tf.GradientTape` computes; `weights`, before a batch; `learning_rate`, of the
            optimizers, for as long as the fault lasts; or a function as `module:function(argument)`, or
            `method(argument)` of the loop: what is passed as that argument goes wrong, or without one its result.
            In a text it is called `in`.
        target: part of the names of the variables that are hit (`generator`), or `all`. Of a function: of the weights
            that the fault should reach.
        extent: all that is hit, or its first `variable`, or that one's first `element`, in every update.
        batch: how many batches come before the fault.
        batches: how many it lasts.
        probability: that it happens in one of them; drawn from `seed` and that of the run, for each batch by itself.
        growth: of the factor, from one batch to the next.
        seed: see `probability`.
        replica: under tf.distribute, the only replica whose gradients are hit, before they are summed up; None: all.
            Of `gradients` only.

    Raises:
        UsageError: a field is out of its range; it names the field, its value and what would be right.
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
        known = f"{GRADIENTS}, {WEIGHTS}, {LEARNING_RATE}, module:function(argument) or method(argument)"
        require(_CALL.fullmatch(self.place) is not None, "place", known)
        require(bool(self.target) and not set(self.target) & set(",="), "target", "part of a variable's name, or all")
        require(self.extent in EXTENTS, "extent", f"one of {', '.join(EXTENTS)}")
        for name, least in (("batch", 1), ("batches", 1), ("seed", 0)):
            value = getattr(self, name)
            require(_is_whole(value) and value >= least, name, f"a whole number of at least {least}")
        require(0 < self.probability <= 1, "probability", "above 0 and at most 1")
        require(math.isfinite(self.growth) and self.growth > 0, "growth", "a finite number above 0")
        if self.replica is not None:
            require(_is_whole(self.replica) and self.replica >= 0, "replica", "a whole number of at least 0")
            right = f"left out: only {GRADIENTS} are of a replica, and not {self.place}"
            require(self.place == GRADIENTS, "replica", right)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A fault from its text, such as `nan,target=generator` or `scale=1e4,batch=30,batches=3`.

        Raises:
            UsageError: the text is no fault; it says why.
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
                    raise UsageError(f"{key!r} is none of {', '.join(names)}")
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
        """Where it gets in, and what it hits there; the rest is how, and when."""
        return self.place, self.target, self.extent, self.replica

    @property
    def end(self) -> int:
        """The first batch after it."""
        return self.batch + self.batches

    @property
    def call(self) -> Call | None:
        """The function through which it gets in, if it does by one."""
        if self.place in (GRADIENTS, WEIGHTS, LEARNING_RATE):
            return None
        found = _CALL.fullmatch(self.place)
        return Call(**found.groupdict()) if found else None

    def strength(self, batch: int, run: int = 0) -> float | None:
        """By what the numbers of a batch are multiplied; 1 for NaN and infinity; None if nothing goes wrong.

        A factor that has grown beyond what a float holds is infinite.

        Args:
            batch: from 0.
            run: the seed of the run, from which chance is drawn besides the fault's own.
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
        """Whether the variable of that name is one for which it goes wrong."""
        return self.target == EVERYTHING or self.target in variable_name

    def describe(self) -> str:
        """For a person: `NaN gradients, generator`."""
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
        found = []
        if self.probability < 1:
            found.append(f"at random in {self.probability:.0%} of {self.batches} batches")
        elif self.batches > 1:
            found.append(f"for {self.batches} batches")
        if self.growth != 1:
            found.append(f"× {self.growth:g} more in each")
        if self.batch != Fault.batch:
            found.append(f"from batch {self.batch} on" if self.batches > 1 else f"batch {self.batch}")
        return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _named(field: str) -> str:
    """A field's key in a text."""
    return next((key for key, name in _KEYS.items() if name == field), field)


def _number(key: str, text: str, kind: type) -> Any:
    """The value of a field from its text; a text as it is."""
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{key} {text!r}: must be a {'whole ' if kind is int else ''}number") from None


def _shortest(number: float) -> str:
    """A text that makes the same number again, as short as one is at hand."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)
