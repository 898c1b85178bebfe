import pytest
from ladders import GROUPS, MS, dead, equivalence, finding, ladder, ladder_record, turns, without
from matplotlib.container import ErrorbarContainer
from pictures import assert_legible, assert_whole

from loop_bench.experiments.ladder import plots
from loop_bench.experiments.ladder.figures import LadderFigures


def draw(**changes):
    return plots.waterfall(LadderFigures.of(ladder_record(**changes)))


@pytest.fixture(scope="module")
def drawn():
    """Of the usual record: the intervals of all rungs take long."""
    return draw()


def bars(axes):
    """What is drawn, by the name beside it: from where to where."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    return {
        names[round(patch.get_y() + patch.get_height() / 2)]: (patch.get_x(), patch.get_x() + patch.get_width(), patch)
        for patch in axes.patches
    }


def ends(axes):
    return {name: (start, end) for name, (start, end, _) in bars(axes).items()}


def says(axes):
    """Beside each bar, from above."""
    return [text.get_text().replace("\n", " ") for text in axes.texts]


@pytest.fixture(scope="module")
def picture():
    (found,) = plots.pictures(ladder_record())
    return found


def test_there_is_a_picture_of_a_ladder(picture):
    assert picture.stem == "waterfall"
    assert_whole(picture)


def test_from_the_baseline_down_to_the_full_set(drawn):
    steps, _ = drawn.axes
    found = ends(steps)
    names = [name for name, group in GROUPS.items() if group == "step"]
    assert list(found) == ["baseline", *names, "the full set"]
    level = MS["baseline"]
    assert found["baseline"] == pytest.approx((0.0, level), rel=0.02)
    for name in names:
        assert found[name] == pytest.approx((level, MS[name]), rel=0.02)
        level = MS[name]
    assert found["the full set"] == pytest.approx((0.0, level), rel=0.02)
    assert steps.yaxis_inverted()
    assert steps.get_xlim()[0] == 0.0


def intervals(axes):
    """That are drawn, from above: from where to where."""
    drawn = [each for each in axes.containers if isinstance(each, ErrorbarContainer)]
    return [tuple(sorted(each.lines[2][0].get_segments()[0][:, 0])) for each in drawn]


def test_each_change_has_its_interval(drawn):
    steps, left_out = drawn.axes
    assert len(intervals(steps)) == 4
    low, high = intervals(steps)[2]
    assert (low, high) == pytest.approx((MS["fused step"],) * 2, rel=0.03)
    assert low < MS["fused step"] < high
    assert len(intervals(left_out)) == 2


def test_what_is_left_out_begins_at_the_full_set(drawn):
    _, left_out = drawn.axes
    assert ends(left_out)["no fused step"] == pytest.approx((MS["everything"], MS["no fused step"]), rel=0.02)
    assert says(left_out)[1:] == ["1.74× slower", "no measurable difference"]


def test_legible_without_colour(drawn):
    steps, _ = drawn.axes
    hatches = {name: patch.get_hatch() for name, (*_, patch) in bars(steps).items()}
    assert len({hatches[name] for name in ("fused step", "guarded clipping", "deferred metrics")}) == 3
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "ms/batch", "faster", "slower", "no measurable difference",
    ]  # fmt: skip


def test_the_ground_is_white(drawn):
    assert drawn.get_facecolor()[:3] == (1.0, 1.0, 1.0)


def test_an_invalid_rung_has_no_bar_and_the_next_one_begins_anew():
    steps, _ = draw(
        findings={"guarded clipping": dead(), "fused step": finding(equal=equivalence(False, "other numbers"))},
        stopped={"guarded clipping": "crashed: killed"},
        rounds=without("guarded clipping"),
    ).axes
    drawn = ends(steps)
    assert "guarded clipping" not in drawn
    assert "fused step" not in drawn
    assert drawn["everything"] == pytest.approx((0.0, MS["everything"]), rel=0.02)
    assert says(steps)[2:4] == ["crashed", "invalid"]
    assert says(steps)[4].endswith("ms (change not known: fused step has no valid time)")


def test_of_a_few_rounds_there_are_bars_without_intervals():
    steps, _ = draw(rounds=turns(count=5)).axes
    assert says(steps)[1] == "too few rounds"
    assert len(bars(steps)) == 6
    assert intervals(steps) == []


def test_without_anything_left_out_there_is_one_panel():
    groups = {name: group for name, group in GROUPS.items() if group != "left out"}
    record = ladder_record(rounds=turns(count=10)).model_copy(update={"ladder": ladder(groups=groups)})
    assert len(plots.waterfall(LadderFigures.of(record)).axes) == 1


def test_the_picture_says_what_is_to_be_seen(picture):
    assert picture.caption.startswith("Milliseconds a batch from baseline down to the full set")
    assert_legible(picture.draw())


def test_long_names_and_reasons_have_room():
    long = "a change of which the name is longer than any name should be, and then some more of it"
    names = {long if name == "guarded clipping" else name: group for name, group in GROUPS.items()}
    record = ladder_record(stopped={long: "crashed: killed"}).model_copy(
        update={
            "ladder": ladder(groups=names),
            "findings": {name: dead() if name == long else finding(equal=equivalence()) for name in names},
            "rounds": without("guarded clipping", turns(count=10)),
        }
    )
    (picture,) = plots.pictures(record)
    assert_legible(picture.draw())


def test_nothing_to_draw():
    assert plots.pictures(ladder_record(rounds=())) == ()


@pytest.fixture(scope="module")
def flawed():
    """With a rung that computes something else, and one that has crashed."""
    record = ladder_record(
        findings={"fused step": finding(equal=equivalence(False, "g_loss is 1 and 2 in batch 0"))},
        stopped={"no fused step": "crashed: of something"},
    )
    return LadderFigures.of(record)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("baseline", ""),
        ("deferred metrics", "no measurable difference"),
        ("guarded clipping", "1.10× slower"),
        ("fused step", "invalid"),
        ("everything", "change not known: fused step has no valid time"),
        ("no fused step", "crashed"),
    ],
)
def test_in_short(name, says, flawed):
    assert plots.in_short(flawed.rung(name), flawed) == says
