import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import assert_legible, texts
from records import arm, record, rounds

from bench.experiments.run import plots
from bench.experiments.run.record import Arm
from bench.experiments.syncs.record import HostSyncs, ReadSite

HISTORY = {"loss": (3.0, 2.0, 1.0)}


def stems(found):
    return [picture.stem for picture in plots.pictures(found)]


def of(found, stem):
    (picture,) = (picture for picture in plots.pictures(found) if picture.stem == stem)
    return picture


def test_a_whole_record_has_four_pictures():
    found = record(arms={"before": arm("a:b", history=HISTORY), "after": arm("c:d", history=HISTORY)})
    assert stems(found) == ["times", "ratios", "host-syncs", "metrics"]
    for picture in plots.pictures(found):
        assert picture.caption.endswith(".")
        assert_legible(picture.draw())


def test_what_a_record_does_not_hold_is_no_picture():
    bare = {name: Arm(factory="a:b") for name in ("before", "after")}
    assert stems(record(arms=bare)) == ["times", "ratios"]
    assert stems(record(arms=bare, rounds=(), rounds_ended=None)) == []
    none = {name: Arm(factory="a:b", host_syncs=HostSyncs(batches=1, sites=())) for name in bare}
    assert stems(record(arms=none, rounds=())) == []
    assert stems(record(arms={**bare, "after": arm("c:d")}, rounds=())) == ["host-syncs"]


def test_captions_say_what_is_seen():
    found = record(count=12)
    assert (
        "before (a:b), a second instance of it (before again, the null arm) and after (c:d) in 12 rounds of 10"
        in of(found, "times").caption
    )
    assert of(found, "ratios").caption.endswith("and their 95% intervals: no significant drift.")
    few = record(count=1)
    assert "1 round of 10 batches: over the rounds, one by one" in of(few, "times").caption
    assert "interval" not in of(few, "ratios").caption


def test_drift_is_told():
    slower = tuple(
        each.model_copy(update={"seconds": {**each.seconds, "after": each.seconds["after"] * (1 + i / 99)}})
        for i, each in enumerate(rounds(noise=0.01))
    )
    assert "it drifted by -49.5% over the run" in of(record(rounds=slower), "ratios").caption


def test_metrics_are_no_check_of_equivalence():
    many = {f"m{i}": (1.0, 2.0) for i in range(30)}
    found = record(arms={"before": arm("a:b", history=many), "after": arm("c:d")})
    assert of(found, "metrics").caption.startswith("The first 8 of 30 training metrics")
    assert "not the check of equivalence" in of(found, "metrics").caption


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"before": 0.060, "after": 0.020, "noise": 0}, "faster: 3.00× as fast (95% interval 3.00 to 3.00)"),
        ({"arms": {"after": arm("c:d", touch_seconds=1.0)}}, "faster (suspicious): "),
        ({"before": 0.030, "after": 0.030, "noise": 0.001}, "same: no difference of 3.0% or more"),
        ({"problems": ("before: has not trained",)}, "invalid: before: has not trained"),  # and no speed-up
    ],
)
def test_the_title_is_the_verdict(changes, title):
    for stem in ("times", "ratios"):
        written = [text.get_text().replace("\n", " ") for text in texts(of(record(**changes), stem).draw())]
        assert any(text.startswith(title) for text in written)


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=120)
sites = st.builds(
    ReadSite, route=st.just("numpy"), file=names, line=st.integers(0, 10**6), source=names,
    reads=st.integers(1, 10**6), nbytes=st.just(4), seconds=st.just(0.1), waits=st.just(0), waited=st.just(0.0),
)  # fmt: skip
syncs = st.none() | st.builds(
    HostSyncs, batches=st.integers(1, 1000), sites=st.lists(sites, max_size=15).map(tuple)
)  # fmt: skip
histories = st.dictionaries(names, st.lists(st.floats(), max_size=20).map(tuple), max_size=3)
arms = st.builds(Arm, factory=names, host_syncs=syncs, history=histories)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    before=arms, after=arms, count=st.sampled_from([0, 1, 2, 11]), factor=st.floats(1e-4, 1e4), factory=names,
    noise=st.floats(0, 3),
)  # fmt: skip
def test_odd_records_can_be_drawn(before, after, count, factor, factory, noise):
    found = record(
        arms={"before": before, "after": after}, settings={"before": factory},
        rounds=rounds(before=0.06, after=0.06 * factor, count=count, noise=noise),
    )  # fmt: skip
    for picture in plots.pictures(found):
        picture.draw().canvas.draw()
