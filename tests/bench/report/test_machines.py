import pytest
from records import ENVIRONMENT

from loop_bench.jobs.machines import Machine, RanOn
from loop_bench.machine import environment
from loop_bench.report import machines

RECORDED = {**ENVIRONMENT, "commit": "0123456789abc"}


def ran(host, trials=("a run",), **changes):
    return RanOn(machine=Machine(host=host, environment={**ENVIRONMENT, **changes}), trials=trials)


def told(facts):
    return {fact.name: fact.text for fact in facts}


def test_a_row_a_machine():
    table = machines.table([ran("a", ("one", "two")), ran("b", cores=96)])
    assert table.title == machines.TITLE
    assert table.frame["host"].tolist() == ["a", "b"]
    assert table.frame["trials"].tolist() == ["2", "1"]
    assert table.frame["machine"][1].startswith("96 cores of")
    assert machines.table(()).frame.empty


def test_facts_name_the_machine_or_say_how_many():
    assert told(machines.facts(RECORDED)) == {
        "machine": "2 cores of a CPU",
        "versions": "TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7",
        "commit": "012345678",
    }
    assert told(machines.facts(RECORDED, [ran("a")])) == {
        "machines": "trials ran on 1 machine of a cluster",
        "commit": "012345678",
    }
    two = [ran("a"), ran("b", cores=96)]
    assert told(machines.facts({**RECORDED, "commit": None}, two)) == {
        "machines": "trials ran on 2 machines (of 2 kinds) of a cluster"
    }
    alike = [ran("a"), ran("b")]
    assert told(machines.facts(RECORDED, alike))["machines"] == "trials ran on 2 machines of a cluster"


def test_machine_and_versions_are_what_names_an_environment():
    found = machines.of_machine(RECORDED)
    assert "; ".join(fact.text for fact in found) == environment.machine(RECORDED)
    assert [fact.name for fact in found] == ["machine", "versions"]


@pytest.mark.parametrize("recorded", [{}, {"commit": None}])
def test_outside_a_repository_there_is_no_commit(recorded):
    assert machines.commit(recorded) == []


def test_a_short_table_has_machine_versions_and_commit():
    assert all(fact.is_brief for fact in machines.facts(RECORDED))
