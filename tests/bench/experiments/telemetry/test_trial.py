import contextlib
import os
import pkgutil
import types

import pytest
from homes import bare
from telemetries import on_cpu, sample, stretch, traced
from trials import Door, died

from loop_bench.arms.process import ArmProcess
from loop_bench.arms.zygote import Zygote
from loop_bench.errors import ProfilerError, UsageError
from loop_bench.experiments.profile import events
from loop_bench.experiments.telemetry import tracing, training, trial
from loop_bench.experiments.telemetry.training import Trained
from loop_bench.experiments.telemetry.trial import TelemetryTrial, watch
from loop_bench.hostsync import trace as profiler
from loop_bench.jobs.trial import attempt
from loop_bench.loop import LoopSpec
from loop_bench.settings import Settings
from loop_bench.timing import clock

SETTINGS = Settings(before="toys:plain", after="toys:failing", preset="any", seed=3, batches=2, options={"size": 1})


def of(**changes):
    values = {"loop": "before", "factory": "toys:plain", "preset": "tiny", "seed": 3, "batches": 10, "seconds": 5.0}
    return TelemetryTrial(**{**values, **changes})


def test_whatever_makes_a_difference_makes_another_key():
    made = [of(), of(loop="after"), of(seed=4), of(preset="paper"), of(factory="a:b"), of(batches=9), of(seconds=1.0)]
    assert len({each.key for each in made}) == len(made)  # the same loop twice, too, is watched twice
    assert of(time_limit=1.0).key == of().key
    assert of(options={"a": 1, "b": 2}).key == of(options={"b": 2, "a": 1}).key


def test_it_has_time_for_the_stretch():
    made = TelemetryTrial.of(SETTINGS, "after", 600.0)
    assert (made.title, made.factory, made.time_limit) == ("after", "toys:failing", 3000.0)
    assert made.loops == (("toys:failing", {"size": 1}),)


def test_a_wrong_factory_is_no_result():
    with pytest.raises(UsageError, match="toys has no nope"):
        attempt(of(factory="toys:nope"))


def test_each_arm_has_its_trial_and_a_crash_is_a_result(tmp_path):
    door, told = Door(lambda trial: died(trial) if trial.loop == "after" else on_cpu()), []
    found = watch(SETTINGS, 2.5, tmp_path, told.append, door)
    assert told == ["before", "after"]
    assert door.workers == 1  # each is to have the machine to itself
    assert found["before"] == on_cpu()
    assert found["after"].died == "crashed: of something"
    first, second = door.asked
    assert (first.factory, second.factory) == ("toys:plain", "toys:failing")
    assert {(each.preset, each.seed, each.batches, each.seconds) for each in door.asked} == {("any", 3, 2, 2.5)}
    assert first.options == {"size": 1}


@pytest.mark.slow
def test_real_processes(tmp_path):
    """One loop completes, one dies during its warm-up."""
    found = watch(SETTINGS, 0.3, tmp_path)
    assert found["before"].stretch.cpu_seconds > 0
    assert found["before"].stretch.samples
    says = "crashed: loop 'toys:failing' (after): run() failed with RuntimeError: out of something, at "
    assert found["after"].died.startswith(says)


SPEC = LoopSpec("tiny", 3)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(clock, "warm_up", lambda *builds: None)
    monkeypatch.setattr(training, "WARM_UP", 0.1)


def test_of_a_loop_on_this_machine():
    found = trial.look("toys:plain", SPEC, 3, 0.3)
    assert (found.died, found.problems, found.trace) == ("", (), None)
    assert found.stretch.batches % 3 == 0
    assert found.stretch.samples
    assert all(0 <= each.at <= found.stretch.seconds for each in found.stretch.samples)
    assert found.stretch.before.at < 0  # and not of the stretch


def test_a_wrong_factory_is_the_users():
    with pytest.raises(UsageError, match="toys has no nope"):
        trial.look("toys:nope", SPEC, 3, 0.1)


def trained(tf_peak_bytes=None):
    return Trained(batches=6, began=10.0, ended=12.0, cpu_seconds=3.0, system_seconds=0.5,
                   page_faults=600, peak_resident_bytes=5, tf_peak_bytes=tf_peak_bytes, used_gpus=())  # fmt: skip


def test_only_samples_within_the_stretch_are_of_it():
    found = trial.stretch(trained(), tuple(map(sample, (4.0, 9.9, 10.0, 11.0, 12.0, 12.1))), True)
    assert [each.at for each in found.samples] == [0.0, 1.0, 2.0]
    assert found.before == sample(-6.0)


def test_without_samples_the_rest_is_known():
    found = trial.stretch(trained(), (), False)
    assert (found.samples, found.before, found.batches, found.seconds) == ((), None, 6, 2.0)
    assert (found.cpu_seconds, found.system_seconds, found.page_faults) == (3.0, 0.5, 600)


@pytest.fixture
def on_gpu(monkeypatch):
    """Makes a stretch look as if it had been on a GPU, with a trace that the test chooses."""
    monkeypatch.setattr(trial, "stretch", lambda *_: stretch(tf_peak_bytes=9))

    def begin(outcome):
        asked = []

        def train_traced(loop, batches, folder, host_level, mark):
            asked.append(batches)
            (folder / "space").touch()

        def of_trace(space, batches):
            assert space == ["space"]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(training, "train_traced", train_traced)
        monkeypatch.setattr(profiler, "read", lambda folder: [each.name for each in folder.iterdir()])
        monkeypatch.setattr(tracing, "of_trace", of_trace)
        return trial.look("toys:plain", SPEC, 3, 2.0), asked

    monkeypatch.setattr(training, "blocks_for", lambda loop, batches, seconds: 1)
    return begin


def test_on_a_gpu_a_short_stretch_is_traced(on_gpu):
    found, asked = on_gpu(traced())
    assert (found.trace, found.problems) == (traced(), ())
    assert asked == [21]  # of 20 ms each, a fifth of two seconds, in whole blocks of three


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (ProfilerError("one is running"), "ProfilerError: one is running"),
        (traced(device="CPU"), "TensorFlow has a GPU, but the trace"),
        (traced(busy=0.0, copies=()), "TensorFlow has a GPU, but the trace"),  # a plane of a GPU, and nothing on it
        (MemoryError("no memory left"), "MemoryError: no memory left"),
    ],
)
def test_what_cannot_be_traced_is_said(on_gpu, outcome, why):
    found, _ = on_gpu(outcome)
    assert found.trace is None
    assert found.problems[0].startswith(f"not traced: {why}")


def test_loops_in_other_processes_are_sampled_from_this_one(tmp_path):
    """A real process of each arm, in which our code finds the core alone; one that is killed is a result."""
    (tmp_path / "of_arm.py").write_text(
        "import os, toys\n"
        "class Killed(toys.Quadratic):\n"
        "    def run(self, batches):\n"
        "        if len(self.losses): os.kill(os.getpid(), 9)\n"
        "        super().run(batches)\n"
        "def make(spec): return Killed()\n"
    )
    settings = SETTINGS.model_copy(update={"after": "of_arm:make"})
    place, begun, told, traced = bare(tmp_path, tmp_path), [], [], []

    @contextlib.contextmanager
    def another(arm):
        with Zygote(arm, place) as zygote, ArmProcess(arm, place, zygote) as process:
            process.begin([trial.TRAINEE], getattr(settings, arm))
            begun.append(process.pid)
            yield process
            trainee = process.make(trial.TRAINEE, settings.before, "any", 3, {})
            trainee.start()
            trainee.trace(4, str(tmp_path / "trace"), events.EXPENSIVE, events.MARK)
            traced.append(tracing.of_trace(profiler.read(tmp_path / "trace"), 4))

    found = trial.watch_elsewhere(settings, 0.5, another, told.append)
    assert told == ["before", "after"]
    assert os.getpid() not in begun
    whole, died = found["before"], found["after"]
    assert (whole.died, whole.problems, whole.trace) == ("", (), None)
    assert whole.start.first_batch_seconds > 0
    assert whole.stretch.batches % settings.batches == 0
    assert all(0 <= each.at <= whole.stretch.seconds for each in whole.stretch.samples)
    first, *_, last = whole.stretch.samples
    assert 0 < last.cpu_seconds - first.cpu_seconds < 2 * whole.stretch.cpu_seconds  # of that process
    assert whole.stretch.before.at < 0
    assert died.died.startswith("crashed: after: its process died in train(2, 0.5): killed by SIGKILL")
    assert died.stretch is None
    assert [each.batches for each in traced] == [4]
    assert traced[0].busy > 0


@contextlib.contextmanager
def here(arm):
    """Stands for a process of an arm; its objects are of this one."""
    yield types.SimpleNamespace(pid=os.getpid(), make=lambda maker, *what: pkgutil.resolve_name(maker)(*what))


def test_each_arm_is_watched_with_its_factory_and_its_settings(monkeypatch):
    asked = []
    monkeypatch.setattr(
        trial, "watched", lambda trainee, *what: asked.append((trainee._what[0], trainee._what[2:], *what)) or on_cpu()
    )
    assert trial.watch_elsewhere(SETTINGS, 2.5, here) == {"before": on_cpu(), "after": on_cpu()}
    spec = LoopSpec("any", 3, {"size": 1})
    assert asked == [
        ("toys:plain", (spec, "before"), os.getpid(), 2, 2.5),
        ("toys:failing", (spec, "after"), os.getpid(), 2, 2.5),
    ]


def test_a_factory_that_fails_in_another_process_is_a_usage_error():
    with pytest.raises(UsageError, match=r"toys:broken.* \(after\)"):
        trial.watch_elsewhere(SETTINGS.model_copy(update={"before": "toys:doomed", "after": "toys:broken"}), 0.1, here)
