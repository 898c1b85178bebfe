import traceback

import pytest

from loop_bench.errors import UsageError
from loop_bench.failure import located
from loop_bench.hostsync.callsite import call_site
from loop_bench.loops.caller import Caller
from loop_bench.source import place


def adapter():
    return Caller("adapter")


def test_what_it_does_is_at_its_line():
    caller = adapter()
    line = adapter.__code__.co_firstlineno + 1
    with pytest.raises(ZeroDivisionError) as caught:
        caller.call(lambda: 1 // 0)
    frames = traceback.extract_tb(caught.tb)
    assert [(frame.filename, frame.lineno) for frame in frames if frame.name == "adapter"] == [(__file__, line)]


def test_it_is_the_innermost_line_of_the_users_where_a_library_reads(monkeypatch):
    monkeypatch.setattr("loop_bench.hostsync.callsite.is_users", lambda file: file == __file__)
    caller = adapter()
    library = {"call_site": call_site}
    exec(compile("def fit(): return call_site()", "/site-packages/library.py", "exec"), library)
    found = caller.call(library["fit"])
    assert found[:2] == (__file__, adapter.__code__.co_firstlineno + 1)
    assert found.route == "fit"  # and nothing that stands in those columns of the line


def test_errors_say_which_call_it_is():
    error = adapter().error("no good")
    assert isinstance(error, UsageError)
    assert located(error) == f"adapter at {place(__file__, adapter.__code__.co_firstlineno + 1)}: no good"
