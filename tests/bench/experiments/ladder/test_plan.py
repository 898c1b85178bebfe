import pytest
from ladders import GROUPS, ladder

from loop_bench.experiments.ladder.plan import Ladder
from loop_bench.settings import NULL


def test_each_rung_is_compared_with_the_one_that_differs_by_one_change():
    made = ladder()
    references = {rung.name: made.reference(rung) for rung in made.rungs}
    assert {name: rung and rung.name for name, rung in references.items()} == {
        "baseline": None,
        "deferred metrics": "baseline",
        "guarded clipping": "deferred metrics",
        "fused step": "guarded clipping",
        "everything": "fused step",
        "no fused step": "everything",
        "no deferred metrics": "everything",
    }
    assert (made.baseline.name, made.full.name) == ("baseline", "everything")


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"a": "baseline"},
        {"a": "step"},
        {"a": "step", "b": "baseline"},
        {"a": "baseline", "b": "left out"},
        {"a": "baseline", "b": "left out", "c": "step"},
        {"a": "baseline", "b": "baseline", "c": "step"},
    ],
)
def test_other_orders_are_no_ladder(groups):
    with pytest.raises(ValueError, match="a ladder is baseline, step, …, left out, …; not"):
        Ladder(
            **{**ladder().model_dump(), "rungs": [{"name": n, "factory": "a:b", "group": g} for n, g in groups.items()]}
        )


@pytest.mark.parametrize("names", [("a", "a"), ("a", NULL)])
def test_names_tell_rungs_apart(names):
    rungs = [{"name": n, "factory": "a:b", "group": g} for n, g in zip(names, ("baseline", "step"), strict=True)]
    with pytest.raises(ValueError, match="unique names"):
        Ladder(**{**ladder().model_dump(), "rungs": rungs})


@pytest.mark.parametrize("broken", [{"batches": 0}, {"seed": -1}, {"surprise": 1}])
def test_is_checked_when_it_is_made(broken):
    with pytest.raises(ValueError, match=next(iter(broken))):
        ladder(**broken)


def test_json_brings_it_back():
    made = ladder(groups=GROUPS)
    assert Ladder.model_validate_json(made.model_dump_json()) == made
