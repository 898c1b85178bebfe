import pytest
from telemetries import sample, stretch, traced

from bench.errors import ProfilerError, UsageError
from bench.experiments.telemetry import training, watching
from bench.experiments.telemetry.training import Trained
from bench.loop import LoopSpec

SPEC = LoopSpec("tiny", 3)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(watching, "warm_up_tensorflow", lambda: None)
    monkeypatch.setattr(training, "WARM_UP", 0.1)


def test_of_a_loop_on_this_machine():
    found = watching.watch("toys:plain", SPEC, 3, 0.3)
    assert (found.died, found.problems, found.trace) == ("", (), None)
    assert found.stretch.batches % 3 == 0
    assert found.stretch.samples
    assert all(0 <= each.at <= found.stretch.seconds for each in found.stretch.samples)
    assert found.stretch.before.at < 0  # and not of the stretch


def test_a_wrong_factory_is_the_users():
    with pytest.raises(UsageError, match="toys has no nope"):
        watching.watch("toys:nope", SPEC, 3, 0.1)


def trained(tf_peak_bytes=None):
    return Trained(batches=6, began=10.0, ended=12.0, cpu_seconds=3.0, peak_resident_bytes=5,
                   tf_peak_bytes=tf_peak_bytes, used_gpus=())  # fmt: skip


def test_only_samples_within_the_stretch_are_of_it():
    found = watching.stretch(trained(), tuple(map(sample, (4.0, 9.9, 10.0, 11.0, 12.0, 12.1))), True)
    assert [each.at for each in found.samples] == [0.0, 1.0, 2.0]
    assert found.before == sample(-6.0)


def test_without_samples_the_rest_is_known():
    found = watching.stretch(trained(), (), False)
    assert (found.samples, found.before, found.batches, found.seconds) == ((), None, 6, 2.0)


@pytest.fixture
def on_gpu(monkeypatch):
    """Has a stretch look as if it had been on a GPU, and a trace be what a test wants."""
    monkeypatch.setattr(watching, "stretch", lambda *_: stretch(tf_peak_bytes=9))

    def begin(outcome):
        asked = []

        def trace(loop, batches):
            asked.append(batches)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(watching.training, "trace", trace)
        return watching.watch("toys:plain", SPEC, 3, 2.0), asked

    monkeypatch.setattr(watching.training, "blocks_for", lambda loop, batches, seconds: 1)
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
