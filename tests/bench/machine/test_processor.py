import sys

import cpuinfo
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
        monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: {"brand_raw": name, "hz_advertised": (hertz, 0)})
        return processor.processor()

    slow, fast = found(1_500_000_000), found(3_100_000_000)
    assert slow == fast
    assert {slow["mhz"], fast["mhz"]} == expected


LINUX = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu fma avx avx2 hypervisor

processor\t: 1
vendor_id\t: another
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU part\t: 0xd40\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINUX, ("AMD EPYC", "AuthenticAMD", 25, 17, ["avx", "avx2", "fma"], True)),
        (ARM, ("", None, None, None, ["asimd", "sve"], False)),
        (None, ("", None, None, None, [], None)),
    ],
)
def test_without_cpuinfo_linux_tells(monkeypatch, tmp_path, text, expected):
    monkeypatch.setitem(sys.modules, "cpuinfo", None)  # as if it were not installed
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor.platform, "processor", str)
    if text:
        (tmp_path / "cpuinfo").write_text(text)
    found = processor.processor()
    names = ("name", "vendor", "family", "model", "vectors", "virtual")
    assert tuple(found[name] for name in names) == expected


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
