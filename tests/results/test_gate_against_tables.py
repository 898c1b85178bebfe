import json
import subprocess
import types
from pathlib import Path

import numpy as np
import pytest
import records

from loop_bench.records.gate import Limits, Outcome, judge


@pytest.fixture(scope="module")
def against(gate_scripts):
    import against

    return against


@pytest.fixture(scope="module")
def tables(gate_scripts):
    import against_tables

    return against_tables


@pytest.fixture(scope="module")
def line(gate_scripts):
    with (gate_scripts / "epyc-9004-2-cores" / "against-quiet.jsonl").open() as file:
        return json.loads(next(file))


@pytest.mark.parametrize(("after", "outcome"), [("same", Outcome.PASSED), ("slow_5", Outcome.FAILED)])
def test_a_run_gives_a_record_for_each_loop_after(against, tables, line, after, outcome):
    record = tables._record(line, after, against.SETTINGS)
    assert record.rounds_ended == "precise"
    first, second = (group[after] for group in line["groups"][:2])
    of_group = [each for each in record.rounds if each.group == 1]
    assert len(of_group) <= len(second)  # as many were kept as the slowest of the loops to become precise wants
    assert record.rounds[3].seconds["after"] == first[3] / 1e6
    assert of_group[3].seconds["after"] == second[3] / 1e6
    assert judge(record, Limits()).outcome == outcome


def test_of_whole_runs_the_blocks_of_before_and_null_arm_are_kept(against, monkeypatch):
    found = records.elsewhere(groups=3)

    def run(command, **_):
        assert command[-1] == "--isolate"
        Path(command[command.index("--results") + 1], "1.json").write_text(found.model_dump_json())

    monkeypatch.setattr(against, "subprocess", types.SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL))
    made = against._whole_run("--isolate")["groups"]
    assert [{*group} for group in made] == [{"before", "null"}] * 3
    first = [each for each in found.rounds if each.group == 1]
    assert made[1]["null"] == [round(1e6 * each.seconds["null"]) for each in first]


def kept(*ratios, rounds=20):
    """The line of a run of a loop and itself, whose groups have these ratios of times, before to null arm."""
    return {"groups": [{"before": [round(1e6 * ratio)] * rounds, "null": [10**6] * rounds} for ratio in ratios]}


def test_how_far_a_loop_is_from_itself(tables):
    apart = [kept(1.02, 1 / 1.02), kept(1.04, 1.0)]
    together = [kept(1.03), kept(1 / 1.03)]
    one, two, mean = tables.null_arms(apart, together).splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (one, two, mean)]
    assert [row[:2] for row in cells] == [
        ["in one process", "2"],
        ["in two processes", "4"],
        ["in 2 pairs of processes, their mean", "2"],
    ]

    def root(*logs):
        return f"{np.sqrt(np.mean(np.square(logs))):.2%}"

    a, b = np.log(1.02), np.log(1.04)
    assert [row[2].split()[0] for row in cells] == [root(np.log(1.03)), root(a, a, b, 0), root(0, b / 2)]
    assert [row[3] for row in cells] == [f"{np.log(1.03):.2%}", f"{b:.2%}", f"{b / 2:.2%}"]
