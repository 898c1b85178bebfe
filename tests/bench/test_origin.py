import sys
import textwrap
from pathlib import Path

import pytest

from loop_bench.origin import Origin, Place, origin


def raised_by(function, *arguments):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function(*arguments)
    trace = caught.value.__traceback__  # without this file's own lines, which are a user's
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return caught.value.with_traceback(trace)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of a user's, or of a package that is installed in `folder`."""

    def make(name, source, folder=""):
        path = tmp_path / folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(path.parent)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return __import__(name), str(path)

    return make


def test_the_innermost_line_of_the_users_is_where_an_error_is_from(module):
    loops, file = module("failing_loops", "import json\n\ndef run():\n    json.loads('{')\n")
    assert origin(raised_by(loops.run)) == Origin(Place(file, 4))


TRACED = """
    import tensorflow as tf

    def inner(x):
        return tf.matmul(x, tf.ones([3, 3]))

    @tf.function
    def step(x):
        if tf.reduce_sum(x) > 0:
            x = inner(x)
        return x

    def run():
        step(tf.ones([2, 2]))
"""


def test_of_a_function_that_is_traced_it_is_the_line_as_it_was_written(module):
    loops, file = module("traced_loops", TRACED)
    assert origin(raised_by(loops.run)) == Origin(Place(file, 5))


EXECUTED = """
    import tensorflow as tf

    @tf.function
    def step(x):
        return tf.debugging.check_numerics(x, "bad")

    def run():
        step(tf.constant([float("nan")]))
"""


def test_of_an_op_in_a_graph_it_is_the_call_and_where_the_op_was_made(module):
    loops, file = module("executed_loops", EXECUTED)
    assert origin(raised_by(loops.run)) == Origin(Place(file, 9), op=Place(file, 6))


def test_of_several_ops_it_is_the_first():
    file = "/home/me/train.py"
    message = "Graph execution error:\n\n" + "".join(
        f'Detected at node {name} defined at (most recent call last):\n  File "{file}", line {line}, in step\n\n'
        for name, line in (("a", 3), ("b", 9))
    )
    assert origin(RuntimeError(message)) == Origin(None, Place(file, 3))


def test_lines_that_another_message_names_are_not_taken_for_its_place():
    assert origin(ValueError('File "/home/me/data.csv", line 3: no number')) == Origin(None)


def test_of_a_loop_that_is_installed_it_is_the_line_of_its_package(module):
    installed = "lib/site-packages/installed_loops"
    loops, file = module("loops_of_someone", "import json\n\ndef run():\n    json.loads('{')\n", installed)
    assert origin(raised_by(loops.run)) == Origin(Place(file, 4))


def test_what_python_alone_raises_is_from_nowhere():
    assert origin(raised_by(Path("/none/at/all").read_text)) == Origin(None)
    assert origin(KeyError("never raised")) == Origin(None)


def test_a_place_is_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(Place(str(tmp_path / "loops" / "new.py"), 3)) == "loops/new.py:3"
    assert str(Place("/usr/share/new.py", 3)) == "/usr/share/new.py:3"
