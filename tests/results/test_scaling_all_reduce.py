import math

import pytest


@pytest.fixture(scope="module")
def model(scaling_scripts):
    import all_reduce

    return all_reduce


def test_alone_nothing_is_reduced(model):
    assert model.all_reduce(1e9, 1, model.FAST) == 0


def test_a_large_message_takes_what_its_bytes_do(model):
    """2 (n - 1) / n of them through the slowest link: no algorithm needs less (Patarasuk and Yuan, 2009)."""
    for gpus, bandwidth in ((2, 450e9), (8, 450e9), (64, 12.5e9)):
        least = 2 * (gpus - 1) / gpus * 1e12 / bandwidth
        assert model.all_reduce(1e12, gpus, model.MEDIUM) == pytest.approx(least, rel=1e-3)
        assert model.all_reduce(1e12, gpus, model.MEDIUM) >= least


def test_a_small_message_takes_what_its_hops_do(model):
    """As in NCCL's model: a chain of 8 in each of 128 machines, and a tree of 7 levels between them, both ways."""
    expected = 6.8e-6 + 2 * (7 * 0.6e-6 + 7 * 5.0e-6)
    assert model.all_reduce(4, 1024, model.FAST) == pytest.approx(expected, rel=1e-3)
    assert model.ring(4, 1024, model.FAST) == pytest.approx(6.6e-6 + 254 * 2.7e-6 + 1792 * 0.6e-6, rel=1e-3)


def test_networks_matter_between_machines_alone(model):
    within = {model.all_reduce(1e6, 8, network) for network in model.NETWORKS}
    between = [model.all_reduce(1e6, 16, network) for network in model.NETWORKS]
    assert len(within) == 1
    assert between == sorted(between)
    assert len({*between}) == 3


def test_more_gpus_and_more_bytes_never_take_less(model):
    for network in model.NETWORKS:
        by_gpus = [model.all_reduce(1e6, 2**power, network) for power in range(11)]
        by_bytes = [model.all_reduce(10**power, 64, network) for power in range(10)]
        assert by_gpus == sorted(by_gpus)
        assert by_bytes == sorted(by_bytes)
        assert all(map(math.isfinite, by_gpus))
