import math

import pytest
from convergences import DOWN, course

from bench.experiments.convergence.course import Course, Moment


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
