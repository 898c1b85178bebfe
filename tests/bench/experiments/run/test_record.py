import datetime
import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loop_bench.errors import InvalidRecordError
from loop_bench.experiments.run.record import ArmRecord, Record
from loop_bench.experiments.survival.record import Survival
from loop_bench.experiments.syncs.record import GraphHostOps, HostSyncs, ReadSite, TracedCopies
from loop_bench.settings import ARMS, TIMED, Settings
from loop_bench.timing.samples import Round, Start

seconds = st.floats(1e-9, 1e6)
anything = st.floats(allow_nan=True, allow_infinity=True)
names = st.text(min_size=1, max_size=20)
sites = st.builds(
    ReadSite,
    route=names,
    file=names,
    line=st.integers(0, 9),
    reads=st.integers(1, 9),
    nbytes=st.integers(0, 9),
    source=names,
    seconds=seconds,
    waits=st.integers(0, 9),
    waited=seconds,
)
in_graphs = st.builds(
    GraphHostOps, kind=names, function=names, file=names, line=st.integers(0, 9), ops=st.integers(1, 9)
)
survivals = st.builds(
    Survival,
    fault=names,
    reason=names,
    movement=anything,
    worst=anything,
    **dict.fromkeys(("seed", "struck", "skipped", "batches"), st.integers(0, 9)),
    **dict.fromkeys(("recovery", "first_bad"), st.none() | st.integers(0, 9)),
)
found_arms = st.builds(
    ArmRecord,
    factory=names,
    described_first=st.dictionaries(names, st.one_of(st.integers(), names, st.none())),
    described_last=st.just({}),
    starts=st.lists(st.builds(Start, build_seconds=seconds, first_batch_seconds=seconds), max_size=3).map(tuple),
    history=st.dictionaries(names, st.lists(anything, max_size=5).map(tuple), max_size=3),
    host_syncs=st.none()
    | st.builds(
        HostSyncs,
        batches=st.integers(1, 9),
        sites=st.lists(sites, max_size=3).map(tuple),
        in_graphs=st.lists(in_graphs, max_size=2).map(tuple),
        copies=st.none() | st.builds(TracedCopies, **dict.fromkeys(TracedCopies.model_fields, st.integers(0, 9))),
    ),
    survivals=st.lists(survivals, max_size=2).map(tuple),
)
rounds = st.builds(
    Round,
    batches=st.integers(1, 99),
    order=st.permutations(TIMED).map(tuple),
    seconds=st.fixed_dictionaries(dict.fromkeys(TIMED, seconds)),
)
all_records = st.builds(
    Record,
    created=st.datetimes(timezones=st.just(datetime.timezone.utc)),
    settings=st.builds(
        Settings, before=names, after=names, preset=names, seed=st.integers(0), batches=st.integers(1),
        rounds=st.none() | st.integers(1), options=st.dictionaries(names, names),
    ),
    environment=st.dictionaries(names, names),
    arms=st.fixed_dictionaries(dict.fromkeys(ARMS, found_arms)),
    rounds=st.lists(rounds, max_size=3).map(tuple),
    rounds_ended=st.none() | st.just("precise"),
    problems=st.none() | st.lists(names, max_size=2).map(tuple),
)  # fmt: skip


def make(**changes):
    return Record(
        created=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        settings=Settings(before="a:b", after="c:d", preset="tiny", seed=0, batches=2, rounds=1),
        environment={},
        arms={arm: ArmRecord(factory="x:y") for arm in ARMS},
        rounds=(),
        **changes,
    )


@settings(max_examples=50, deadline=None)
@given(all_records)
def test_json_brings_back_every_bit(record):
    text = record.model_dump_json()
    again = Record.model_validate_json(text)
    assert again.model_dump_json() == text
    json.loads(text, parse_constant=pytest.fail)  # bare NaN is no JSON


def test_not_a_number_stays_not_a_number(tmp_path):
    arm = ArmRecord(factory="x:y", history={"loss": (math.nan, math.inf, 1.0)})
    path = make().model_copy(update={"arms": {"before": arm, "after": arm}}).write(tmp_path)
    found = Record.read(path).arms["before"].history["loss"]
    assert math.isnan(found[0])
    assert found[1:] == (math.inf, 1.0)


def test_is_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        make().rounds = ()


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Start(build_seconds=1.0, first_batch_seconds=0.0),
        lambda: Start(build_seconds=math.nan, first_batch_seconds=1.0),
        lambda: Round(batches=0, order=TIMED, seconds=dict.fromkeys(TIMED, 1.0)),
        lambda: Round(batches=1, order=TIMED, seconds=dict.fromkeys(ARMS, 1.0)),
        lambda: Round(batches=1, order=("before", "before", "after"), seconds=dict.fromkeys(TIMED, 1.0)),
        lambda: Round(batches=1, order=TIMED, seconds=dict.fromkeys(TIMED, math.inf)),
        lambda: ArmRecord(factory="x:y", surprise=1),
        lambda: Record(**{**make().model_dump(), "arms": {"before": ArmRecord(factory="x:y")}}),
        lambda: Record(**{**make().model_dump(), "schema_version": 5}),
    ],
)
def test_is_checked_when_it_is_made(broken):
    with pytest.raises(ValidationError):
        broken()


def test_each_record_has_a_file_of_its_own(tmp_path):
    first, second = make().write(tmp_path / "new" / "folder"), make().write(tmp_path / "new" / "folder")
    assert first != second
    assert first.name.startswith("20260102T030405Z-tiny-")
    assert Record.read(first) == Record.read(second) == make()


def test_rates_are_per_batch():
    site = ReadSite(route="numpy", file="f", line=1, source="", reads=3, nbytes=12, seconds=0.0, waits=0, waited=0.0)
    syncs = HostSyncs(batches=6, sites=(site, site))
    assert (syncs.reads_per_batch, syncs.nbytes_per_batch) == (1.0, 4.0)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_truncated_record_is_never_read(tmp_path_factory, data):
    whole = make().model_dump_json().encode()
    path = tmp_path_factory.mktemp("truncated") / "r.json"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InvalidRecordError):
        Record.read(path)


_WRITE = """
import sys, pathlib
sys.path[:0] = [{tests!r}]
import records
folder = pathlib.Path(sys.argv[1])
big = records.record(count=2000)
print("ready", flush=True)
while True:
    big.write(folder)
"""


def writer(folder):
    """A process that writes records without end; returns once it does."""
    code = _WRITE.format(tests=str(pathlib.Path(__file__).parents[3]))
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_two_runs_write_to_one_folder_at_once(tmp_path):
    processes = [writer(tmp_path) for _ in range(2)]
    while len([*tmp_path.glob("*.json")]) < 20:
        assert all(process.poll() is None for process in processes)
    for process in processes:
        process.kill()
        process.communicate()
    for path in tmp_path.glob("*.json"):
        assert len(Record.read(path).rounds) == 2000


@pytest.mark.slow
def test_a_run_killed_at_any_moment_leaves_whole_records_alone(tmp_path):
    random = np.random.default_rng(0)
    earlier = make().write(tmp_path)
    content = earlier.read_bytes()
    for _ in range(20):
        process = writer(tmp_path)
        there = len([*tmp_path.glob("*.json")])
        while len([*tmp_path.glob("*.json")]) < there + random.integers(1, 4):
            assert process.poll() is None
        for _ in range(random.integers(0, 100_000)):  # some moment in the writing of the next one
            pass
        process.kill()
        process.communicate()
        assert earlier.read_bytes() == content
        for path in tmp_path.glob("*.json"):
            Record.read(path)
