import pytest
from convergences import convergence_record
from ladders import ladder_record
from records import record
from survivals import survival_record

from bench.claims.evidence import Evidence
from bench.errors import UsageError


def test_records_find_their_places_in_any_order():
    found = Evidence.of([survival_record(), convergence_record(), record()])
    assert (found.run, found.survival, found.convergence) == (record(), survival_record(), convergence_record())
    assert len(found.records) == 3
    assert Evidence.of([]).records == ()


def test_one_of_each():
    with pytest.raises(UsageError, match="two records of kind 'run'"):
        Evidence.of([record(), record(seed=1)])


def test_what_says_nothing_of_the_claims_is_refused():
    with pytest.raises(UsageError, match="a ladder record says nothing of the claims"):
        Evidence.of([ladder_record()])


def test_an_invalid_run_has_no_figures_and_says_why():
    found = Evidence.of([record(problems=("after: no weight has moved",))])
    assert found.comparison is None
    assert found.why_no_comparison == "the run is invalid: after: no weight has moved"
    assert "pytest bench/" in Evidence().why_no_comparison
