"""Baseline: the training loop before its optimisation, the reference for the optimised loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loop_bench.baseline.loop import BaselineLoop


def make_loop(spec: Any) -> BaselineLoop:
    """Builds the baseline loop on fresh networks; has the arguments and errors of `loop_bench.seqgan.make_loop`."""
    from loop_bench.baseline.loop import BaselineLoop  # here, because TensorFlow takes seconds to import
    from loop_bench.seqgan import resolve

    return BaselineLoop(*resolve(spec))
