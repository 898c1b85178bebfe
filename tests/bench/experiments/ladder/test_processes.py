import pytest
from ladders import dead, finding, ladder
from records import ENVIRONMENT

from bench.errors import UsageError
from bench.experiments.ladder import processes, trial
from bench.experiments.ladder.processes import find
from bench.jobs import pool
from bench.jobs.pool import Death


@pytest.fixture
def begun(monkeypatch):
    """Has processes find something without beginning any; gives the jobs that would have been begun."""
    begun = []

    def pretend(work, folder, workers, died, tell, environment, preload):
        assert workers == 1  # times are taken
        assert environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
        for job in work:
            if pool.result(folder, job).exists():
                continue
            begun.append(job.title)
            crash = job.title == "fused step"
            text = died(job, Death("crashed", "of something", 1.0)) if crash else finding().model_dump_json()
            pool.result(folder, job).write_text(text)
            tell(job)

    monkeypatch.setattr(processes.jobs, "run", pretend)
    return begun


def test_each_rung_has_its_process_and_a_crash_is_a_finding(begun, tmp_path):
    told = []
    found = find(ladder(), tmp_path, ENVIRONMENT, told.append)
    names = [rung.name for rung in ladder().rungs]
    assert begun == told == names == [*found]
    assert found["fused step"] == dead("crashed: of something")
    assert found["everything"] == finding()


def test_gone_on_with_where_it_was_interrupted(begun, tmp_path):
    find(ladder(), tmp_path, ENVIRONMENT)
    begun.clear()
    made = ladder()
    pool.result(tmp_path, trial.Probe.of(made, made.full).job).unlink()
    told = []
    assert find(made, tmp_path, ENVIRONMENT, told.append)["everything"] == finding()
    assert begun == ["everything"]
    assert sorted(told) == sorted(rung.name for rung in made.rungs)


def test_another_machine_or_other_code_is_refused(begun, tmp_path, monkeypatch):
    find(ladder(), tmp_path, ENVIRONMENT)
    with pytest.raises(UsageError, match="with another cores; name a new folder"):
        find(ladder(), tmp_path, {**ENVIRONMENT, "cores": 64})
    monkeypatch.setattr(processes.fingerprint, "code", lambda factories: {"toys": "changed"})
    with pytest.raises(UsageError, match="with another code of the loops"):
        find(ladder(), tmp_path, ENVIRONMENT)


def test_real_processes(tmp_path):
    """One that comes to its end, one that is killed."""
    groups = {"baseline": "baseline", "killed": "step"}
    made = ladder(groups=groups)
    killed = made.full.model_copy(update={"factory": "ladders:killed"})
    found = find(made.model_copy(update={"rungs": (made.baseline, killed)}), tmp_path, ENVIRONMENT)
    assert found["baseline"].died == ""
    assert found["baseline"].host_syncs.reads_per_batch == 0.01
    assert found["killed"].died == "crashed: killed by SIGSEGV"
