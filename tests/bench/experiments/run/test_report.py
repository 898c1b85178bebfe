import pytest
from everykind import run_record
from records import arm, record

from bench.experiments.run import report
from bench.timing.samples import Start


def by_name(made):
    return made.numbers.set_index(["figure", "loop", "unit"])


def test_one_table_and_what_must_be_known_with_it():
    made = report.report(run_record())
    ((title, frame),) = made.tables
    assert (made.title, title) == ("run", "before / after")
    assert list(frame.columns) == ["metric", "before", "after", "change"]
    assert made.notes[0].startswith("verdict: faster: ")
    assert "before: a:b, after: c:d" in made.notes


def test_its_numbers_are_those_of_the_table():
    found = by_name(report.report(run_record()))
    assert found.loc[("time a batch", "before", "ms"), "value"] == pytest.approx(60.0, rel=0.01)
    assert found.loc[("time a batch", "after", "ms"), "interval"] == "quartiles"
    speed_up = found.loc[("speed-up", "after", "ratio")]
    assert 1.9 < speed_up["low"] < speed_up["value"] < speed_up["high"] < 2.1
    assert found.loc[("speed-up", "null arm", "ratio"), "value"] == pytest.approx(1.0, rel=0.02)
    assert found.loc[("host syncs", "before", "a batch"), "value"] == 4.4
    assert found.loc[("bytes read", "before", "a batch"), "value"] == 17.6
    alive = found.xs("alive after nan", level="figure")["value"]
    assert alive.to_dict() == {("before", "of 1 runs"): 0.0, ("after", "of 1 runs"): 1.0}


def test_what_was_not_measured_is_no_number():
    bare = {"before": arm("a:b", host_syncs=None), "after": arm("c:d", host_syncs=None)}
    nothing = record(arms=bare, rounds=(), rounds_ended=None)
    assert report.report(nothing).numbers.empty
    started = {**bare, "after": arm("c:d", host_syncs=None, starts=(Start(build_seconds=1, first_batch_seconds=2),))}
    ((figure, loop, unit),) = by_name(report.report(record(arms=started, rounds=(), rounds_ended=None))).index
    assert (figure, loop, unit) == ("time to first batch", "after", "s")
