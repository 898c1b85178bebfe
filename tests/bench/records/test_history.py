import numpy as np
import pytest
from records import arm, record

from loop_bench.errors import UsageError
from loop_bench.records import history, references


def write(folder, **changes):
    return record(**changes).write(folder)


def test_oldest_first_whatever_the_names(tmp_path):
    paths = [write(tmp_path / f"{9 - day}", minutes=day, seed=day) for day in range(3)]
    ((found,), unreadable) = history.read(tmp_path)
    assert [entry.path for entry in found.entries] == paths
    assert found.entries[0].ms == pytest.approx({"before": 60.0, "after": 30.0}, rel=0.01)
    assert found.entries[0].speed_up.holds(2.0)
    assert unreadable == []


def test_machines_loops_and_settings_are_histories_of_their_own(tmp_path):
    kinds = [
        {},
        {"environment": {"cores": 4}},
        {"settings": {"preset": "paper"}},
        {"arms": {"after": arm("c:other")}},
    ]
    for kind in kinds:
        for minutes in range(2):
            write(tmp_path, minutes=minutes, **kind)
    found, _ = history.read(tmp_path)
    assert [len(each.entries) for each in found] == [2] * 4


def test_a_new_tensorflow_is_history_and_not_another_one(tmp_path):
    write(tmp_path)
    write(tmp_path, minutes=1, environment={"versions": {"tensorflow": "2.22.0", "keras": "3.15.1"}})
    (found,), _ = history.read(tmp_path)
    assert len(found.entries) == 2


def test_what_cannot_be_read_is_named_and_left_out(tmp_path):
    write(tmp_path)
    (tmp_path / "half.json").write_text(record().model_dump_json()[:1000])
    write(tmp_path, minutes=1, count=3)  # too short to say anything
    write(tmp_path, minutes=2, problems=("after: no weight has moved",))
    ((found,), left_out) = history.read(tmp_path)
    assert len(found.entries) == 1
    assert sorted(text.split(": ", 1)[1].split(":")[0] for text in left_out) == [
        "invalid",
        "invalid",
        "no whole record (the file",
    ]


def test_a_reference_is_not_counted_twice(tmp_path):
    write(tmp_path / "runs")
    references.accept(record(), tmp_path)
    ((found,), left_out) = history.read(tmp_path)
    assert (len(found.entries), left_out) == (1, [])


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match=r"no valid record in it$"):
        history.read(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        history.read(tmp_path / "none")


def test_the_record_where_a_level_changes_is_marked():
    found = history.of(
        {f"{day}.json": record(minutes=day, after=0.030 if day < 6 else 0.036, seed=day) for day in range(12)}
    )
    assert [entry.changed for entry in found.entries] == [()] * 6 + [("ms/batch after", "ratio")] + [()] * 5


@pytest.mark.parametrize(
    ("length", "histories", "wrong"),
    [
        (8, 100, 10),
        (10, 100, 4),
        (20, 50, 1),
        *(pytest.param(length, 200, 4, marks=pytest.mark.slow) for length in (20, 50)),
    ],
)
def test_changes_are_found_and_noise_is_not(length, histories, wrong):
    random = np.random.default_rng(0)
    false = missed = 0
    for _ in range(histories):
        steady = random.lognormal(0, 0.02, length)
        false += bool(history.change_points(steady))
        changed = steady * np.where(np.arange(length) < length // 2, 1.0, 1.1)
        missed += history.change_points(changed) != [length // 2]
    assert false <= wrong
    assert missed <= 0.3 * histories


def test_few_records_have_no_change():
    assert history.change_points([1.0, 1.01, 1.0, 1.01, 9.0, 9.01, 9.0]) == []
    assert history.change_points([1.0] * 20) == []
