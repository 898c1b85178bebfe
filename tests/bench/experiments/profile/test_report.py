import pytest
from parts import facts, headlines, tables
from traces import SECOND, op, profile, profile_record

from loop_bench.experiments.profile import report
from loop_bench.report import markdown


def cells(frame):
    return {row[0]: tuple(row[1:]) for row in frame.itertuples(index=False)}


def test_both_arms_side_by_side():
    found = report.both(profile_record())
    assert list(found.columns) == ["", "before", "after"]
    assert {what: told[0] for what, told in cells(found).items()} == {
        "ms/batch without the profiler, two stretches": "100 and 150",
        "ms/batch while traced": "200 (+60%)",
        "CPUs busy without the profiler": "2.00 of 2",
        "an op in flight on some CPU thread, of the traced time": "50.0%",
        "no op in flight, ms/batch while traced": "100",
        "such gaps a batch": "0.1",
        "the longest of them": "1000 ms",
        "ops in flight at a time, while any is": "1.50",
        "ops seen a batch": "0.2",
    }


def test_only_a_gpu_is_a_device_that_is_busy():
    arms = {arm: profile(device="GPU") for arm in ("before", "after")}
    rows = cells(report.both(profile_record(arms=arms)))
    assert rows["device busy: a kernel or copy on some stream, of the traced time"] == ("50.0%", "50.0%")
    assert rows["device idle, ms/batch while traced"] == ("100", "100")
    assert not any("op in flight on" in what for what in rows)
    assert "device busy" not in markdown.page(report.report(profile_record()))


def test_an_overhead_within_the_noise_is_none():
    arms = {"before": profile(seconds=1.2), "after": profile(seconds=0.5)}
    rows = cells(report.both(profile_record(arms=arms)))
    assert rows["ms/batch while traced"] == ("120 (no measurable overhead)", "50 (-60%)")


def test_a_device_without_ops():
    arms = {"before": profile(ops=[]), "after": profile()}
    assert cells(report.both(profile_record(arms=arms)))["ops in flight at a time, while any is"] == ("", "1.50")


def test_ops_and_gaps_add_up():
    found = profile()
    assert list(report.top("op", found.ops, found, 10).itertuples(index=False, name=None)) == [
        ("x.1", "0.1", "75", "37.5%", "100"),
        ("y", "0.1", "25", "12.5%", "50"),
        ("no op in flight", "", "100", "50.0%", ""),
    ]
    assert report.top("kind", found.kinds, found, 10)["kind"][0] == "x"


def test_many_ops_are_cut_short_and_nothing_is_lost():
    tenth = SECOND // 10
    found = profile(ops=[op(number * tenth, (number + 1) * tenth, name=f"op{number}") for number in range(20)])
    table = report.top("op", found.ops, found, 10)
    assert len(table) == report.TOP + 2
    assert cells(table)["5 more"] == ("0.5", "50", "25.0%", "50")


def test_of_a_long_name_the_end_is_shown():
    name = f"{'scope/' * 30}MatMul"
    found = profile(ops=[op(0, SECOND, name=name)])
    shown = report.top("op", found.ops, found, 10)["op"][0]
    assert len(shown) == 70
    assert shown.startswith("…")
    assert name.endswith(shown[1:])


def test_tables_that_are_empty_are_left_out():
    arms = {"before": profile(ops=[]), "after": profile()}
    assert [*tables(report.report(profile_record(arms=arms)))] == [
        "where the time goes",
        "after: the ops that take most",
        "after: the kinds of ops that take most",
    ]


def test_markdown_says_what_must_be_known():
    arms = {"before": profile("a:b", problems=("2 events dropped",)), "after": profile("c:d")}
    text = markdown.page(report.report(profile_record(arms=arms)))
    for told in (
        "### Where the time goes",
        "### After: the kinds of ops that take most",
        "| x.1 ",
        "**before**: a:b",
        "- doubt: before: the trace is not complete: 2 events dropped",
    ):
        assert told in text


def test_facts_are_what_must_be_known():
    arms = {"before": profile("a:b"), "after": profile("c:d")}
    found = facts(report.report(profile_record(arms=arms)))
    assert (found["before"], found["after"]) == ("a:b", "c:d")
    assert found["settings"] == "preset tiny, seed 3"
    assert found["stretches"] == "10 batches each, after warm-up"
    assert "ops and gaps add up to the traced time" in found["ms/batch of an op"]
    assert "waiting for a free thread included" in found["in flight"]
    assert "only ops that it counts as expensive" in found["ops shown"]
    assert [*found][-3:] == ["machine", "versions", "commit"]
    assert (found["machine"], found["commit"]) == ("2 cores of a CPU", "abcdef012")


def test_what_is_said_of_a_cpu_is_not_said_of_a_gpu():
    everything = facts(report.report(profile_record(every_op=True)))
    assert "ops shown" not in everything
    assert "threads that spin" in everything["CPUs busy"]
    assert "on however many threads" in everything["on a CPU"]
    arms = {arm: profile(device="GPU") for arm in ("before", "after")}
    on_gpu = facts(report.report(profile_record(arms=arms)))
    assert not [name for name, text in on_gpu.items() if "CPU" in f"{name} {text}" and name != "machine"]


def test_headlines_are_how_busy_each_arm_is_and_with_what():
    found = headlines(report.report(profile_record()))
    told = "an op in flight on some CPU thread for 50% of the traced time; x takes the largest share of it, 38%"
    assert found == {"before": told, "after": told}


def test_the_headline_of_a_gpu_is_short():
    arms = {"before": profile(device="GPU"), "after": profile()}
    found = headlines(report.report(profile_record(arms=arms)))
    assert found["before"] == "device busy for 50% of the traced time; x takes the largest share of it, 38%"
    assert found["after"].startswith("an op in flight on some CPU thread for 50%")


def test_the_kind_with_the_largest_share_is_in_the_headline():
    """A kind of two ops takes more than the one op that takes most."""
    tenths = [("one", 0, 4, "a"), ("two", 4, 7, "b"), ("three", 7, 10, "b")]
    ops = [op(begin * SECOND // 10, end * SECOND // 10, name=name, kind=kind) for name, begin, end, kind in tenths]
    arms = {"before": profile(ops=ops), "after": profile()}
    assert headlines(report.report(profile_record(arms=arms)))["before"].endswith(
        "50% of the traced time; b takes the largest share of it, 30%"
    )


def test_an_arm_of_which_no_op_was_traced_is_not_idle():
    arms = {"before": profile(ops=[]), "after": profile()}
    before, after = report.report(profile_record(arms=arms)).headlines
    assert before == ("before", "no op is in the trace", "unsure")
    assert after.tone == "plain"


@pytest.mark.parametrize(("problems", "tone"), [((), "plain"), (("2 events dropped",), "unsure")])
def test_what_a_trace_lacks_is_a_doubt(problems, tone):
    arms = {"before": profile(problems=problems), "after": profile()}
    made = report.report(profile_record(arms=arms))
    assert made.headlines[0].tone == tone
    assert made.doubts == tuple(f"doubt: before: the trace is not complete: {each}" for each in problems)


def test_tables_of_ops_show_the_first_and_fold_the_rest():
    tenth = SECOND // 10
    many = profile(ops=[op(number * tenth, (number + 1) * tenth, name=f"op{number}") for number in range(20)])
    _, ops, kinds, *_ = report.report(profile_record(arms={"before": many, "after": profile()})).tables
    for table in (ops, kinds):
        assert len(table.head) == 6
        assert len(table.folded) == len(table.frame) - 6 == report.TOP + 2 - 6


def test_numbers_of_both_arms():
    numbers = report.report(profile_record()).numbers
    of_before = numbers[numbers["loop"] == "before"].set_index("figure")
    assert list(of_before.loc["time a batch, not traced", "value"]) == [100.0, 150.0]
    assert of_before.loc["CPU busy, traced", "value"] == 0.5
    assert of_before.loc["op x.1", ["value", "unit"]].tolist() == [75.0, "ms a batch"]
    assert set(numbers["loop"]) == {"before", "after"}
