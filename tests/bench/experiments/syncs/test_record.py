import operator

from loop_bench.experiments.syncs.record import TracedFunction, merged


def test_traces_of_one_function_are_merged():
    def traced(line, traces):
        return TracedFunction(function="step", file="a.py", line=line, source="", traces=traces, why=())

    apart = [traced(1, 1), traced(2, 3), traced(1, 2), traced(2, 1), traced(3, 1)]
    assert [(each.line, each.traces) for each in merged(apart, max)] == [(1, 2), (2, 3), (3, 1)]
    assert [(each.line, each.traces) for each in merged(apart, operator.add)] == [(1, 3), (2, 4), (3, 1)]
