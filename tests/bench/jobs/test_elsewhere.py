import json
import subprocess
import sys

import pytest

from loop_bench.experiments.survival.trial import SurvivalTrial
from loop_bench.jobs import elsewhere, process
from loop_bench.jobs.attempt import REFUSED
from loop_bench.jobs.trial import read


def make(**changes):
    given = {"loop": "before", "factory": "toys:plain", "preset": "tiny", "seed": 1, "batches": 4, "time_limit": 7.0}
    return SurvivalTrial(**{**given, **changes})


def begin(trial, path, paths=""):
    return elsewhere.main([trial.work, trial.model_dump_json(), paths, str(path)])


@pytest.mark.parametrize("fault", [None, "nan,batch=2", "scale=1e38,batch=2,batches=9,growth=1e9"])
def test_leaves_the_result_that_a_process_of_this_environment_leaves(tmp_path, fault):
    trial, kind = make(fault=fault), f"{SurvivalTrial.__module__}:{SurvivalTrial.__qualname__}"
    assert begin(trial, tmp_path / "a.json") == 0
    assert process.main([kind, trial.model_dump_json(), str(tmp_path / "b.json")]) == 0
    texts = [(tmp_path / name).read_text() for name in ("a.json", "b.json")]
    same = {"seconds": None, "machine": None}  # the latter is added by who knows of other machines
    one, other = ({**json.loads(text, parse_constant=pytest.fail), **same} for text in texts)
    assert one == other
    assert read(tmp_path / "a.json", trial).found.batches == 4


def test_a_loop_has_its_spec(tmp_path, monkeypatch):
    specs = []
    monkeypatch.setattr("toys.plain", lambda spec: specs.append(spec))
    assert begin(make(options={"size": [1]}, preset="odd"), tmp_path / "a.json") == REFUSED
    (spec,) = specs
    assert (spec.preset, spec.seed, spec.options) == ("odd", 1, {"size": [1]})


def test_a_loop_that_crashes_leaves_that(tmp_path, monkeypatch):
    monkeypatch.setattr("loop_bench.experiments.survival.watching.watch_trial", lambda trial: 1 / 0)
    assert begin(make(), tmp_path / "a.json") == 0
    result = read(tmp_path / "a.json", make())
    assert (result.died, result.time_limit) == ("crashed: ZeroDivisionError: division by zero", 7.0)


def test_a_question_that_is_wrong_is_one_line_and_no_result(tmp_path, capfd):
    assert begin(make(factory="toys:nope"), tmp_path / "a.json") == REFUSED
    assert capfd.readouterr().out.splitlines()[-1] == "error: factory 'toys:nope': toys has no nope"
    assert not (tmp_path / "a.json").exists()


def test_its_input_ends_it(tmp_path):
    (tmp_path / "hanging.py").write_text("import time\ndef work(trial): time.sleep(600)")
    text = make().model_dump_json()
    command = [sys.executable, "-m", "loop_bench.jobs.elsewhere", "hanging:work", text, "", str(tmp_path / "a.json")]
    begun = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd=tmp_path)
    begun.stdin.close()
    assert begun.wait(60) != 0
    assert not (tmp_path / "a.json").exists()
