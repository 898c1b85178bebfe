import pytest
from telemetries import on_cpu, sample, stretch, traced
from trials import Door, died

from loop_bench.errors import ProfilerError, UsageError
from loop_bench.experiments.telemetry import training, trial
from loop_bench.experiments.telemetry.training import Trained
from loop_bench.experiments.telemetry.trial import TelemetryTrial, watch
from loop_bench.jobs.trial import attempt
from loop_bench.loop import LoopSpec
from loop_bench.settings import Settings

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
    """One that comes to its end, one that dies while it is warmed up."""
    found = watch(SETTINGS, 0.3, tmp_path)
    assert found["before"].stretch.cpu_seconds > 0
    assert found["before"].stretch.samples
    says = "crashed: loop 'toys:failing' (after): run() failed with RuntimeError: out of something, at "
    assert found["after"].died.startswith(says)


SPEC = LoopSpec("tiny", 3)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(trial, "warm_up", lambda *builds: None)
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
    """Has a stretch look as if it had been on a GPU, and a trace be what a test wants."""
    monkeypatch.setattr(trial, "stretch", lambda *_: stretch(tf_peak_bytes=9))

    def begin(outcome):
        asked = []

        def trace(loop, batches):
            asked.append(batches)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(training, "trace", trace)
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
        (traced(device="CPU"), "TensorFlow has a GPU, and the trace"),
        (traced(busy=0.0, copies=()), "TensorFlow has a GPU, and the trace"),  # a plane of a GPU, and nothing on it
        (MemoryError("no memory left"), "MemoryError: no memory left"),
    ],
)
def test_what_cannot_be_traced_is_said(on_gpu, outcome, why):
    found, _ = on_gpu(outcome)
    assert found.trace is None
    assert found.problems[0].startswith(f"not traced: {why}")
