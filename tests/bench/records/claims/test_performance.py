import pytest
from records import arm, record
from telemetries import MIB, gpu, on_cpu, on_gpu, sample

from loop_bench.experiments.telemetry.record import Telemetry
from loop_bench.records.claims import performance
from loop_bench.records.claims.evidence import ClaimVerdict, Evidence
from loop_bench.timing.samples import Start


def started(before=2.0, after=2.0, epoch=100):
    """A run whose loops took so many seconds to their first batch."""

    def made(factory, seconds):
        start = Start(build_seconds=seconds / 2, first_batch_seconds=seconds / 2)
        return arm(factory, starts=(start,), described_first={"batches_per_epoch": epoch} if epoch else {})

    arms = {"before": made("a:b", before), "after": made("c:d", after)}
    return Evidence(record(arms=arms, noise=0.01, before=0.06, after=0.015))


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (0.015, ClaimVerdict.HOLDS),
        (0.006, ClaimVerdict.DOES_NOT_HOLD),
        (0.02, ClaimVerdict.CANNOT_BE_TOLD),
        (0.03, ClaimVerdict.DOES_NOT_HOLD),
    ],
)
def test_time_a_batch(after, verdict):
    answer = performance.batch_time(Evidence(record(before=0.06, after=after, noise=0.01)))
    assert answer.verdict == verdict
    assert f"{0.06 / after:.1f}" in answer.measured


def test_a_run_that_is_invalid_or_missing_says_nothing():
    for evidence in (Evidence(record(problems=("lazy",))), Evidence()):
        assert {claim(evidence).verdict for claim in (performance.batch_time, performance.training_time)} == {
            ClaimVerdict.CANNOT_BE_TOLD
        }
    nothing = Evidence(record(rounds=(), rounds_ended=None))
    assert {claim(nothing).verdict for claim in (performance.batch_time, performance.training_time)} == {
        ClaimVerdict.CANNOT_BE_TOLD
    }


def test_the_time_of_a_training_has_the_time_to_its_first_batch_in_it():
    quick, slow = performance.training_time(started()), performance.training_time(started(after=40.0))
    assert quick.verdict == ClaimVerdict.HOLDS
    assert quick.measured.startswith("122 s before, 32 s after: 3.8")  # 2 s + 1999 batches of 60 and 15 ms
    assert slow.verdict == ClaimVerdict.DOES_NOT_HOLD
    assert slow.measured.startswith("122 s before, 70 s after: 1.7")
    assert slow.why.startswith("it is less than was said")


def test_without_an_epoch_there_is_no_training():
    assert performance.training_time(started(epoch=None)).verdict == ClaimVerdict.CANNOT_BE_TOLD


def evidence(before, after, gpus=()):
    arms = {"before": arm("a:b", telemetry=before), "after": arm("c:d", telemetry=after)}
    return Evidence(record(arms=arms, environment={"gpus": list(gpus)}))


def used(*shares):
    return on_gpu(samples=tuple(sample(0.1 * index, gpu(utilisation=share)) for index, share in enumerate(shares)))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.3, 0.6), (0.9, 0.8), ClaimVerdict.HOLDS),
        ((0.3, 0.4), (0.9,), ClaimVerdict.DOES_NOT_HOLD),
        ((0.5,), (0.97,), ClaimVerdict.CANNOT_BE_TOLD),  # by less than the noise of a single stretch
        ((0.5,), (1.0,), ClaimVerdict.DOES_NOT_HOLD),
    ],
)
def test_utilisation_by_the_mean_of_the_samples(before, after, verdict):
    answer = performance.utilisation(evidence(used(*before), used(*after), gpus=["a GPU"]))
    assert answer.verdict == verdict
    assert f"{sum(before) / len(before):.0%} before" in answer.measured


def test_without_a_gpu_there_is_no_utilisation():
    answer = performance.utilisation(evidence(on_cpu(), on_cpu()))
    assert (answer.verdict, answer.why) == (ClaimVerdict.CANNOT_BE_TOLD, "there was no GPU")


@pytest.mark.parametrize(
    ("after", "verdict"),
    [(360, ClaimVerdict.HOLDS), (401, ClaimVerdict.CANNOT_BE_TOLD), (800, ClaimVerdict.DOES_NOT_HOLD)],
)
def test_memory_of_the_process(after, verdict):
    found = evidence(on_cpu(peak_resident_bytes=400 * MIB), on_cpu(peak_resident_bytes=after * MIB))
    answer = performance.memory(found)
    assert answer.verdict == verdict
    assert f"400 MiB before and {after} MiB after" in answer.measured


def test_memory_of_the_device_counts_where_there_is_one():
    found = evidence(
        on_gpu(tf_peak_bytes=500 * MIB, peak_resident_bytes=9000 * MIB),
        on_gpu(tf_peak_bytes=300 * MIB, peak_resident_bytes=9900 * MIB),
        gpus=["a GPU"],
    )
    assert performance.memory(found).verdict == ClaimVerdict.HOLDS
    assert "TensorFlow's allocator" in performance.memory(found).measured


@pytest.mark.parametrize("claim", [performance.utilisation, performance.memory])
def test_a_loop_that_was_not_watched_or_died_says_nothing(claim):
    nothing = claim(evidence(None, None, gpus=["a GPU"]))
    dead = claim(evidence(on_gpu(), Telemetry(died="killed"), gpus=["a GPU"]))
    assert {each.verdict for each in (nothing, dead, claim(Evidence()))} == {ClaimVerdict.CANNOT_BE_TOLD}
    assert dead.why == "after crashed during the telemetry run: killed"


def test_a_loop_that_used_no_memory_of_the_device_is_no_division():
    found = evidence(on_gpu(tf_peak_bytes=0), on_gpu(tf_peak_bytes=9), gpus=["a GPU"])
    assert performance.memory(found).verdict == ClaimVerdict.CANNOT_BE_TOLD
