import pytest
from records import arm, record
from telemetries import MIB, gpu, on_cpu, on_gpu, sample

from bench.experiments.telemetry.record import Telemetry
from bench.records.claims import device
from bench.records.claims.answer import Verdict
from bench.records.claims.evidence import Evidence


def evidence(before, after, gpus=()):
    arms = {"before": arm("a:b", telemetry=before), "after": arm("c:d", telemetry=after)}
    return Evidence(record(arms=arms, environment={"gpus": list(gpus)}))


def used(*shares):
    return on_gpu(samples=tuple(sample(0.1 * index, gpu(utilisation=share)) for index, share in enumerate(shares)))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.3, 0.6), (0.9, 0.8), Verdict.HOLDS),
        ((0.3, 0.4), (0.9,), Verdict.DOES_NOT_HOLD),
        ((0.5,), (0.97,), Verdict.CANNOT_BE_TOLD),  # by less than the noise of a single stretch
        ((0.5,), (1.0,), Verdict.DOES_NOT_HOLD),
    ],
)
def test_utilisation_by_the_mean_of_the_samples(before, after, verdict):
    answer = device.utilisation(evidence(used(*before), used(*after), gpus=["a GPU"]))
    assert answer.verdict == verdict
    assert f"{sum(before) / len(before):.0%} before" in answer.measured


def test_without_a_gpu_there_is_no_utilisation():
    answer = device.utilisation(evidence(on_cpu(), on_cpu()))
    assert (answer.verdict, answer.why) == (Verdict.CANNOT_BE_TOLD, "there was no GPU")


@pytest.mark.parametrize(
    ("after", "verdict"), [(360, Verdict.HOLDS), (401, Verdict.CANNOT_BE_TOLD), (800, Verdict.DOES_NOT_HOLD)]
)
def test_memory_of_the_process(after, verdict):
    found = evidence(on_cpu(peak_resident_bytes=400 * MIB), on_cpu(peak_resident_bytes=after * MIB))
    answer = device.memory(found)
    assert answer.verdict == verdict
    assert f"400 MiB before and {after} MiB after" in answer.measured


def test_memory_of_the_device_counts_where_there_is_one():
    found = evidence(
        on_gpu(tf_peak_bytes=500 * MIB, peak_resident_bytes=9000 * MIB),
        on_gpu(tf_peak_bytes=300 * MIB, peak_resident_bytes=9900 * MIB),
        gpus=["a GPU"],
    )
    assert device.memory(found).verdict == Verdict.HOLDS
    assert "TensorFlow's allocator" in device.memory(found).measured


@pytest.mark.parametrize("claim", [device.utilisation, device.memory])
def test_a_loop_that_was_not_watched_or_died_says_nothing(claim):
    nothing = claim(evidence(None, None, gpus=["a GPU"]))
    dead = claim(evidence(on_gpu(), Telemetry(died="killed"), gpus=["a GPU"]))
    assert {each.verdict for each in (nothing, dead, claim(Evidence()))} == {Verdict.CANNOT_BE_TOLD}
    assert dead.why == "after died while it was watched: killed"


def test_a_loop_that_used_no_memory_of_the_device_is_no_division():
    found = evidence(on_gpu(tf_peak_bytes=0), on_gpu(tf_peak_bytes=9), gpus=["a GPU"])
    assert device.memory(found).verdict == Verdict.CANNOT_BE_TOLD
