import io
import json

import pytest
from rich.console import Console

from loop_bench.doctor import report
from loop_bench.doctor.examination import Examination
from loop_bench.doctor.finding import Finding, Part, State
from loop_bench.doctor.null_arm import NullArm

FINE = Finding("Python", "3.11.7 in /env")
NOTE = Finding(
    "allocator", "glibc [2.36], a rather long text about it", State.NOTE, "set MALLOC_TRIM_THRESHOLD_=4294967296"
)
BAD = Finding("TensorFlow", "not installed", State.PROBLEM, "pip install 'loop-bench[tensorflow]'")
PARTS = (Part("Software", (FINE, BAD)), Part("Machine", (NOTE,)))


def shown(parts=PARTS, **settings):
    file = io.StringIO()
    report.show(Console(file=file, **settings), parts)
    return file.getvalue()


def test_in_a_pipe_each_is_a_line():
    assert shown(width=40) == (
        "Software\n"
        "ok       Python: 3.11.7 in /env\n"
        "problem  TensorFlow: not installed\n"
        "         → pip install 'loop-bench[tensorflow]'\n"
        "Machine\n"
        "note     allocator: glibc [2.36], a rather long text about it\n"
        "         → set MALLOC_TRIM_THRESHOLD_=4294967296\n"
        "in the way of measuring: TensorFlow; 1 note\n"
    )


def test_a_terminal_folds_them_at_words_and_keeps_the_column():
    found = shown(width=40, force_terminal=True, color_system=None).splitlines()
    assert found[6:10] == [
        "note     allocator: glibc [2.36], a",
        "         rather long text about it",
        "         → set",
        "         MALLOC_TRIM_THRESHOLD_=4294967296",  # whole, to be copied
    ]


@pytest.mark.parametrize("width", [5, 40, 80])
def test_no_line_is_longer_than_a_word_makes_it(width):
    found = shown(width=width, force_terminal=True, color_system=None).splitlines()
    longest = max(map(len, found[:-1]))
    assert longest <= max(width, 9 + len("MALLOC_TRIM_THRESHOLD_=4294967296"))
    assert (width < 80) == (len(found) > 8)


def test_states_are_coloured_on_a_terminal():
    found = shown(width=80, force_terminal=True, color_system="standard")
    assert "\x1b[1;31mproblem\x1b[0m  TensorFlow" in found
    assert "\x1b[32mok\x1b[0m " in found


def test_conclusion():
    assert report.conclusion([Part("a", (FINE,))]) == "nothing stands in the way of measuring"
    assert report.conclusion([Part("a", (FINE, NOTE, NOTE))]).endswith("measuring; 2 notes")
    assert report.conclusion([Part("a", (BAD,))]) == "in the way of measuring: TensorFlow"


def test_as_json():
    measured = NullArm(10.0, 4, 60, 0.3, 1.0, None, None, False)
    found = json.loads(json.dumps(report.plain(Examination(PARTS, measured))))
    assert found["problems"] == 1
    assert found["findings"][1] == {
        "part": "Software", "name": "TensorFlow", "found": "not installed", "state": "problem",
        "advice": "pip install 'loop-bench[tensorflow]'",
    }  # fmt: skip
    assert (found["null_arm"]["rounds"], found["null_arm"]["low"]) == (4, None)
    assert report.plain(Examination(PARTS, None))["null_arm"] is None
