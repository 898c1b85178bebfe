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


def test_a_process_a_core_and_one_where_a_gpu_is_shared(monkeypatch):
    monkeypatch.setattr(survive.os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(survive.devices, "state", lambda: {"gpus": []})
    assert survive.workers() == 3
    monkeypatch.setattr(survive.devices, "state", lambda: {"gpus": [{"name": "a GPU"}]})
    assert survive.workers() == 1
