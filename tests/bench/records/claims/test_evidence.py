import pytest
from convergences import convergence_record
from ladders import ladder_record
from records import record
from survivals import survival_record

from bench import builtin
from bench.errors import UsageError
from bench.records.claims.evidence import Evidence

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


def test_records_find_their_places_in_any_order():
    found = Evidence.of(MADE)
    assert [found.survival, found.convergence, found.run] == MADE
    assert len(found.records) == 3
    assert Evidence.of([]).records == ()


def test_one_of_each():
    with pytest.raises(UsageError, match="two records of kind 'run'"):
        Evidence.of([MADE[2], MADE[2]])


def test_what_says_nothing_of_the_claims_is_refused():
    with pytest.raises(UsageError, match="a ladder record says nothing of the claims"):
        Evidence.of([ladder_record()])


@pytest.mark.parametrize("made", [record(), survival_record(), convergence_record()], ids=lambda made: made.kind)
def test_nobody_claimed_anything_of_other_loops(made):
    with pytest.raises(UsageError, match="the claims were made of baseline:make_loop and seqgan:make_loop"):
        Evidence.of([made])


def test_an_invalid_run_has_no_figures_and_says_why():
    found = Evidence(record(problems=("after: no weight has moved",)))
    assert (found.valid_run, found.comparison) == (None, None)
    assert found.why_no_run == "the run is invalid: after: no weight has moved"
    assert "pytest bench/" in Evidence().why_no_run


def test_a_suspicious_run_is_none_either():
    idle = record(arms={"after": record().arms["after"].model_copy(update={"touch_seconds": 1.0})})
    assert Evidence(idle).valid_run is None
    assert Evidence(idle).why_no_run.startswith("the run is suspicious: ")
    assert Evidence(record()).valid_run
