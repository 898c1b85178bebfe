from records import ENVIRONMENT

from loop_bench.jobs.machines import Machine, RanOn
from loop_bench.machine import environment
from loop_bench.report import machines


def ran(host, trials=("a run",), **changes):
    return RanOn(machine=Machine(host=host, environment={**ENVIRONMENT, **changes}), trials=trials)


def test_a_row_a_machine():
    table = machines.table([ran("a", ("one", "two")), ran("b", cores=96)])
    assert table["host"].tolist() == ["a", "b"]
    assert table["trials"].tolist() == ["2", "1"]
    assert table["machine"][1].startswith("96 cores of")
    assert machines.table(()).empty


def test_the_note_names_the_machine_or_says_how_many():
    recorded = {**ENVIRONMENT, "commit": "0123456789abc"}
    assert machines.note(recorded, ()) == f"{environment.machine(recorded)}; commit 012345678"
    assert machines.note(recorded, [ran("a")]) == "trials ran on 1 machine of a cluster; commit 012345678"
    two = [ran("a"), ran("b", cores=96)]
    assert machines.note({**recorded, "commit": None}, two) == "trials ran on 2 machines (of 2 kinds) of a cluster"
