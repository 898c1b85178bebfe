"""Adapters that make a loop with the contract of `loop_bench.loop` from a Keras model, a step or a function.

Call an adapter in a factory that builds everything from its seed, because the harness builds each loop several times:

    from loop_bench import loops

    def before(spec):
        loops.seed(spec.seed)
        return loops.from_keras(build_model(), data(), callbacks=[ReadLoss()])

    def after(spec):
        loops.seed(spec.seed)
        return loops.from_keras(build_model(), data(), steps_per_execution=10)

Reads and errors inside Keras' `fit` or the adapter are reported at the factory's line that calls the adapter, unless a
line of the user's own code is closer to them. TensorFlow is imported when a loop is made.
"""

from loop_bench.loops.fit import from_keras
from loop_bench.loops.function import from_function
from loop_bench.loops.seeds import seed
from loop_bench.loops.step import from_step

__all__ = ["from_function", "from_keras", "from_step", "seed"]
