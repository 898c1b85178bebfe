import pytest
from parts import facts, headlines, tables
from records import survival as one_survival
from survivals import ELEMENT, NAN, SPIKE, survival_record, undisturbed

from loop_bench.experiments.survival import report
from loop_bench.report import markdown


def cells(frame):
    return {row[0]: tuple(row[1:]) for row in frame.itertuples(index=False)}


def test_shares_of_one_bad_batch_by_its_size():
    found = report.by_magnitude(survival_record())
    assert list(found.columns) == ["network", "gradients", "before", "after"]
    assert [tuple(row) for row in found.itertuples(index=False)] == [  # an element of a gradient is another fault
        (
            "generator",
            "× 10000",
            "0 of 4 alive (0% to 49%): 4 frozen",
            "4 of 4 alive (51% to 100%): 4 survived; back after 3 to 12 batches, 1 not back",
        ),
        (
            "generator",
            "NaN",
            "0 of 4 alive (0% to 49%): 3 crashed, 1 poisoned weights",
            "4 of 4 alive (51% to 100%): 4 skipped; back after 0 batches",
        ),
    ]


def test_each_network_has_shares_of_its_own():
    record = survival_record()
    faults = [NAN, "nan,target=discriminator", "nan", "nan,batch=30"]
    arms = {
        "before": tuple(one_survival("crashed", fault) for fault in faults),
        "after": (one_survival("skipped", "nan"),),
    }
    found = report.by_magnitude(record.model_copy(update={"survivals": arms}))
    assert [tuple(row)[:2] for row in found.itertuples(index=False)] == [
        ("generator", "NaN"),
        ("discriminator", "NaN"),
        ("all", "NaN"),
    ]
    assert list(found["after"]) == ["not measured"] * 2 + [
        "1 of 1 alive (21% to 100%): 1 skipped; back after 0 batches"
    ]


def test_other_faults_are_those_that_are_in_no_table_yet():
    found = tables(report.report(survival_record()))
    assert list(cells(found["other faults"])) == ["NaN gradients in one element, all networks"]
    assert list(found["other faults"].columns) == ["fault", "before", "after"]


def test_every_fault_with_what_could_not_be_tested():
    found = cells(report.by_fault(survival_record(), ("before", "after")))
    assert list(found) == [
        "gradients × 10000, generator",
        "NaN gradients, generator",
        "NaN gradients in one element, all networks",
    ]
    assert found["NaN gradients in one element, all networks"][1] == (
        "3 of 3 alive (44% to 100%): 3 skipped, 1 not tested; back after 0 batches"
    )


def test_the_ladder_has_the_faults_that_all_rungs_have_and_ends_with_the_loop_after():
    ladder = tables(report.report(survival_record()))["the ladder of protections"]
    assert list(ladder.columns) == ["fault", "after, clip", "after"]
    assert cells(ladder) == {
        "NaN gradients, generator": (
            "0 of 4 alive (0% to 49%): 4 poisoned weights",
            "4 of 4 alive (51% to 100%): 4 skipped; back after 0 batches",
        )
    }


def test_how_those_ended_that_did_not_come_through():
    found = report.deaths(survival_record())
    assert list(found.itertuples(index=False, name=None)) == [
        ("gradients × 10000, generator", "before", "4", "frozen", "because"),
        ("NaN gradients, generator", "before", "3", "crashed", "because"),
        ("NaN gradients, generator", "before", "1", "poisoned weights", "because"),
        ("NaN gradients in one element, all networks", "before", "4", "crashed", "because"),
    ]


def test_two_faults_that_read_alike_are_two():
    """What a person is told of a fault leaves its seed out."""
    record = survival_record()
    texts = ["nan,batches=9,probability=0.5", "nan,batches=9,probability=0.5,seed=1"]
    runs = tuple(one_survival("crashed", text, reason=f"of {text}") for text in texts)
    found = report.deaths(record.model_copy(update={"survivals": {"before": runs, "after": ()}}))
    assert list(found["fault"]) == ["NaN gradients, all networks, at random in 50% of 9 batches"] * 2
    assert list(found["runs"]) == ["1", "1"]
    assert list(found["the first of them"]) == [f"of {text}" for text in texts]


def test_what_could_not_be_tested_and_why():
    record, tape = survival_record(), "no tape"
    arms = {
        "before": tuple(
            one_survival("not tested", fault, seed, reason=tape) for fault in (SPIKE, NAN, ELEMENT) for seed in (0, 1)
        ),
        "after": (one_survival("skipped", NAN), one_survival("not tested", NAN, reason="boom")),
        "after, clip": (one_survival("not tested", NAN, reason=tape),),
    }
    found = report.untested(record.model_copy(update={"survivals": arms}))
    assert list(found.itertuples(index=False, name=None)) == [
        ("before", "6", "all 3", "no tape"),
        ("after", "1", "NaN gradients, generator", "boom"),
        ("after, clip", "1", "NaN gradients, generator", "no tape"),
    ]
    few = {**arms, "before": arms["before"][:4]}
    found = report.untested(record.model_copy(update={"survivals": few}))
    assert found["fault"][0] == "gradients × 10000, generator; NaN gradients, generator"


def test_long_runs_without_a_fault():
    found = report.undisturbed(survival_record())
    assert list(found.columns) == ["loop", "batches a run", "died (95%)"]
    assert cells(found) == {"before": ("2000", "1 of 4 (5% to 70%)"), "after": ("2000", "0 of 4 (0% to 49%)")}


def test_long_runs_that_tell_nothing_do_not_count():
    runs = {
        "before": (
            *(undisturbed(seed, batches=batches) for seed, batches in enumerate((2000, 1000))),
            undisturbed(2, ended="crashed", batches=7),
            undisturbed(3, ended="timed out", batches=0),
            undisturbed(4, ended="not tested", batches=0),
        ),
        "after": (undisturbed(0, ended="timed out", batches=0),),
    }
    found = cells(report.undisturbed(survival_record(undisturbed=runs)))
    assert found == {"before": ("1000 to 2000", "1 of 3 (6% to 79%)")}


def test_of_long_runs_that_all_crashed_there_is_no_length():
    runs = {"before": (undisturbed(0, ended="crashed", batches=7),)}
    assert cells(report.undisturbed(survival_record(undisturbed=runs)))["before"] == ("0", "1 of 1 (21% to 100%)")


def test_empty_tables_are_left_out():
    record = survival_record(undisturbed={})
    plan = record.plan.only((SPIKE, NAN), ("before", "after"))
    titles = [*tables(report.report(record.model_copy(update={"plan": plan})))]
    assert titles == [
        "one batch of bad gradients",
        "other faults",
        "how the other runs ended",
        "not tested, and why",
    ]
    found = {arm: tuple(run for run in record.survivals[arm] if run.fault != ELEMENT) for arm in ("before", "after")}
    titles = [*tables(report.report(record.model_copy(update={"plan": plan, "survivals": found})))]
    assert titles == ["one batch of bad gradients", "how the other runs ended"]


def test_markdown_says_what_must_be_known():
    text = markdown.page(report.report(survival_record()))
    for told in (
        "### The ladder of protections",
        "### 100 epochs without a fault",
        "### One batch of bad gradients",
        "| NaN gradients, generator",
        "**before**: my.bef:make",
    ):
        assert told in text


def test_facts_are_what_must_be_known():
    found = facts(report.report(survival_record()))
    assert (found["before"], found["after"]) == ("my.bef:make", "my.aft:make")
    assert found["settings"] == "preset tiny, seeds 0 to 3"
    assert found["runs with a fault"] == "12 of before, 12 of after, 4 of after, clip"
    assert found["alive"].endswith("with Wilson's 95% interval")
    assert found["back"].startswith("the weights move at least half as far as without the fault")
    assert [*found][-3:] == ["machine", "versions", "commit"]
    assert (found["machine"], found["commit"]) == ("2 cores of a CPU", "abcdef012")


@pytest.mark.parametrize(("seeds", "told"), [((0,), "seed 0"), ((0, 1, 2, 3), "seeds 0 to 3")])
def test_one_seed_is_no_range(seeds, told):
    record = survival_record()
    record = record.model_copy(update={"plan": record.plan.model_copy(update={"seeds": seeds})})
    assert facts(report.report(record))["settings"] == f"preset tiny, {told}"


def test_headlines_are_how_many_runs_of_each_arm_were_alive():
    assert headlines(report.report(survival_record())) == {
        "before": "0 of 12 runs with a fault alive (95%: 0% to 24%)",
        "after": "11 of 11 runs with a fault alive (95%: 74% to 100%); 1 not tested",
    }


def test_an_arm_that_could_not_be_tested_is_a_headline_too():
    runs = {
        "before": (one_survival("crashed", NAN), one_survival("survived", NAN, 1)),
        "after": tuple(one_survival("not tested", NAN, seed, reason="no tape") for seed in (0, 1)),
        "after, clip": (),
    }
    before, after = report.report(survival_record().model_copy(update={"survivals": runs})).headlines
    assert before.text == "1 of 2 runs with a fault alive (95%: 9% to 91%)"
    assert after == ("after", "not tested: no tape", "unsure")


def test_without_any_run_the_headlines_say_so():
    nothing = survival_record(survivals=dict.fromkeys(("before", "after", "after, clip"), ()), undisturbed={})
    assert report.report(nothing).headlines == (
        ("before", "not measured", "unsure"),
        ("after", "not measured", "unsure"),
    )


def test_ways_to_die_beyond_the_first_ten_fold():
    texts = [f"nan,batch={batch}" for batch in range(20, 32)]
    arms = {"before": tuple(one_survival("crashed", text) for text in texts), "after": (), "after, clip": ()}
    made = report.report(survival_record().model_copy(update={"survivals": arms}))
    (table,) = (each for each in made.tables if each.title == "how the other runs ended")
    assert (len(table.head), len(table.folded)) == (10, 2)


def test_numbers_are_shares_with_wilsons_interval():
    numbers = report.report(survival_record()).numbers.set_index(["figure", "loop", "unit"])
    share = numbers.loc[(f"alive after {SPIKE}", "after", "share of runs")]
    assert (share["value"], share["interval"]) == (1.0, "95%")
    assert (share["low"], share["high"]) == pytest.approx((0.51, 1.0), abs=0.005)
    assert numbers.loc[(f"runs with {SPIKE}", "after", "runs"), "value"] == 4
    assert numbers.loc[("died without a fault", "before", "runs"), "value"] == 1
    assert numbers.loc[("runs without a fault", "before", "runs"), "value"] == 4
