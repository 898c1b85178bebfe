import pytest

from loop_bench.hostsync.statements import Line

PROGRAM = """\
import numpy as np, tensorflow as tf
import numpy
data = tf.data.Dataset.from_tensor_slices(x).map(f)
data = data.batch(8)
lists = [1, 2]
def decide(t):
    if t > 0:
        return np.mean(t)
    value = 1 if t else 2
    assert t
    return numpy.sum(
        t)
for step, (a, b) in enumerate(data):
    c = np.asarray(a)
    b.numpy(); other.numpy()
    metric.result().numpy()
    model(a).numpy()
    given = np.sum(b)
for d in data:
    d = d * 2
    d.numpy()
for element in lists:
    np.asarray(element)
for batch in loader.take(3):
    batch.numpy()
while True:
    t = float(t)
[float(each) for each in ts]
model.mean(t)
for n in range(3):
    for batch in data:
        inner(batch)
    mean = float(t)
for epoch in range(3):
    float(epoch_loss)
for i in range(num_epochs):
    float(of_an_epoch)
while epoch < 9:
    float(of_another)
for n in range(9):
    if n % 3 == 0:
        float(now_and_then)
    if verbose:
        float(whenever)
for n in range(9):
    def inside(t):
        return float(in_a_function)
for n in once(float(in_the_head)):
    pass
def hosted(t):
    return np.sum(on_the_host)
tf.py_function(hosted, [t], tf.float32)
total = sum(batch.numpy() for batch in data)
other = [each.numpy() for each in lists]
"""


@pytest.fixture
def line(tmp_path):
    """The line of the program that begins with `start`."""
    (tmp_path / "program.py").write_text(PROGRAM)

    def at(start):
        numbers = [n for n, text in enumerate(PROGRAM.splitlines(), 1) if text.strip().startswith(start)]
        return Line(str(tmp_path / "program.py"), numbers[0])

    return at


@pytest.mark.parametrize("start", ["if t > 0", "value = 1", "assert", "while True"])
def test_conditions_decide(line, start):
    assert line(start).decides()


@pytest.mark.parametrize("start", ["return np.mean", "t = float", "c = np", "for step"])
def test_what_is_only_inside_a_branch_does_not(line, start):
    assert not line(start).decides()


@pytest.mark.parametrize(
    ("start", "names"), [("return np.mean", {"mean"}), ("t)", {"sum"}), ("model.mean", set()), ("c = np", {"asarray"})]
)
def test_functions_of_numpy_are_known_by_what_was_imported(line, start, names):
    assert line(start).calls_of_numpy() == names


@pytest.mark.parametrize(
    ("start", "called"),
    [
        ("c = np", {"asarray"}),
        ("b.numpy", {"numpy"}),
        ("total", {"numpy"}),
        ("given", {"sum"}),
        ("model(a).numpy", set()),  # of a result
        ("d.numpy", set()),  # of another value by the same name
        ("batch.numpy", set()),  # of nobody knows what
        ("np.asarray(element", set()),
        ("other", set()),
        ("t = float", set()),
    ],
)
def test_what_is_done_with_elements_of_a_dataset_is_known_by_the_loop_around(line, start, called):
    assert line(start).calls_on_elements() == called


@pytest.mark.parametrize(
    ("start", "repeated"), [("c = np", True), ("t = float", True), ("[float", True), ("return np.mean", False)]
)
def test_a_loop_around_repeats(line, start, repeated):
    assert line(start).is_repeated() == repeated


@pytest.mark.parametrize(
    ("start", "in_a_batch"),
    [("c = np", True), ("t = float", True), ("[float", True), ("return np.mean", False), ("mean =", False),
     ("inner", True), ("float(epoch_loss)", False), ("float(of_an_epoch", False), ("float(of_another", False),
     ("float(now_and", False), ("float(whenever", True), ("return float(in_a", False), ("for n in once", False)],
)  # fmt: skip
def test_the_innermost_loop_is_assumed_to_be_over_batches(line, start, in_a_batch):
    assert line(start).is_in_every_batch() == in_a_batch


def test_what_runs_as_python_in_a_graph_is_known(line):
    assert line("return np.sum(on_the_host").is_python_in_a_graph()
    assert not line("return np.mean").is_python_in_a_graph()


def test_a_metric_is_known_by_its_result(line):
    assert line("metric.result").reads_metric()
    assert not line("t = float").reads_metric()


def test_all_answers_are_negative_without_a_source(tmp_path):
    (tmp_path / "broken.py").write_text("if x ===")
    for file in ("gone.py", str(tmp_path / "broken.py"), "<stdin>"):
        line = Line(file, 1)
        asked = line.decides, line.calls_of_numpy, line.reads_metric, line.calls_on_elements, line.is_repeated
        assert not any(ask() for ask in asked)
