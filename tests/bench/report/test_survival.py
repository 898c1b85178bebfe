import pytest
from survivals import NAN, SPIKE, survival_record

from bench.report import survival


def cells(frame):
    return {row[0]: tuple(row[1:]) for row in frame.itertuples(index=False)}


def test_shares_of_one_bad_batch_by_its_size():
    found = cells(survival.by_magnitude(survival_record()))
    assert found == {  # an element of a gradient is another fault
        "× 10000": ("0 of 4 alive (0% to 49%): 4 frozen", "4 of 4 alive (51% to 100%): 4 survived"),
        "NaN": ("0 of 4 alive (0% to 49%): 3 crashed, 1 poisoned weights", "4 of 4 alive (51% to 100%): 4 skipped"),
    }


def test_every_fault_with_what_could_not_be_tested():
    found = cells(survival.by_fault(survival_record(), ("before", "after")))
    assert list(found) == [
        "gradients × 10000, generator",
        "NaN gradients, generator",
        "NaN gradients in one element, all networks",
    ]
    assert found["NaN gradients in one element, all networks"][1] == (
        "3 of 3 alive (44% to 100%): 3 skipped, 1 not tested"
    )


def test_the_ladder_has_the_faults_that_all_rungs_have_and_ends_with_the_loop_after():
    tables = dict(survival.tables(survival_record()))
    ladder = tables["the ladder of protections"]
    assert list(ladder.columns) == ["fault", "after, clip", "after"]
    assert cells(ladder) == {
        "NaN gradients, generator": (
            "0 of 4 alive (0% to 49%): 4 poisoned weights",
            "4 of 4 alive (51% to 100%): 4 skipped",
        )
    }


def test_how_those_ended_that_did_not_come_through():
    found = survival.deaths(survival_record())
    assert list(found.itertuples(index=False, name=None)) == [
        ("gradients × 10000, generator", "before", "4", "frozen", "because"),
        ("NaN gradients, generator", "before", "3", "crashed", "because"),
        ("NaN gradients, generator", "before", "1", "poisoned weights", "because"),
        ("NaN gradients in one element, all networks", "before", "4", "crashed", "because"),
    ]


def test_long_runs_without_a_fault():
    assert cells(survival.undisturbed(survival_record())) == {
        "before": ("4", "2000", "1 of 4 (5% to 70%)"),
        "after": ("4", "2000", "0 of 4 (0% to 49%)"),
    }


def test_empty_tables_are_left_out():
    record = survival_record(undisturbed={})
    plan = record.plan.only((SPIKE, NAN), ("before", "after"))
    titles = [title for title, _ in survival.tables(record.model_copy(update={"plan": plan}))]
    assert titles == ["one batch of gradients gone wrong, all networks", "every fault", "how the others ended"]


def test_markdown_says_what_must_be_known():
    text = survival.markdown(survival_record())
    for told in (
        "### The ladder of protections",
        "### 100 epochs without a fault",
        "| NaN gradients, generator",
        "before: my.bef:make",
        "seeds 0 to 3; runs with a fault: 12 of before, 12 of after, 4 of after, clip",
        "2 cores of a CPU",
        "commit abcdef012",
    ):
        assert told in text


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2, 3)])
def test_one_seed_is_no_range(seeds):
    record = survival_record()
    record = record.model_copy(update={"plan": record.plan.model_copy(update={"seeds": seeds})})
    assert ("seed 0;" in survival.markdown(record)) == (len(seeds) == 1)
