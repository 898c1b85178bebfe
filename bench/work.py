"""Whether a loop did the work that it was timed for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.loop import TrainingLoop, history, variable_name

Snapshot = Mapping[str, np.ndarray]


def weights(loop: TrainingLoop) -> dict[str, np.ndarray]:
    """Copies of the trainable variables by a name that is theirs alone."""
    return {f"{i}:{variable_name(v)}": v.numpy() for i, v in enumerate(loop.variables) if v.trainable}


def problems(loop: TrainingLoop, batches: int, before: Snapshot) -> list[str]:
    """What speaks against the loop having trained `batches`, each in words; empty if nothing does.

    Args:
        loop: after its training.
        batches: that it was asked for since it was built.
        before: its weights at an earlier moment.
    """
    metrics = history(loop)
    found = [] if metrics else ["the history is empty"]
    for name, values in metrics.items():
        if len(values) != batches:
            found.append(f"history {name!r} has {len(values)} values for {batches} batches")
        elif not np.all(np.isfinite(values)):
            found.append(f"history {name!r} is not finite from batch {int(np.argmin(np.isfinite(values)))} on")
    now = weights(loop)
    still = [name for name, value in now.items() if np.array_equal(value, before[name])]
    if not now:
        found.append("none of its variables is trainable")
    elif len(still) == len(now):
        found.append("no weight has moved")
    found += [f"weight {name} is not finite" for name, value in now.items() if not np.all(np.isfinite(value))]
    return found
