import pytest
from telemetries import MIB, gpu, on_cpu, on_gpu, sample, traced

from loop_bench.experiments.telemetry import report
from loop_bench.experiments.telemetry.record import Telemetry


def rows(before, after):
    return {row.title: [*row.texts] for row in report.rows(before, after)}


def test_nothing_is_shown_that_was_not_measured():
    assert report.rows(None, None) == []
    assert rows(on_cpu(), None) == {
        "ms/batch of the stretch that was watched": ["20.00", "not measured", ""],
        "CPUs busy, mean": ["1.50", "not measured", ""],
        "CPU time of all threads, ms/batch": ["30.00", "not measured", ""],
        "peak resident memory of the process, MiB": ["400", "not measured", ""],
    }


def test_page_faults_and_what_the_kernel_took():
    found = rows(on_cpu(page_faults=815_100, system_seconds=2.5), on_cpu(page_faults=0, system_seconds=0.0))
    assert found["page faults a batch (system time, ms/batch)"] == ["8.15e+03 (25.00)", "0 (0.00)", ""]


def test_on_a_gpu():
    one = sample(0.1, gpu(throttled_by=("software power cap",), process_memory_bytes=450 * 2**20))
    other = sample(0.2, gpu(utilisation=0.7, watts=400.0, sm_mhz=1500))
    found = rows(on_gpu(samples=(one, other), trace=traced()), on_gpu())
    assert {title: cells for title, cells in found.items() if title not in rows(on_cpu(), None)} == {
        "share of NVML's window with any kernel running, mean (5% to 95% of samples)": [
            "60% (51% to 69%)",
            "50% (50% to 50%)",
            "",
        ],
        "power, W, mean (5% to 95% of samples)": ["350 (305 to 395)", "300 (300 to 300)", ""],
        "energy, J/batch": ["7", "6", ""],
        "SM clock, MHz, mean (5% to 95% of samples)": ["1740 (1524 to 1956)", "1980 (1980 to 1980)", ""],
        "throttled, share of samples": ["50% (software power cap 50%)", "0%", ""],
        "peak device memory, handed out by TensorFlow's allocator, MiB": ["500", "500", "same"],
        "peak device memory, NVML, of the loop's process, MiB": ["450", "not measured", ""],
        "peak device memory, NVML, of all processes, MiB (before the loop's began)": ["1000 (600)", "1000 (600)", ""],
        "device busy, share of a traced stretch": ["25.0% (at 40.00 ms/batch while traced)", "not measured", ""],
        "copies to the device a batch, traced": ["1 (1.02e+04 bytes, 2 ms)", "not measured", ""],
        "copies from the device a batch, traced": ["4 (16 bytes, 0.02 ms)", "not measured", ""],
        "copies within the device a batch, traced": ["none", "not measured", ""],
    }


WRONG = "watched for utilisation: what went wrong"


def test_a_loop_that_died_is_a_result_in_words():
    found = rows(on_cpu(), Telemetry(died="crashed: killed by SIGSEGV"))
    assert found["CPUs busy, mean"] == ["1.50", "not measured", ""]
    assert found[WRONG] == ["nothing", "crashed: killed by SIGSEGV", ""]


def test_whatever_else_went_wrong_is_said():
    found = rows(on_gpu(trace=traced(problems=("dropped 9 events",)), problems=("the sampler ended",)), on_gpu())
    assert found[WRONG] == ["the sampler ended; dropped 9 events", "nothing", ""]


def test_the_answer_is_memory_and_how_busy_a_gpu_was():
    (row,) = [row for row in report.rows(on_cpu(), on_cpu(peak_resident_bytes=300 * MIB)) if "resident" in row.title]
    assert row.texts == ("400", "300", "1.33× less")
    assert report.answer(on_cpu(), on_cpu(peak_resident_bytes=300 * MIB)) == "peak resident memory 400 → 300 MiB"
    busy = on_gpu(samples=(sample(0.1, gpu(utilisation=0.9)), sample(0.2, gpu(utilisation=0.7))))
    assert report.answer(on_gpu(tf_peak_bytes=900 * MIB), busy) == (
        "kernels running 50% → 80%, peak device memory 900 → 500 MiB, peak resident memory 400 → 400 MiB"
    )


def test_what_is_known_of_one_loop_alone_is_no_answer():
    assert report.answer(on_gpu(), on_cpu()) == "peak resident memory 400 → 400 MiB"
    silent = on_gpu(samples=(sample(0.1, gpu(utilisation=None)),))
    assert report.answer(silent, on_gpu()) == ("peak device memory 500 → 500 MiB, peak resident memory 400 → 400 MiB")


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, None), (on_cpu(), None), (None, on_gpu()), (on_gpu(), Telemetry(died="crashed: killed by SIGSEGV"))],
)
def test_without_both_loops_there_is_no_answer(before, after):
    assert report.answer(before, after) == ""


def test_a_short_table_has_memory_and_how_busy_a_gpu_was():
    brief = {row.title: row.brief for row in report.rows(on_gpu(trace=traced()), None) if row.brief}
    assert brief == {
        "peak resident memory of the process, MiB": ("400", "not measured", ""),
        "share of NVML's window with any kernel running, mean (5% to 95% of samples)": (
            "50% (50% to 50%)",
            "not measured",
            "",
        ),
        "peak device memory, handed out by TensorFlow's allocator, MiB": ("500", "not measured", ""),
    }
