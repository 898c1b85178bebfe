import pytest
from traces import add, marked, op

from loop_bench.experiments.profile.events import kind_of, traced
from loop_bench.hostsync import trace

MODULE = "a_inference__train_generator_44__XlaMustCompile_true_config_proto_1_.5"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MatMul.20", "MatMul"),
        ("MatMul_1.16", "MatMul"),
        ("wrapped_reduce-window.4", "wrapped_reduce-window"),
        ("loop_add_fusion_12", "loop_add_fusion"),
        ("bitcast_dynamic-update-slice_fusion", "bitcast_dynamic-update-slice_fusion"),
        ("void cutlass::Kernel2<cutlass_80_gemm, 3>(Params)", "cutlass::Kernel2"),
        ("ampere_sgemm_32x128_nn", "ampere_sgemm_32x128_nn"),
        ("MemcpyD2H", "MemcpyD2H"),
        ("_1", "_1"),
    ],
)
def test_a_kind_is_a_name_without_numbers_and_arguments(name, kind):
    assert kind_of(name) == kind


def test_ops_of_plain_graphs_and_what_is_around_them():
    space, plane, _ = marked()
    line = plane.lines.add(name="tf_Compute/1", timestamp_ns=2)
    for name in (
        "ExecutorState::Process",
        "KernelAndDeviceFunc::Run",
        "EagerLocalExecute: IteratorGetNext",
        "__inference_step_44:__inference_step_44",
        "ParallelFor",
        "Iterator::Root::Prefetch",
        "cluster/xla_run:_XlaRun",
        "StatefulPartitionedCall:StatefulPartitionedCall",
    ):
        add(plane, line, name, 0, 9000)
    add(plane, line, "while/body/_1/a.b-c>/MatMul_1:_MklMatMul", 100, 50)
    (found,) = traced(space).ops
    assert found == op(2100, 2150, name="while/body/_1/a.b-c>/MatMul_1", kind="_MklMatMul", thread=1)


def test_an_op_of_xla_lasts_until_its_end_wherever_that_is():
    space, plane, line = marked()
    other = plane.lines.add(name="tf_numa_-1_Eigen/2", timestamp_ns=1)
    for run, (begin, end) in enumerate([(100, 900), (2000, 2800)]):
        add(plane, line, "MatMul.2", begin, 10, hlo_op="MatMul.2", hlo_module=MODULE, _pt=0, _p=run + 7)
        add(plane, other, "end: MatMul.2", end, 3, _ct=0, _c=run + 7)
    add(plane, line, "fusion", 4000, 20, hlo_op="fusion", hlo_module="cluster_0", _p=9)
    assert [(found.name, found.kind, found.begin, found.left, found.end) for found in traced(space).ops] == [
        ("MatMul.2 (_train_generator)", "MatMul", 1100, 1110, 1900),
        ("MatMul.2 (_train_generator)", "MatMul", 3000, 3010, 3800),
        ("fusion", "fusion", 5000, 5020, 5020),
    ]


def test_an_op_that_ended_before_its_event_lasts_as_long_as_that():
    """The end is marked inside the event of the op, on its own thread."""
    space, plane, line = marked()
    add(plane, line, "copy", 100, 50, hlo_op="copy", _p=7)
    add(plane, line, "end: copy", 140, 1, _c=7)
    assert traced(space).ops == (op(1100, 1150, name="copy"),)


@pytest.mark.parametrize(
    ("task", "resumed", "end"),
    [
        (200, (300, 500), 1300),  # in the task that ended it, what had waited for it was run first
        (200, (300, 700), 1600),  # it was still being run
        (550, (300, 500), 1600),  # in another task, and by then it was not over
        (50, (80, 500), 1600),  # begun before the op
    ],
)
def test_what_is_run_before_an_end_is_written_does_not_count(task, resumed, end):
    space, plane, line = marked()
    other = plane.lines.add(name="tf_numa_-1_Eigen/2", timestamp_ns=1)
    add(plane, line, "copy", 100, 10, hlo_op="copy", _p=7)
    add(plane, other, "end: copy", 600, 1, _c=7)  # written last, and kept first
    add(plane, other, "ThreadpoolListener::StartRegion", task, 0)
    add(plane, other, "ThunkExecutor::Execute", resumed[0], resumed[1] - resumed[0])
    (found,) = traced(space).ops
    assert (found.begin, found.end) == (1100, end)


@pytest.mark.parametrize("name", ["while.8", "call", "conditional.1"])
def test_instructions_that_run_others_are_none(name):
    space, plane, line = marked()
    add(plane, line, name, 100, 50, hlo_op=name, _p=7)
    assert traced(space).ops == ()


def test_only_the_stretch_counts():
    space, plane, line = marked(begin=5000, end=9000)
    for begin in (4999, 5000, 8999, 9000):
        add(plane, line, f"x{begin}:X", begin - 1000, 1)
    found = traced(space)
    assert [each.name for each in found.ops] == ["x5000", "x8999"]
    assert (found.device, found.begin, found.end) == ("CPU", 5000, 9000)


def test_of_gpus_the_streams_count_and_the_host_does_not():
    space, plane, line = marked()
    add(plane, line, "x:X", 100, 50)
    for gpu in range(2):
        plane = space.planes.add(name=f"/device:GPU:{gpu}")
        for name in ("Stream #7(Kernel)", "Stream #8(MemcpyD2H)", "XLA Ops", "CUPTI overhead", "Steps"):
            add(plane, plane.lines.add(name=name, timestamp_ns=2), f"{name[:9]}_{gpu}", 10, 5)
    found = traced(space)
    assert found.device == "GPU"
    assert [(each.name, each.thread, each.begin, each.end) for each in found.ops] == [
        ("Stream #7_0", 0, 2010, 2015),
        ("Stream #8_0", 1, 2010, 2015),
        ("Stream #7_1", 2, 2010, 2015),
        ("Stream #8_1", 3, 2010, 2015),
    ]


def test_a_trace_says_what_is_wrong_with_it():
    space, *_ = marked()
    space.errors.append("CUPTI needs root access")
    space.warnings.append("2 events dropped")
    assert traced(space).problems == ("CUPTI needs root access", "2 events dropped")


def compiled():
    """A trace in whose process XLA has compiled a function, and its plane and line of the host."""
    space, plane, line = marked()
    about = space.planes.add(name="/host:metadata")
    about.event_metadata[7].name = "a_inference_step_13__XlaMustCompile_true_config_proto_31_executor_type_11_.42(0)"
    return space, plane, line


def test_what_xla_has_compiled_is_a_problem_where_traces_show_none_of_it(monkeypatch):
    monkeypatch.setattr(trace, "_VERSION", (2, 16))
    space, plane, line = compiled()
    add(plane, line, "add:AddV2", 1000, 500)
    found = traced(space)
    assert [each.name for each in found.ops] == ["add"]
    (problem,) = found.problems
    assert "traces none of XLA's ops on a CPU: the time of step" in problem
    assert traced(marked()[0]).problems == ()


def test_what_xla_has_compiled_is_none_where_traces_show_it(monkeypatch):
    monkeypatch.setattr(trace, "_VERSION", (2, 18))
    assert traced(compiled()[0]).problems == ()


def test_a_trace_without_the_stretch_is_none():
    space, _, line = marked()
    line.ClearField("events")
    with pytest.raises(RuntimeError, match="does not contain the profiled stretch"):
        traced(space)
