import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import lethal
import numpy as np
import programs
import psutil
import pytest
import toys
from homes import without_tensorflow

from loop_bench.arms.launch import launch
from loop_bench.arms.process import ArmError, ArmProcess, NotLoadedError
from loop_bench.arms.zygote import Zygote
from loop_bench.errors import UsageError
from loop_bench.experiments.run.measurement import MADE, SIDE, SUBJECT
from loop_bench.failure import FactoryError, LoopError

ARM = "lethal:Arm"


@pytest.fixture(scope="module")
def real():
    """A process with TensorFlow, for toy loops."""
    place = launch(Path.cwd())
    with Zygote("after", place) as zygote, ArmProcess("after", place, zygote) as process:
        process.found = process.begin(MADE, "toys:plain")
        yield process


def subject(process, factory):
    return process.make(SUBJECT, factory, "any", 0, {}, "after")


def test_it_says_where_the_factory_is_and_on_what_it_runs(real):
    assert Path(real.found["module"]).samefile(toys.__file__)
    assert real.found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert real.found["versions"]["tensorflow"] == toys.tf.__version__


def test_a_loop_lives_there_and_says_plain_values(real):
    loop = subject(real, "toys:plain")
    built, first = loop.start()
    assert min(built, first) > 0
    assert 0 < loop.train(3) < 10
    work = loop.work()
    assert (work["batches"], len(work["metrics"]["loss"])) == (4, 4)


def test_it_computes_there_what_it_computes_here(real):
    there = real.make(SIDE, "toys:plain", "any", 3, {}, "after")
    here = toys.Quadratic(3)
    there.run(4)
    here.run(4)
    assert there.history()["loss"].tolist() == here.history()["loss"].tolist()
    (weight,) = there.values([0])
    assert weight.dtype == np.float32
    assert weight.tolist() == here.weight.numpy().tolist()
    there.assign([0], [np.full(4, 7.0, np.float32)])
    assert there.values([0])[0].tolist() == [7.0] * 4


@pytest.mark.parametrize(
    ("factory", "kind", "says"),
    [
        ("toys:broken", FactoryError, "factory 'toys:broken' (after): failed with KeyError: 'licence', at tests/toys"),
        ("toys:doomed", LoopError, "loop 'toys:doomed' (after): run() failed with RuntimeError: out of something, at "),
        ("toys:no_variables", UsageError, "after: factory 'toys:no_variables' (after): variables of its NoVariables"),
        ("toys:nothing", UsageError, "after: factory 'toys:nothing': toys has no nothing"),
    ],
)  # fmt: skip
def test_what_fails_there_fails_here_with_its_line(real, factory, kind, says):
    with pytest.raises(kind) as caught:
        subject(real, factory).start()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    (note,) = caught.value.__notes__
    assert note.startswith("in the process of after:\nTraceback (most recent call last):\n")


def test_what_a_loop_has_raised_is_kept_for_records(real):
    with pytest.raises(LoopError) as caught:
        subject(real, "toys:doomed").start()
    assert caught.value.line == "RuntimeError: out of something"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """How processes are started that have something else for TensorFlow."""
    light = without_tensorflow(tmp_path_factory.mktemp("place"))
    return launch(Path.cwd(), variables={**light, "PYTHONUNBUFFERED": ""})


@pytest.fixture(scope="module")
def zygote(place):
    with Zygote("before", place) as zygote:
        yield zygote


@contextlib.contextmanager
def in_a_process(place, zygote):
    with ArmProcess("before", place, zygote) as process:
        process.begin([ARM], "lethal:make_loop")
        yield process


@pytest.fixture
def mortal(place, zygote):
    """A process of an arm, for one test."""
    with in_a_process(place, zygote) as process:
        yield process


@pytest.fixture(scope="module")
def light(place, zygote):
    """A process of an arm that nothing kills."""
    with in_a_process(place, zygote) as process:
        yield process


def test_values_go_there_and_come_back(light):
    arm = light.make(ARM)
    assert arm.echo({"a": [1, None, "b"], "c": (1.5, float("inf"))}) == {"a": [1, None, "b"], "c": [1.5, float("inf")]}
    sent = np.arange(6.0).reshape(2, 3)
    assert arm.echo([sent])[0].tolist() == sent.tolist()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("value", "before: ValueError: out of range, at tests/lethal.py:"),
        ("exit", "before: SystemExit: 3, at tests/le"),
    ],
)
def test_what_else_fails_there_names_the_arm_and_the_line(light, kind, says):
    with pytest.raises(LoopError) as caught:
        light.make(ARM).fail(kind)
    assert str(caught.value).startswith(says)
    assert light.make(ARM).echo(1) == 1  # the server still answers


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_server_lives_on(light):
    with pytest.raises(LoopError, match="before: TypeError: Object of type set is not JSON serializable"):
        light.make(ARM).unspeakable()
    assert light.make(ARM).echo(1) == 1


def test_what_is_forgotten_here_is_forgotten_there(light, monkeypatch):
    asked = []
    exchange = light._exchange
    monkeypatch.setattr(
        light, "_exchange", lambda *what: asked.append((what[0], what[2].get("number"))) or exchange(*what)
    )
    arm = light.make(ARM)
    number = arm._number
    asked.clear()
    del arm
    gc.collect()
    assert asked == []  # not before the next call
    other = light.make(ARM)
    assert ("forget", number) in asked
    assert asked[-1] == ("make", None)
    with pytest.raises(LoopError, match="NoneType"):
        light.ask("call", "echo", number=number, method="echo", arguments=[1])
    assert other.echo(2) == 2


def test_a_factory_that_is_not_there_is_one_line(light):
    with pytest.raises(NotLoadedError) as caught:
        light.begin([ARM], "lethal:nothing")
    assert str(caught.value) == "before: factory 'lethal:nothing': lethal has no nothing"


def test_loops_may_spawn_processes_which_have_nothing_of_ours(light):
    """They would import the program that has started them, from our package, which is not installed there."""
    assert light.make(ARM).spawn() is False


def test_idle_is_what_it_computes_while_nothing_is_asked(light):
    arm = light.make(ARM)
    light.forget_idle()
    for _ in range(200):
        arm.echo(1)
    time.sleep(0.1)
    arm.echo(1)
    assert light.idle >= 0.1
    assert light.idle_processor < 0.05
    assert light.idle_processor / light.idle < 0.2  # messages themselves are no part of it
    arm.spin(0.3)
    light.forget_idle()
    arm.echo(1)  # from here on
    time.sleep(0.2)
    arm.echo(1)
    busy = light.idle_processor / light.idle
    time.sleep(0.2)  # until it has ended
    light.forget_idle()
    assert (light.idle, light.idle_processor) == (0, 0)
    assert busy > 0.3


def test_what_its_children_compute_is_idle_time_too(light):
    arm = light.make(ARM)
    arm.busy_child()
    try:
        light.forget_idle()
        arm.echo(1)
        time.sleep(0.3)
        arm.echo(1)
        assert light.idle_processor / light.idle > 0.3
    finally:
        arm.end_child()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (("leave", 0), "before: its process died in leave(0): ended with code 0"),
        (("print_and_leave", 3), "in print_and_leave(3): ended with code 3; it printed last: one more thing"),
        (("signal", 9), "in signal(9): killed by SIGKILL, as the system does when memory runs out"),
        (("signal", 11), "in signal(11): killed by SIGSEGV, at tests/lethal.py:"),
    ],
    ids=str,
)
def test_a_process_that_dies_is_one_line_that_names_arm_and_call(mortal, call, says):
    arm, (method, argument) = mortal.make(ARM), call
    with pytest.raises(ArmError) as caught:
        getattr(arm, method)(argument)
    assert says in str(caught.value)
    assert str(caught.value).startswith("before: its process died in ")
    assert "\n" not in str(caught.value)
    with pytest.raises(ArmError, match="before: its process died in echo"):  # and stays dead
        arm.echo(1)


def test_a_process_that_dies_does_not_hang_because_a_child_holds_its_end(mortal):
    arm = mortal.make(ARM)
    arm.fork()
    with pytest.raises(ArmError, match=r"its process died in signal\(9\): killed by SIGKILL"):
        arm.signal(9)


def test_a_process_that_hangs_is_ended_and_its_line_said(mortal):
    arm = mortal.make(ARM)
    mortal._patience = 0.3
    began = time.monotonic()
    with pytest.raises(ArmError) as caught:
        arm.hang()
    line = next(n for n, text in enumerate(Path(lethal.__file__).read_text().splitlines(), 1) if "Event()" in text)
    assert str(caught.value) == (
        f"before: hangs in hang(): no answer within 0.3 s, at tests/lethal.py:{line}; its process was ended"
    )
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(mortal.pid)


def test_an_unreachable_process_is_ended(mortal, monkeypatch):
    monkeypatch.setattr("loop_bench.arms.process._DUMPING", 0.2)
    with pytest.raises(ArmError, match=r"before: its process died in close_all\(\): killed by SIGKILL"):
        mortal.make(ARM).close_all()
    assert not psutil.pid_exists(mortal.pid)


def test_leaving_ends_it_and_what_it_has_started(place, zygote):
    with in_a_process(place, zygote) as process:
        child, pid = process.make(ARM).child(), process.pid
        assert psutil.pid_exists(child)
    assert gone(pid)
    assert gone(child)


def gone(pid, within=5.0):
    """Whether a process has ended; what is left of it may wait for its parent."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
                continue
        return True
    return False


def test_it_is_not_interrupted_by_ctrl_c_in_the_terminal(light):
    assert os.getpgid(light.pid) == light.pid != os.getpgrp()


STARTS = """
    import sys, time
    from pathlib import Path
    from loop_bench.arms.launch import launch
    from loop_bench.arms.process import ArmProcess
    from loop_bench.arms.zygote import Zygote
    folder = Path(sys.argv[1])
    place = launch(folder, variables={"PYTHONPATH": str(folder)})
    with Zygote("before", place) as zygote, ArmProcess("before", place, zygote) as process:
        process.begin(["lethal:Arm"], "lethal:make_loop")
        arm = process.make("lethal:Arm")
        print(process.pid, arm.child(), flush=True)
        arm.hang(sys.argv[2]) if sys.argv[2] else time.sleep(100)
"""


@pytest.mark.parametrize("at_work", [True, False])
def test_nothing_is_left_of_it_when_the_run_is_killed(place, tmp_path, at_work):
    mark = tmp_path / "begun"
    path = os.pathsep.join([*place.paths, *filter(None, [programs.alone().get("PYTHONPATH")])])
    command = [sys.executable, "-c", textwrap.dedent(STARTS), place.paths[0], str(mark) if at_work else ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**programs.alone(), "PYTHONPATH": path}) as run:
        pids = [int(each) for each in run.stdout.readline().split()]
        assert len(pids) == 2
        until = time.monotonic() + 30
        while at_work and not mark.exists() and time.monotonic() < until:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    assert [pid for pid in pids if not gone(pid)] == []


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("import os; os._exit(3)", ArmError, "its process died in importing bad:x: ended with code 3"),
        ("import os; os.abort()", ArmError, "its process died in importing bad:x: killed by SIGABRT, at "),
        ("raise SystemExit('no GPU')", LoopError, "SystemExit: no GPU"),
        ("import nowhere", NotLoadedError, "factory 'bad:x': importing bad failed (ModuleNotFoundError: No module"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_imported_is_no_wrong_interpreter(place, zygote, tmp_path, line, kind, says):
    (tmp_path / "bad.py").write_text(f"{line}\n")
    paths = os.pathsep.join([str(tmp_path), place.paths[0]])
    with (
        ArmProcess("before", launch(tmp_path, variables={"PYTHONPATH": paths}), zygote) as process,
        pytest.raises((LoopError, UsageError)) as caught,
    ):
        process.begin([ARM], "bad:x")
    assert type(caught.value) is kind
    assert str(caught.value).startswith("before: ")
    assert says in str(caught.value)
