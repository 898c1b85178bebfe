import types

import pytest
from runs import config, item

from loop_bench.cli import outlook
from loop_bench.cli.outlook import Outlook
from loop_bench.experiments.run.stages import LEAST_ROUNDS, MOST_ROUNDS, TOTAL, Pace, Stage

SLOW = Pace(start=20.0, first_batch={"before": 3.0, "after": 15.0}, batch={"before": 0.1, "after": 0.05})
ITEMS = [
    item("test_host_syncs[before]", stage=Stage.SYNCS),
    item("test_host_syncs[after]", stage=Stage.SYNCS),
    item("test_time_per_batch[before]", stage=Stage.ROUNDS),
    item("test_time_per_batch[null]", stage=Stage.ROUNDS),
    item("test_time_per_batch[after]", stage=Stage.ROUNDS),
    item("test_equivalence", stage=Stage.EQUIVALENCE),
    item("test_experiment[ladder]", is_experiment="ladder"),
    item("test_survival", stage=Stage.SURVIVAL),
    item("test_utilisation", stage=Stage.UTILISATION),
]
SYNCS, _, ROUNDS, NULL, _, EQUIVALENCE, LADDER, SURVIVAL, UTILISATION = ITEMS


@pytest.fixture(autouse=True)
def young(monkeypatch):
    monkeypatch.setattr(outlook, "age", lambda: 10.0)
    monkeypatch.setattr(outlook.pool, "workers", lambda: 2)


def of(pace=None, items=ITEMS, **given):
    return Outlook(config(**given), items, lambda: pace and types.SimpleNamespace(pace=pace))


def test_stages_are_expected_to_take_what_the_machine_has_shown():
    found = of(SLOW)
    assert found.seconds(SYNCS) == pytest.approx(100 * 0.1)  # it is built already
    assert found.seconds(EQUIVALENCE) > 18.0 + 60 * 0.15
    assert found.seconds(UTILISATION) > 18.0 + 2 * 3.0
    assert found.seconds(SURVIVAL) > 0
    assert found.seconds(NULL) == 0  # all rounds are in the first row
    assert all(of().seconds(each) < found.seconds(each) for each in (EQUIVALENCE, SURVIVAL, UTILISATION))


def test_what_is_left_out_takes_no_time():
    found = of(survival="none", utilisation="0", before="toys:plain", after="toys:reading")
    assert [found.seconds(each) for each in (EQUIVALENCE, LADDER, SURVIVAL, UTILISATION)] == [0, 0, 0, 0]
    assert of(ladder=True).seconds(LADDER) > 800


def test_what_is_left_out_is_not_expected():
    found = of(survival="none")
    assert found.expects(Stage.SURVIVAL, Stage.UTILISATION)
    assert not found.expects(Stage.SURVIVAL)
    found.finished(UTILISATION)
    assert not found.expects(Stage.SURVIVAL, Stage.UTILISATION)


@pytest.mark.parametrize(
    ("given", "limited"), [({}, False), ({"max_time": "7"}, True), ({"rounds": "9"}, True), ({"max_syncs": "1"}, False)]
)
def test_only_the_user_can_ask_for_too_few_rounds(given, limited):
    assert of(**given).is_limited_by_user == limited


def test_rounds_have_what_the_rest_of_the_run_leaves():
    found = of(SLOW, [ROUNDS, NULL, EQUIVALENCE])
    rest = found.seconds(EQUIVALENCE) + found.closing()
    assert found.limit_rounds() == pytest.approx(min(MOST_ROUNDS, TOTAL - 10.0 - rest))
    assert of(SLOW).limit_rounds() < of().limit_rounds() <= MOST_ROUNDS
    slower = Pace(first_batch={"before": 30.0, "after": 150.0})
    assert of(slower).limit_rounds() == LEAST_ROUNDS
    assert of(SLOW, [ROUNDS]).limit_rounds() == MOST_ROUNDS


def test_finished_tests_do_not_count_as_remaining():
    found = of(SLOW, [SYNCS, ROUNDS, EQUIVALENCE, SURVIVAL])
    before = found.seconds(ROUNDS)
    found.finished(SYNCS)
    assert found.seconds(ROUNDS) == pytest.approx(before + found.seconds(SYNCS))


def test_the_rounds_limit_is_the_users_where_there_is_one_and_holds_once_it_is_said():
    assert of(SLOW, max_time="7").limit_rounds() == 7.0
    assert of(SLOW, max_syncs="1").limit_rounds() == MOST_ROUNDS  # a gate has to be sure
    found = of(SLOW)
    limit = found.limit_rounds()
    for each in ITEMS[5:]:
        found.finished(each)
    assert found.limit_rounds() == limit


def test_a_number_of_rounds_takes_their_training_time():
    assert of(SLOW, rounds="10", batches="5").seconds(ROUNDS) == pytest.approx(3.0 + 11 * 5 * 0.25)
