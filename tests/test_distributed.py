"""Loops on several devices, in processes of their own, because a process can divide its CPU only once."""

import json
from pathlib import Path

import programs
import pytest

from loop_bench.experiments.run.record import Record

ROOT = Path(__file__).parents[1]
CASES = Path(__file__).parent / "distributed_cases.py"


def test_loops_on_several_devices():
    programs.cases(CASES)


SERVERS = """
import os, socket
import tensorflow as tf
import toys
from loop_bench.errors import UsageError
from loop_bench.loop import LoopSpec, build

free = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
cluster = tf.train.ClusterSpec(
    {job: [f"127.0.0.1:{each.getsockname()[1]}"] for job, each in zip(("worker", "ps"), free)}
)
for each in free:
    each.close()
servers = [tf.distribute.Server(cluster, job_name=job, task_index=0, protocol="grpc") for job in ("worker", "ps")]
resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc")

def factory(spec):
    with tf.distribute.ParameterServerStrategy(resolver).scope():
        return toys.Quadratic()

try:
    build("mine:factory", factory, LoopSpec("any"))
except UsageError as error:
    print(error, flush=True)
os._exit(0)  # servers have no end
"""


def test_parameter_servers_are_refused(python, tmp_path):
    (tmp_path / "program.py").write_text(SERVERS)
    done = python("program.py", cwd=tmp_path)
    assert done.stdout.startswith("factory 'mine:factory': its variables are on parameter servers"), done.stderr


@pytest.fixture
def mirrored():
    """Folder of a user's loop on two devices."""
    folder = ROOT.parent / "shared" / "cases"
    if not (folder / "mirrored.py").exists():
        pytest.skip("the case is not here: ../shared/cases/mirrored.py")
    return folder


ONE_AND_TWO = ("--before", "mirrored:one", "--after", "mirrored:two", "--preset", "any")


@pytest.mark.slow
def test_a_pair_of_one_device_and_two(python, mirrored, tmp_path):
    few = ("--rounds", "12", "--batches", "2", "--utilisation", "0.1", "--results", tmp_path)
    done = python("-m", "loop_bench", "run", *ONE_AND_TWO, *few, cwd=mirrored)
    assert done.returncode == 0, done.stdout + done.stderr
    record = Record.read(next(tmp_path.glob("*.json")))
    assert record.problems == ()
    assert {each.outcome for each in record.arms["after"].survivals} == {"poisoned weights"}


@pytest.mark.slow
def test_faults_of_one_replica_and_of_all(python, mirrored, tmp_path):
    faults = ("--fault", "nan", "--fault", "nan,replica=1", "--seeds", "1", "--out", tmp_path / "out")
    done = python("-m", "loop_bench", "survive", *ONE_AND_TWO, *faults, cwd=mirrored)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "survival.json").read_text())["survivals"]
    assert [each["outcome"] for each in found["before"]] == ["poisoned weights", "not tested"]
    assert [each["outcome"] for each in found["after"]] == ["poisoned weights"] * 2


def test_a_read_of_what_two_devices_have_computed_is_at_its_line(python, mirrored, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys, types; sys.path.insert(0, {str(mirrored)!r}); import mirrored\n"
        "loop = mirrored.two(types.SimpleNamespace(seed=0))\n"
        "loop.run(3)\n"
        "for loss in loop.losses: loss.numpy()\n"
    )
    done = python("-m", "loop_bench", "syncs", "--json", program, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    here = [(site["line"], site["reads"]) for site in found["sites"] if site["file"].endswith(program.name)]
    assert here == [(4, 3)]
