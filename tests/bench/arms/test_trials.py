import os
import sys
from pathlib import Path

import pytest
from homes import bare
from trials import died

from loop_bench.arms.launch import launch
from loop_bench.arms.process import ArmError
from loop_bench.arms.trials import ProcessesElsewhere
from loop_bench.errors import UsageError
from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.jobs.gather import gather, in_processes

HERE = {"cpu": "of some kind"}

LOOPS = """
import os
import toys

class Telling(toys.Quadratic):
    def run(self, batches):
        super().run(batches)
        if len(self.losses) == 3:
            raise RuntimeError(f"in {os.path.basename(os.getcwd())} with {os.environ['OURS']}")

def make(spec):
    return Telling(spec.seed)

def kill(spec):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def home(tmp_path):
    """Where an arm lives: a folder with its loops."""

    place = tmp_path / "refusing"
    place.mkdir()

    def make(arm, **variables):
        folder = tmp_path / arm
        folder.mkdir()
        (folder / "of_arm.py").write_text(LOOPS)
        return bare(place, folder, OURS=arm, **variables)

    return make


def trial(arm="before", **changes):
    given = {
        "loop": arm,
        "factory": "toys:plain",
        "preset": "tiny",
        "seed": 0,
        "batches": 4,
        "arm": arm,
        "home": "there",
    }
    return SurvivalTrial(**{**given, **changes})


def test_trials_run_where_their_arms_live_with_what_is_there(tmp_path, home, monkeypatch):
    """Real processes of both arms, whose results are those of processes here."""
    arms = ("before", "after")
    ways = (None, "nan,batch=2", "nan,in=weights,batch=2", "scale=1000,in=learning_rate,batch=2")
    alike = [trial(fault=fault) for fault in ways]
    telling = [trial(arm, factory="of_arm:make") for arm in arms]
    killed, told = trial("after", factory="of_arm:kill"), []
    monkeypatch.setattr(sys, "path", [*sys.path])  # loops are looked for in the current folder from then on
    monkeypatch.chdir(tmp_path)
    with ProcessesElsewhere({arm: home(arm) for arm in arms}, SurvivalTrial) as run:
        run.wait_until_ready()
        results = gather(  # of a folder that is named from here, where the arms are not
            [*alike, *telling, killed], Path("a"), environment=HERE, workers=2, progress=told.append, run=run
        )
        with pytest.raises(UsageError, match=r"^after: factory 'of_arm:nope': of_arm has no nope$"):
            gather([trial("after", factory="of_arm:nope")], tmp_path / "b", environment=HERE, run=run)
    here = gather(alike, tmp_path / "c", environment=HERE, workers=2, run=in_processes)
    for each in alike:
        assert not results[each.key].died
        assert repr(results[each.key].found) == repr(here[each.key].found)  # by repr, because findings may contain NaN
    assert [results[each.key].found.why for each in telling] == [f"RuntimeError: in {arm} with {arm}" for arm in arms]
    assert results[killed.key].died.startswith("crashed: killed by SIGKILL")
    assert sorted(told) == sorted(each.title for each in (*alike, *telling, killed))


def test_each_arm_has_its_programs_and_its_variables(tmp_path, home, monkeypatch):
    asked = []

    def run_forked(server, trials, program, folder, workers, done, environment):
        asked.append(([each.seed for each in trials], program(trials[0])[-1], environment["TF_XLA_FLAGS"]))
        for each in trials:
            folder.result(each.key).write_text(died(each).model_dump_json())

    monkeypatch.setattr("loop_bench.arms.trials.run_forked", run_forked)
    launches = {arm: home(arm, TF_XLA_FLAGS=f"--of={arm}") for arm in ("before", "after")}
    trials = [trial(arm, seed=seed) for seed in (0, 1) for arm in ("after", "before")]
    gather(trials, tmp_path / "a", environment=HERE, run=ProcessesElsewhere(launches, SurvivalTrial))
    assert [(seeds, paths) for seeds, paths, _ in asked] == [
        ([0, 1], os.pathsep.join(launches[arm].paths)) for arm in ("after", "before")
    ]
    for arm, (_, _, flags) in zip(("after", "before"), asked, strict=True):
        assert flags.startswith(f"--of={arm} ")
        assert f'="{tmp_path}/a/{arm}/xla" ' in flags


def test_an_arm_whose_process_cannot_begin_is_named(tmp_path):
    ending = tmp_path / "python"
    ending.write_text("#!/bin/sh\necho is no Python >&2\nexit 1\n")
    ending.chmod(0o755)
    run = ProcessesElsewhere({"after": launch(tmp_path, str(ending))}, SurvivalTrial)
    died_of = r"^after: the process that imports .* has died \(is no Python\)$"
    with run, pytest.raises(ArmError, match=died_of):
        run.wait_until_ready()
