import pytest
from records import ENVIRONMENT
from trials import Adding, Sum, died, found

from loop_bench.errors import UsageError
from loop_bench.jobs.kinds import of_one_kind, ran_on
from loop_bench.jobs.machines import Machine, environment_of

HERE = {**ENVIRONMENT, "commit": "abc", "dirty": False}


def machine(host="a", **changes):
    return Machine(host=host, environment={**ENVIRONMENT, "commit": "other", **changes})


def results(*machines):
    """A trial and a result for each machine."""
    trials = [Adding(terms=(1.0,) * length) for length in range(len(machines))]
    return trials, {
        trial.key: found(trial, Sum(value=1.0), machine=each) for trial, each in zip(trials, machines, strict=True)
    }


def test_which_trials_ran_where():
    machines = machine("b"), None, machine("a"), machine("b"), machine("b", cores=96)
    assert [(each.machine, each.trials) for each in ran_on(zip("01234", machines, strict=True))] == [
        (machine("a"), ("2",)),
        (machine("b"), ("0", "3")),
        (machine("b", cores=96), ("4",)),
    ]
    assert ran_on([("0", None)]) == ()


def test_times_have_the_environment_of_their_machine_and_the_commit_of_the_command():
    assert environment_of(ran_on([("0", machine(cores=96))]), HERE) == {**HERE, "cores": 96}
    assert environment_of((), HERE) == HERE


def test_machines_of_one_kind_are_compared_whatever_they_are_called():
    of_one_kind(*results(machine("a"), machine("b")), "x")
    of_one_kind(*results(None, None), "x")


def test_several_kinds_are_refused_with_their_names():
    with pytest.raises(UsageError) as refused:
        of_one_kind(*results(machine("a"), machine("b", cores=96), None), "folder x")
    said = str(refused.value)
    assert said.startswith("folder x: times of several kinds of machine are not compared: ")
    assert "the sum of 0 on a; 96 cores of" in said
    assert said.endswith("the sum of 1 on b; the machine of the command: the sum of 2; name a new folder")


def test_what_has_died_has_no_time():
    trials, found = results(machine("a"), None)
    of_one_kind(trials, {**found, trials[1].key: died(trials[1])}, "x")
    of_one_kind(trials, {trials[0].key: found[trials[0].key]}, "x")
