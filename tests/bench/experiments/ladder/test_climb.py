import io

import pytest
from ladders import dead, finding, ladder
from records import ENVIRONMENT
from rich.console import Console

from bench.cli.progress import ProgressDisplay
from bench.experiments import kinds
from bench.experiments.ladder import climb as module
from bench.experiments.ladder import turns
from bench.experiments.ladder.record import Limits
from bench.report import files
from bench.settings import NULL


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """What processes find, without beginning any: by rung."""
    found = {rung.name: finding() for rung in ladder().rungs}

    def pretend(made, folder, environment, tell):
        assert folder.name == "rungs"
        for name in found:
            tell(name)
        return found

    monkeypatch.setattr(module.processes, "find", pretend)
    monkeypatch.setattr(module, "environment", lambda: ENVIRONMENT)
    monkeypatch.setattr(turns, "warm_up_tensorflow", lambda: None)
    return found


def test_looks_at_each_rung_and_times_all_of_them(found, tmp_path):
    found["fused step"] = dead()
    told, limits, made = [], Limits(rounds=4), ladder(batches=2)
    record = module.climb(made, limits, tmp_path, lambda *each: told.append(each))
    assert (record.ladder, record.findings, record.limits) == (made, found, limits)
    assert (len(record.rounds), record.rounds_ended) == (4, "as many as asked for")
    assert {*record.rounds[0].seconds} == {*found, NULL} - {"fused step"}
    assert record.stopped == {"fused step": dead().died}
    assert record.problems == {}
    assert record.rounds_seconds > sum(sum(done.seconds.values()) for done in record.rounds)
    assert record.environment["state"]["load_average"]
    weight = sum(each[-1] for each in told)
    assert 0.9 * module.seconds(made, limits) < weight <= module.seconds(made, limits) * 1.001
    assert [*dict.fromkeys(each[0].partition(":")[0] for each in told)] == [
        "looking at each rung in a process of its own",
        "building all rungs",
        "timing the rungs in turns",
    ]


def test_the_time_ends_the_rounds(tmp_path):
    record = module.climb(ladder(batches=1), Limits(max_time=0.05), tmp_path)
    assert record.rounds_ended == "out of time"


def test_with_no_loop_left_nothing_is_timed(found, tmp_path):
    found.update(dict.fromkeys(found, dead()))
    record = module.climb(ladder(), Limits(rounds=4), tmp_path)
    assert (record.rounds, record.rounds_ended) == ((), None)
    files.leave(record, kinds.report, tmp_path / "out")
    names = ["ladder.html", "ladder.json", "ladder.md"]  # and no picture
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_a_display_shows_it():
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, width=120), total=20.0)
    tell = module.shown_by(display, scale=2.0)
    tell("looking", ": one done", 3.0)
    assert display.done == 6.0
    assert "looking (about" in out.getvalue()
