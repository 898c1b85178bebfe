import pytest
from pydantic import ValidationError
from telemetries import gpu, on_cpu, on_gpu, sample, stretch, traced

from loop_bench.experiments.telemetry.record import GpuSample, Sample, Telemetry


@pytest.mark.parametrize("made", [on_cpu(), on_gpu(trace=traced(), problems=("x",)), Telemetry(died="of something")])
def test_json_there_and_back(made):
    assert Telemetry.model_validate_json(made.model_dump_json()) == made


def test_a_loop_has_a_stretch_or_died():
    for values in ({}, {"stretch": stretch(), "died": "of something"}):
        with pytest.raises(ValidationError, match="a loop that did not die has a stretch"):
            Telemetry(**values)


def test_a_time_is_counted_from_another_moment():
    assert sample(7.5, gpu()).since(5.0) == sample(2.5, gpu())


def test_whatever_nvml_refuses_may_be_missing():
    assert Sample(at=1.0, gpus=(GpuSample(index=0),)).gpus[0].watts is None


def test_times_a_batch():
    assert stretch().ms_per_batch == 20.0
    assert (traced().ms_per_batch, traced().busy_share) == (40.0, 0.25)
