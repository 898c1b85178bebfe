import pytest


@pytest.fixture(scope="module")
def devices(scaling_scripts):
    import devices

    return devices


@pytest.fixture(scope="module")
def tiny(devices):
    return devices.Counted.of("tiny")


def test_networks_are_counted_as_they_are_built(tiny):
    embeddings, lstm = 32 * (200 + 3 + 4), (3 * 32 + 32 + 1) * 4 * 32
    assert tiny.generator == (8, embeddings + lstm + (32 + 1) * 200)
    assert tiny.discriminator == (7, 32 * 200 + sum(width * 32 * 8 + 8 for width in (2, 3)) + 2 * 8 + 1)
    assert tiny.generator.size == 4 * tiny.generator.parameters


def test_the_formulas_are_what_tensorflow_counts(devices, tiny):
    drawn, judged = devices.counted_by_tensorflow("tiny")
    lines = tiny.work.config.batch_size
    assert 1.0 <= drawn / (lines * tiny.work.token) < 1.02
    assert 1.0 <= judged / (lines * tiny.work.judged) < 1.02


def test_a_message_for_each_tensor_has_the_same_bytes(tiny):
    assert len(tiny.messages) == 4
    assert len(tiny.unpacked) == 7 + 8 + 2
    assert sum(tiny.unpacked) == pytest.approx(sum(tiny.messages), abs=15)


def test_a_divided_batch_gains_only_where_work_is_more_than_launching(devices, tiny):
    from all_reduce import FAST

    assert devices.speed_up(tiny, 1, FAST) == 1
    assert devices.speed_up(tiny, 16, FAST) < 1
    assert devices.speed_up(tiny, 32, FAST) is None  # there are 16 lines
    heavy = tiny._replace(work=devices.Work(devices.Config.preset("script", batch_size=4096)))
    assert 1 < devices.speed_up(heavy, 8, FAST) < 8


def test_each_with_a_batch_of_its_own_waits_for_the_all_reduces(devices, tiny):
    from all_reduce import FAST, SLOW

    assert devices.efficiency(tiny, 1, FAST) == 1
    alone, waited = tiny.seconds(16), devices.reduced(tiny.messages, 1024, FAST)
    assert devices.efficiency(tiny, 1024, FAST) == pytest.approx(alone / (alone + waited))
    assert devices.efficiency(tiny, 1024, SLOW) < devices.efficiency(tiny, 1024, FAST)
    assert devices.efficiency(tiny, 1024, FAST, packed=False) < devices.efficiency(tiny, 1024, FAST)


def test_what_was_measured_is_read_from_the_records(devices):
    assert 15 < devices.measured("paper") < 20
    assert 400 < devices.ops_a_batch() < 800
