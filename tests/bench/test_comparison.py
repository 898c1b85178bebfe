import datetime

import pytest

from bench.comparison import Comparison
from bench.record import ARMS, Arm, HostSyncs, ReadSite, Record, Round, Settings, Start


def record(arm, rounds):
    return Record(
        created=datetime.datetime.now(datetime.UTC),
        settings=Settings(before="a:b", after="c:d", preset="tiny", seed=0, batches=10, rounds=5),
        environment={},
        arms=dict.fromkeys(ARMS, arm),
        rounds=rounds,
    )


def test_figures_have_their_units():
    arm = Arm(
        factory="a:b",
        described_first={"temperature": 2},
        described_last={"temperature": 1.5},
        starts=(Start(build_seconds=0.5, first_batch_seconds=2.5),),
        host_syncs=HostSyncs(
            batches=10, sites=(ReadSite(route="numpy", file="f", line=1, reads=20, nbytes=80, seconds=0.1),)
        ),
    )
    # The machine slows down tenfold from round to round: the ratio does not notice.
    rounds = tuple(
        Round(batches=10, order=ARMS, seconds={"before": 0.03 * 10**n, "after": 0.01 * 10**n}) for n in range(11)
    )
    found = Comparison.of(record(arm, rounds))
    assert found.speed_up == pytest.approx((3.0, 3.0, 3.0))
    assert found.before.ms_per_batch.median == pytest.approx(3.0 * 10**5)
    assert found.after.ms_per_batch.median == pytest.approx(1.0 * 10**5)
    assert found.before.start_seconds.median == 3.0
    assert (found.before.host_syncs_per_batch, found.before.nbytes_per_batch) == (2.0, 8.0)
    assert found.before.temperature == (2.0, 1.5)


def test_what_was_not_measured_is_none():
    found = Comparison.of(record(Arm(factory="a:b"), ()))
    assert found.speed_up is None
    assert found.before.ms_per_batch is found.before.start_seconds is found.before.host_syncs_per_batch is None
    assert found.before.temperature is None
    assert found.before.survivals == {}
