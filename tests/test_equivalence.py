"""A speed-up means nothing if the loops compute different things."""

import dataclasses

import numpy as np
import pytest

from baseline.loop import BaselineLoop
from seqgan.loop import OptimizedLoop

BATCHES = 25  # over the end of an epoch


@pytest.fixture(scope="module")
def same_algorithm(tiny):
    """Clipping out of reach, one temperature, one sampler: what is left is how it is carried out."""
    return dataclasses.replace(
        tiny, clip_norm=1e9, temperature_start=0.8, temperature_end=0.8, temperature_decay=1.0, sampler="inverse_cdf"
    )


def run(loop):
    loop.run(BATCHES)
    return np.stack(list(loop.history().values()))


@pytest.mark.parametrize("steps", [{}, {"d_steps": 2, "g_steps": 2}], ids=["one step", "two steps"])
def test_both_loops_compute_the_same(same_algorithm, lines, steps):
    config = dataclasses.replace(same_algorithm, **steps)
    before, after = BaselineLoop(config, lines), OptimizedLoop(config, lines)
    # Clipping out of reach multiplies by 1, and without XLA every operation is the same: not a bit may differ.
    np.testing.assert_array_equal(run(before), run(after))
    for one, other in zip(before.networks.weights, after.networks.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


def test_and_with_xla_but_for_rounding(same_algorithm, lines):
    before = run(BaselineLoop(same_algorithm, lines))
    after = run(OptimizedLoop(dataclasses.replace(same_algorithm, jit_compile=True), lines))
    np.testing.assert_allclose(before, after, rtol=1e-3)


def test_the_comparison_can_fail(same_algorithm, lines):
    """Another temperature is another algorithm, and shows."""
    other = dataclasses.replace(same_algorithm, temperature_fixed=0.9)
    before, after = run(BaselineLoop(other, lines)), run(OptimizedLoop(same_algorithm, lines))
    assert not np.allclose(before, after, rtol=1e-3)
