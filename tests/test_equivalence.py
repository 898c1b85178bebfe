"""Tests that both loops compute the same, without which a speed-up means nothing."""

import dataclasses

import pytest

from loop_bench.baseline.loop import BaselineLoop
from loop_bench.experiments.equivalence.check import equivalence
from loop_bench.experiments.equivalence.record import BATCHES
from loop_bench.experiments.equivalence.side import Side
from loop_bench.seqgan.loop import OptimizedLoop


@pytest.fixture(scope="module")
def same_algorithm(tiny):
    """Options with which the loops differ only in execution: no effective clipping, one temperature, one sampler."""
    return dataclasses.replace(
        tiny,
        clip_norm=1e9,
        clip_ratio=1e9,
        temperature_start=0.8,
        temperature_end=0.8,
        temperature_decay=1.0,
        sampler="inverse_cdf",
        keep_lines=True,
        policy_gradient="second_pass",
        convolutions="separate",
    )


def compare(lines, before, **changes):
    after = OptimizedLoop(dataclasses.replace(before, **changes), lines)
    return equivalence(Side(BaselineLoop(before, lines)), Side(after), {})


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"calls": "three", "feed": "pipeline", "metrics": "each_call", "protection": "none"}, marks=SLOW),
        pytest.param({"calls": "one"}, marks=SLOW),
        pytest.param({"calls": "window", "feed": "pipeline"}, marks=SLOW),
        {},
    ],
    ids=["nothing moved", "one call", "window", "resident"],
)
def test_what_only_moves_reads_and_calls_changes_no_bit(same_algorithm, lines, changes):
    # Of a network that both share, one convolution is enough, for each takes time to trace.
    found = compare(lines, dataclasses.replace(same_algorithm, filter_widths=(2,)), **changes)
    assert found.bit_for_bit, found.reason
    assert found.reason == f"bit for bit the same over {BATCHES} batches, metrics, weights and drawn tokens"


@pytest.mark.slow
@pytest.mark.parametrize(
    "work", [{"d_steps": 2, "g_steps": 2}, {"rollouts": 2, "window": 5}], ids=["two steps", "rollouts"]
)
def test_other_sizes_compute_the_same(same_algorithm, lines, work):
    found = compare(lines, dataclasses.replace(same_algorithm, **work))
    assert found.bit_for_bit, found.reason


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"jit_compile": True}], ids=["plain graph", "with XLA"])
def test_the_sampled_pass_is_the_same_up_to_rounding(same_algorithm, lines, changes):
    found = compare(lines, same_algorithm, policy_gradient="sampled_pass", **changes)
    assert found.equal, found.reason
    assert not found.bit_for_bit  # or this test would not show that the tolerance is needed
    assert max(found.lockstep.updates) > 0


@pytest.mark.slow
def test_convolutions_as_one_product_are_the_same_up_to_rounding(same_algorithm, lines):
    found = compare(lines, same_algorithm, convolutions="one_product")
    assert found.equal, found.reason


@pytest.mark.slow
def test_rollouts_with_xla_are_the_same_up_to_rounding(same_algorithm, lines):
    found = compare(lines, dataclasses.replace(same_algorithm, rollouts=2), jit_compile=True)
    assert found.equal, found.reason


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"temperature_fixed": 0.9}, marks=SLOW),
        {"g_learning_rate": 1.1e-3},
        pytest.param({"g_steps": 2}, marks=SLOW),
        pytest.param({"sampler": "categorical"}, marks=SLOW),
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_comparison_can_fail(same_algorithm, lines, other):
    """The check detects another algorithm."""
    before = BaselineLoop(dataclasses.replace(same_algorithm, **other), lines)
    found = equivalence(Side(before), Side(OptimizedLoop(same_algorithm, lines)), {})
    assert not found.equal
    if "g_learning_rate" in other:
        assert found.reason.endswith("generator_adam/learning_rate")
    else:
        assert not all(found.lockstep.drew_alike) or max(found.lockstep.updates) > 0.01
