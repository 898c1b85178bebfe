import pytest
from everykind import run_record
from records import ENVIRONMENT, RUNS_ON, arm, elsewhere, record, survival, traced
from telemetries import on_cpu

from loop_bench.experiments.equivalence.record import Equivalence
from loop_bench.experiments.run import read_rows, report
from loop_bench.experiments.run.record import ArmRecord
from loop_bench.experiments.syncs.record import GraphHostOps, HostSyncs, TracedCopies
from loop_bench.home import Home, Residence
from loop_bench.report.report import Tone
from loop_bench.timing.samples import Start


def whole(factory, reads, temperature, outcome):
    return arm(
        factory,
        reads,
        described_first={"temperature": temperature, "batches_per_epoch": 50},
        described_last={"temperature": temperature / 2},
        starts=(Start(build_seconds=1.0, first_batch_seconds=2.0), Start(build_seconds=1.0, first_batch_seconds=4.0)),
        survivals=(survival(outcome, "scale=1e8,target=generator"),),
    )  # fmt: skip


ARMS = {"before": whole("a:b", 44, 0.8, "frozen"), "after": whole("c:d", 1, 2.0, "survived")}


def table(found, title):
    """A table of a report as a list of rows."""
    (frame,) = [each.frame for each in report.report(found).tables if each.title == title] or [None]
    return [] if frame is None else frame.to_numpy().tolist()


def rows(found):
    """All rows of the groups, by what stands in their first cell."""
    titles = ("speed", "host syncs", "memory and machine", "survival")
    return {row[0]: tuple(row[1:]) for title in titles for row in table(found, title)}


def facts(found):
    """The facts of a report by their names; of those that share one, the texts in a list."""
    named = {}
    for fact in report.report(found).facts:
        named.setdefault(fact.name, []).append(fact.text)
    return named


def test_one_row_a_metric_in_groups():
    found = record(noise=0, arms=ARMS)
    assert rows(found) == {
        "ms/batch, median (quartiles)": (
            "60.00 (60.00 to 60.00)", "30.00 (30.00 to 30.00)", "2.00× faster (95%: 2.00 to 2.00)",
        ),
        "before against itself (null arm)": (
            "60.00 (60.00 to 60.00)", "60.00 (60.00 to 60.00)", "no measurable difference (95%: 1.000 to 1.000)",
        ),
        "time to first batch, s, median (quartiles)": ("4.00 (3.50 to 4.50)", "4.00 (3.50 to 4.50)", "same"),
        "host syncs a batch": ("4.4", "0.1", "44× fewer"),
        "host syncs an epoch of 50 batches": ("220", "5", "44× fewer"),
        "bytes read from the device a batch": ("17.6", "0.4", "44× fewer"),
        "gradients × 1e+08, generator": ("frozen: because", "survived: because"),
    }  # fmt: skip
    assert table(found, "host syncs a batch by line") == [["f.py:1", "numpy", "4.4", "0.1", "x.numpy()"]]
    assert facts(found)["temperature"] == ["before 0.80 → 0.40, after 2.00 → 1.00"]


def test_each_group_says_its_answer():
    answers = {each.title: each.answer for each in report.report(record(noise=0, arms=ARMS)).tables}
    assert answers == {
        "speed": "2.00× faster (95%: 2.00 to 2.00)",
        "host syncs": "44× fewer, 4.4 → 0.1 a batch",
        "host syncs a batch by line": "",
        "survival": "alive after a fault: before 0 of 1, after 1 of 1",
    }


def test_equal_host_syncs_and_those_of_one_loop_are_said_as_they_are():
    def answer(**arms):
        return next(each.answer for each in report.report(record(arms=arms)).tables if each.title == "host syncs")

    assert answer(before=arm("a:b", 44), after=arm("c:d", 44)) == "4.4 a batch in both"
    assert answer(after=arm("c:d", host_syncs=None)) == ""


def test_the_short_table_has_the_rows_that_matter_most():
    short = report.report(record(noise=0, arms=ARMS)).short(["survival", "speed", "syncs"])
    ((shown,),) = (short.tables,)
    assert shown.frame.to_numpy().tolist() == [
        ["gradients × 1e+08, generator", "frozen", "survived", ""],
        [
            "ms/batch, median (quartiles)", "60.00 (60.00 to 60.00)", "30.00 (30.00 to 30.00)",
            "2.00× faster (95%: 2.00 to 2.00)",
        ],
        [
            "before against itself (null arm)", "60.00 (60.00 to 60.00)", "60.00 (60.00 to 60.00)",
            "no measurable difference (95%: 1.000 to 1.000)",
        ],
        ["host syncs a batch", "4.4", "0.1", "44× fewer"],
    ]  # fmt: skip
    assert [fact.name for fact in short.facts] == ["settings", "rounds", "machine", "versions", "commit"]


THROUGHPUT = {"history": {"loss": (1.0,) * 50}, "described_last": {"samples": 3200, "tokens_per_sample": 20}}


def test_several_replicas_have_their_throughput():
    arms = {"before": arm("a:b", **THROUGHPUT), "after": arm("c:d", **THROUGHPUT)}
    assert not any("/s" in title for title in rows(record(arms=arms)))
    two = record(noise=0, arms=arms, settings={"options": {"replicas": 2}})
    told = {title: texts for title, texts in rows(two).items() if "/s" in title}
    assert told == {"tokens/s, median (quartiles)": ("21,333 (21,333 to 21,333)", "42,667 (42,667 to 42,667)", "")}
    assert facts(two)["settings"] == ["preset tiny, seed 0, replicas=2"]
    numbers = report.report(two).numbers.set_index(["figure", "loop"])
    assert numbers.loc[("throughput", "after"), "value"] == pytest.approx(64 * 20 / 0.030)


@pytest.mark.parametrize("said", [{}, {"samples": 3200}])
def test_throughputs_are_told_where_both_loops_say_them_and_in_the_same_unit(said):
    arms = {"before": arm("a:b", **THROUGHPUT), "after": arm("c:d", **{**THROUGHPUT, "described_last": said})}
    found = rows(record(arms=arms, settings={"options": {"replicas": 2}}))
    assert not any("/s" in title for title in found)
    if said:
        both = {name: arm("a:b", **{**THROUGHPUT, "described_last": said}) for name in ("before", "after")}
        found = rows(record(noise=0, arms=both, settings={"options": {"replicas": 2}}))
        assert found["samples/s, median (quartiles)"][0] == "1,067 (1,067 to 1,067)"


BY_LINE = "host syncs a batch by line"


def test_a_line_that_reads_in_both_loops_has_one_row():
    arms = {"before": arm("a:b", reads=20), "after": arm("c:d", reads=5)}
    assert table(record(arms=arms), BY_LINE) == [["f.py:1", "numpy", "2", "0.5", "x.numpy()"]]


def test_lines_of_both_loops_are_among_the_first():
    found = with_syncs()
    site = found.arms["after"].host_syncs.sites[0].model_copy(update={"file": "g.py"})
    syncs = HostSyncs(batches=10, sites=(site, site.model_copy(update={"line": 2})))
    both = found.model_copy(update={"arms": {**found.arms, "after": arm("c:d", host_syncs=syncs)}})
    assert [row[0] for row in table(both, BY_LINE)[:5]] == ["f.py:1", "g.py:1", "f.py:2", "g.py:2", "f.py:3"]


def test_functions_traced_by_a_warm_loop_are_counted_and_have_a_row_each():
    arms = {"before": arm("a:b", traced=()), "after": arm("c:d", traced=(traced(traces=2), traced("other", traces=7)))}
    found = record(arms=arms)
    assert rows(found)["traces of functions after warm-up"][:2] == ("0", "9")
    why = "Python value of n: 1 → 2 → 3 → 4"
    assert table(found, "functions traced after warm-up") == [
        ["other", "f.py:3", "", "7", why],
        ["step", "f.py:3", "", "2", why],
    ]


def with_syncs(lines=15, **found):
    site = ARMS["before"].host_syncs.sites[0]
    sites = tuple(site.model_copy(update={"line": line, "reads": 20}) for line in range(1, lines + 1))
    syncs = HostSyncs(batches=10, sites=sites, **found)
    return record(arms={"before": arm("a:b", host_syncs=syncs), "after": arm("c:d", reads=1)}, count=12)


def test_the_library_that_reads_for_a_line_stands_beside_the_call():
    found = with_syncs()
    site = found.arms["before"].host_syncs.sites[0].model_copy(update={"library": "set_postfix at tqdm/std.py:1432"})
    syncs = found.arms["before"].host_syncs.model_copy(update={"sites": (site,)})
    (row,) = table(record(arms={"before": arm("a:b", host_syncs=syncs), "after": arm("c:d", host_syncs=None)}), BY_LINE)
    assert row == ["f.py:1", "numpy, by set_postfix at tqdm/std.py:1432", "2", "", "x.numpy()"]


def test_each_line_that_reads_has_a_row_and_those_beyond_the_most_one_together():
    (shown,) = [each for each in report.report(with_syncs(lines=read_rows.MOST + 3)).tables if each.title == BY_LINE]
    cells = shown.frame.to_numpy().tolist()
    assert cells[1] == ["f.py:2", "numpy", "2", "", "x.numpy()"]
    assert cells[-1] == ["3 more", "", "6", "", "in the record"]
    assert len(cells) == read_rows.MOST + 1
    assert len(shown.head) == read_rows.SHOWN


def test_ops_of_the_host_in_graphs_have_a_row():
    op = GraphHostOps(kind="print", function="step", file="f.py", line=1, ops=2)
    found = rows(with_syncs(in_graphs=(op, op.model_copy(update={"line": 2}), op.model_copy(update={"kind": "text"}))))
    assert found["host ops in graphs, not counted above"] == ("4 print, 2 text", "none", "")
    assert "host ops in graphs, not counted above" not in rows(with_syncs())


def test_copies_that_no_read_explains_have_a_row():
    copies = TracedCopies(matched=3, unexplained=20, unexplained_nbytes=80, python_only=0, uncopied=0)
    row = rows(with_syncs(copies=copies))["copies from the device a batch that no read explains"]
    assert row == ("2", "not measured", "")


def test_what_was_watched_has_rows():
    found = rows(record(arms={"before": arm("a:b", telemetry=on_cpu())}, count=12))
    assert found["CPUs busy, mean"] == ("1.50", "not measured")
    assert "CPUs busy, mean" not in rows(record(count=12))


def test_what_is_not_there_is_not_made_up():
    empty = {name: ArmRecord(factory="a:b") for name in ARMS}
    found = rows(record(arms=empty, rounds=(), rounds_ended=None))
    assert len(found) == 4
    assert {texts[:2] for texts in found.values()} == {("not measured", "not measured")}


def test_the_facts_are_loops_work_and_machine_by_name():
    found = record(settings={"options": {"script": "x.csv"}}, noise=0, rounds_seconds=153.0)
    assert facts(found) == {
        "before": ["a:b"],
        "after": ["c:d"],
        "settings": ["preset tiny, seed 0, script=x.csv"],
        "rounds": [
            "100 interleaved rounds of 10 batches a loop, until the interval of the ratio was narrower than 3.0%; time "
            "between blocks: 2.0% of measured time"
        ],
        "host sync": ["without a GPU a read costs hardly anything: it does not wait for queued work"],
        "machine": ["2 cores of a CPU"],
        "versions": ["TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7"],
        "commit": ["abcdef012"],
    }
    gpu = {**ENVIRONMENT, "gpus": ["H100"], "gpu_driver": "580"}
    assert "host sync" not in facts(record(environment=gpu))


def test_the_verdict_is_the_headline():
    (headline,) = report.report(record(noise=0)).headlines
    assert (headline.word, headline.tone) == ("faster", Tone.GOOD)
    assert headline.text.startswith("2.0")
    (broken,) = report.report(record(problems=("after: no weight has moved",))).headlines
    assert broken == ("invalid", "after: no weight has moved", Tone.BAD)
    good, bad, unsure, plain = Tone.GOOD, Tone.BAD, Tone.UNSURE, Tone.PLAIN
    assert {kind.value: tone for kind, tone in report.TONES.items()} == {
        "faster": good, "slower": bad, "same": plain, "inconclusive": unsure, "invalid": bad,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "2.00× faster (95%: "),
        ({"after": 0.09}, "1.50× slower (95%: "),
        ({"after": 0.0605, "settings": {"precision": 0.03}}, "same (95%: "),
        ({"after": 0.061, "count": 12, "noise": 0.1}, "inconclusive (95%: "),
        ({"problems": ("after: no weight has moved",)}, "invalid: no speed-up"),
    ],
)
def test_no_row_says_more_than_the_verdict(changes, says):
    shown = report.report(record(**changes))
    (speed,) = [each for each in shown.tables if each.title == "speed"]
    assert speed.answer.startswith(says)
    assert speed.frame["change"][0] == speed.answer


def test_equivalence_is_one_sentence():
    same = Equivalence(batches=5, options={"clip": 9, "xla": False}, equal=True, reason="bit for bit the same")
    assert facts(record(equivalence=same))["equivalence"] == ["bit for bit the same"]
    assert "equivalence" not in facts(record())


def test_the_rounds_say_why_they_ended():
    def rounds_of(**changes):
        return facts(record(**changes))["rounds"][0]

    assert "until 120 s were over" in rounds_of(rounds_ended="out of time")
    assert "as many as were asked for" in rounds_of(rounds_ended="as many as asked for")
    assert rounds_of(rounds=(), rounds_ended=None) == "nothing was timed"


def test_no_doubt_is_kept_back():
    arms = {"after": arm("c:d", touch_seconds=0.04)}
    suspicious, doubt, *_ = report.report(record(null=0.063, arms=arms)).doubts
    assert suspicious.startswith("suspicious: after takes 30 ms")
    assert doubt.startswith("doubt: the loop before and a second instance of it differ")


def by_name(made):
    return made.numbers.set_index(["figure", "loop", "unit"])


def test_its_numbers_are_those_of_the_table():
    found = by_name(report.report(run_record()))
    assert found.loc[("time a batch", "before", "ms"), "value"] == pytest.approx(60.0, rel=0.01)
    assert found.loc[("time a batch", "after", "ms"), "interval"] == "quartiles"
    speed_up = found.loc[("speed-up", "after", "ratio")]
    assert 1.9 < speed_up["low"] < speed_up["value"] < speed_up["high"] < 2.1
    assert found.loc[("speed-up", "null arm", "ratio"), "value"] == pytest.approx(1.0, rel=0.02)
    assert found.loc[("host syncs", "before", "a batch"), "value"] == 4.4
    assert found.loc[("bytes read", "before", "a batch"), "value"] == 17.6
    alive = found.xs("alive after nan", level="figure")["value"]
    assert alive.to_dict() == {("before", "of 1 runs"): 0.0, ("after", "of 1 runs"): 1.0}


def test_what_was_not_measured_is_no_number():
    without = {"before": arm("a:b", host_syncs=None), "after": arm("c:d", host_syncs=None)}
    nothing = record(arms=without, rounds=(), rounds_ended=None)
    assert report.report(nothing).numbers.empty
    started = {**without, "after": arm("c:d", host_syncs=None, starts=(Start(build_seconds=1, first_batch_seconds=2),))}
    ((figure, loop, unit),) = by_name(report.report(record(arms=started, rounds=(), rounds_ended=None))).index
    assert (figure, loop, unit) == ("time to first batch", "after", "s")


def test_the_facts_name_where_each_arm_has_lived_and_on_what():
    found = facts(elsewhere())
    assert found["before"] == ["a:b of main (1a2b3c4), TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7"]
    assert found["after"] == [
        "c:d of working tree (abcdef0, with changes), TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.7"
    ]
    assert "before → after" not in found
    assert found["machine"] == ["2 cores of a CPU"]
    assert "versions" not in found  # each arm has its own


def test_versions_and_variables_in_which_they_differ_are_a_fact():
    older = {**RUNS_ON, "python": "3.13.1", "versions": {**RUNS_ON["versions"], "tensorflow": "2.20.0"}}
    lived = {
        "before": Residence(**older, environment={"A": "0", "B": "1"}, folder="old"),
        "after": Residence(**RUNS_ON, environment={"A": "1", "B": "1"}, notes=("lacks data.npy",)),
    }
    homes = {"before": Home(environment={"A": "0", "B": "1"}, folder="old"), "after": Home()}
    found = facts(elsewhere(homes, lived))
    assert found["before → after"] == ["TensorFlow 2.20.0 → 2.21.0, Python 3.13.1 → 3.11.7, A 0 → 1"]
    where = "a:b of working tree (in no repository), TensorFlow 2.20.0, Keras 3.15.1, Python 3.13.1"
    assert found["before"] == [f"{where}; folder=old, A=0, B=1"]
    assert found["after"][0].startswith("c:d of working tree")
    assert found["after"][1:] == ["lacks data.npy"]


def test_what_only_one_of_them_has_is_none_of_the_other():
    lived = {"after": Residence(**{**RUNS_ON, "versions": {"tensorflow": "2.21.0"}}, environment={"A": "1"})}
    assert facts(elsewhere(residences=lived))["before → after"] == [
        "Keras 3.15.1 → none, numpy 2.4.1 → none, A none → 1"
    ]


def test_the_rounds_say_in_how_many_processes():
    (line,) = facts(elsewhere(groups=4, count=40))["rounds"]
    assert line.startswith(
        "40 interleaved rounds of 10 batches a loop in 4 processes of each, one after the other, until the "
    )
    assert "until the interval of the ratio in each process was narrower than 4.5%" in line
    (line,) = facts(record(count=40))["rounds"]
    assert line.startswith("40 interleaved rounds of 10 batches a loop, until the interval of the ratio was narrower")
