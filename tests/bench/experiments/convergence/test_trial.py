import math

import pytest
import toys
import trials
from convergences import DOWN, course, plan

from loop_bench.errors import UsageError
from loop_bench.experiments.convergence import trial as module
from loop_bench.experiments.convergence.trial import ConvergenceTrial, Course, Moment, follow
from loop_bench.failure import out_of_memory
from loop_bench.jobs.trial import attempt
from loop_bench.loop import LoopSpec


def trial(**changes):
    values = {"loop": "after", "factory": "toys:rated", "preset": "any", "seed": 2, "epochs": 2, "time_limit": 60.0}
    return ConvergenceTrial(**{**values, **changes})


def test_a_key_says_all_that_makes_a_difference():
    keys = {
        each.key
        for each in (
            trial(options={"a": 1, "b": 2}),
            trial(options={"b": 2, "a": 1}, time_limit=9.0),  # the same
            trial(options={"a": 1}),
            trial(seed=3),
            trial(epochs=3),
            trial(every=3),
        )
    }
    assert len(keys) == 5


def test_a_person_knows_it_by_loop_and_seed():
    last = plan().trials()[-1]
    assert (last.title, last.time_limit) == ("after, fixed, seed 2", 3600.0)
    assert last.loops == (("my.aft:make", {"held_out": 0.1}),)


def test_a_process_that_was_killed_has_seen_nothing():
    result = trials.died(trial(), "timed out", "took longer")
    assert (module.course(trial(), result).seed, module.course(trial(), result).flaw) == (2, "timed out: took longer")


def test_a_loop_is_followed():
    result = attempt(trial())
    assert result.found == module.course(trial(), result)
    assert (result.found.ended, [moment.batch for moment in result.found.moments]) == ("whole", [0, 3, 6])


def test_a_loop_that_is_not_to_be_had_is_no_result():
    with pytest.raises(UsageError, match=r"^loop 'toys:plain' \(after\) has no evaluate\(\)"):
        attempt(trial(factory="toys:plain"))


def test_a_whole_run_with_finite_numbers_has_no_flaw():
    assert course("after").flaw == ""


def test_a_run_that_died_says_of_what():
    assert course("after", ended="crashed", why="out of memory").flaw == "crashed: out of memory"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_whose_quality_is_no_number_is_flawed_and_survives_json(value):
    moments = tuple(Moment(batch=batch, seconds=0, quality={DOWN: at}) for batch, at in ((0, 1.0), (20, value)))
    run = Course(seed=0, ended="whole", moments=moments)
    assert run.flaw == f"{DOWN} was not finite after 20 batches"
    again = Course.model_validate_json(run.model_dump_json())
    assert str(again.moments[1].quality[DOWN]) == str(value)


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
    from loop_bench.timing import clock

    monkeypatch.setattr(clock, "seconds_for", lambda loop, batches: loop.run(batches) or 2.0)
    assert [moment.seconds for moment in followed().moments] == [0.0, 2.0, 4.0]


def test_another_stride_and_a_loop_that_says_none():
    assert [moment.batch for moment in followed(every=5).moments] == [0, 5, 10]

    def silent(spec):
        loop = toys.Rated()
        loop.describe = dict
        return loop

    with pytest.raises(UsageError, match=r"describe\(\) lacks batches_per_epoch"):
        followed(factory=silent)
    found = followed(factory=silent, every=1)
    assert [moment.temperature for moment in found.moments] == [None] * 3


def test_the_cause_of_a_crash_is_a_result_beside_the_evaluations():
    found = followed(epochs=4, dies_after=6)
    assert found.ended == "crashed"
    assert found.why.startswith("loop 'toys:rated': run() failed with ArithmeticError: loss is NaN, at ")
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
