import pytest
from records import arm, record

from loop_bench.experiments.run.figures import Comparison
from loop_bench.experiments.run.record import ArmRecord
from loop_bench.timing.samples import Start


def test_figures_have_their_units():
    made = arm(
        "a:b",
        reads=20,
        described_first={"temperature": 2},
        described_last={"temperature": 1.5},
        starts=(Start(build_seconds=0.5, first_batch_seconds=2.5),),
    )
    found = Comparison.of(record(arms={"before": made}, noise=0, before=0.06, after=0.02))
    assert found.before.ms_per_batch.median == pytest.approx(60.0)
    assert found.after.ms_per_batch.median == pytest.approx(20.0)
    assert found.before.start_seconds.median == 3.0
    assert (found.before.host_syncs_per_batch, found.before.nbytes_per_batch) == (2.0, 8.0)
    assert found.before.temperature == (2.0, 1.5)


def test_timing_is_over_pairs():
    # The machine slows down tenfold in the course of the run: the ratio does not notice.
    steady = record(noise=0)
    rounds = tuple(
        done.model_copy(update={"seconds": {name: s * (1 + 9 * i / 99) for name, s in done.seconds.items()}})
        for i, done in enumerate(steady.rounds)
    )
    found = Comparison.of(steady.model_copy(update={"rounds": rounds})).timing
    assert found.speed_up == pytest.approx((2.0, 2.0, 2.0))
    assert found.null == pytest.approx((1.0, 1.0, 1.0))
    assert not found.drift.significant


def test_overhead_is_what_was_not_measured():
    found = Comparison.of(record(noise=0, count=10, rounds_seconds=16.5)).timing  # 10 rounds of 10 * 150 ms
    assert found.overhead == pytest.approx(0.1)


def test_what_was_not_measured_is_none():
    found = Comparison.of(record(arms={"before": ArmRecord(factory="a:b")}, rounds=(), rounds_ended=None))
    assert found.timing is None
    assert found.before.ms_per_batch is found.before.start_seconds is found.before.host_syncs_per_batch is None
    assert found.before.temperature is None
    assert found.before.survivals == {}
