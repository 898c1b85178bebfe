import pytest
from ladders import finding, ladder

from bench.errors import InvalidRecordError, UsageError
from bench.experiments.ladder import trial
from bench.experiments.ladder.finding import Finding
from bench.experiments.ladder.trial import Probe
from bench.jobs.pool import REFUSED, Death


def of(number=1, **changes):
    made = ladder(**changes)
    return Probe.of(made, made.rungs[number])


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Runs main as its process does, with what it is to find; gives its exit code and the file."""
    monkeypatch.setattr(trial, "die_with_parent", lambda: None)  # our own input is at its end

    def begin(look, name="result.json"):
        monkeypatch.setattr(trial, "_look", look)
        return trial.main([of().job.arguments[-1], str(tmp_path / name)]), tmp_path / name

    return begin


def test_whatever_makes_a_difference_makes_another_name():
    jobs = [of(), of(2), of(seed=4), of(preset="paper"), of(factory="toys:guarded")]
    assert len({each.job.name for each in jobs}) == len(jobs)
    assert of().job == of().job
    assert of(batches=99).job.name == of().job.name  # of the rounds, which it has nothing to do with
    assert of().model_copy(update={"time_limit": 1.0}).job.name == of().job.name


def test_a_job_brings_its_probe_to_another_process():
    job = of().job
    assert Probe.model_validate_json(job.arguments[-1]) == of()
    assert job.arguments[:-1] == ("-m", "bench.experiments.ladder.trial")
    assert job.title == "deferred metrics"


def test_leaves_what_it_finds(begin):
    asked = []
    code, path = begin(lambda what: (asked.append(what), finding())[1])
    assert (code, Finding.read(path)) == (0, finding())
    assert asked == [of()]


def test_what_was_asked_wrong_is_one_line_and_no_result(begin, capfd):
    def refuse(what):
        raise UsageError("no\ngood")

    code, path = begin(refuse)
    assert (code, path.exists()) == (REFUSED, False)
    assert capfd.readouterr().out == "error: no good\n"


def test_of_a_process_that_died():
    assert trial.died(Death("crashed", "killed by SIGSEGV", 1.5)) == Finding(died="crashed: killed by SIGSEGV")


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff", b'{"surprise": 1}'])
def test_a_damaged_result_is_one_line(tmp_path, content):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidRecordError, match=r"result .*: cannot be read \(.*\); remove it$"):
        Finding.read(path)
