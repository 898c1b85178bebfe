import pytest
import toys
from ladders import ladder

from bench.errors import UsageError
from bench.experiments.ladder import examination
from bench.experiments.ladder.examination import BATCHES, examine
from bench.experiments.ladder.plan import Rung
from bench.loop import LoopSpec

BASELINE = Rung(name="baseline", factory="toys:plain", group="baseline")
SPEC = LoopSpec("tiny", 3)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(examination, "warm_up_tensorflow", lambda: None)
    monkeypatch.setattr(examination, "BATCHES", 20)


def rung(factory, **changes):
    return Rung(**{"name": "r", "factory": factory, "group": "step", "equivalent_options": {}, **changes})


def test_enough_batches_for_what_happens_once_in_ten():
    assert BATCHES == 100


def test_of_a_loop_that_reads_each_batch():
    found = examine(rung("toys:reading"), BASELINE, SPEC)
    assert found.host_syncs.reads_per_batch == 1.05  # and the history
    assert found.start.seconds > 0
    assert found.memory.of == "resident set"
    assert (found.equivalence.equal, found.died) == (True, "")
    assert "bit for bit" in found.equivalence.reason


def test_of_one_that_computes_something_else():
    found = examine(rung("toys:lazy"), BASELINE, SPEC).equivalence
    assert not found.equal
    assert "from the same state" in found.reason


def test_the_baseline_is_not_compared_with_itself():
    assert examine(BASELINE, BASELINE, SPEC).equivalence is None
    assert examine(rung("toys:reading", equivalent_options=None), BASELINE, SPEC).equivalence is None


def test_options_are_those_of_the_rung_and_of_equivalence_only_there(monkeypatch):
    built = []
    monkeypatch.setattr(toys, "guarded", lambda spec: (built.append(spec), toys.Guarded(spec.seed))[1])
    monkeypatch.setattr(toys, "plain", lambda spec: (built.append(spec), toys.Quadratic(spec.seed))[1])
    before = BASELINE.model_copy(update={"options": {"script": "a"}})
    examine(rung("toys:guarded", options={"window": 1, "clip": 5}, equivalent_options={"clip": 9}), before, SPEC)
    assert [dict(spec.options) for spec in built] == [
        {"window": 1, "clip": 5},
        {"script": "a", "clip": 9},
        {"window": 1, "clip": 9},
    ]
    assert {(spec.preset, spec.seed) for spec in built} == {("tiny", 3)}


def test_a_wrong_factory_is_the_users():
    with pytest.raises(UsageError, match="toys has no nope"):
        examine(rung("toys:nope"), ladder().baseline, SPEC)
