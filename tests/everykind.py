"""A record of each kind, for tests of code that handles every kind."""

import pytest
from agreements import agreement_record
from convergences import convergence_record
from ladders import ladder_record
from records import arm, record, survival
from survivals import survival_record
from sweeps import sweep_record
from traces import profile_record


def run_record():
    """A record of two loops with times, host syncs and a fault."""
    outcomes = {"before": "frozen", "after": "survived"}
    arms = {name: arm(f"{name}:make", survivals=(survival(outcome),)) for name, outcome in outcomes.items()}
    return record(arms=arms)


RECORDS = {
    "run": run_record,
    "ladder": ladder_record,
    "sweep": sweep_record,
    "profile": profile_record,
    "equivalence": agreement_record,
    "convergence": convergence_record,
    "survival": survival_record,
}
"""Functions that make a record, by kind."""

KINDS = ["run", *(pytest.param(kind, marks=pytest.mark.slow) for kind in RECORDS if kind != "run")]
"""All kinds, as parameters; only the run, the largest kind, is not marked slow."""
