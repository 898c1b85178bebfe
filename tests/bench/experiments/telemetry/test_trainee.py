import json

import pytest

from loop_bench.errors import UsageError
from loop_bench.experiments.telemetry import training
from loop_bench.experiments.telemetry.trainee import Trainee
from loop_bench.experiments.telemetry.training import Trained
from loop_bench.failure import LoopError


def test_what_it_says_is_plain(monkeypatch):
    monkeypatch.setattr(training, "WARM_UP", 0.05)
    trainee = Trainee("toys:plain", "any", 3, {})
    built, first = trainee.start()
    assert built > 0
    assert first > 0
    found = trainee.train(2, 0.1)
    assert Trained(**json.loads(json.dumps(found))).batches == found["batches"]
    assert found["batches"] % 2 == 0
    assert found["ended"] - found["began"] > 0


def test_a_loop_that_fails_names_its_arm():
    trainee = Trainee("toys:doomed", "any", 3, {}, "after")
    with pytest.raises(LoopError, match=r"^loop 'toys:doomed' \(after\): run\(\) failed"):
        trainee.start()


def test_a_wrong_factory_is_said_before_anything_is_begun():
    with pytest.raises(UsageError, match="toys has no nope"):
        Trainee("toys:nope", "any", 3, {})
