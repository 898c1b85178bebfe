"""Parts of the script on records, with a few hundred simulated trials."""

import collections

import pytest

from loop_bench.experiments import registry
from loop_bench.experiments.survival import outcome
from loop_bench.experiments.survival.clean_run import CleanRun
from loop_bench.settings import ARMS

pytestmark = pytest.mark.usefixtures("scaling_scripts", "undrawn")

COUNT = 300
HERE = {"cpu": "of some kind", "cores": 2, "gpus": [], "versions": {"tensorflow": "2.21.0"}, "python": "3.11"}


@pytest.fixture(scope="module")
def simulation(scaling_scripts):
    import simulation

    return simulation


@pytest.fixture(scope="module")
def records(scaling_scripts, load_script):
    return load_script("scaling/records.py")  # by its path, for tests/ has a module of this name


@pytest.fixture(scope="module")
def judged(simulation):
    plan = simulation.plan(COUNT)
    return outcome.record(plan, simulation.SimulatedResults(plan.trials()), HERE, plan.loops["before"].faults[:1])


def test_the_plan_is_the_pairs_with_as_many_seeds_as_it_takes(simulation):
    plan = simulation.plan(COUNT)
    assert [*plan.loops][:2] == [*ARMS]
    assert COUNT <= len(plan.trials()) < COUNT + len(plan.trials()) / len(plan.seeds)


def test_what_is_simulated_is_judged_to_be_what_it_was_made_to_be(simulation, judged):
    """All kinds of outcomes are there, in about their shares: judging has all its work to do."""
    found = collections.Counter(each.outcome for each in judged.survivals["before"])
    assert {"poisoned weights", "crashed", "frozen", "survived"} <= {*found}
    after = collections.Counter(each.outcome for each in judged.survivals["after"])
    assert after["skipped"] > after["survived"] > 0
    assert all(each.tested for each in judged.survivals["before"])


def test_a_simulated_result_is_as_long_as_a_real_one(simulation):
    """One of the built-in pair at preset tiny has 44 KB with 81 batches."""
    plan = simulation.plan(COUNT)
    kilobytes = len(simulation.result(plan.faulty("after", 0, "nan")).model_dump_json()) / 1000
    assert 35 < kilobytes < 55


def test_the_groups_leave_what_the_next_ones_read(records, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "READS", 10)
    took = [group(tmp_path, COUNT, HERE) for group in (records.fill, *records.GROUPS)]
    assert registry.read(tmp_path / "record.json").environment == HERE
    (count,) = {len([*(tmp_path / "trials").glob("*.json")]) - 1, took[1].sizes["trials"]}  # and one on the machine
    assert count >= COUNT
    page = records.markdown.render(records.table(took), records.notes(took, 1, {**HERE, "processor": {}}))
    for step in (step for each in took for step in each.steps):
        assert step.seconds >= 0
        assert f"| {step.name} " in page
    assert f"{count} simulated trials" in page


def test_a_hundred_times_the_trials_is_a_hundred_times_the_work_and_not_more(simulation, monkeypatch):
    """One clean run a loop and seed, and each result read once, however many trials there are."""
    for seeds in (1, 3):
        plan = simulation.plan(COUNT).model_copy(update={"seeds": tuple(range(seeds))})
        asked, built = collections.Counter(), []
        results = simulation.SimulatedResults(plan.trials())

        class Asked(simulation.SimulatedResults):
            def __getitem__(self, key, asked=asked, results=results):
                asked[key] += 1
                return results[key]

        monkeypatch.setattr(outcome, "CleanRun", lambda seen, built=built: built.append(seen) or CleanRun(seen))
        outcome.record(plan, Asked([]), HERE)
        assert len(built) == seeds * len(plan.loops)
        assert {*asked.values()} == {1}
        assert len(asked) == len(plan.trials())
