import keras
import numpy as np
import pytest
import tensorflow as tf

from seqgan import protection
from seqgan.guard import WARM_UP

# An element of the gradient after ten ordinary updates, the guard's warm-up, and what each rung comes through.
FAULTS = {"nan": np.nan, "overflow": 1e20, "spike": 1e4}
SURVIVES = {
    "none": {"spike"},
    "clip": {"spike"},
    "clip+zero": {"nan", "spike"},
    "clip+skip": {"nan", "overflow", "spike"},
    "guard": {"nan", "overflow", "spike"},
}


def after(name, fault, tiny):
    weight = keras.Variable([1.0, 2.0], name="weight")
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build([weight])
    update = protection.BY_NAME[name](optimizer, tiny)
    for size in [0.005] * WARM_UP + [FAULTS[fault]]:
        update.apply([tf.constant([size, 0.005])], [weight])
    return weight, optimizer


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", protection.BY_NAME)
def test_each_rung_stays_finite_through_its_faults(tiny, name, fault):
    weight, optimizer = after(name, fault, tiny)
    finite = all(np.all(np.isfinite(variable.numpy())) for variable in [weight, *optimizer.variables])
    assert finite == (fault in SURVIVES[name])


def test_each_rung_leaves_less_of_a_spike_in_adams_memory(tiny):
    # The second moment, which stops the updates to come.
    left = {name: float(np.max(after(name, "spike", tiny)[1].variables[-1])) for name in protection.BY_NAME}
    assert left["none"] > 1e3 * left["clip"]
    assert left["clip"] == pytest.approx(left["clip+zero"]) == pytest.approx(left["clip+skip"])
    assert left["clip+skip"] > 1e3 * left["guard"]
