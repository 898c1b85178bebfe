from telemetries import on_cpu

from bench.experiments.telemetry import processes
from bench.experiments.telemetry.trial import Watch, Watched
from bench.jobs import pool
from bench.jobs.pool import Death
from bench.settings import Settings

SETTINGS = Settings(before="toys:plain", after="toys:failing", preset="any", seed=3, batches=2, options={"size": 1})


def test_each_arm_has_its_process_and_a_crash_is_a_result(monkeypatch, tmp_path):
    asked, told = [], []

    def pretend(work, folder, workers, died, tell, environment, preload):
        assert workers == 1  # each is to have the machine to itself
        assert environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
        for each in work:
            asked.append(Watch.model_validate_json(each.arguments[-1]))
            crash = died(each, Death("crashed", "of something", 1.0))
            whole = Watched(telemetry=on_cpu()).model_dump_json()
            pool.result(folder, each).write_text(crash if each.title == "after" else whole)
            tell(each)

    monkeypatch.setattr(processes.jobs, "run", pretend)
    found = processes.watch(SETTINGS, 2.5, tmp_path, told.append)
    assert told == ["before", "after"]
    assert found["before"] == on_cpu()
    assert found["after"].died == "crashed: of something"
    first, second = asked
    assert (first.factory, second.factory) == ("toys:plain", "toys:failing")
    assert {(each.preset, each.seed, each.batches, each.seconds) for each in asked} == {("any", 3, 2, 2.5)}
    assert first.options == {"size": 1}


def test_real_processes(tmp_path):
    """One that comes to its end, one that dies while it is warmed up."""
    found = processes.watch(SETTINGS, 0.3, tmp_path)
    assert found["before"].stretch.cpu_seconds > 0
    assert found["before"].stretch.samples
    assert found["after"].died == "RuntimeError: out of something"
