from pathlib import Path

import pytest
import toys

from bench.errors import UsageError
from bench.experiments.syncs.counting import count_host_syncs, in_graphs
from bench.hostsync import HostOp


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


def test_what_was_traced_before_is_told_with_what_was_traced_now():
    def op(kind, line, name="print"):
        return HostOp(kind, "PrintV2", name, "step", toys.__file__, line)

    again = op("print", 3, "print_1")  # of a function that was traced twice
    found = in_graphs([op("print", 3), again, again, op("text", 3), op("print", 4)])
    assert [(each.kind, each.line, each.ops) for each in found] == [("print", 3, 2), ("text", 3, 1), ("print", 4, 1)]
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


def test_a_loop_that_trains_less_than_it_was_asked_for_is_refused():
    class Short(toys.Quadratic):
        def run(self, batches):
            super().run(batches - 1)

    with pytest.raises(UsageError, match="history 'loss' has grown by 9 in 10 batches"):
        count_host_syncs(Short(), 10)
