import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import arm, elsewhere, record, traced

from loop_bench.records import gate
from loop_bench.records.gate import Check, Decision, Limits, Outcome


def outcome(judged, reference=None, **limits):
    return gate.judge(judged, Limits(**limits), reference).outcome


@pytest.mark.parametrize(
    ("after", "noise", "expected"),
    [
        (0.060, 0.02, Outcome.PASSED),
        (0.030, 0.02, Outcome.PASSED),  # faster
        (0.0605, 0.02, Outcome.PASSED),  # 1% slower, shown to be less than 5%
        (0.063, 0.02, Outcome.FAILED),  # 5%
        (0.066, 0.02, Outcome.FAILED),
        (0.060, 0.40, Outcome.INCONCLUSIVE),  # could be 5% slower, could be faster
        (0.120, 0.40, Outcome.FAILED),  # however noisy, it is slower
    ],
)
def test_slower_than_the_loop_before(after, noise, expected):
    assert outcome(record(after=after, noise=noise)) == expected


@pytest.mark.parametrize(
    ("after", "expected"), [(0.030, Outcome.PASSED), (0.0315, Outcome.FAILED), (0.033, Outcome.FAILED)]
)
def test_slower_than_in_the_reference(after, expected):
    assert outcome(record(after=after, seed=1), record()) == expected


def test_the_limit_is_what_was_asked_for():
    slower = record(after=0.066)  # 10%
    assert outcome(slower, max_slowdown=0.2) == Outcome.PASSED
    assert outcome(slower, max_slowdown=0.05) == Outcome.FAILED


@settings(max_examples=15, deadline=None)
@given(st.floats(0.5, 1.5), st.floats(0.001, 0.3), st.integers(0, 3))
def test_never_passes_what_is_plainly_slower_nor_fails_what_is_faster(ratio, noise, seed):
    found = outcome(record(before=0.06, after=0.06 * ratio, noise=noise, seed=seed, count=50))
    standard_error = noise * math.sqrt(2 / 50)
    if math.log(ratio) > math.log(1.05) + 6 * standard_error:
        assert found == Outcome.FAILED
    if math.log(ratio) < -6 * standard_error:
        assert found in (Outcome.PASSED, Outcome.INCONCLUSIVE)


def test_another_speed_of_the_machine_is_no_slowdown():
    # Everything takes 30% longer, the loop after 35%: the machine, for the loop before has not changed.
    slow_day = record(before=0.078, after=0.0405, seed=1)
    found = gate.judge(slow_day, Limits(), record())
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "the loop before, which should not have changed, took +" in found.line
    # And neither is a fast day a proof of anything.
    assert outcome(record(before=0.045, after=0.0240, seed=1), record()) == Outcome.INCONCLUSIVE


def test_a_large_slowdown_fails_at_any_speed_of_the_machine():
    assert outcome(record(before=0.066, after=0.066, seed=1), record()) == Outcome.FAILED


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.floats(0.7, 1.4), st.floats(0.7, 1.4))
def test_the_plain_ratio_lies_in_the_interval(mood, change):
    judged = record(before=0.06 * mood, after=0.03 * mood * change, seed=1)
    factor, moved = gate.slowdown_against(judged, record())
    assert moved == pytest.approx(mood, rel=0.02)
    assert factor.low * 0.98 <= mood * change <= factor.high * 1.02


@pytest.mark.parametrize(
    ("limit", "expected"), [(1.5, Outcome.PASSED), (2.0, Outcome.INCONCLUSIVE), (3.0, Outcome.FAILED)]
)
def test_least_speed_up(limit, expected):
    assert outcome(record(), min_speedup=limit) == expected


@pytest.mark.parametrize(("limit", "expected"), [(0.1, Outcome.PASSED), (0.05, Outcome.FAILED)])
def test_most_host_syncs(limit, expected):
    assert outcome(record(), max_syncs=limit) == expected


def test_syncs_that_were_not_counted_are_no_pass():
    assert outcome(record(arms={"after": arm("c:d", host_syncs=None)}), max_syncs=9) == Outcome.INVALID


@pytest.mark.parametrize(
    ("found", "limit", "expected"),
    [
        ((), 0, Outcome.PASSED),
        ((traced(traces=2),), 2, Outcome.PASSED),
        ((traced(traces=2), traced("other", traces=1)), 2, Outcome.FAILED),
        (None, 2, Outcome.INVALID),
    ],
)
def test_traces_of_a_warm_loop(found, limit, expected):
    judged = record(arms={"before": arm("a:b", traced=(traced(traces=99),)), "after": arm("c:d", traced=found)})
    assert outcome(judged, max_retraces=limit) == expected


def test_the_gate_says_what_is_traced_again():
    judged = record(arms={"after": arm("c:d", traced=(traced(), traced("other", traces=9)))})
    line = gate.judge(judged, Limits(max_retraces=0)).line
    assert "the loop after: 12 retraces after warm-up (limit 0), most often other (Python value of n" in line
    first = gate.judge(record(arms={"after": arm("c:d", traced=(traced(why=()),))}), Limits(max_retraces=0)).line
    assert first.endswith("(limit 0), most often step")


@pytest.mark.parametrize(
    "broken",
    [
        {"problems": ("after: history 'loss' is not finite from batch 3 on",)},
        {"problems": ("before: history 'loss' is not finite from batch 3 on",)},
        {"problems": ("before trains on 64 samples a batch, after on 32",)},
        {"count": 9},
        {"rounds": ()},
        {"rounds_ended": None},
        {"problems": None},
        {"arms": {"after": arm("c:d", history={"loss": (1.0, math.nan)})}},
        {"arms": {"before": arm("a:b", history={"loss": (math.inf, 1.0)})}},
    ],
)
def test_what_is_broken_is_invalid_on_either_side(broken):
    assert outcome(record(**broken)) == Outcome.INVALID
    assert outcome(record(**broken), record()) == Outcome.INVALID
    found = gate.judge(record(), Limits(), record(**broken))
    assert found.outcome == Outcome.INVALID
    assert found.line.startswith("invalid: the reference: ")


def test_a_lost_or_renamed_arm_is_invalid():
    renamed = record(arms={"after": arm("c:other")})
    found = gate.judge(renamed, Limits(), record())
    assert found.line == "invalid: after is c:other, there c:d"
    with pytest.raises(ValueError, match="a record is of before and after"):
        record().model_validate({**record().model_dump(), "arms": {"before": record().arms["before"].model_dump()}})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"environment": {"gpus": ["NVIDIA H100"]}}, "GPU NVIDIA H100, there none"),
        ({"environment": {"versions": {"tensorflow": "2.22.0", "keras": "3.15.1"}}}, "TensorFlow 2.22.0, there 2.21.0"),
        ({"settings": {"preset": "paper"}}, "preset paper, there tiny"),
    ],
)
def test_records_that_cannot_be_compared_are_invalid_and_say_in_what(changes, says):
    found = gate.judge(record(**changes), Limits(), record())
    assert found.outcome == Outcome.INVALID
    assert says in found.line


def test_suspicious_times_do_not_pass():
    found = gate.judge(record(arms={"after": arm("c:d", touch_seconds=0.04)}), Limits())
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "suspicious" in found.line


def rarely_slow(found, name, share):
    """Every tenth round of one loop takes so much longer."""
    rounds = tuple(
        done.model_copy(update={"seconds": {**done.seconds, name: done.seconds[name] * (1 + 10 * share)}})
        if i % 10 == 0
        else done
        for i, done in enumerate(found.rounds)
    )
    return found.model_copy(update={"rounds": rounds})


def test_a_slowdown_of_some_rounds_alone_is_found():
    same = record(after=0.06, count=150)
    found = gate.judge(rarely_slow(same, "after", 0.3), Limits())
    assert found.outcome == Outcome.FAILED
    assert found.checks[0].outcome == Outcome.PASSED
    assert found.checks[1].interval.holds(0.3)
    assert outcome(rarely_slow(record(count=150, seed=1), "after", 0.3), record(count=150)) == Outcome.FAILED
    assert outcome(rarely_slow(same, "before", 0.3)) == Outcome.PASSED
    # What was slow now and then before may stay so.
    slow = rarely_slow(record(count=150), "after", 0.3)
    assert outcome(rarely_slow(record(count=150, seed=1), "after", 0.3), slow) == Outcome.PASSED


def test_the_gravest_answer_is_the_gates():
    checks = [Check(each.name, each, each.name) for each in Outcome]
    assert Decision(tuple(checks)).outcome == Outcome.INVALID
    assert Decision(tuple(checks[:3])).outcome == Outcome.FAILED
    assert Decision((checks[0], checks[2])).outcome == Outcome.INCONCLUSIVE
    assert Decision(tuple(checks[:1])).outcome == Outcome.PASSED


def test_the_line_says_by_how_much():
    line = gate.judge(record(after=0.066, noise=0), Limits()).line
    assert line == (
        "failed: after takes +10.0% ms/batch compared with before (99.9% interval +10.0% to +10.0%; limit +5.0%)"
    )


@pytest.mark.parametrize(("after", "expected"), [(0.06, Outcome.PASSED), (0.063, Outcome.FAILED)])
@pytest.mark.parametrize(
    ("count", "noise", "runs", "wrong"), [(30, 0.021, 20, 0), pytest.param(250, 0.06, 30, 1, marks=pytest.mark.slow)]
)
def test_identical_loops_pass_and_five_percent_are_found(after, expected, count, noise, runs, wrong):
    """With as many rounds as make the interval 3% wide, which is what the harness goes on for: they are as many times
    fewer as the noise is smaller squared."""
    found = [outcome(record(after=after, noise=noise, count=count, seed=seed)) for seed in range(runs)]
    assert found.count(expected) >= runs - wrong


@pytest.mark.parametrize(("null", "expected"), [(0.060, Outcome.FAILED), (0.066, Outcome.INCONCLUSIVE)])
def test_what_the_loop_before_does_against_itself_is_no_slowdown(null, expected):
    assert outcome(record(after=0.066, null=null)) == expected


def test_what_a_slower_instance_of_the_loop_before_would_hide_is_no_pass():
    assert outcome(record(before=0.066, null=0.060, after=0.066)) == Outcome.INCONCLUSIVE


@pytest.mark.parametrize("rare", [5, 10])
def test_a_few_slow_rounds_are_no_pass(rare):
    same = record(after=0.06)
    rounds = tuple(
        done.model_copy(update={"seconds": {**done.seconds, "after": done.seconds["after"] * 5}})
        if i % (100 // rare) == 0
        else done
        for i, done in enumerate(same.rounds)
    )
    assert outcome(same.model_copy(update={"rounds": rounds})) in (Outcome.INCONCLUSIVE, Outcome.FAILED)


def test_variation_between_processes_widens_the_interval_of_the_total():
    """A group of processes that has its after 12% slower throughout, of four: too much, were it not by chance."""

    def with_slow_processes(factor, groups):
        made = elsewhere(after=0.060, noise=0.001, groups=4)
        rounds = tuple(
            done.model_copy(
                update={
                    "seconds": {**done.seconds, "after": done.seconds["after"] * (factor if done.group == 1 else 1)},
                    "group": done.group if groups else 0,
                }
            )
            for done in made.rounds
        )
        return made.model_copy(update={"rounds": rounds})

    def total(judged):
        return gate._in_total(judged, 0.02, None, 1.0)

    apart, together = total(with_slow_processes(1.12, True)), total(with_slow_processes(1.12, False))
    assert apart.interval.low < together.interval.low
    assert apart.interval.high > together.interval.high
    assert apart.interval.estimate == together.interval.estimate
    assert outcome(with_slow_processes(1.12, True)) == Outcome.INCONCLUSIVE
    assert outcome(with_slow_processes(1.0, True)) == Outcome.PASSED


def test_one_process_of_each_loop_cannot_tell():
    """The variation between processes is then in no interval."""
    assert outcome(elsewhere(groups=3, after=0.060, noise=0.001)) == Outcome.PASSED
    decision = gate.judge(elsewhere(groups=1, after=0.060, noise=0.001), Limits(), None)
    assert decision.outcome == Outcome.INCONCLUSIVE
    assert "--processes" in decision.line


def test_an_interval_of_two_processes_is_not_reported():
    """It would be from about -97% to +5102%."""
    rounds = elsewhere(groups=2, after=0.060, noise=0.001).rounds
    uneven = tuple(
        done.model_copy(update={"seconds": {**done.seconds, "after": done.seconds["after"] * (1 + 0.2 * done.group)}})
        for done in rounds
    )
    (check,) = gate.judge(elsewhere(groups=2).model_copy(update={"rounds": uneven}), Limits(), None).checks
    assert check.outcome == Outcome.INCONCLUSIVE
    assert check.text.endswith(
        "but 2 processes of each loop are too few to know the variation between processes; give --processes 4 or more"
    )


def test_variation_between_processes_counts_against_a_reference():
    """The variation in either record widens the interval."""
    apart = elsewhere(groups=4, after=0.060, noise=0.001)
    rounds = tuple(
        done.model_copy(update={"seconds": {**done.seconds, "after": done.seconds["after"] * (1 + 0.02 * done.group)}})
        for done in apart.rounds
    )
    apart = apart.model_copy(update={"rounds": rounds})
    together = apart.model_copy(update={"rounds": tuple(done.model_copy(update={"group": 0}) for done in rounds)})
    widths = [
        gate.slowdown_against(*pair)[0].width for pair in ((together, together), (apart, together), (apart, apart))
    ]
    assert widths[0] < widths[1] < widths[2]
