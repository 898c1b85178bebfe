import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import arm, elsewhere, record, traced

from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.run.verdict import Kind, Verdict, invalid


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"after": 0.030, "noise": 0.001}, Kind.FASTER, "2.00× as fast (95% interval"),
        ({"after": 0.090, "noise": 0.001}, Kind.SLOWER, "1.50× as long (95% interval"),
        ({"after": 0.060, "noise": 0.01}, Kind.SAME, "no difference of 3.0% or more"),
        (
            {"after": 0.060, "noise": 0.3},
            Kind.INCONCLUSIVE,
            "neither a difference nor its absence within 3.0% is shown",
        ),
        # Faster than the loop before, but the loop before differs as much from itself.
        ({"after": 0.056, "null": 0.055}, Kind.INCONCLUSIVE, "a difference no larger than noise"),
        ({"rounds": (), "rounds_ended": None}, Kind.INVALID, "the loops were not timed"),
        ({"count": 4}, Kind.INVALID, "cut short: 4 rounds, and an interval needs 10"),
        (
            {"equivalence": Equivalence(batches=5, options={}, equal=False, reason="loss is 1 and 2 in batch 0")},
            Kind.INVALID,
            "the loops do not compute the same thing: loss is 1 and 2 in batch 0",
        ),
        ({"problems": ("after: no weight has moved",)}, Kind.INVALID, "after: no weight has moved"),
    ],
)
def test_kinds_and_their_reasons(changes, kind, reason):
    found = Verdict.of(record(**changes))
    assert found.kind == kind
    assert reason in found.reason


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 3.0), st.sampled_from([0.0, 0.01, 0.1, 0.5]), st.integers(0, 5))
def test_turning_the_loops_over_turns_the_verdict_over(ratio, noise, seed):
    there = Verdict.of(record(before=0.1, after=0.1 / ratio, noise=noise, seed=seed)).kind
    found = record(before=0.1, after=0.1 / ratio, noise=noise, seed=seed)
    swapped = tuple(
        done.model_copy(
            update={
                "seconds": {
                    "before": done.seconds["after"],
                    "after": done.seconds["before"],
                    # The null arm stays as far from the loop before as it was.
                    "null": done.seconds["after"] * done.seconds["null"] / done.seconds["before"],
                }
            }
        )
        for done in found.rounds
    )
    back = Verdict.of(found.model_copy(update={"rounds": swapped})).kind
    opposite = {Kind.FASTER: Kind.SLOWER, Kind.SLOWER: Kind.FASTER}
    assert back == opposite.get(there, there)


@pytest.mark.parametrize(("count", "runs", "wrong"), [(50, 20, 0), pytest.param(100, 100, 2, marks=pytest.mark.slow)])
def test_identical_loops_are_hardly_ever_called_different(count, runs, wrong):
    """A 95% interval alone would call one in twenty so: of these 20, three."""
    found = [Verdict.of(record(after=0.06, noise=0.05, count=count, seed=seed)).kind for seed in range(runs)]
    assert sum(kind in (Kind.FASTER, Kind.SLOWER) for kind in found) <= wrong


def test_out_of_time_says_what_to_do():
    assert "raise --max-time" in invalid(record(count=4, rounds_ended="out of time"))[0]


def test_faster_than_the_device_could_be_is_suspicious():
    arms = {"after": arm("c:d", touch_seconds=0.040)}
    found = Verdict.of(record(arms=arms))
    assert found.kind == Kind.FASTER
    assert "after takes 30 ms for a batch, but this device needs 40 ms only to update the weights" in found.suspicious
    assert Verdict.of(record(arms={"after": arm("c:d", touch_seconds=0.001)})).suspicious is None


def test_doubts_do_not_overturn():
    drifting = record(noise=0.01)
    rounds = tuple(
        done.model_copy(update={"seconds": {**done.seconds, "after": done.seconds["after"] * (1 + i / 300)}})
        for i, done in enumerate(drifting.rounds)
    )
    found = Verdict.of(drifting.model_copy(update={"rounds": rounds}))
    assert found.kind == Kind.FASTER
    assert "the ratio drifted by -2" in found.doubts[0]
    assert "neighbouring rounds resemble each other" in found.doubts[1]


def test_a_null_arm_that_differs_is_a_doubt():
    found = Verdict.of(record(null=0.063))
    assert found.kind == Kind.FASTER
    assert "a second instance of it differ" in found.doubts[0]


def test_rare_slow_rounds_are_a_doubt():
    found = record(noise=0.01)
    slow = found.rounds[7].model_copy(update={"seconds": {**found.rounds[7].seconds, "after": 30.0}})
    found = found.model_copy(update={"rounds": (*found.rounds[:7], slow, *found.rounds[8:])})
    assert "by total time before / after is 1.0" in Verdict.of(found).doubts[0]


def test_a_gpu_that_was_throttled_or_shared_is_a_doubt():
    gpu = {
        "name": "H100",
        "sm_mhz": 1200,
        "max_sm_mhz": 1980,
        "throttled_by": ["software power cap"],
        "other_processes": 2,
    }
    found = Verdict.of(record(environment={"state": {"gpus": [gpu]}}))
    assert found.doubts == (
        "H100 was throttled: software power cap (1200 of 1980 MHz)",
        "2 other processes used H100",
    )
    calm = {**gpu, "throttled_by": [], "other_processes": None}
    assert Verdict.of(record(environment={"state": {"gpus": [calm]}})).doubts == ()


def test_a_sound_run_raises_no_doubt():
    found = Verdict.of(record())
    assert (found.doubts, found.suspicious) == ((), None)


def test_a_loop_that_still_traces_is_a_doubt():
    counted = arm("c:d", traced=(traced(traces=5),))
    syncs = counted.host_syncs.model_copy(update={"traced": (traced(traces=10),)})
    found = Verdict.of(record(arms={"after": counted.model_copy(update={"host_syncs": syncs})}))
    (doubt,) = [each for each in found.doubts if "after warm-up" in each]
    assert doubt.startswith("after: 15 retraces after warm-up (most often step, f.py:3")
    assert "Python value of n: 1 → 2" in doubt
    quiet = Verdict.of(record(arms={"after": arm("c:d", traced=())}))
    assert not [each for each in quiet.doubts if "after warm-up" in each]


def test_loops_in_several_processes_each_raise_no_doubt_by_themselves():
    idle = {"before": 0.01, "null": 0.0, "after": 0.05}
    assert Verdict.of(elsewhere(idle=idle, idle_gpu=0.05)).doubts == ()
    assert Verdict.of(elsewhere(idle_gpu=None)).doubts == ()


def test_a_process_that_is_busy_while_others_are_timed_is_a_doubt():
    found = Verdict.of(elsewhere(idle={"before": 0.01, "null": 0.4, "after": 1.2}))
    assert found.kind == Kind.FASTER
    assert found.doubts == (
        "null arm uses 40% of a core while others are timed: background work in its process slows them down",
        "after uses 120% of a core while others are timed: background work in its process slows them down",
    )


def test_a_gpu_that_is_busy_for_nobody_is_a_doubt():
    assert Verdict.of(elsewhere(idle_gpu=0.3)).doubts == (
        "the GPU was busy 30% of the time while neither loop was running",
    )


def test_few_processes_of_each_are_a_doubt():
    (doubt,) = Verdict.of(elsewhere(groups=2)).doubts
    assert doubt == "2 processes of each loop: the variation between processes is hardly known (--processes)"
    assert Verdict.of(elsewhere(groups=4)).doubts == ()


def test_a_single_process_of_each_is_a_doubt():
    (doubt,) = Verdict.of(elsewhere(groups=1)).doubts
    assert doubt == "one process of each loop: the variation between processes is unknown (--processes)"


def test_variation_between_processes_is_no_difference_of_loops():
    """Rounds of two processes that each are sure of another ratio: 4% slower, and 4% faster."""
    apart = elsewhere(after=0.06, noise=0.001)
    rounds = tuple(
        done.model_copy(
            update={"seconds": {**done.seconds, "after": done.seconds["after"] * (0.96, 1.04)[done.group % 2]}}
        )
        for done in apart.rounds
    )
    found = Verdict.of(apart.model_copy(update={"rounds": rounds}))
    assert found.kind == Kind.INCONCLUSIVE
    assert not [doubt for doubt in found.doubts if "drifted" in doubt or "resemble" in doubt]
    # As if all were of the same processes, the rounds would be a step in time.
    together = tuple(done.model_copy(update={"group": 0}) for done in rounds)
    assert "drifted" in Verdict.of(apart.model_copy(update={"rounds": together})).doubts[0]
