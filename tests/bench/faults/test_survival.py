import numpy as np
import pytest
import tensorflow as tf
import toys

from bench.faults import Fault, survival
from bench.faults.survival import CleanRun, survive
from bench.loop import LoopSpec

SPEC = LoopSpec("tiny")


def outcome(factory, fault):
    clean = CleanRun.of(factory(SPEC), trained=0)
    return survive("toys:it", factory, SPEC, fault, clean)


@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_a_plain_loop_is_poisoned(kind):
    found = outcome(toys.plain, Fault(kind))
    assert found.outcome == "poisoned"
    assert (found.weights_finite, found.optimizer_finite) == (False, False)
    assert found.reason == "1 weights not finite"


@pytest.mark.parametrize("factor", [1e4, 1e8, 1e18])
def test_a_spike_freezes_adam_with_every_number_finite(factor):
    found = outcome(toys.plain, Fault("scale", factor))
    assert found.outcome == "frozen"
    assert found.weights_finite
    assert found.optimizer_finite
    assert found.movement < 0.05


@pytest.mark.parametrize("fault", [Fault("nan"), Fault("inf"), Fault("scale", 1e8)], ids=str)
def test_a_guarded_loop_survives(fault):
    found = outcome(toys.guarded, fault)
    assert found.outcome == "survived"
    assert found.movement > 0.2
    assert found.batches == (survival.BEFORE, 1, survival.SETTLING + survival.WATCHED)


def test_a_loop_that_raises_has_crashed():
    class Checked(toys.Quadratic):
        def run(self, batches):
            super().run(batches)
            if not np.all(np.isfinite(self.weight.numpy())):
                raise ArithmeticError("Graph execution error:\n\nDetected at node x\nloss is NaN")

    found = outcome(lambda spec: Checked(), Fault("nan"))
    assert found.outcome == "crashed"
    assert found.reason == "ArithmeticError after 1 weights had become not finite: loss is NaN"


def test_poisoned_optimizer_state_alone_is_no_survival():
    class Reset(toys.Quadratic):
        """Repairs the weights after every batch, and forgets the moments."""

        def run(self, batches):
            for _ in range(batches):
                super().run(1)
                self.weight.assign(tf.where(tf.math.is_finite(self.weight), self.weight, 1.0))

    found = outcome(lambda spec: Reset(), Fault("nan"))
    assert found.outcome == "poisoned"
    assert found.weights_finite
    assert not found.optimizer_finite


def test_metrics_that_stay_not_finite_are_no_survival():
    class Remembers(toys.Guarded):
        """A running mean of the loss never forgets a NaN."""

        def history(self):
            return {"mean": np.cumsum([float(loss) for loss in self.losses])}

        def _step(self):
            """The NaN reaches the metric, and the guard keeps it from the weights."""
            weight = self.weight.read_value()
            loss = super()._step()
            with tf.GradientTape() as tape:
                tape.watch(weight)
                again = tf.reduce_mean((weight - 3.0) ** 2)
            return loss + 0.0 * tf.reduce_sum(tape.gradient(again, weight))

    found = outcome(lambda spec: Remembers(), Fault("nan"))
    assert found.outcome == "poisoned"
    assert found.reason == "mean not finite, with finite weights"


def test_a_loop_that_jumps_far_away_has_diverged():
    class Sgd(toys.Quadratic):
        """Without Adam's normalisation, a spike of the gradient is a jump of the weights."""

        def __init__(self):
            super().__init__()
            self.optimizer = tf.keras.optimizers.SGD(0.01)
            self.optimizer.build([self.weight])

    found = outcome(lambda spec: Sgd(), Fault("scale", 1e4))
    assert found.outcome == "diverged"
    assert found.weights_finite
    assert found.reason.startswith("loss is ")


def test_a_loop_whose_weights_race_has_diverged_whatever_its_metrics():
    class Blind(toys.Quadratic):
        def __init__(self):
            super().__init__()
            self.optimizer = tf.keras.optimizers.SGD(0.01)
            self.optimizer.build([self.weight])

        def history(self):
            return {"accuracy": np.arange(len(self.losses)) % 2}

    found = outcome(lambda spec: Blind(), Fault("scale", 1e4))
    assert found.outcome == "diverged"
    assert found.reason.endswith("times as far as without it")


def test_a_fault_waits_until_its_network_is_trained():
    class Seldom(toys.Quadratic):
        """Trains every fourth batch: not the one in which the fault is due."""

        def run(self, batches):
            for _ in range(batches):
                if len(self.losses) % 4 == 0:
                    super().run(1)
                else:
                    self.losses.append(self.losses[-1])

    found = outcome(lambda spec: Seldom(), Fault("nan"))
    assert found.outcome == "poisoned"
    assert found.batches[:2] == (survival.BEFORE, 3)


def test_a_fault_that_cannot_happen_is_said_to_be_not_tested():
    found = outcome(toys.plain, Fault("nan", target="encoder"))
    assert found.outcome == "not tested"
    assert (found.weights_finite, found.optimizer_finite) == (None, None)
    assert "no gradient of such a variable was traced" in found.reason


def test_a_fault_that_never_strikes_is_said_to_be_not_tested():
    class Stops(toys.Quadratic):
        def run(self, batches):
            for _ in range(batches):
                super().run(1) if len(self.losses) < 5 else self.losses.append(self.losses[-1])

    found = outcome(lambda spec: Stops(), Fault("nan"))
    assert found.outcome == "not tested"
    assert found.reason == "no such gradient was computed in 20 batches"


def test_weights_that_do_not_move_anyway_tell_nothing():
    class Arrived(toys.Guarded):
        def __init__(self):
            super().__init__()
            self.weight.assign(np.full(4, 3.0, np.float32))

    found = outcome(lambda spec: Arrived(), Fault("nan"))
    assert found.outcome == "not tested"
    assert found.reason == "the weights that it hits do not move without it either"


def test_a_loop_that_is_broken_without_a_fault_is_not_tested():
    class Broken(toys.Quadratic):
        def __init__(self):
            super().__init__()
            self.weight.assign(np.full(4, np.nan, np.float32))

    found = outcome(lambda spec: Broken(), Fault("nan"))
    assert found.outcome == "not tested"
    assert found.reason == "generator/weight:0 is not finite without any fault"


def test_the_optimised_loop_lives_where_the_baseline_dies(tiny):
    """One batch of NaN gradients in the generator, the built-in pair."""
    from bench.loop import load

    spec = LoopSpec("tiny", options={"jit_compile": False})
    fault = Fault("nan", target="generator")
    found = {}
    for name in ("baseline:make_loop", "seqgan:make_loop"):
        factory = load(name)
        found[name] = survive(name, factory, spec, fault, CleanRun.of(factory(spec), trained=0))
    assert not found["baseline:make_loop"].weights_finite
    after = found["seqgan:make_loop"]
    assert (after.outcome, after.weights_finite, after.optimizer_finite) == ("survived", True, True)
    assert after.movement > 0.5
