import pytest
import toys

from loop_bench.errors import UsageError
from loop_bench.experiments.run.subject import Subject
from loop_bench.experiments.syncs.record import HostSyncs, TracedFunction
from loop_bench.failure import FactoryError, LoopError
from loop_bench.loop import as_made
from loop_bench.timing.work import Work


def subject(factory="toys:reading", seed=0, **options):
    return Subject(factory, "any", seed, options, "after")


def started(*what, **options):
    found = subject(*what, **options)
    found.start()
    return found


def trained(found):
    """Batches that its loop has trained."""
    return len(as_made(found._loop).losses)


def test_it_is_built_as_was_asked():
    found = started("toys:rated", 3, says="score ↑")
    assert as_made(found._loop).says == "score ↑"
    assert float(as_made(found._loop).weight.numpy()[0]) == pytest.approx(1.03, abs=0.02)  # by its seed


def test_building_one_is_not_starting_it(monkeypatch):
    built = []
    monkeypatch.setattr(toys, "reading", lambda spec: built.append(spec.seed) or toys.Quadratic())
    found = subject(seed=5)
    found.build()
    assert built == [5]
    with pytest.raises(AssertionError, match=r"start\(\) comes first"):
        found.train(1)


def test_a_process_of_its_own_does_once_what_it_does_only_once(monkeypatch):
    order = []
    monkeypatch.setattr(toys, "reading", lambda spec: order.append("built") or toys.Quadratic())
    monkeypatch.setattr(toys.tf, "matmul", lambda *x: order.append("computed") or x[0])
    subject().warm_up()
    assert order[0] == "built"
    assert "computed" in order


def test_starting_is_the_first_batch_alone():
    found = subject()
    built, first = found.start()
    assert min(built, first) > 0
    assert trained(found) == 1


def test_it_knows_how_far_it_has_trained():
    found = started()
    assert found.count(10, False)["batches"] == 10
    assert 0 < found.train(3) < 60
    assert found.train(2) > 0
    work = Work(**found.work())
    assert (work.batches, trained(found)) == (16, 16)
    assert work.problems() == []
    assert [name for name in work.moved if "generator/weight" in name] == [*work.moved]


def test_what_it_says_are_the_fields_of_a_record():
    found = started()
    syncs = HostSyncs.model_validate(found.count(10, False))
    assert syncs.reads_per_batch == 1.1
    assert found.traced() == []
    assert 0 < found.touch_seconds() < 1


def test_traces_are_those_of_blocks_since_it_is_watched(monkeypatch):
    found = started("toys:plain")
    loop = as_made(found._loop)

    def retrace():
        loop.step = toys.tf.function(loop._step)

    retrace()
    found.train(1)  # not watched
    found.watch()
    found.train(1)
    assert found.traced() == []
    retrace()
    found.train(2)
    (traced,) = [TracedFunction(**each) for each in found.traced()]
    assert (traced.traces, traced.function.rpartition(".")[2]) == (1, "_step")
    found.watch()
    assert found.traced() == []


def test_what_the_loop_said_after_its_first_batch_is_kept():
    found = started("toys:rated")
    first = found.described()
    found.train(3)
    assert first == found.described() == {"batches_per_epoch": 3, "temperature": 0.5}
    assert found.work()["described"]["temperature"] == 0.2
    first["temperature"] = 9  # is the caller's
    assert found.described()["temperature"] == 0.5


@pytest.mark.parametrize(
    ("factory", "kind", "says"),
    [
        ("toys:broken", FactoryError, "factory 'toys:broken' (after): failed with KeyError"),
        ("toys:doomed", LoopError, "loop 'toys:doomed' (after): run() failed with RuntimeError"),
        ("toys:no_history", UsageError, "factory 'toys:no_history' (after): its NoHistory has no method history()"),
    ],
)
def test_what_fails_names_its_arm(factory, kind, says):
    with pytest.raises(kind) as caught:
        started(factory)
    assert str(caught.value).startswith(says)


def test_a_factory_that_is_not_there_is_known_at_once():
    with pytest.raises(UsageError, match="toys has no nothing"):
        subject("toys:nothing")
