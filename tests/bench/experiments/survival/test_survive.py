import types

import pytest

from bench.experiments.survival import survive


@pytest.mark.parametrize(
    ("gpus", "gibibytes", "workers"),
    [
        ([], 100, 3),
        ([], 6, 3),
        ([], 5.9, 2),
        ([], 1, 1),
        ([], 0, 1),
        ([{"name": "a GPU"}], 100, 1),
    ],
)
def test_a_process_has_a_core_and_memory_and_no_other_on_its_gpu(monkeypatch, gpus, gibibytes, workers):
    memory = types.SimpleNamespace(available=int(gibibytes * 2**30))
    monkeypatch.setattr(survive.os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(survive.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(survive.gpu, "states", lambda: gpus)
    assert survive.workers() == workers
