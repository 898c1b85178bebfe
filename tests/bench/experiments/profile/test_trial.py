import re
from pathlib import Path

import pytest
import tensorflow as tf
import toys

from loop_bench.errors import UsageError
from loop_bench.experiments import registry
from loop_bench.experiments.profile import trial
from loop_bench.experiments.profile.experiment import traces
from loop_bench.experiments.profile.record import ProfileRecord
from loop_bench.hostsync import trace as profiler
from loop_bench.report import files
from loop_bench.settings import Settings

SETTINGS = Settings(before="toys:plain", after="toys:reading", preset="any", seed=0, batches=5)


class Compiled(toys.Quadratic):
    """A step whose ops TensorFlow shows: XLA's, all of them."""

    def __init__(self):
        super().__init__()
        self.step = tf.function(self._step, jit_compile=True)


def compiled(spec):
    return Compiled()


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A profile of two toys, with the titles that were told and the shares."""
    folder, told = tmp_path_factory.mktemp("profile"), []
    found = trial.profile(SETTINGS, folder, lambda *each: told.append(each), every_op=True)
    return found, folder, told


def is_not_of_xla(problem):
    """TensorFlow 2.16 says nothing of what XLA has compiled, which may be that of another test."""
    return "none of XLA's ops" not in problem


def test_both_loops_have_their_ops(traced):
    found, *_ = traced
    assert found.every_op
    for profile in found.arms.values():
        assert profile.device == "CPU"
        assert {op.name: op.count for op in profile.ops}["Mean"] == 5  # one loss a batch: no warm-up is in the trace
        assert 0 < profile.busy < profile.stretch <= profile.traced.seconds * 1.5
        assert profile.busy + profile.gaps.seconds == pytest.approx(profile.stretch)
        assert len(profile.untraced) == 2
        assert not list(filter(is_not_of_xla, profile.problems))
    assert found.arms["after"].factory == "toys:reading"


def test_traces_are_where_tensorboard_looks(traced):
    _, folder, _ = traced
    for arm in ("before", "after"):
        (trace,) = folder.rglob(f"{arm}/plugins/profile/*/*.xplane.pb")
        assert trace.stat().st_size
        assert [path.name for path in (folder / arm).iterdir()] == ["plugins"]
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    assert xplane_pb2.XSpace.FromString(trace.read_bytes()).planes


def test_progress_is_told_in_order(traced):
    *_, told = traced
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert (shares[0], told[0][0]) == (0.0, "before: building, tracing, compiling, warming up")
    assert told[-1][0] == "after: reading the trace"
    assert shares[-1] < 1


def test_leaves_record_and_tables(traced, tmp_path):
    found, *_ = traced
    left = files.leave(found, registry.report, tmp_path, [traces(tmp_path)])
    assert ProfileRecord.read(tmp_path / "profile.json").model_dump_json() == found.model_dump_json()
    assert "### Where the time goes" in (tmp_path / "profile.md").read_text()
    assert f"tensorboard --logdir {tmp_path}" in left.where[-1]


def test_a_folder_with_a_space_in_its_name_is_one_word():
    assert "tensorboard --logdir 'some where' " in traces(Path("some where"))


def test_ops_that_xla_compiled(tmp_path):
    loop = Compiled()
    loop.run(1)
    found = trial.profile_loop("x:y", loop, 3, tmp_path)
    if tf.__version__.startswith("2.16."):
        assert re.search(r"traces none of XLA's ops on a CPU: where one of .*\b_step\b.* ran", "".join(found.problems))
        pytest.skip("TensorFlow 2.16 traces none of XLA's ops on a CPU")
    assert found.ops
    assert not found.problems
    assert all(op.name.endswith(" (_step)") and op.count % 3 == 0 for op in found.ops)


def test_another_trace_leaves_the_first_alone(tmp_path, monkeypatch):
    folder = tmp_path / "plugins" / "profile" / "2000_01_01_00_00_00"
    folder.mkdir(parents=True)
    (folder / "host.xplane.pb").write_bytes(b"old")
    loop = toys.Quadratic()
    loop.run(1)
    trial.trace(loop, 1, tmp_path)
    assert (folder / "host.xplane.pb").read_bytes() == b"old"
    assert len(list(folder.parent.iterdir())) == 2


def test_a_loop_that_fails_leaves_no_trace_and_no_profiler(tmp_path):
    loop = toys.Failing()
    loop.run(6)
    with pytest.raises(RuntimeError, match="out of something"):  # its own error, with its own traceback
        trial.trace(loop, 1, tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(tf.errors.UnavailableError):
        tf.profiler.experimental.stop(save=False)


def test_a_profiler_that_runs_already_is_named(tmp_path):
    session = profiler.start(tmp_path / "own", 1)
    with pytest.raises(UsageError, match=r"profile of Quadratic: a profiler is running .* already") as refused:
        trial.trace(toys.Quadratic(), 1, tmp_path / "new")
    profiler.stop(session)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "new").iterdir())


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"folder .*cannot be written"):
        trial.trace(toys.Quadratic(), 1, tmp_path / "file" / "x")


def test_a_gpu_that_the_trace_does_not_show_is_a_problem(tmp_path, monkeypatch):
    loop = toys.Quadratic()
    loop.run(1)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    (problem,) = filter(is_not_of_xla, trial.profile_loop("x:y", loop, 1, tmp_path).problems)
    assert problem.startswith("TensorFlow has a GPU, but the trace shows none of its ops")


def test_cheap_ops_of_a_plain_graph_are_seen_only_when_asked_for(tmp_path):
    loop = toys.Quadratic()
    loop.run(1)
    seen = {every: trial.profile_loop("x:y", loop, 40, tmp_path / str(every), every_op=every) for every in (0, 1)}
    assert sum(op.count for op in seen[0].ops) < sum(op.count for op in seen[1].ops)
