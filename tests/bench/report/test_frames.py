import datetime
import math

import pytest

from bench.record import ARMS, Arm, HostSyncs, ReadSite, Record, Round, Settings, Start, Survival
from bench.report import frames
from bench.statistics import Interval

ENVIRONMENT = {
    "cpu": "a CPU", "cores": 2, "gpus": [], "gpu_driver": None, "python": "3.11.7",
    "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
}  # fmt: skip


def arm(reads, temperature, outcome):
    site = ReadSite(route="numpy", file="f.py", line=1, reads=reads, nbytes=4 * reads, seconds=0.1)
    return Arm(
        factory="a:b",
        described_first={"temperature": temperature},
        described_last={"temperature": temperature / 2},
        starts=(Start(build_seconds=1.0, first_batch_seconds=2.0), Start(build_seconds=1.0, first_batch_seconds=4.0)),
        host_syncs=HostSyncs(batches=10, sites=(site,)),
        survivals=(
            Survival(
                fault="scale=1e8,target=generator", outcome=outcome, reason="because", weights_finite=True,
                optimizer_finite=True, movement=math.nan, batches=(1, 1, 1),
            ),
        ),
    )  # fmt: skip


def record(**changes):
    values = {
        "created": datetime.datetime.now(datetime.UTC),
        "settings": Settings(
            before="a:b", after="c:d", preset="tiny", seed=0, batches=10, rounds=2, options={"script": "x.csv"}
        ),
        "environment": ENVIRONMENT,
        "arms": {"before": arm(44, 0.8, "frozen"), "after": arm(1, 2.0, "survived")},
        "rounds": tuple(
            Round(batches=10, order=ARMS, seconds={"before": 0.2 * drift, "after": 0.1 * drift})
            for drift in (1, 1, 1, 1, 2, 2, 3, 3, 3, 3)
        ),
    }
    return Record(**{**values, **changes})


def rows(found):
    return {row.metric: (row.before, row.after, row.change) for row in frames.comparison(found).itertuples()}


def test_one_row_a_metric():
    assert rows(record()) == {
        "ms/batch, median (quartiles)": (
            "40.00 (20.00 to 60.00)", "20.00 (10.00 to 30.00)", "2.00× faster (95%: 2.00 to 2.00)",
        ),
        "time to first batch, s, median (quartiles)": ("4.00 (3.50 to 4.50)", "4.00 (3.50 to 4.50)", "same"),
        "host syncs a batch": ("4.4", "0.1", "44× fewer"),
        "bytes read from the device a batch": ("17.6", "0.4", "44× fewer"),
        "temperature, start → end": ("0.80 → 0.40", "2.00 → 1.00", ""),
        "gradients × 1e+08, generator": ("frozen: because", "survived: because", ""),
    }  # fmt: skip


def test_what_is_not_there_is_not_made_up():
    empty = {name: Arm(factory="a:b") for name in ARMS}
    found = rows(record(arms=empty, rounds=()))
    assert len(found) == 4
    assert set(found.values()) == {("not measured", "not measured", "")}


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        (Interval(2.0, 1.9, 2.1), "2.00× faster (95%: 1.90 to 2.10)"),
        (Interval(0.5, 0.4, 0.8), "2.00× slower (95%: 1.25 to 2.50)"),
        (Interval(1.02, 0.99, 1.05), "no measurable difference (95% interval of the ratio 0.99 to 1.05)"),
        (None, ""),
        (Interval(2.0, 0.0, math.inf), "2.00× (an interval needs 10 rounds)"),
    ],
)
def test_speed_up_in_words(interval, says):
    assert frames.speed_up(interval) == says


def test_footer_names_loops_work_and_machine():
    lines = frames.footer(record())
    assert lines[0] == "before: a:b, after: c:d"
    assert lines[1] == "preset tiny, seed 0, script=x.csv; 10 interleaved rounds of 10 batches a loop"
    assert lines[2] == "2 cores of a CPU; TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7"
    assert lines[3].startswith("Without a GPU a host sync costs hardly anything")
    gpu = {**ENVIRONMENT, "gpus": ["H100"], "gpu_driver": "580"}
    assert len(frames.footer(record(environment=gpu))) == 3
