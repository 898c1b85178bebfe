import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trials import Adding, Sum

from loop_bench.errors import UsageError
from loop_bench.jobs import process
from loop_bench.jobs.attempt import REFUSED
from loop_bench.jobs.trial import read

NAME = "trials:Adding"


def begin(path, trial):
    return process.main([NAME, trial.model_dump_json(), str(path)])


def test_leaves_its_result(tmp_path):
    trial = Adding(terms=(1.0, 2.0))
    assert begin(tmp_path / "a.json", trial) == 0
    assert read(tmp_path / "a.json", trial).found == Sum(value=3.0)


def test_a_question_that_is_wrong_is_one_line_and_no_result(tmp_path, monkeypatch, capfd):
    def refuse(trial):
        raise UsageError("no\ngood")

    monkeypatch.setattr("trials.add", refuse)
    assert begin(tmp_path / "a.json", Adding()) == REFUSED
    *trace, last = capfd.readouterr().out.splitlines()
    assert last == "error: no good"
    assert trace[0] == "Traceback (most recent call last):"
    assert not (tmp_path / "a.json").exists()


def test_watches_its_parent_and_asks_to_die_first(tmp_path):
    """Both before anything slow: the work finds them done."""
    (tmp_path / "work.py").write_text(
        "import threading, trials\n"
        "from pathlib import Path\n"
        "class Asking(trials.Adding):\n"
        "    work = 'work:ask'\n"
        "def ask(trial):\n"
        "    score = int(Path('/proc/self/oom_score_adj').read_text())\n"
        "    return trials.Sum(value=score + threading.active_count())\n"
    )
    path, tests = tmp_path / "a.json", Path(sys.modules["trials"].__file__).parent
    asked = [sys.executable, "-m", "loop_bench.jobs.process", "work:Asking", Adding().model_dump_json(), str(path)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [tmp_path, tests, Path.cwd()]))}
    reading, writing = os.pipe()
    assert subprocess.run(asked, stdin=reading, env=variables, check=True).returncode == 0
    os.close(writing)
    os.close(reading)
    assert read(path, Adding()).found.value == 1002


DIE = "from loop_bench.jobs.parent import die_with_parent; die_with_parent()\n"


@pytest.mark.parametrize("work", ["import time; time.sleep(600)", "while True: pass"])
def test_a_process_whose_input_is_no_pipe_of_ours_ends_alone(work):
    """As by hand, in a shell's pipeline: nothing else of its group may be ended."""
    beside = (
        f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {DIE + work!r}], stdin=-3).returncode)"
    )
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", beside], capture_output=True, text=True, start_new_session=True)
    assert ended.stdout == "1\n"
    assert time.monotonic() - started < 60
