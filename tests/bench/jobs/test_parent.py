from loop_bench.jobs import parent


def test_dies_first_when_memory_runs_out(tmp_path):
    score = tmp_path / "oom_score_adj"
    parent.die_first(score)
    assert score.read_text() == "1000"
    parent.die_first(tmp_path / "nowhere" / "oom_score_adj")  # as on a system that has none
