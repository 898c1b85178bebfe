import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys
import tqdm

from loop_bench.errors import UsageError
from loop_bench.experiments.syncs.counting import count_host_syncs
from loop_bench.experiments.syncs.stretch import in_graphs
from loop_bench.hostsync import HostOp
from loop_bench.loop import LoopSpec, build


def test_a_clean_loop_reads_only_its_history():
    loop = toys.Quadratic()
    loop.run(1)
    found = count_host_syncs(loop, 20)
    (site,) = found.sites
    assert (site.reads, site.route) == (1, "numpy")
    assert site.nbytes == 4 * 21
    assert found.reads_per_batch == pytest.approx(1 / 20)


def test_a_read_a_batch_is_counted_at_its_line():
    loop = toys.Quadratic(read_each=True)
    loop.run(1)
    found = count_host_syncs(loop, 20)
    first, second = found.sites
    assert (first.reads, first.nbytes) == (20, 80)
    assert (second.reads, second.nbytes) == (1, 84)
    source = Path(toys.__file__).read_text().splitlines()
    assert source[first.line - 1].strip() == first.source == "loss.numpy()"
    assert (first.waits, first.waited) == (0, 0)


class Keeping(toys.Quadratic):
    """Hands over each loss by itself."""

    def history(self):
        return {"loss": np.array([float(loss) for loss in self.losses])}


def test_what_was_read_before_is_not_counted_again():
    loop = Keeping()
    loop.run(7)
    found = count_host_syncs(loop, 20)
    assert found.reads_per_batch == 1
    assert count_host_syncs(loop, 20).reads_per_batch == 1


def test_what_is_read_again_while_training_counts():
    class Looking(Keeping):
        def run(self, batches):
            super().run(batches)
            float(self.losses[0])

    loop = Looking()
    loop.run(1)
    assert count_host_syncs(loop, 20).reads_per_batch == pytest.approx(21 / 20)


def test_functions_that_a_warm_loop_traces_are_told():
    class Retracing(toys.Quadratic):
        def __init__(self):
            super().__init__()
            self.step = tf.function(lambda n: self._step() + 0.0 * n)
            self.n = 0

        def run(self, batches):
            for _ in range(batches):
                self.losses.append(self.step(self.n))
                self.n += 1

    loop = Retracing()
    loop.run(1)
    (found,) = count_host_syncs(loop, 3).traced
    assert (found.function, found.traces, found.why) == ("<lambda>", 3, ("Python value of n: 0 → 1 → 2 → 3",))
    assert found.source.startswith("self.step = tf.function(lambda n")
    quiet = toys.Quadratic()
    quiet.run(1)
    assert count_host_syncs(quiet, 3).traced == ()


def test_the_library_that_reads_stands_beside_the_line():
    class Barred(toys.Quadratic):
        def run(self, batches):
            super().run(batches)
            tqdm.tqdm(file=io.StringIO()).set_postfix(loss=self.losses[-1])

    loop = Barred()
    loop.run(1)
    sites = {site.route: site.library for site in count_host_syncs(loop, 3).sites}
    assert sites["set_postfix"].startswith("set_postfix at tqdm/std.py:")
    assert sites["numpy"] == ""


def test_earlier_and_new_host_ops_are_recorded_together():
    def op(kind, line, name="print"):
        return HostOp(kind, "PrintV2", name, "step", toys.__file__, line)

    again = op("print", 3, "print_1")  # of a function that was traced twice
    found = in_graphs([op("print", 3), again, again, op("text", 3), op("print", 4)])
    assert [(each["kind"], each["line"], each["ops"]) for each in found] == [
        ("print", 3, 2),
        ("text", 3, 1),
        ("print", 4, 1),
    ]
    loop = toys.Quadratic()
    loop.run(1)
    assert [each.kind for each in count_host_syncs(loop, 1, [op("print", 3)]).in_graphs] == ["print"]


def test_files_are_named_from_the_current_folder(monkeypatch, tmp_path):
    loop = toys.Quadratic()
    loop.run(1)
    monkeypatch.chdir(Path(toys.__file__).parent)
    assert count_host_syncs(loop, 1).sites[0].file == "toys.py"
    monkeypatch.chdir(tmp_path)
    assert count_host_syncs(loop, 1).sites[0].file == toys.__file__


def test_a_loop_that_trains_too_few_batches_is_refused():
    class Short(toys.Quadratic):
        def run(self, batches):
            super().run(batches - 1)

    with pytest.raises(UsageError, match="history 'loss' has grown by 9 in 10 batches"):
        count_host_syncs(Short(), 10)


def test_too_few_batches_are_said_of_the_loop_that_trained_them():
    class Short(toys.Quadratic):
        def run(self, batches):
            super().run(batches // 2)

    loop = build("toys:it", lambda spec: Short(), LoopSpec("tiny"), "after")
    with pytest.raises(UsageError) as caught:
        count_host_syncs(loop, 100)
    assert str(caught.value).startswith("loop 'toys:it' (after): history 'loss' has grown by 50 in 100 batches; run(")
    assert "repeat()" in str(caught.value)


def test_a_history_that_violates_the_contract_is_reported_once():
    class Odd(toys.Quadratic):
        def history(self):
            return 3

    loop = build("toys:it", lambda spec: Odd(), LoopSpec("tiny"), "after")
    with pytest.raises(UsageError, match=r"^history\(\) of loop 'toys:it' \(after\) is 3;"):
        count_host_syncs(loop, 10)
