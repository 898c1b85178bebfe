import sys

import pytest
from records import record

from loop_bench.errors import UsageError
from loop_bench.experiments.ladder.plan import Changes
from loop_bench.experiments.survival.plan import SHORT
from loop_bench.pair import Arm, Pair, find

BEFORE, AFTER = "declaring:before", "declaring:after"
SOURCE = """
from loop_bench.experiments.ladder.plan import Changes
from loop_bench.pair import Arm, Pair

changes = Changes({"a": {"a": 1}, "b": {}})
PAIRS = [Pair(Arm("declaring:before"), Arm("declaring:after"), equivalent={}, changes=changes)]
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder in which modules are found."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("declaring", "silent", "broken"):
        sys.modules.pop(name, None)


def test_little_is_asked_of_unknown_loops():
    pair = find("my.old:make", "my.new:make")
    assert pair == Pair(Arm("my.old:make"), Arm("my.new:make"))
    assert (pair.equivalent, pair.axes, pair.faults.short) == (None, None, SHORT)
    pair.check("huge", 0, {"script": "none.csv"})  # for them to know


def test_a_module_declares_its_pair(desk):
    (desk / "declaring.py").write_text(SOURCE)
    pair = find(BEFORE, AFTER)
    settings = record(settings={"before": BEFORE, "after": AFTER}).settings
    assert [rung.name for rung in pair.ladder(settings).rungs] == ["baseline", "a", "b"]
    assert [each.name for each in pair.candidates(settings, every_rung=True)] == ["a", "b"]
    for turned in (find(AFTER, BEFORE), find(AFTER, AFTER)):
        assert turned.changes == Changes()  # only what is declared
        assert turned.equivalent == {}
    assert find(AFTER, BEFORE).after.factory == BEFORE


def test_a_module_that_declares_nothing_is_not_imported(desk):
    (desk / "silent.py").write_text("raise SystemExit('imported')")
    assert find("silent:before", "silent:after") == Pair(Arm("silent:before"), Arm("silent:after"))
    assert "silent" not in sys.modules


@pytest.mark.parametrize("text", ["'PAIRS'", "# PAIRS", "def f():\n    PAIRS = []", "x.PAIRS = []"])
def test_what_only_looks_like_a_declaration_is_none(desk, text):
    (desk / "silent.py").write_text(f"raise SystemExit('imported')\n{text}")
    find("silent:before", "silent:after")
    assert "silent" not in sys.modules


def test_packages_around_a_module_are_not_imported(desk):
    (desk / "silent").mkdir()
    (desk / "silent" / "__init__.py").write_text("raise SystemExit('imported')")
    (desk / "silent" / "loops.py").touch()
    find("silent.loops:before", "no.such.module:after")
    assert "silent" not in sys.modules


@pytest.mark.parametrize("source", ["PAIRS = 1 / 0", "PAIRS = [3]", "PAIRS = ("])
def test_a_broken_declaration_is_none(desk, source):
    (desk / "broken.py").write_text(source)
    assert find("broken:before", "broken:after") == Pair(Arm("broken:before"), Arm("broken:after"))


def test_an_arm_that_is_known_is_known_beside_any_other():
    def refuse(preset, seed, options):
        raise UsageError("no")

    known = Pair(Arm("my.old:make", check=refuse, ready={"rated": True}), Arm("my.new:make"))
    pair = find("my.old:make", "others:make", [known])
    assert pair.before.ready == {"rated": True}
    with pytest.raises(UsageError, match="no"):
        pair.check("tiny", 0, {})
    find("others:make", "my.new:make", [known]).check("tiny", 0, {})


def test_without_rungs_none_can_be_compared():
    settings = record().settings
    with pytest.raises(UsageError, match="no rungs between these loops"):
        find("my.old:make", "my.new:make").candidates(settings, every_rung=True)


def test_several_replicas_are_compared_with_one_as_well():
    pair, settings = find("my.old:make", "my.new:make"), record().settings
    (only,) = pair.candidates(settings, every_rung=False)
    two = settings.model_copy(update={"options": {"script": "a.csv", "replicas": 2}})
    same, one = pair.candidates(two, every_rung=False)
    assert (only.name, same.name, one.name) == ("after", "after", "after, one replica")
    assert (same.options, one.options) == (two.options, {"script": "a.csv"})
    assert (one.factory, one.equivalent) == (same.factory, same.equivalent)
