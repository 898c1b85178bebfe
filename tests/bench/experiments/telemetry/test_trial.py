import pytest
from telemetries import on_cpu

from bench.errors import UsageError
from bench.experiments.telemetry import trial
from bench.experiments.telemetry.trial import Watch, Watched
from bench.jobs.pool import REFUSED, Death


def of(**changes):
    values = {"name": "before", "factory": "toys:plain", "preset": "tiny", "seed": 3, "batches": 10, "seconds": 5.0}
    return Watch(**{**values, **changes})


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Runs main as its process does, with what it is to see; gives its exit code and the file."""
    monkeypatch.setattr(trial, "die_with_parent", lambda: None)  # our own input is at its end

    def begin(look):
        monkeypatch.setattr(trial, "_look", look)
        return trial.main([of().job.arguments[-1], str(tmp_path / "result.json")]), tmp_path / "result.json"

    return begin


def test_whatever_makes_a_difference_makes_another_name():
    made = [of(), of(name="after"), of(seed=4), of(preset="paper"), of(factory="a:b"), of(batches=9), of(seconds=1.0)]
    assert len({each.job.name for each in made}) == len(made)  # the same loop twice, too, is watched twice
    assert of(time_limit=1.0).job.name == of().job.name


def test_a_job_brings_it_to_another_process_and_has_time_for_the_stretch():
    made = of(seconds=600.0).job
    assert Watch.model_validate_json(made.arguments[-1]) == of(seconds=600.0)
    assert made.arguments[:-1] == ("-m", "bench.experiments.telemetry.trial")
    assert made.title == "before"
    assert made.time_limit == 3000.0


def test_leaves_what_it_sees(begin):
    asked = []
    code, path = begin(lambda what: (asked.append(what), Watched(telemetry=on_cpu()))[1])
    assert (code, Watched.read(path).telemetry, asked) == (0, on_cpu(), [of()])


def test_what_was_asked_wrong_is_one_line_and_no_result(begin, capfd):
    def refuse(what):
        raise UsageError("no\ngood")

    code, path = begin(refuse)
    assert (code, path.exists()) == (REFUSED, False)
    assert capfd.readouterr().out == "error: no good\n"


def test_of_a_process_that_died():
    found = trial.died(Death("crashed", "killed by SIGSEGV", 1.5)).telemetry
    assert (found.died, found.stretch) == ("crashed: killed by SIGSEGV", None)
