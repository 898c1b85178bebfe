"""The training loop as it was before it was optimised: the reference that the other is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loop_bench.baseline.loop import BaselineLoop


def make_loop(spec: Any) -> BaselineLoop:
    """The baseline loop on fresh networks; takes and raises what `loop_bench.seqgan.make_loop` does."""
    from loop_bench.baseline.loop import BaselineLoop  # here, because TensorFlow takes seconds to import
    from loop_bench.seqgan import resolve

    return BaselineLoop(*resolve(spec))
