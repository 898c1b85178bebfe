"""Pairs of loops to compare, and what experiments may ask of them."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from loop_bench.errors import UsageError
from loop_bench.experiments.convergence.plan import ConvergencePlan, Learning, convergence_plan
from loop_bench.experiments.equivalence.record import Candidate, loop_after
from loop_bench.experiments.ladder.plan import Changes, Ladder, ladder
from loop_bench.experiments.survival.plan import NOWHERE_ELSE, Faults, SurvivalPlan, shown, survival_plan
from loop_bench.experiments.sweep.plan import TIME_LIMIT, Axes, Axis, Sweep, sweep_plan
from loop_bench.loop import look_in_current_folder
from loop_bench.settings import ARMS, REPLICAS, Settings

DECLARED = "PAIRS"
"""Attribute of a module of factories that holds the module's pairs, a sequence of `Pair`."""

ONE_REPLICA = f"{ARMS[1]}, one replica"

Check = Callable[[str | None, int, Mapping[str, Any]], object]
"""Takes preset, seed and options; raises UsageError if no loop can be made of them, before slow work begins."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """A loop, and what experiments may ask of it; the defaults suit a loop of which nothing is known."""

    factory: str  # as module:factory
    check: Check | None = None
    """Takes preset, seed and options, and raises UsageError where no loop can be made of them."""
    axes: Axes | None = None  # sizes of its work that a sweep can vary; None: any name may be an option of it
    ready: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # options with which it can be rated fairly


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two arms, and what experiments may ask of both; the defaults suit loops of which nothing is known.

    A module of factories declares its own pairs in `PAIRS`, as `bench/examples/keras_fit.py` does for its ladder:

        PAIRS = [Pair(Arm("my.loops:old"), Arm("my.loops:new"), changes=Changes(steps={"fused": {"fused": True}}))]
    """

    before: Arm  # the loop before
    after: Arm  # the loop after
    faults: Faults = Faults()  # noqa: RUF009  # frozen
    """Faults that both are put through."""
    equivalent: Mapping[str, Any] | None = None  # options with which both compute the same; None: unknown
    changes: Changes = Changes()  # noqa: RUF009  # frozen
    """The changes from one to the other, for `loop-bench ladder`."""
    learning: Learning = Learning()  # noqa: RUF009  # frozen
    """Loops and questions between them, for `loop-bench converge`."""

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both arms."""
        return self.before, self.after

    @property
    def axes(self) -> Axes | None:
        """Sizes that a sweep can vary; None where any name may be an option of both loops."""
        return self.before.axes or self.after.axes

    def check(self, preset: str | None, seed: int, options: Mapping[str, Any]) -> None:
        """Raises UsageError if the loops cannot be made of this, as far as they know beforehand."""
        for check in dict.fromkeys(arm.check for arm in self.arms if arm.check):
            check(preset, seed, options)

    def survival(
        self,
        settings: Settings,
        seeds: int | None = None,
        epochs: int = 0,
        homes: Mapping[str, str] = NOWHERE_ELSE,
    ) -> SurvivalPlan:
        """See `survival_plan`."""
        return survival_plan(settings, self.faults, seeds, epochs, homes)

    def shown(self, plan: SurvivalPlan) -> tuple[str, ...]:
        """The faults of a plan for which the metrics are plotted."""
        return shown(plan, self.faults)

    def convergence(self, settings: Settings, seeds: int, epochs: int, every: int | None = None) -> ConvergencePlan:
        """See `convergence_plan`."""
        ready = {name: arm.ready for name, arm in zip(ARMS, self.arms, strict=True)}
        return convergence_plan(settings, ready, self.learning, seeds, epochs, every)

    def sweep(self, settings: Settings, over: Sequence[Axis], time_limit: float = TIME_LIMIT) -> Sweep:
        """See `sweep_plan`."""
        known_to_both = all(arm.axes for arm in self.arms)
        return sweep_plan(settings, over, self.axes, known_to_both, time_limit)

    def ladder(self, settings: Settings) -> Ladder:
        """See `loop_bench.experiments.ladder.plan.ladder`."""
        return ladder(settings, self.changes, self.equivalent)

    def candidates(self, settings: Settings, every_rung: bool) -> list[Candidate]:
        """The loops to compare with the loop before: the loop after, and with several replicas also the same with one.

        Raises:
            UsageError: every rung is wanted, but there are none between the loops.
        """
        if not every_rung:
            after = loop_after(settings, self.equivalent)
            if settings.replicas == 1:
                return [after]
            alone = {name: value for name, value in settings.options.items() if name != REPLICAS}
            return [after, after._replace(name=ONE_REPLICA, options=alone)]
        rungs = self.ladder(settings).rungs[1:]
        if len(rungs) < 2:
            raise UsageError("--every-rung: there are no rungs between these loops; their module can declare some")
        return [rung.candidate for rung in rungs]


def find(before: str, after: str, known: Iterable[Pair] = ()) -> Pair:
    """Finds the pair of two factories.

    Args:
        before: of the loop before, as module:factory.
        after: factory of the loop after.
        known: pairs that are declared elsewhere than in the modules of their factories.

    Returns:
        The pair that is declared for them; or else a pair that is declared for both in another order, without the
        changes that lead from one to the other; or else a pair that has only what is known of each arm.
    """
    pairs = list(known)
    modules = {factory.partition(":")[0] for pair in pairs for factory in (pair.before.factory, pair.after.factory)}
    for module in dict.fromkeys(name.partition(":")[0] for name in (after, before)):
        if module not in modules:
            pairs += _declared_in(module)
    for pair in pairs:
        if (pair.before.factory, pair.after.factory) == (before, after):
            return pair
    arms = {arm.factory: arm for pair in pairs for arm in pair.arms}
    for pair in pairs:
        if {before, after} <= {arm.factory for arm in pair.arms}:
            return Pair(arms[before], arms[after], pair.faults, pair.equivalent)
    return Pair(arms.get(before) or Arm(before), arms.get(after) or Arm(after))


def _declared_in(module: str) -> list[Pair]:
    """The pairs that a module declares; none if it cannot be imported, which is reported when its loop is built.

    A module whose source assigns no pairs is not imported, nor are the packages around it: they may start TensorFlow,
    and wrong arguments should be reported before that.
    """
    if module not in sys.modules and DECLARED not in _assigned(module):
        return []
    try:
        declared = getattr(importlib.import_module(module), DECLARED, ())
    except Exception:
        return []
    return [pair for pair in declared if isinstance(pair, Pair)]


def _assigned(module: str) -> set[str]:
    """The names that a module's source assigns at its top level; none if no source can be read."""
    spec = _spec(module)
    if spec is None or not spec.origin or not spec.has_location:
        return set()
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    targets: list[ast.expr] = []
    for node in tree.body:
        targets += node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _spec(module: str) -> ModuleSpec | None:
    """The spec of a module; unlike `importlib.util.find_spec`, this imports no package around it."""
    look_in_current_folder()
    parts, spec = module.split("."), None
    path: Sequence[str] | None = None
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        try:
            specs = (finder.find_spec(name, path) for finder in sys.meta_path)
            spec = next((candidate for candidate in specs if candidate is not None), None)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec
