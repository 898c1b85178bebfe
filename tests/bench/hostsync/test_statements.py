import pytest

from bench.hostsync.statements import Line

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
total = sum(batch.numpy() for batch in data)
other = [each.numpy() for each in lists]
"""


@pytest.fixture
def line(tmp_path):
    """The line of the program that begins so."""
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
    ("start", "is_one"),
    [
        ("c = np", True),
        ("b.numpy", True),
        ("batch.numpy", True),
        ("total", True),
        ("other", False),
        ("np.asarray(element", False),
        ("t = float", False),
    ],
)
def test_elements_of_a_dataset_are_known_by_the_loop_around(line, start, is_one):
    assert line(start).reads_element_of_dataset() == is_one


@pytest.mark.parametrize(
    ("start", "repeated"), [("c = np", True), ("t = float", True), ("[float", True), ("return np.mean", False)]
)
def test_a_loop_around_repeats(line, start, repeated):
    assert line(start).is_repeated() == repeated


@pytest.mark.parametrize(
    ("start", "in_a_batch"),
    [("c = np", True), ("t = float", True), ("[float", True), ("return np.mean", False), ("mean =", False),
     ("inner", True), ("float(epoch_loss)", False)],
)  # fmt: skip
def test_the_innermost_loop_is_taken_for_that_of_batches(line, start, in_a_batch):
    assert line(start).is_in_a_batch() == in_a_batch


def test_a_metric_is_known_by_its_result(line):
    assert line("metric.result").reads_metric()
    assert not line("t = float").reads_metric()


def test_nothing_is_known_without_a_source(tmp_path):
    (tmp_path / "broken.py").write_text("if x ===")
    for file in ("gone.py", str(tmp_path / "broken.py"), "<stdin>"):
        line = Line(file, 1)
        asked = line.decides, line.calls_of_numpy, line.reads_metric, line.reads_element_of_dataset, line.is_repeated
        assert not any(ask() for ask in asked)
