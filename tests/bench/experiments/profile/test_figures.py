import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import SECOND, op, profile

from loop_bench.experiments.profile.figures import account, own_parts


def test_nothing_is_one_gap():
    found = account([], 100, 300)
    assert (found.busy, list(found.gaps)) == (0, [200])
    assert found.in_flight.size == found.apportioned.size == 0


def test_gaps_before_between_and_after():
    found = account([op(110, 120), op(150, 160), op(160, 170)], 100, 200)
    assert found.busy == 30
    assert list(found.gaps) == [10, 30, 30]


def test_streams_that_overlap_are_busy_once():
    ops = [op(0, 60), op(20, 80, thread=1), op(40, 50, thread=2)]
    found = account(ops, 0, 100)
    assert (found.busy, list(found.gaps)) == (80, [20])
    assert list(found.in_flight) == [60, 60, 10]
    # 20 alone, 20 and 10 by two, 10 by three
    assert found.apportioned == pytest.approx([20 + 10 + 10 / 3 + 5, 10 + 10 / 3 + 5 + 20, 10 / 3])


def test_what_lies_outside_does_not_count():
    found = account([op(0, 150), op(180, 400), op(300, 500, thread=1)], 100, 200)
    assert (found.busy, list(found.gaps)) == (70, [30])
    assert list(found.in_flight) == [50, 20, 0]


def test_the_time_of_an_op_is_less_that_of_ops_inside_it():
    ops = [op(0, 100), op(10, 40), op(20, 30), op(60, 70)]
    assert list(account(ops, 0, 100).in_flight) == [60, 20, 10, 10]
    assert account(ops, 0, 100).busy == 100


def test_an_op_that_continues_on_another_thread_contains_no_ops():
    """The thread that began it is through with it at 10, and runs another one while it goes on."""
    ops = [op(0, 100, left=10), op(20, 30), op(2, 4)]
    found = account(ops, 0, 100)
    assert list(found.in_flight) == [98, 10, 2]
    assert list(found.apportioned) == [93, 5, 2]


def test_one_that_is_inside_and_goes_on_after():
    assert sorted(own_parts([op(0, 50), op(10, 90, left=20)])) == [(0, 0, 10), (0, 20, 50), (1, 10, 90)]


def test_ops_of_different_threads_are_not_inside_each_other():
    assert list(account([op(0, 100), op(10, 40, thread=1)], 0, 100).in_flight) == [100, 30]


def test_ops_without_a_length_take_nothing():
    found = account([op(5, 5), op(0, 10), op(10, 10)], 0, 10)
    assert list(found.in_flight) == [0, 10, 0]
    assert list(found.gaps) == []


OPS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 20), st.integers(0, 20), st.integers(0, 3)).map(
        lambda each: op(each[0], each[0] + each[1] + each[2], left=each[0] + each[1], thread=each[3])
    ),
    max_size=12,
)


@given(OPS)
def test_busy_time_and_gaps_make_up_the_stretch(ops):
    found = account(ops, 10, 60)
    assert found.busy + found.gaps.sum() == 50
    assert found.apportioned.sum() == pytest.approx(found.busy)
    assert (found.apportioned <= found.in_flight + 1e-9).all()


@given(OPS)
def test_busy_is_every_moment_with_an_op_in_flight(ops):
    moments = {moment for each in ops for moment in range(each.begin, each.end)}
    assert account(ops, 10, 60).busy == len(moments & set(range(10, 60)))


def test_a_summary_of_a_stretch():
    found = profile()
    assert (found.device, found.stretch, found.busy, found.busy_share) == ("CPU", 2.0, 1.0, 0.5)
    assert found.gaps.model_dump() == {"count": 1, "longest": 1.0, "seconds": 1.0}
    assert found.overlap == 1.5
    assert found.overhead == pytest.approx(2 / 1.25 - 1)
    assert found.cores == 2.0


def test_ops_together_by_name_and_by_kind_with_most_first():
    runs = [op(0, 1), op(2, 7, name="MatMul.1", kind="MatMul"), op(8, 11, name="MatMul.2", kind="MatMul"), op(12, 13)]
    found = profile(
        ops=[op(each.begin * SECOND // 10, each.end * SECOND // 10, None, each.name, each.kind) for each in runs]
    )
    assert [(each.name, each.kind, each.count) for each in found.ops] == [
        ("MatMul.1", "MatMul", 1),
        ("MatMul.2", "MatMul", 1),
        ("a", "a", 2),
    ]
    assert [(each.name, each.kind, each.count) for each in found.kinds] == [("MatMul", "MatMul", 2), ("a", "a", 2)]
    assert [each.apportioned for each in found.kinds] == pytest.approx([0.8, 0.2])
    assert [each.in_flight for each in found.ops] == pytest.approx([0.5, 0.3, 0.2])


def test_an_idle_device_has_no_overlap():
    found = profile(ops=[])
    assert (found.busy, found.overlap, found.gaps.count, found.ops, found.kinds) == (0.0, None, 1, (), ())
