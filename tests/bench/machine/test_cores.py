import pytest

from loop_bench.machine import cores


@pytest.fixture
def plant(tmp_path):
    """Files below a root, by their paths; gives the root."""

    def planted(**files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return planted


V1 = "12:memory:/pod\n4:cpu,cpuacct:/pod/one\n"
AT_V1 = "sys/fs/cgroup/cpu,cpuacct/pod"
CGROUP, MAX = "proc/self/cgroup", "sys/fs/cgroup/cpu.max"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({CGROUP: "0::/\n"}, None),
        ({CGROUP: "0::/\n", MAX: "max 100000\n"}, None),
        ({CGROUP: "0::/\n", MAX: "150000 100000\n"}, 1.5),
        # Of the group, and of the one around it, which has less.
        (
            {
                CGROUP: "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
                "sys/fs/cgroup/a/cpu.max": "200000 100000",
            },
            2,
        ),
        # In a container without a namespace of its own the named folder is not there.
        ({CGROUP: "0::/docker/1f\n", MAX: "50000 100000"}, 0.5),
        (
            {
                CGROUP: V1,
                f"{AT_V1}/one/cpu.cfs_quota_us": "-1",
                f"{AT_V1}/one/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({CGROUP: V1, f"{AT_V1}/cpu.cfs_quota_us": "300000", f"{AT_V1}/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_the_least_quota_counts(plant, files, expected):
    assert cores.quota(plant(**files)) == expected


def test_what_chooses_the_clock(plant):
    at = "sys/devices/system/cpu"
    files = {f"{at}/cpu{number}/cpufreq/scaling_governor": f"{name}\n" for number, name in enumerate("bab")}
    assert cores.governors(plant(**files)) == ("a", "b")


def test_there_is_none_in_a_virtual_machine(tmp_path):
    assert cores.governors(tmp_path) == ()
    assert cores.clock(tmp_path) == (None, None)


def test_the_clock_is_the_mean_over_cores(plant):
    files = {"proc/cpuinfo": "cpu MHz\t\t: 3000.0\n\ncpu MHz\t: 2000.0\nmodel name: A\n"}
    assert cores.clock(plant(**files)) == (2500, None)
    at = "sys/devices/system/cpu"
    for number, khz in enumerate((1_200_000, 1_400_000)):
        files[f"{at}/cpu{number}/cpufreq/scaling_cur_freq"] = f"{khz}\n"
        files[f"{at}/cpu{number}/cpufreq/cpuinfo_max_freq"] = "3700000\n"
    assert cores.clock(plant(**files)) == (1300, 3700)


def test_shares_of_the_time_between_two_moments(plant):
    first = cores.times(plant(**{"proc/stat": "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"}))
    last = cores.times(plant(**{"proc/stat": "cpu  140 5 60 830 55 3 2 5 0 0\n"}))
    assert cores.shares(first, last) == pytest.approx((0.6, 0.05))
    assert cores.shares(first, first) is None  # no tick has passed
    assert cores.shares(None, last) is None


@pytest.mark.parametrize("text", ["", "cpu0 1 2 3 4 5 6 7 8\n", "cpu  1 2 3 4\n"])
def test_times_that_are_not_said(plant, text):
    assert cores.times(plant(**{"proc/stat": text})) is None


def test_this_process():
    found = cores.cores()
    assert 1 <= found.allowed <= found.of_machine
    assert found.quota is None or found.quota > 0
