from traces import add, marked

from loop_bench.experiments.telemetry.tracing import of_trace

STARTED = 1_700_000_000_000_000_000
"""Unix time of a trace, in ns."""

DETAILS = "kind_src:device kind_dst:pageable size:{} dest:0 async:1"


def space_with(*events):
    """A stretch from 1 to 11 ms, and on a GPU's stream events, each a name, begin and duration in µs, and bytes."""
    space, _, _ = marked(10**9, 11 * 10**9)
    task = space.planes.add(name="Task Environment")
    task.stat_metadata[1].id, task.stat_metadata[1].name = 1, "profile_start_time"
    task.stats.add(metadata_id=1, uint64_value=STARTED)
    gpu = space.planes.add(name="/device:GPU:0")
    line = gpu.lines.add(name="Stream #7(Kernel,MemcpyD2H)")
    for name, begin, duration, nbytes in events:
        add(gpu, line, name, begin * 10**6, duration * 10**6, memcpy_details=DETAILS.format(nbytes))
    return space


def test_of_a_gpu():
    found = of_trace(
        space_with(
            ("MemcpyH2D", 500, 100, 99),  # before the stretch, as when the profiler starts
            ("kernel", 1_000, 2_000, 0),
            ("MemcpyH2D", 3_000, 10, 512),
            ("MemcpyD2H", 5_000, 5, 4),
            ("MemcpyD2H", 6_000, 5, 8),
            ("MemcpyD2H", 12_000, 5, 16),  # after it
        ),
        batches=5,
    )
    assert (found.device, found.batches, found.problems) == ("GPU", 5, ())
    assert found.seconds == 0.010
    assert round(found.busy, 9) == 0.002_020
    assert round(found.longest_gap, 9) == 0.004_995
    assert [(each.kind, each.count, each.nbytes, round(each.seconds, 9)) for each in found.copies] == [
        ("D2H", 2, 12, 1e-5),
        ("H2D", 1, 512, 1e-5),
    ]


def test_without_copies_there_are_none():
    assert of_trace(space_with(("kernel", 2_000, 1_000, 0), ("MemcpyP2P", 4_000, 1, 8)), 5).copies == ()
