"""A conditional SeqGAN for lines of dialogue, with a training loop that keeps its numbers on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqgan.loop import OptimizedLoop


def make_loop(spec: Any) -> OptimizedLoop:
    """The optimised loop on fresh networks, as `bench.loop.LoopFactory` asks.

    Args:
        spec: has `preset` (a name), `seed` and `options`: config fields by name, and `script`, a file.

    Raises:
        InputError: an unknown preset or option, a value out of range, or a script that cannot be used.
    """
    from seqgan.loop import OptimizedLoop  # here, because TensorFlow takes seconds to import
    from seqgan.spec import resolve

    return OptimizedLoop(*resolve(spec))
