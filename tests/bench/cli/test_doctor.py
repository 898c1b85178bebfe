import json
import os
import signal
import subprocess
import sys

import pytest

from loop_bench.cli import commands
from loop_bench.doctor import examination
from loop_bench.doctor.examination import Examination
from loop_bench.doctor.finding import Finding, Part, State

NOTE = Finding("cores", "1 of 2", State.NOTE, "two cores or more")
BAD = Finding("TensorFlow", "not installed", State.PROBLEM, "pip install 'loop-bench[tensorflow]'")


@pytest.fixture
def doctor(monkeypatch, capsys):
    """Runs the command on planted findings; gives its exit code, and what it prints."""

    def run(*arguments, found=(NOTE,), asked=None):
        def examine(measure, tell):
            if asked is not None:
                asked.append(measure)
            for share in (0.0, 0.5) if measure else ():
                tell(share)
            return Examination((Part("Machine", tuple(found)),), None)

        monkeypatch.setattr(examination, "examine", examine)
        with pytest.raises(SystemExit) as caught:
            commands.main(["doctor", *arguments])
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(("found", "code"), [([NOTE], 0), ([NOTE, BAD], 1)])
def test_only_a_problem_is_an_exit_code(doctor, found, code):
    ended, out, _ = doctor(found=found)
    assert ended == code
    assert "note     cores: 1 of 2\n         → two cores or more\n" in out


def test_json_alone_is_on_standard_output(doctor):
    code, out, err = doctor("--json", found=[BAD])
    assert (code, json.loads(out)["problems"]) == (1, 1)
    assert "timing a tiny loop" in err


def test_measuring_can_be_left_out(doctor):
    asked = []
    _, _, err = doctor("--no-measure", asked=asked)
    doctor(asked=asked)
    assert asked == [False, True]
    assert "timing" not in err


def test_a_real_run():
    command = [sys.executable, "-m", "loop_bench", "doctor", "--no-measure", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["TensorFlow"]["state"] in ("ok", "note"), done.stdout
    assert "computes" in next(each["found"] for name, each in found.items() if name.startswith("device "))
    assert found["null arm"]["found"] == "not measured (--no-measure)"
    assert done.returncode == min(1, json.loads(done.stdout)["problems"])
    assert "oneDNN" not in done.stderr  # of TensorFlow's notes at its start


def test_ctrl_c(tmp_path):
    os.mkfifo(tmp_path / "pid")
    (tmp_path / "tensorflow.py").write_text(
        f"import os, signal\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nsignal.pause()"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    doctor = subprocess.Popen(
        [sys.executable, "-m", "loop_bench", "doctor"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    of_tensorflow = int((tmp_path / "pid").read_text())  # waits until it is written
    doctor.send_signal(signal.SIGINT)
    out, err = doctor.communicate()
    assert doctor.returncode == 130, err
    assert "Traceback" not in out + err
    with pytest.raises(ProcessLookupError):
        os.kill(of_tensorflow, 0)


ALONE = """
import builtins, sys
from loop_bench.extras import EXTRAS
importing = builtins.__import__

def without_pydantic(name, globals=None, *rest, **named):  # which some versions of Typer import for themselves
    if (globals or {}).get("__name__", "").startswith("loop_bench") and name.partition(".")[0] == "pydantic":
        raise ModuleNotFoundError(name)
    return importing(name, globals, *rest, **named)

builtins.__import__ = without_pydantic
modules = {module for brought in EXTRAS.values() for module in brought.values()} - {"pydantic"}
sys.modules.update(dict.fromkeys(modules))  # as if not installed
from loop_bench.cli.commands import main
sys.exit(main(["doctor", "--json"]))
"""


def test_the_core_is_enough():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert (found["TensorFlow"]["found"], found["TensorFlow"]["state"]) == ("not installed", "problem")
    for name in ("compare", "history", "seqgan"):
        assert found[f"extra {name}"]["advice"] == f"pip install 'loop-bench[{name}]'"
    assert found["CPU"]["found"]
