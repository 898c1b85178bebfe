import dataclasses
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from homes import without_tensorflow
from waiting import has_ended, until

from loop_bench.arms.launch import launch
from loop_bench.arms.process import ArmError, ArmProcess
from loop_bench.arms.zygote import Zygote
from loop_bench.errors import UsageError

ARM = "lethal:Arm"
NONE = "cannot run loops"


@pytest.fixture
def place(tmp_path):
    """How processes are started that have something else for TensorFlow."""
    return launch(Path.cwd(), variables=without_tensorflow(tmp_path / "light"))


def test_what_it_forks_has_a_folder_and_a_path_of_its_own(place, tmp_path):
    (tmp_path / "mine.py").write_text("RATE = 3\n")
    other = dataclasses.replace(
        place,
        folder=tmp_path,
        paths=(str(tmp_path), *place.paths),
        environment={**place.environment, "PYTHONPATH": os.pathsep.join([str(tmp_path), *place.paths])},
    )
    with Zygote("before", place) as zygote, ArmProcess("after", other, zygote) as process:
        process.begin([ARM], "lethal:make_loop")
        assert process.make(ARM).imports("mine")[:3] == [3, str(tmp_path), str(tmp_path / "mine.py")]
        assert process.make(ARM).variable("PYTHONPATH").split(os.pathsep)[0] == str(tmp_path)
        assert process.make(ARM).path()[0] == str(tmp_path)


def test_it_has_imported_what_takes_long_before_it_forks(place):
    with Zygote("before", place, ["lethal"]) as zygote, ArmProcess("before", place, zygote) as process:
        process.begin([ARM], "lethal:make_loop")
        forks = psutil.Process(process.pid).ppid()
        assert process.make(ARM).imported_in("lethal") == forks
        assert process.make(ARM).imported_in("tensorflow") == forks


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 0", f"{NONE}: ended with code 0"),
        ("echo hello; exit 3", f"{NONE}: ended with code 3; it printed last: hello"),
        (f'exec {sys.executable} -S "$@"', "has no numpy and no tensorflow"),
        ("kill -9 $$", f"{NONE}: killed by SIGKILL, as the system does when memory runs out"),
    ],
)  # fmt: skip
def test_an_interpreter_that_will_not_do_is_one_line(tmp_path, script, says):
    place = launch(tmp_path, script_of(tmp_path, script))
    with Zygote("before", place) as zygote, pytest.raises(UsageError) as caught:
        ArmProcess("the null arm", place, zygote).__enter__()
    assert type(caught.value) is UsageError
    assert str(caught.value) == f"before: {place.python} {says}"


def script_of(folder, text):
    """A program in the place of an interpreter."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{text}\n")
    python.chmod(0o755)
    return str(python)


def test_an_interpreter_that_does_not_answer_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("loop_bench.arms.zygote._IMPORTING", 0.2)
    place = launch(tmp_path, script_of(tmp_path, "exec sleep 100"))
    with Zygote("before", place) as zygote, pytest.raises(UsageError, match=rf"{NONE}: no answer within 0\.2 s"):
        ArmProcess("before", place, zygote).__enter__()
    assert not psutil.pid_exists(zygote._server._process.pid)


@pytest.mark.parametrize(("content", "why"), [(None, "No such file or directory"), ("", "Permission denied")])
def test_what_cannot_be_started_is_one_line(tmp_path, content, why):
    python = tmp_path / "python"
    if content is not None:
        python.write_text(content)
    with pytest.raises(UsageError) as caught, Zygote("before", launch(tmp_path, str(python))):
        pass
    assert str(caught.value) == f"before: {python} cannot be started ({why})"


def test_one_that_dies_takes_its_processes_along_and_is_named(place):
    with Zygote("before", place) as zygote, ArmProcess("before", place, zygote) as process:
        process.begin([ARM], "lethal:make_loop")
        arm = process.make(ARM)
        child = psutil.Process(arm.child())
        os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
        with pytest.raises(
            ArmError, match=r"before: its process died in hang\(\): so did the process that it was forked from"
        ):
            arm.hang()
        until(lambda: has_ended(child))
        with pytest.raises(ArmError, match=r"before: the process that imports .* and forks has died"):
            ArmProcess("before", place, zygote).__enter__()
