"""Loops on several machines, as two processes of `loop-bench run` and `loop-bench worker` on this one."""

import contextlib
import json
import os
import signal
import socket

import pytest
import waiting

from loop_bench.experiments.run.record import Record
from loop_bench.settings import ARMS

TIMED = "timing before, null arm and after in turns"
"""Progress line of the chief when it starts to time rounds."""

TWICE = ("toys:on_machines",) * 2

RUN = ("--preset", "any", "--rounds", "12", "--batches", "5")


def ports(count):
    """Free ports, which other processes could still take."""
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in free]


@pytest.fixture
def machines():
    """Environment variables of the chief and of a worker."""
    *workers, control = ports(3)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in workers]}
    meeting = {"LOOP_BENCH_CONTROL": f"127.0.0.1:{control}"}
    return [
        {**meeting, "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        for index in range(2)
    ]


@contextlib.contextmanager
def begun(python, machines, folder, before, after, *options):
    """Chief and worker."""
    loops = ("--before", before, "--after", after, "--results", folder)
    with (
        python.begun("-m", "loop_bench", "worker", cwd=folder, **machines[1]) as worker,
        python.begun("-m", "loop_bench", "run", *loops, *options, cwd=folder, **machines[0]) as chief,
    ):
        yield chief, worker


@contextlib.contextmanager
def timing(python, machines, folder):
    """Chief and worker while they time rounds without end."""
    endless = ("--preset", "any", "--max-time", "600", "--precision", "0.001%")
    with begun(python, machines, folder, *TWICE, *endless) as (chief, worker):
        waiting.until(lambda: TIMED in chief.stderr())
        yield chief, worker


def test_two_machines_train_one_loop_and_leave_a_record(python, machines, tmp_path):
    with begun(python, machines, tmp_path, *TWICE, *RUN) as both:
        assert [each.wait(120) for each in both] == [0, 0], both[0].stdout() + both[0].stderr() + both[1].stderr()
        assert both[1].stdout().splitlines()[-1] == "loop-bench worker: the run is over"
    record = Record.read(next(tmp_path.glob("*.json")))
    assert (record.problems, len(record.rounds), record.settings.machines, len(record.machines)) == ((), 12, 2, 2)
    for arm in ARMS:
        assert record.arms[arm].host_syncs.batches == 100
        # A batch is the sum of both: Adam moves the weight as on one machine.
        assert len(record.arms[arm].history["loss"]) == 1 + 100 + 13 * 5
    text = next(tmp_path.glob("*.md")).read_text()
    assert "**machines**: 2 that trained together" in text
    assert "**worker 1**: the same" in text


@pytest.mark.slow
def test_a_worker_that_is_killed_is_named_and_ends_the_run(python, machines, tmp_path):
    with timing(python, machines, tmp_path) as (chief, worker):
        os.kill(worker.pid, signal.SIGKILL)
        assert chief.wait(60) == 1
        says = "died or was ended while calling train() of toys:on_machines"
        assert says in chief.stdout() + chief.stderr()
    assert not [*tmp_path.glob("*.json")]


@pytest.mark.slow
def test_a_loop_that_fails_on_a_worker_ends_the_chief_that_waits_for_it(python, machines, tmp_path):
    with begun(python, machines, tmp_path, TWICE[0], "toys:raising", *RUN) as (chief, _):
        assert chief.wait(90) == 1, chief.stderr()
        assert "RuntimeError: out of something" in chief.stdout() + chief.stderr()


@pytest.mark.slow
def test_modules_that_make_their_strategy_when_they_are_imported(python, machines, tmp_path):
    (tmp_path / "early.py").write_text(
        "import tensorflow as tf, toys\n"
        "STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()\n"
        "class Early(toys.OnMachines):\n"
        "    def __init__(self):\n"
        "        self.strategy = STRATEGY\n"
        "        with STRATEGY.scope():\n"
        "            toys.Quadratic.__init__(self)\n"
        "make = lambda spec: Early()\n"
    )
    with begun(python, machines, tmp_path, "early:make", "early:make", *RUN) as (chief, worker):
        assert [chief.wait(120), worker.wait(60)] == [0, 0], chief.stdout() + chief.stderr()


@pytest.mark.slow
def test_a_worker_does_not_outlive_the_chief(python, machines, tmp_path):
    with timing(python, machines, tmp_path) as (chief, worker):
        os.kill(chief.pid, signal.SIGKILL)
        assert worker.wait(60) == 1
        assert "is gone before the run was over" in worker.stdout() + worker.stderr()


@pytest.mark.slow
def test_ctrl_c_ends_chief_and_worker(python, machines, tmp_path):
    with timing(python, machines, tmp_path) as (chief, worker):
        os.kill(chief.pid, signal.SIGINT)
        assert chief.wait(60) == 2
        assert worker.wait(60) == 1


@pytest.mark.parametrize(
    ("index", "command", "says"),
    [
        (1, ("run",), "TF_CONFIG: this machine is worker 1 (127.0.0.1:"),
        (0, ("worker",), "TF_CONFIG: this machine is the chief, which measures; run loop-bench run here"),
        (0, ("run", "--ladder"), "--ladder: runs on one machine only, and TF_CONFIG names several"),
        (0, ("run", "--against", "HEAD"), "TF_CONFIG names several machines, on which both loops share a process"),
        (0, ("survive",), "TF_CONFIG names several machines; survival runs on one: unset TF_CONFIG"),
        (None, ("worker",), "TF_CONFIG: names no other machine; it must list all machines that train together"),
    ],
)
def test_wrong_use_is_one_line(python, machines, tmp_path, index, command, says):
    variables = {"TF_CONFIG": None} if index is None else machines[index]
    done = python("-m", "loop_bench", *command, cwd=tmp_path, **variables)
    assert done.returncode == 2
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
