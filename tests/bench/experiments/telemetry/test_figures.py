import math

from hypothesis import given
from hypothesis import strategies as st
from telemetries import MIB, gpu, on_cpu, on_gpu, sample, traced

from loop_bench.experiments.telemetry.figures import Range, Throttled, Utilisation
from loop_bench.experiments.telemetry.record import Telemetry


def device(*samples, **changes):
    return Utilisation.of(on_gpu(samples=samples, **changes)).device


def test_on_a_cpu():
    found = Utilisation.of(on_cpu())
    assert (found.ms_per_batch, found.cpus, found.cpu_ms_per_batch, found.peak_resident) == (20.0, 1.5, 30.0, 400.0)
    assert (found.device, found.trace) == (None, None)


def test_of_a_loop_that_died_there_are_none():
    assert Utilisation.of(Telemetry(died="of something")) is None


def test_the_trace_is_handed_on():
    assert Utilisation.of(on_gpu(trace=traced())).trace == traced()


def test_on_a_gpu_only_the_one_that_was_used_counts():
    found = device()
    assert found.utilisation == Range(0.5, 0.5, 0.5)  # that of the other is zero
    assert found.watts.mean == 300.0
    assert found.joules_per_batch == 6.0  # 300 W for 2 s, 100 batches
    assert (found.tf_peak, found.nvml_peak, found.nvml_before) == (500.0, 1000.0, 600.0)
    assert found.nvml_process_peak is None  # NVML does not know it


def test_if_the_used_gpus_are_unknown_all_count():
    both = sample(0.1, gpu(0, sm_mhz=1000), gpu(1, utilisation=0.0))
    found = device(both, used_gpus=())
    assert found.utilisation.mean == 0.25
    assert (found.watts.mean, found.nvml_peak, found.sm_mhz.mean) == (600.0, 2000.0, 1000.0)


def test_peaks_are_those_of_any_sample_and_ranges_leave_the_rarest_out():
    busy = [number / 100 for number in range(101)]
    found = device(*(sample(each, gpu(utilisation=each, process_memory_bytes=int(100 * each) * MIB)) for each in busy))
    assert [round(each, 9) for each in found.utilisation] == [0.5, 0.05, 0.95]
    assert found.nvml_process_peak == 100.0


def test_how_often_it_was_throttled_and_why():
    reasons = [(), ("software power cap",), ("software power cap", "sync boost"), None]
    found = device(*(sample(0.1 * number, gpu(throttled_by=each)) for number, each in enumerate(reasons)))
    assert found.throttled == Throttled(2 / 3, {"software power cap": 2 / 3, "sync boost": 1 / 3})


def test_what_nvml_refused_is_not_there_and_the_rest_is():
    found = device(sample(0.1, gpu(watts=None, utilisation=None, sm_mhz=None, throttled_by=None, memory_bytes=None)))
    assert (found.watts, found.joules_per_batch, found.utilisation) == (None, None, None)
    assert (found.sm_mhz, found.throttled, found.nvml_peak) == (None, None, None)
    assert found.tf_peak == 500.0


def test_a_sum_over_gpus_needs_all_of_them():
    found = device(sample(0.1, gpu(0, watts=None), gpu(1)), sample(0.2, gpu(0), gpu(1)), used_gpus=())
    assert found.watts.mean == 600.0


def test_without_samples_only_what_tensorflow_says_is_there():
    found = Utilisation.of(Telemetry(stretch=on_gpu().stretch.model_copy(update={"samples": (), "before": None})))
    assert found.device.tf_peak == 500.0
    assert (found.device.watts, found.device.throttled, found.device.nvml_before) == (None, None, None)


READINGS = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=40)


@given(READINGS)
def test_a_range_is_within_what_was_read(readings):
    found = device(*(sample(number, gpu(utilisation=each)) for number, each in enumerate(readings))).utilisation
    known = [each for each in readings if each is not None]
    if not known:
        assert found is None
        return
    for each in found:
        assert min(known) <= each <= max(known) or math.isclose(each, min(known)) or math.isclose(each, max(known))
    assert found.low <= found.high
