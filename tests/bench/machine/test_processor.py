import pytest

from loop_bench.machine import processor


def test_this_one():
    found = processor.processor()
    assert found["name"]
    assert found["page_bytes"] >= 4096
    assert set(found["vectors"]) <= set(processor.VECTORS)
    assert found["huge_pages"] in ("always", "madvise", "never", None)


@pytest.mark.parametrize(("name", "expected"), [("AMD EPYC", {None}), ("A CPU @ 2.45GHz", {2450})])
def test_a_clock_that_moves_is_no_other_cpu(monkeypatch, name, expected):
    def found(now):
        hertz = 2_450_000_000 if "Hz" in name else now  # as cpuinfo has it
        monkeypatch.setattr(processor.cpuinfo, "get_cpu_info", lambda: {"brand_raw": name, "hz_advertised": (hertz, 0)})
        return processor.processor()

    slow, fast = found(1_500_000_000), found(3_100_000_000)
    assert slow == fast
    assert {slow["mhz"], fast["mhz"]} == expected


def test_what_sets_the_allocator(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("LD_PRELOAD", "")
    found = processor.processor()["allocator_settings"]
    assert (found["MALLOC_ARENA_MAX"], found["LD_PRELOAD"]) == ("1", "")


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ({}, ""),
        ({"family": None, "model": None, "vectors": [], "virtual": None}, ""),
        ({"family": 25, "model": 1, "vectors": ["avx", "avx2", "fma"], "virtual": True},
         "family 25, model 1, AVX2, virtual"),
        ({"family": 6, "model": 143, "vectors": ["avx2", "fma", "avx512f", "amx_bf16"], "virtual": False},
         "family 6, model 143, AMX_BF16"),
    ],
)  # fmt: skip
def test_words(recorded, expected):
    assert processor.words(recorded) == expected
