import pytest
from pictures import assert_legible, texts

from loop_bench.experiments.run import read_plots
from loop_bench.experiments.syncs.record import HostSyncs, ReadSite


def site(reads, line=1, file="my/loop.py", source="x.numpy()"):
    return ReadSite(route="numpy", file=file, line=line, source=source, reads=reads, nbytes=4, seconds=0.1,
                    waits=0, waited=0.0)  # fmt: skip


def syncs(*reads, batches=100, **at):
    sites = tuple(site(count, line, **at) for line, count in enumerate(reads, start=1))
    return HostSyncs(batches=batches, sites=sites)


def draw(before, after):
    figure = read_plots.reads({"before": before, "after": after})
    assert_legible(figure)
    return figure.axes[0]


def written(axes):
    return [text.get_text() for text in axes.texts]


def ends(axes):
    return [patch.get_x() + patch.get_width() for patch in axes.patches]


def test_a_bar_a_line_of_code_with_its_number():
    axes = draw(syncs(100, 50), syncs(20))
    assert ends(axes) == pytest.approx([1.0, 0.5, 0.2])
    assert written(axes) == [
        "before: 1.5 reads a batch", "my/loop.py:1 numpy", "x.numpy()", "1", "my/loop.py:2 numpy", "x.numpy()", "0.5",
        "after: 0.2 reads a batch", "my/loop.py:1 numpy", "x.numpy()", "0.2",
    ]  # fmt: skip
    assert axes.yaxis_inverted()
    assert (axes.get_xscale(), axes.get_xlim()[0]) == ("linear", 0.0)


def test_what_is_far_apart_can_both_be_seen():
    axes = draw(syncs(100), syncs(2))
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] < 0.02
    assert "logarithmic" in axes.get_xlabel()
    assert ends(axes) == pytest.approx([1.0, 0.02])


def test_the_arms_differ_without_colour():
    before, after = draw(syncs(3), syncs(2)).patches
    assert before.get_hatch() != after.get_hatch()


@pytest.mark.parametrize(
    ("after", "said"), [(None, "after: not measured"), (HostSyncs(batches=7, sites=()), "after: no reads in 7 batches")]
)
def test_an_arm_without_reads_says_why(after, said):
    axes = draw(syncs(3), after)
    assert written(axes)[-1] == said
    assert len(axes.patches) == 1


def test_of_many_lines_the_rest_is_one():
    axes = draw(syncs(*range(60, 20, -1)), None)
    assert len(axes.patches) == read_plots.MOST_SITES + 1
    assert "28 more lines" in written(axes)
    assert ends(axes)[-1] == pytest.approx(sum(range(60 - read_plots.MOST_SITES, 20, -1)) / 100)


def test_long_names_and_code_stay_in_the_picture():
    file = "/a/very/long/folder" * 10 + "/loop.py"
    source = 'x = {"$a$": one.numpy(), "$": ' + "two.numpy() + " * 20 + "}"
    axes = draw(syncs(3, file=file, source=source), syncs(1, source="a" * 300))
    _, where, code, *_ = written(axes)
    assert where.startswith("…")
    assert where.endswith("/loop.py:1 numpy")
    assert code.startswith('x = {"$a$": one.numpy()')
    assert code.endswith("…")


def test_code_that_is_not_known_leaves_no_line():
    axes = draw(syncs(3, source=""), None)
    assert written(axes)[1:] == ["my/loop.py:1 numpy", "0.03", "after: not measured"]
    assert len(texts(axes.figure)) > 3
