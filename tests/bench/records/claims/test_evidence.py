import pytest
from convergences import convergence_record
from ladders import ladder_record
from records import record
from survivals import survival_record

from loop_bench import builtin
from loop_bench.errors import UsageError
from loop_bench.records.claims.evidence import Claim, ClaimVerdict, Evidence, times
from loop_bench.statistics import Interval

CLAIM = Claim("time", "3–5× as fast")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "why"),
    [
        (3.0, 5.0, ClaimVerdict.HOLDS, "between 3 and 5"),
        (2.99, 3.2, ClaimVerdict.CANNOT_BE_TOLD, "reaches over 3"),
        (4.8, 5.01, ClaimVerdict.CANNOT_BE_TOLD, "reaches over 5"),
        (2.0, 3.0, ClaimVerdict.CANNOT_BE_TOLD, "reaches over 3"),
        (2.0, 2.99, ClaimVerdict.DOES_NOT_HOLD, "less than was said"),
        (5.01, 6.0, ClaimVerdict.DOES_NOT_HOLD, "more than was said"),
        (0.0, float("inf"), ClaimVerdict.CANNOT_BE_TOLD, "reaches over 3"),  # too few rounds for an interval
    ],
)
def test_an_interval_decides_only_where_all_of_it_lies_on_one_side(low, high, verdict, why):
    answer = CLAIM.within((3.0, 5.0), Interval(4.0, low, high), "measured")
    assert (answer.verdict, answer.measured, answer.claim, answer.said) == (verdict, "measured", "time", "3–5× as fast")
    assert why in answer.why


def test_a_ratio_in_words():
    assert times(Interval(3.061, 3.008, 3.119)) == "3.06× (95%: 3.01 to 3.12)"


BUILT_IN = {"before": builtin.BEFORE, "after": builtin.AFTER}


def of_the_built_in(made):
    """A record as if its loops were the built-in ones."""
    if hasattr(made, "settings"):
        return made.model_copy(update={"settings": made.settings.model_copy(update=BUILT_IN)})
    loops = {
        name: loop.model_copy(update={"factory": BUILT_IN.get(name, builtin.AFTER)})
        for name, loop in made.plan.loops.items()
    }
    return made.model_copy(update={"plan": made.plan.model_copy(update={"loops": loops})})


MADE = [of_the_built_in(each()) for each in (survival_record, convergence_record, record)]


def of(records):
    return Evidence.of(records, (builtin.BEFORE, builtin.AFTER), builtin.FIXED)


def test_records_find_their_places_in_any_order():
    found = of(MADE)
    assert [found.survival, found.convergence, found.run] == MADE
    assert len(found.records) == 3
    assert found.fixed_temperature == builtin.FIXED
    assert of([]).records == ()


def test_one_of_each():
    with pytest.raises(UsageError, match="two records of kind 'run'"):
        of([MADE[2], MADE[2]])


def test_records_that_test_no_claim_are_refused():
    with pytest.raises(UsageError, match="a ladder record tests no claim"):
        of([ladder_record()])


@pytest.mark.parametrize("made", [record(), survival_record(), convergence_record()], ids=lambda made: made.kind)
def test_records_of_other_loops_are_refused(made):
    with pytest.raises(UsageError, match=f"the claims are about {builtin.BEFORE} and {builtin.AFTER}"):
        of([made])


def test_an_invalid_run_has_no_figures_and_says_why():
    found = Evidence(record(problems=("after: no weight has moved",)))
    assert (found.valid_run, found.comparison) == (None, None)
    assert found.why_no_run == "the run is invalid: after: no weight has moved"
    assert "loop-bench run" in Evidence().why_no_run


def test_a_suspicious_run_is_none_either():
    idle = record(arms={"after": record().arms["after"].model_copy(update={"touch_seconds": 1.0})})
    assert Evidence(idle).valid_run is None
    assert Evidence(idle).why_no_run.startswith("the run is suspicious: ")
    assert Evidence(record()).valid_run
