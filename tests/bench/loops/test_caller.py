import traceback

import pytest

from loop_bench.errors import UsageError
from loop_bench.failure import located
from loop_bench.hostsync.callsite import call_site
from loop_bench.loops.caller import Caller
from loop_bench.source import place


def adapter():
    return Caller("adapter")


def test_an_adapters_reads_are_at_the_callers_line():
    caller = adapter()
    line = adapter.__code__.co_firstlineno + 1
    with pytest.raises(ZeroDivisionError) as caught:
        caller.call(lambda: 1 // 0)
    frames = traceback.extract_tb(caught.tb)
    assert [(frame.filename, frame.lineno) for frame in frames if frame.name == "adapter"] == [(__file__, line)]


def test_the_callers_line_is_the_site_of_a_librarys_read(monkeypatch):
    monkeypatch.setattr("loop_bench.hostsync.callsite.is_users", lambda file: file == __file__)
    caller = adapter()
    library = {"call_site": call_site}
    exec(compile("def fit(): return call_site()", "/site-packages/library.py", "exec"), library)
    found = caller.call(library["fit"])
    assert found[:2] == (__file__, adapter.__code__.co_firstlineno + 1)
    assert found.route == "fit"  # and nothing that stands in those columns of the line


def test_errors_name_the_adapter_and_the_line():
    error = adapter().error("no good")
    assert isinstance(error, UsageError)
    assert located(error) == f"adapter at {place(__file__, adapter.__code__.co_firstlineno + 1)}: no good"
