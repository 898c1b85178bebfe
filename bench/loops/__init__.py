"""Loops that keep the contract of `loop_bench.loop`, made of what a project has: a Keras model, a step, a function.

Each is called in a factory, which makes everything anew from its seed, for the harness builds each loop several times:

    from loop_bench import loops

    def before(spec):
        loops.seed(spec.seed)
        return loops.from_keras(build_model(), data(), callbacks=[ReadLoss()])

    def after(spec):
        loops.seed(spec.seed)
        return loops.from_keras(build_model(), data(), steps_per_execution=10)

What Keras reads in `fit`, what is read for the history, and what is raised there is reported at the factory's line that
calls the adapter, unless a line further inside is the user's. TensorFlow is imported when a loop is made.
"""

from loop_bench.loops.fit import from_keras
from loop_bench.loops.function import from_function
from loop_bench.loops.seeds import seed
from loop_bench.loops.step import from_step

__all__ = ["from_function", "from_keras", "from_step", "seed"]
