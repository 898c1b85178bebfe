"""What goes wrong: a value that can be printed, recorded and made again from its text."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

from bench.errors import UsageError

EVERYTHING = "all"
KINDS = ("nan", "inf", "scale")


@dataclasses.dataclass(frozen=True)
class Fault:
    """Every gradient of one network, for one batch, is replaced or multiplied.

    Attributes:
        kind: `nan` and `inf` replace each element, `scale` multiplies it by `factor`.
        factor: finite; of kind `scale` only.
        target: part of the names of the variables whose gradients are hit (`generator`), or `all`.
    """

    kind: str
    factor: float = 1.0
    target: str = EVERYTHING

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"fault kind {self.kind!r}: must be one of {', '.join(KINDS)}")
        if not math.isfinite(self.factor):
            raise UsageError(f"fault factor {self.factor}: must be finite; nan and inf are kinds of their own")
        if self.kind != "scale" and self.factor != 1.0:
            raise UsageError(f"fault factor {self.factor}: only the kind scale has one, not {self.kind}")
        if not self.target or set(self.target) & set(",="):
            raise UsageError(f"fault target {self.target!r}: must be part of a variable's name, or {EVERYTHING}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A fault from its text, such as `nan,target=generator` or `scale=1e4`.

        Raises:
            UsageError: the text is no fault; it says why.
        """
        first, *rest = text.split(",")
        kind, equals, factor = first.partition("=")
        target = EVERYTHING
        for part in rest:
            name, _, target = part.partition("=")
            if name != "target":
                raise UsageError(f"fault {text!r}: {part!r} must be target=NAME")
        try:
            return cls(kind, float(factor) if equals or kind == "scale" else 1.0, target)
        except ValueError as error:
            raise UsageError(f"fault {text!r}: {error}") from None

    def __str__(self) -> str:
        kind = f"scale={self.factor!r}" if self.kind == "scale" else self.kind
        return kind if self.target == EVERYTHING else f"{kind},target={self.target}"

    def describe(self) -> str:
        """For a person: `NaN gradients, generator`."""
        what = {"nan": "NaN gradients", "inf": "infinite gradients", "scale": f"gradients × {self.factor:g}"}[self.kind]
        return f"{what}, {'all networks' if self.target == EVERYTHING else self.target}"

    def hits(self, variable_name: str) -> bool:
        """Whether the gradient of the variable of that name is one that goes wrong."""
        return self.target == EVERYTHING or self.target in variable_name
