import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from loop_bench import hostsync
from loop_bench.hostsync import callsite
from loop_bench.hostsync.callsite import library_frames
from loop_bench.source import Frame, is_installed, is_ours, shorter

INSTALLED = Path(np.__file__).parents[1]


def run(program, file="a_program.py", **names):
    with hostsync.record(stack=True) as log:
        exec(compile(program, file, "exec"), {"tf": tf, "np": np, "t": tf.constant([1.0, 2.0]), **names})
    return log.reads


def test_a_read_inside_a_function_belongs_to_its_line():
    (read,) = run("def loss_of(x):\n    y = x * 2\n    return float(y[0])\nloss_of(t)")
    assert (read.file, read.line, read.route) == ("a_program.py", 3, "float")


def test_without_the_source_the_function_of_the_library_names_the_route():
    assert [read.route for read in run("t.numpy(); np.mean(t); tf.get_static_value(t)")] == [
        "numpy",
        "mean",
        "constant_value",
    ]
    assert [read.route for read in run("np.asarray(t)")] == ["unknown"]


@pytest.fixture
def installed(monkeypatch):
    """Makes this package appear as installed in the environment, not in place."""
    monkeypatch.setattr(callsite, "is_installed", lambda file: is_ours(file) or is_installed(file))
    callsite._is_entry.cache_clear()
    yield
    callsite._is_entry.cache_clear()


def test_our_own_code_is_no_reader(installed):
    with hostsync.record() as log:
        exec(compile("float(t)\nnp.asarray(t)", "a_program.py", "exec"), {"np": np, "t": tf.constant(1.0)})
    assert [(read.route, read.library) for read in log.reads] == [("float", None), ("unknown", None)]


def test_code_without_a_file_is_the_users(tmp_path):
    (read,) = run("t.numpy()", file="<stdin>")
    assert (read.file, read.line) == ("<stdin>", 1)


def test_the_standard_library_is_no_call_site():
    import statistics

    (read,) = run("\nstatistics.fmean(t.numpy())", statistics=statistics)
    assert read.line == 2
    import logging

    log = logging.Logger("test", logging.INFO)
    log.addHandler(logging.StreamHandler(io.StringIO()))
    (read,) = run("\n\nlog.info('%s', t)", log=log)
    assert (read.file, read.line) == ("a_program.py", 3)


def test_in_a_thread_of_a_library_its_own_line_is_the_call_site():
    import threading

    import keras

    with hostsync.record() as log:
        for target, arguments in ((keras.ops.convert_to_numpy, [tf.constant(1.0)]), (tf.constant(1.0).numpy, [])):
            thread = threading.Thread(target=target, args=arguments)
            thread.start()
            thread.join()
    first, second = log.reads
    assert "/keras/" in first.file
    assert first.line > 0
    assert second.file == threading.__file__
    assert second.route == "numpy"


@pytest.mark.parametrize(
    ("line", "route"),
    [
        ("a[:] = t", "setitem"),
        ("a @ np.asarray(t)", "asarray"),
        ("np.array(\n    t)", "array"),
        ("f'{np.asarray(t)}'", "asarray"),
        ("[np.asarray(x) for x in (t,)]", "asarray"),
    ],
)
def test_the_source_names_the_route(tmp_path, line, route):
    file = tmp_path / "program.py"
    file.write_text(f"ä = 'é'; a = np.zeros(2, np.float32)\n{line}\n", encoding="utf-8")
    (read,) = run(file.read_text(encoding="utf-8"), str(file))
    assert (read.route, read.line) == (route, 2)


def test_a_function_that_autograph_has_copied_keeps_its_line():
    eager = tf.constant([1.0, 2.0])

    @tf.function
    def step(x):
        if x[0] > 0:  # makes AutoGraph copy it
            x = x + float(eager[0])
        return x

    with hostsync.record() as log:
        step(eager)
    first = step.python_function.__code__.co_firstlineno
    # The branch captures the tensor as a constant, and the `if` around it once more.
    assert [(read.file, read.line) for read in log.reads] == [(__file__, first + 3), (__file__, first + 2)]


def test_the_library_frame_is_given_with_the_users_line():
    import tqdm

    bar = tqdm.tqdm(file=io.StringIO())
    (read,) = run("\nbar.set_postfix(loss=t[0])", bar=bar)
    assert (read.file, read.line, read.route) == ("a_program.py", 2, "set_postfix")
    assert (shorter(read.library.file), read.library.function) == ("tqdm/std.py", "set_postfix")
    (own,) = run("t.numpy()")
    assert own.library is None


def test_frames_of_libraries_are_those_below_the_users_line():
    keras, tensorflow = f"{INSTALLED}/keras/src/x.py", tf.__file__
    inner, outer, wrapper = Frame(keras, 1, "convert"), Frame(keras, 2, "on_end"), Frame(keras, 3, "error_handler")
    more = Frame(keras, 4, "fit"), Frame(keras, 5, "run")
    stack = (Frame(tensorflow, 1, "numpy"), inner, wrapper, outer, *more, Frame(__file__, 9, "train"), inner)
    assert library_frames(stack) == (inner, outer, more[0])
    assert library_frames((Frame(tensorflow, 1, "numpy"), Frame(__file__, 9, "train"), inner)) == ()
    assert library_frames(()) == ()


def test_what_a_prompt_displays_is_a_read_of_its_line(capsys):
    with hostsync.record() as log:
        exec(compile("\n\nt", "a_prompt", "single"), {"t": tf.constant(1.0)})
    (read,) = log.reads
    assert (read.file, read.line, read.route) == ("a_prompt", 3, "repr")
    capsys.readouterr()


def test_a_method_that_a_dataclass_has_written_is_not_the_users():
    @dataclasses.dataclass
    class State:
        loss: object

    with hostsync.record() as log:
        repr(State(tf.constant(1.0)))
    (read,) = log.reads
    assert (read.file, read.route) == (__file__, "repr")


def test_a_worker_of_an_executor_reads_by_the_tensors_method():
    from concurrent.futures import ThreadPoolExecutor

    with hostsync.record() as log, ThreadPoolExecutor(2) as executor:
        list(executor.map(float, [tf.constant(1.0)]))
    (read,) = log.reads
    assert read.route == "float"
    assert shorter(read.file).startswith("python/concurrent/futures/")


def test_a_function_of_a_library_that_autograph_has_copied_is_not_the_users():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = v * v
    with hostsync.record() as log:
        tape.jacobian(y, v)
    assert log.reads
    assert {read.file for read in log.reads} == {__file__}


def test_a_lambda_inside_a_function_that_autograph_has_copied_keeps_its_line():
    @tf.function
    def step(x):
        def inner(z):
            value = float(z)
            return value + 1

        return tf.py_function(lambda z: z.numpy(), [x], tf.float32) + tf.py_function(inner, [x], tf.float32)

    with hostsync.record() as log:
        step(tf.constant(1.0))
    first = step.python_function.__code__.co_firstlineno
    assert {(read.route, read.file, read.line - first) for read in log.reads} == {
        ("numpy", __file__, 6),
        ("float", __file__, 3),
    }
