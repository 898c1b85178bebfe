"""A record of each kind, for tests of what is done with any."""

import pytest
from agreements import agreement_record
from convergences import convergence_record
from ladders import ladder_record
from records import arm, record, survival
from survivals import survival_record
from sweeps import sweep_record
from traces import profile_record


def run_record():
    """Of two loops that were timed, counted, and put through a fault."""
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
"""What makes one, by its kind."""

KINDS = ["run", *(pytest.param(kind, marks=pytest.mark.slow) for kind in RECORDS if kind != "run")]
"""All kinds, as parameters; what draws and renders a record does so for the largest in every run of the tests."""
