import json

import pytest

from loop_bench.records.gate import Limits, Outcome, judge


@pytest.fixture(scope="module")
def experiment(gate_scripts):
    import experiment

    return experiment


@pytest.fixture(scope="module")
def process(gate_scripts):
    with (gate_scripts / "epyc-2-cores" / "quiet.jsonl").open() as file:
        return json.loads(next(file))


def test_a_process_gives_a_record_for_each_pair(experiment, process):
    for before, after in experiment.PAIRS["quiet"]:
        record = experiment._record(process, before, after)
        assert record.rounds_ended == "precise"
        assert len(record.rounds) < len(process["microseconds"][after])  # more were kept than the rule wants
        assert record.rounds[3].seconds["after"] == process["microseconds"][after][3] / 1e6
        assert judge(record, Limits()).outcome == (Outcome.FAILED if after in experiment.PLANTED else Outcome.PASSED)


def test_a_planted_loop_works_more_and_trains_as_much(experiment, monkeypatch):
    import planted

    class Loop:
        trained = 0

        def run(self, batches):
            self.trained += batches

    worked = []
    monkeypatch.setattr(planted, "multiply", worked.append)
    loop = Loop()
    planted.Planted(loop, share=0.05, steps=1000.0, beginning=0.01).run(3)
    assert loop.trained == 3
    assert worked == [40]


def test_steps_are_what_takes_as_long_as_a_block(experiment, monkeypatch):
    import planted

    monkeypatch.setattr(planted.clock, "seconds_for", lambda loop, batches: 0.5)
    ticks = iter(range(10**6))
    monkeypatch.setattr(planted.time, "perf_counter", lambda: 5.0 * next(ticks))  # 500 steps take 5 s
    assert planted.steps_in_a_block([object()], 1) == pytest.approx(50.0)
