import dataclasses

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hostsync import waiting
from bench.hostsync.callsite import Frame
from bench.hostsync.log import Read
from bench.hostsync.sites import by_site

A_READ = Read("float", "train.py", 7, (), "float32", 4, "GPU:0", 0.002, True, "MainThread")


@pytest.fixture(autouse=True, scope="module")
def ready_values_take_a_millisecond():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "read_time", lambda device: waiting.ReadTime(0.0005, 0.0))
        yield


reads = st.lists(
    st.builds(
        Read,
        route=st.sampled_from(["float", "numpy"]),
        file=st.sampled_from(["a.py", "b.py"]),
        line=st.integers(1, 3),
        shape=st.just(()),
        dtype=st.just("float32"),
        nbytes=st.integers(0, 100),
        device=st.just("GPU:0"),
        seconds=st.floats(0, 1),
        asynchronous=st.booleans(),
        thread=st.sampled_from(["MainThread", "logger"]),
        allowed=st.sampled_from([None, "why"]),
    )
)


@given(reads)
def test_nothing_is_lost(found):
    sites = by_site(found)
    assert sum(site.reads for site in sites) == len(found)
    assert sum(site.nbytes for site in sites) == sum(read.nbytes for read in found)
    assert sum(site.waits for site in sites) == sum(not read.ready for read in found)
    assert sum(site.allowed for site in sites) == sum(read.allowed is not None for read in found)
    assert len({(site.file, site.line, site.route) for site in sites}) == len(sites)


@given(reads)
def test_those_with_most_reads_come_first(found):
    counts = [site.reads for site in by_site(found)]
    assert counts == sorted(counts, reverse=True)


def test_adds_up_a_line():
    other = dataclasses.replace(A_READ, asynchronous=False, thread="logger", allowed="why")
    (site,) = by_site([A_READ, other])
    assert (site.reads, site.nbytes, site.seconds) == (2, 8, 0.004)
    assert (site.waits, site.waited, site.allowed, site.threads) == (1, 0.0015, 1, ("MainThread", "logger"))
    assert site.source == ""


def test_names_the_code_that_read_for_a_line_most_often_first():
    rare, often = (Frame(keras.__file__, number, name) for number, name in ((1, "rare"), (2, "often")))
    reads = [dataclasses.replace(A_READ, stack=(frame,)) for frame in (rare, often, often)]
    assert by_site([*reads, A_READ])[0].readers == (((often,), 2), ((rare,), 1))


def test_shows_the_source(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("\n\n    loss = float(x)\n")
    assert by_site([dataclasses.replace(A_READ, file=str(file), line=3)])[0].source == "loss = float(x)"
