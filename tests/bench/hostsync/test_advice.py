"""For each rule of the advice, a program that it matches and one that it does not."""

import dataclasses
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
import tqdm

from loop_bench import hostsync
from loop_bench.hostsync.advice import Advice, advice
from loop_bench.hostsync.command import findings
from loop_bench.hostsync.log import Site

try:
    import tf_keras
except ImportError:
    tf_keras = None


@pytest.fixture
def rules(tmp_path):
    """Runs a program; returns the rules that match, each with its line."""

    def of(text):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
        text = textwrap.dedent(text)
        file.write_text(text)
        names = {"np": np, "tf": tf, "keras": keras, "tqdm": tqdm, "hostsync": hostsync, "x": tf.constant([1.0, 2.0])}
        with hostsync.record() as log:
            exec(compile(text, str(file), "exec"), names)
        found = findings._of_log(log).advice
        return {(each.rule, each.line) for each in found if each.file == str(file)}

    return of


def test_a_metric_that_is_read_every_batch(rules):
    assert rules("losses = []\nfor _ in range(20):\n    losses.append(x[0].numpy())") == {("metric", 3)}
    assert rules("for _ in range(20):\n    print(f'{x[0]:.1f}', end='')") == {("metric", 2)}
    assert rules("m = keras.metrics.Mean()\nm(1.0)\nfor _ in range(20):\n    float(m.result())") == {("metric", 4)}


def test_occasional_or_large_reads_are_no_metrics(rules):
    assert not rules("for step in range(100):\n    if step % 4 == 0:\n        float(x[0])")
    assert not rules("for _ in range(20):\n    tf.zeros([3]).numpy()")
    assert not rules("for epoch in range(20):\n    float(x[0])")
    assert not rules("for n in range(20):\n    for _ in range(2):\n        x + 1\n    float(x[0])")
    assert not rules("def f():\n    return float(x[0])\nlist(map(lambda _: f(), range(20)))")  # whose loop is not seen


def test_a_progress_bar(rules):
    program = """
    import io
    bar = tqdm.tqdm(range(20), file=io.StringIO())
    for _ in bar:
        {}
    """
    assert rules(program.format("bar.set_postfix(loss=x[0])")) == {("progress bar", 5)}
    assert not rules(program.format("bar.set_postfix(loss=1.0)"))
    assert not rules(
        "import io\nfor _ in range(9):\n    tqdm.tqdm(tf.data.Dataset.range(2), file=io.StringIO())"
    )  # its length


def test_keras_reads_for_fit(rules):
    program = """
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    model.compile("sgd", "mse"{})
    model.fit(np.ones([20, 2]), np.ones([20, 1]), batch_size=1, verbose=0)
    """
    assert rules(program.format("")) == {("keras", 4)}
    assert not rules(program.format(", steps_per_execution=10"))


@pytest.mark.skipif(tf_keras is None, reason="tf_keras, which is Keras 2, is not installed")
@pytest.mark.parametrize(
    ("verbose", "says"),
    [(0, "reads before each call of its step how many batches"), (1, "if a progress bar or a callback uses them")],
)
def test_keras_2_reads_its_loss_only_for_bars_and_callbacks(tmp_path, verbose, says):
    program = f"""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse"{{}})
    model.fit(np.ones([20, 2]), np.ones([20, 1]), batch_size=1, verbose={verbose})
    """
    for more, expected in (("", 1), (", steps_per_execution=10", 0)):
        file = tmp_path / f"{expected}.py"
        file.write_text(textwrap.dedent(program.format(more)))
        with hostsync.record() as log:
            exec(compile(file.read_text(), str(file), "exec"), {"np": np, "keras": tf_keras})
        found = [each.todo for each in findings._of_log(log).advice if each.rule == "keras"]
        assert len(found) == expected
        assert all(says in todo for todo in found)


CALLBACK = """
class Looking(keras.callbacks.Callback):
    def {}(self, {}, logs=None):
        {}
model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
model.compile("sgd", "mse", steps_per_execution=1)
model.fit(np.ones([20, 2]), np.ones([20, 1]), batch_size=1, verbose=0, epochs={}, callbacks=[Looking()])
"""


def test_a_callback_of_ones_own_that_reads_in_every_batch(rules):
    reads = "float(self.model.optimizer.learning_rate)"
    assert rules(CALLBACK.format("on_train_batch_end", "batch", reads, 1)) == {("metric", 4)}
    assert not rules(CALLBACK.format("on_train_batch_end", "batch", f"if batch % 2 == 0: {reads}", 1))
    assert not rules(CALLBACK.format("on_epoch_end", "epoch", reads, 12))


def test_keras_predict_gets_no_advice(rules):
    assert not rules(
        """
        model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        model.predict(np.ones([20, 2]), batch_size=1, verbose=0)
        """
    )


def test_keras_train_on_batch(rules):
    assert rules(
        """
        model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        for _ in range(20):
            model.train_on_batch(np.ones([2, 2]), np.ones([2, 1]))
        """
    ) == {("keras", 5)}


def test_a_decision_in_python(rules):
    assert rules("for _ in range(20):\n    if x[0] > 0:\n        pass") == {("decision", 2)}
    assert rules("for _ in range(20):\n    y = 1 if x[0] > 0 else 2") == {("decision", 2)}
    assert not rules("for _ in range(20):\n    max(x[0], x[1])")  # a bool, and no branch of the line


def test_what_is_allowed_needs_no_advice(rules):
    assert not rules("with hostsync.allow('it is meant'):\n    for _ in range(20):\n        float(x[0])")
    once = (
        "for n in range(20):\n    with hostsync.allow('why') if n else contextlib.nullcontext():\n        float(x[0])"
    )
    assert not rules(f"import contextlib\n{once}")


def test_a_function_of_numpy(rules):
    assert rules("import numpy as np\nfor _ in range(20):\n    np.mean(x)") == {("numpy function", 3)}
    assert not rules("import numpy as np\nfor _ in range(20):\n    np.histogram(x)")  # TensorFlow has no such function
    assert not rules("class numpy:\n    mean = np.mean\nfor _ in range(20):\n    numpy.mean(x)")
    program = "import numpy as np\nfor b in tf.data.Dataset.range(20):\n    {}"
    assert not rules(program.format("np.sum(b)"))  # is on the host
    assert rules(program.format("np.sum(b + 1)")) == {("numpy function", 3)}


def test_elements_of_a_dataset(rules):
    program = """
    import numpy as np
    for batch in tf.data.Dataset.range(40).batch(2){}:
        np.asarray({})
    """
    assert rules(program.format("", "batch")) == {("element of dataset", 4)}
    assert not rules(program.format(".as_numpy_iterator()", "batch"))
    assert not rules(program.format("", "x"))
    assert not rules(program.format("", "batch + 1"))
    assert not rules("for batch in tf.data.Dataset.range(40).batch(2):\n    (batch + 1).numpy()")


def test_retraces(rules):
    program = "@tf.function\ndef step(a, n=0):\n    return a\nfor n in range(6):\n    step({})"
    assert rules(program.format("x, n")) == {("retraced", 1)}
    assert rules(program.format("tf.zeros([n])")) == {("retraced", 1)}
    assert not rules(program.format("x, tf.constant(n)"))
    assert not rules(program.format("x, str(n)"))  # no tensor can take its place
    assert rules("for _ in range(6):\n    tf.function(lambda a: a, autograph=False)(x)") == {("retraced", 2)}
    assert not rules("step = tf.function(lambda a: a)\nfor n in (1, 2):\n    step(tf.zeros([n]))")  # twice is once more


def test_keras_functions_that_are_recreated(rules):
    program = """
    for _ in range(6):
        model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.ones([1, 2]), np.ones([1, 1]), verbose=0)
    """
    assert ("retraced", 5) in rules(program)


def test_functions_that_a_library_recreates(rules):
    program = """
    v = tf.Variable([1.0, 2.0])
    {}
    for _ in range(6):
        with tf.GradientTape() as tape:
            y = v * v
        {}
    """
    assert rules(program.format("", "tape.jacobian(y, v)")) == {("retraced", 7)}
    assert not rules(program.format("", "tape.gradient(y, v)"))


STEP = "@tf.function\ndef step(a):\n    {}\n    return a\n"


def test_python_in_a_step_but_not_in_a_pipeline_or_one_time_function(rules):
    call = "a = tf.numpy_function(lambda b: b, [a], tf.float32)"
    assert rules(STEP.format(call) + "for _ in range(3):\n    step(x)") == {("numpy_function in a step", 3)}
    assert not rules(STEP.format(call) + "step(x)")
    assert not rules(
        f"def f(a):\n    {call}\n    return a\nfor _ in range(3):\n    tf.data.Dataset.from_tensors(x).map(f)"
    )


def test_functions_of_one_name_get_advice_only_if_all_are_steps(rules):
    printing = STEP.format("tf.print('one of two', output_stream='file:///dev/null')")
    assert not rules(printing + "step(x)\n" + STEP.format("pass") + "for _ in range(3):\n    step(x)")


def test_a_function_inside_a_step_is_part_of_it(rules):
    inner = "@tf.function\ndef inner(a):\n    tf.print('inside', output_stream='file:///dev/null')\n"
    program = inner + STEP.format("inner(a)") + "for _ in range(3):\n    step(x)"
    assert rules(program) == {("print in a step", 3)}


def test_python_in_a_step_of_keras(rules):
    program = """
    class Model(keras.Model):
        def train_step(self, data):
            return {{"loss": {}}}
    model = Model()
    model.compile()
    model.fit(np.ones([4, 2]), verbose=0)
    """
    assert ("py_function in a step", 4) in rules(program.format("tf.py_function(lambda: 1.0, [], tf.float32)"))
    assert not rules(program.format("1.0"))


def test_a_print_in_a_step(rules):
    calls = "for _ in range(3):\n    step(x)"
    assert rules(STEP.format("tf.print(a, output_stream='file:///dev/null')") + calls) == {("print in a step", 3)}
    assert not rules(STEP.format("tf.debugging.assert_positive(a)") + calls)


SITE = Site("gone.py", 9, "bool", 30, 30, 0.5, 10, 0.4, 0, ("MainThread",))


def test_the_bound_comes_from_the_time_waited():
    said = Advice("metric", "gone.py", 9, "found", "Do it.", seconds=0.5, run=2.0)
    assert (said.share, said.at_most) == (0.25, pytest.approx(4 / 3))
    assert said.text == "gone.py:9: found, 25.0% of the run: at most 1.33× as fast. Do it."
    assert dataclasses.replace(said, seconds=0.0).at_most == 1.0
    assert dataclasses.replace(said, seconds=0.0).text == "gone.py:9: found. Do it."
    assert dataclasses.replace(said, seconds=2.5).at_most == float("inf")
    assert dataclasses.replace(said, seconds=2.5).plain()["at_most"] is None
    assert said.plain() == {**dataclasses.asdict(said), "share": 0.25, "at_most": said.at_most}
    assert dataclasses.replace(said, seconds=None).text == "gone.py:9: found. Do it."


def test_lines_that_do_not_matter_get_no_advice(tmp_path):
    (tmp_path / "p.py").write_text("for _ in x:\n    if x: pass\n    if x: pass\n    if x: pass\n")
    many = dataclasses.replace(SITE, file=str(tmp_path / "p.py"), line=2, reads=400, waited=0.0)
    few = dataclasses.replace(many, line=3, reads=20)  # of 420
    waits = dataclasses.replace(few, line=4, waited=0.5)
    found = advice((many, few, waits), (), (), 10.0, 0.0)
    assert [each.line for each in found] == [4, 2]  # what could win most first
