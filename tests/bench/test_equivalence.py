import numpy as np
import pytest
import toys

from bench import equivalence
from bench.equivalence import BATCHES, MUST_AGREE
from bench.measurement import Measurement
from bench.record import Settings


class Changed(toys.Quadratic):
    """Another algorithm, or another rounding: from each of these batches on its losses are so many times as much."""

    def __init__(self, factors):
        super().__init__()
        self._factors = factors

    def history(self):
        losses = super().history()["loss"].astype(float)
        for batch, factor in self._factors.items():
            losses[batch:] *= factor
        return {"loss": losses}


def judge(after):
    return equivalence.equivalence(toys.Quadratic(), after, {"a": 1})


def test_the_same_algorithm_is_the_same_to_the_bit():
    found = judge(toys.Quadratic())
    assert (found.equal, found.batches, found.options) == (True, BATCHES, {"a": 1})
    assert found.reason == f"bit for bit the same over {BATCHES} batches, metrics and weights"


def test_another_algorithm_is_not():
    class Faster(toys.Quadratic):
        def _step(self):
            self.optimizer.learning_rate = 0.1
            return super()._step()

    found = judge(Faster())
    assert not found.equal
    assert found.reason.endswith("in batch 1")


@pytest.mark.parametrize(
    ("factors", "equal", "says"),
    [
        ({0: 1 + 1e-5}, True, "metrics and weights are the same within 0.001 over"),
        ({0: 1 + 1e-6, MUST_AGREE: 1.5}, True, "until rounding had its way: loss is 3.8"),
        ({MUST_AGREE: 1.5}, False, "in batch 3"),  # to the bit the same until then: that is no rounding
        ({0: 1 + 1e-6, MUST_AGREE - 1: 1.5}, False, "in batch 2"),
        ({0: np.nan}, False, "nan in batch 0"),
    ],
)
def test_rounding_is_an_excuse_only_when_it_can_have_done_it(factors, equal, says):
    found = judge(Changed(factors))
    assert found.equal == equal
    assert says in found.reason


def test_weights_must_agree_too():
    class Elsewhere(toys.Quadratic):
        def run(self, batches):
            super().run(batches)
            self.weight.assign_add([1.0] * 4)

    assert judge(Elsewhere()).reason == "the metrics are the same, and the weights are not"


def test_an_arm_with_fewer_weights_is_not_the_same():
    class Fewer(toys.Quadratic):
        @property
        def variables(self):
            return [variable for variable in super().variables if not variable.trainable]

    assert judge(Fewer()).reason == "the metrics are the same, and the weights are not"


def test_loops_without_a_common_metric():
    class Other(toys.Quadratic):
        def history(self):
            return {"error": super().history()["loss"]}

    assert judge(Other()).reason == "no metric is common to both: loss; error"


def test_histories_of_different_lengths():
    class Short(toys.Quadratic):
        def history(self):
            return {"loss": super().history()["loss"][1:]}

    assert judge(Short()).reason == "the histories have different lengths"


def measurement(before, after):
    return Measurement(Settings(before=before, after=after, preset="tiny", seed=0, batches=3, rounds=1))


def test_the_built_in_pair_is_the_same():
    found = measurement("baseline:make_loop", "seqgan:make_loop")
    assert found.check_equivalence().reason.startswith("bit for bit the same")
    assert found.record().equivalence.equal


def test_of_other_loops_nothing_is_known():
    found = measurement("toys:plain", "toys:guarded")
    assert found.check_equivalence() is None
    assert found.record().equivalence is None
