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
    assert [title for title, _ in report.report(profile_record(arms=arms)).tables] == [
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
        "before: a:b",
        "preset tiny, seed 3; 10 batches a stretch",
        "before: the trace is not whole: 2 events dropped",
        "2 cores of a CPU",
        "commit abcdef012",
        "only ops that it counts as expensive",
    ):
        assert told in text


def test_what_is_said_of_a_cpu_is_not_said_of_a_gpu():
    everything = report.footer(profile_record(every_op=True))
    assert not any("expensive" in line for line in everything)
    assert any("CPUs busy" in line for line in everything)
    arms = {arm: profile(device="GPU") for arm in ("before", "after")}
    assert not any("CPU" in line for line in report.footer(profile_record(arms=arms)) if "2 cores" not in line)


def test_numbers_of_both_arms():
    numbers = report.report(profile_record()).numbers
    of_before = numbers[numbers["loop"] == "before"].set_index("figure")
    assert list(of_before.loc["time a batch, not traced", "value"]) == [100.0, 150.0]
    assert of_before.loc["CPU busy, traced", "value"] == 0.5
    assert of_before.loc["op x.1", ["value", "unit"]].tolist() == [75.0, "ms a batch"]
    assert set(numbers["loop"]) == {"before", "after"}
