import pytest
from telemetries import on_cpu
from trials import Door, died

from bench.errors import UsageError
from bench.experiments.telemetry.trial import TelemetryTrial, watch
from bench.jobs.trial import attempt
from bench.settings import Settings

SETTINGS = Settings(before="toys:plain", after="toys:failing", preset="any", seed=3, batches=2, options={"size": 1})


def of(**changes):
    values = {"name": "before", "factory": "toys:plain", "preset": "tiny", "seed": 3, "batches": 10, "seconds": 5.0}
    return TelemetryTrial(**{**values, **changes})


def test_whatever_makes_a_difference_makes_another_key():
    made = [of(), of(name="after"), of(seed=4), of(preset="paper"), of(factory="a:b"), of(batches=9), of(seconds=1.0)]
    assert len({each.key for each in made}) == len(made)  # the same loop twice, too, is watched twice
    assert of(time_limit=1.0).key == of().key
    assert of(options={"a": 1, "b": 2}).key == of(options={"b": 2, "a": 1}).key


def test_it_has_time_for_the_stretch():
    made = TelemetryTrial.of(SETTINGS, "after", 600.0)
    assert (made.title, made.factory, made.time_limit) == ("after", "toys:failing", 3000.0)
    assert made.loops == (("toys:failing", {"size": 1}),)


def test_a_wrong_factory_is_no_result():
    with pytest.raises(UsageError, match="toys has no nope"):
        attempt(of(factory="toys:nope"))


def test_each_arm_has_its_trial_and_a_crash_is_a_result(tmp_path):
    door, told = Door(lambda trial: died(trial) if trial.name == "after" else on_cpu()), []
    found = watch(SETTINGS, 2.5, tmp_path, told.append, door)
    assert told == ["before", "after"]
    assert door.workers == 1  # each is to have the machine to itself
    assert found["before"] == on_cpu()
    assert found["after"].died == "crashed: of something"
    first, second = door.asked
    assert (first.factory, second.factory) == ("toys:plain", "toys:failing")
    assert {(each.preset, each.seed, each.batches, each.seconds) for each in door.asked} == {("any", 3, 2, 2.5)}
    assert first.options == {"size": 1}


def test_real_processes(tmp_path):
    """One that comes to its end, one that dies while it is warmed up."""
    found = watch(SETTINGS, 0.3, tmp_path)
    assert found["before"].stretch.cpu_seconds > 0
    assert found["before"].stretch.samples
    assert found["after"].died == "crashed: RuntimeError: out of something"
