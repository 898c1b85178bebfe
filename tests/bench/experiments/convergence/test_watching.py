import pytest
import toys

from bench.errors import UsageError
from bench.experiments.convergence.watching import follow
from bench.loop import LoopSpec, out_of_memory


def followed(epochs=2, every=None, seed=0, factory=toys.rated, **options):
    return follow("toys:rated", factory, LoopSpec("any", seed, options), epochs, every)


def test_it_is_evaluated_before_the_first_batch_and_after_every_epoch():
    found = followed()
    assert (found.ended, found.why, found.seed) == ("whole", "", 0)
    assert [moment.batch for moment in found.moments] == [0, 3, 6]
    assert [moment.temperature for moment in found.moments] == [1.0, 0.25, pytest.approx(1 / 7)]
    distances = [moment.quality["distance ↓"] for moment in found.moments]
    assert distances[0] == 2.0
    assert distances == sorted(distances, reverse=True)
    alone = toys.Rated()
    alone.run(6)
    assert found.moments[-1].quality == alone.evaluate()


def test_only_training_counts_as_time(monkeypatch):
    from bench.timing import clock

    monkeypatch.setattr(clock, "seconds_for", lambda loop, batches: loop.run(batches) or 2.0)
    assert [moment.seconds for moment in followed().moments] == [0.0, 2.0, 4.0]


def test_another_stride_and_a_loop_that_says_none():
    assert [moment.batch for moment in followed(every=5).moments] == [0, 5, 10]

    def silent(spec):
        loop = toys.Rated()
        loop.describe = dict
        return loop

    with pytest.raises(UsageError, match=r"does not say in describe\(\) how many batches_per_epoch it has"):
        followed(factory=silent)
    found = followed(factory=silent, every=1)
    assert [moment.temperature for moment in found.moments] == [None] * 3


def test_what_it_dies_of_is_a_result_beside_what_was_seen():
    found = followed(epochs=4, dies_after=6)
    assert (found.ended, found.why) == ("crashed", "ArithmeticError: loss is NaN")
    assert [moment.batch for moment in found.moments] == [0, 3, 6]


def test_memory_that_runs_out_while_it_is_made_is_a_result():
    def large(spec):
        raise MemoryError("too large")

    with pytest.raises(UsageError, match="MemoryError: too large") as caught:
        followed(factory=large)
    assert out_of_memory(caught.value.__cause__)  # which the engine takes for a crash


def test_a_loop_that_does_not_say_how_good_it_is_is_a_wrong_question():
    with pytest.raises(UsageError, match=r"has no evaluate\(\)"):
        followed(factory=toys.plain)
    with pytest.raises(UsageError, match="factory 'toys:rated': failed"):
        followed(nonsense=1)


def test_loops_that_begin_alike_say_so():
    starts = [followed(epochs=1, seed=seed, says=says).start for seed, says in ((0, "a"), (0, "b"), (1, "a"))]
    assert starts[0] == starts[1] != starts[2]
