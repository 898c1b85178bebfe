import types

import pytest
from survivals import survival_record

from bench import survive
from bench.faults.experiment import SurvivalRecord


def test_leaves_record_tables_and_plots(tmp_path):
    record = survival_record()
    paths = survive.leave(record, tmp_path / "new")
    assert [path.name for path in paths[:2]] == ["survival.json", "survival.md"]
    assert {path.suffix for path in paths[2:]} == {".png", ".svg"}
    assert all(path.stat().st_size for path in paths)
    assert SurvivalRecord.read(paths[0]).model_dump_json() == record.model_dump_json()


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
    monkeypatch.setattr(survive.devices, "state", lambda: {"gpus": gpus})
    assert survive.workers() == workers
