import math

import pytest
import trials
from convergences import DOWN, course, plan

from bench.errors import UsageError
from bench.experiments.convergence import trial as module
from bench.experiments.convergence.trial import ConvergenceTrial, Course, Moment
from bench.jobs.trial import attempt


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
    with pytest.raises(UsageError, match=r"^Quadratic has no evaluate\(\)"):
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
