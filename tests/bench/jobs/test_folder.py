import importlib
import sys
from pathlib import Path

import pytest

from loop_bench.errors import InvalidRecordError, UsageError
from loop_bench.jobs import folder


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder on the path with a package and two modules that are in none."""
    for name in ("of_loops/__init__.py", "of_loops/training.py", "of_loops/parts/cells.py", "alone.py", "beside.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise RuntimeError('{name} is not to be imported')")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def code(*factories):
    importlib.invalidate_caches()
    return folder.code(factories)


def test_code_is_that_of_each_package_once(desk):
    found = code("of_loops.training:make", "alone:make", "of_loops:other")
    assert list(found) == ["alone", "of_loops"]
    assert found == {**code("of_loops:make"), **code("alone:make")}
    assert found["alone"] != found["of_loops"]
    assert all(set(digest) <= set("0123456789abcdef") for digest in found.values())


@pytest.mark.parametrize("name", ["of_loops/__init__.py", "of_loops/training.py", "of_loops/parts/cells.py"])
def test_any_file_of_a_package_makes_a_difference(desk, name):
    before = code("of_loops.training:make")
    there = (desk / name).read_bytes()
    for changed in (there + b"\n", there.upper()):
        (desk / name).write_bytes(changed)
        assert code("of_loops.training:make") != before
    (desk / name).write_bytes(there)
    assert code("of_loops.training:make") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: (desk / "of_loops" / "parts" / "more.py").touch(),
        lambda desk: (desk / "of_loops" / "training.py").unlink(),
        lambda desk: (desk / "of_loops" / "training.py").rename(desk / "of_loops" / "trained.py"),
        lambda desk: (desk / "of_loops" / "training.py").rename(desk / "of_loops" / "parts" / "training.py"),
    ],
)
def test_so_does_a_file_that_comes_goes_or_moves(desk, change):
    before = code("of_loops:make")
    change(desk)
    assert code("of_loops:make") != before


def test_a_folder_that_is_a_link_counts_and_one_to_a_folder_above_does_not_go_on_for_ever(desk):
    elsewhere = desk / "elsewhere"
    elsewhere.mkdir()
    (desk / "of_loops" / "linked").symlink_to(elsewhere)
    before = code("of_loops:make")
    (elsewhere / "training.py").touch()
    with_it = code("of_loops:make")
    assert with_it != before
    (desk / "of_loops" / "above").symlink_to(desk / "of_loops")
    assert code("of_loops:make") == with_it


def test_what_goes_from_one_file_to_the_next_makes_a_difference(desk):
    one, two = desk / "of_loops" / "parts" / "a.py", desk / "of_loops" / "parts" / "b.py"
    one.write_bytes(b"1\n2\n")
    two.write_bytes(b"")
    before = code("of_loops:make")
    one.write_bytes(b"1\n")
    two.write_bytes(b"2\n")
    assert code("of_loops:make") != before


def test_what_is_no_python_or_elsewhere_makes_none(desk):
    before = code("of_loops:make")
    (desk / "of_loops" / "notes.txt").touch()
    (desk / "of_loops" / "__pycache__").mkdir()
    (desk / "of_loops" / "__pycache__" / "training.pyc").touch()
    (desk / "alone.py").unlink()
    assert code("of_loops:make") == before


def test_where_a_package_is_makes_no_difference(desk, tmp_path, monkeypatch):
    before = code("of_loops:make")
    (desk / "elsewhere").mkdir()
    (desk / "of_loops").rename(desk / "elsewhere" / "of_loops")
    monkeypatch.syspath_prepend(desk / "elsewhere")
    assert code("of_loops:make") == before


def test_a_module_in_no_package_counts_with_those_beside_it(desk):
    before = code("alone:make")
    (desk / "of_loops" / "training.py").touch()
    (desk / "of_loops" / "more.py").touch()
    assert code("alone:make") == before
    (desk / "beside.py").write_text("changed")
    assert code("alone:make") != before


def test_a_package_without_init_counts_too(desk):
    (desk / "of_loops" / "__init__.py").unlink()
    before = code("of_loops.training:make")
    (desk / "of_loops" / "training.py").write_text("changed")
    assert code("of_loops.training:make") != before


def test_modules_are_looked_for_in_the_current_folder_too(desk, monkeypatch):
    sys.path.remove(str(desk))
    monkeypatch.chdir(desk)
    before = code("of_loops:make")
    (desk / "of_loops" / "training.py").write_text("changed")
    assert code("of_loops:make") != before


@pytest.mark.parametrize(
    "factory", ["no_such_module:make", "no_such_package.module:make", ":make", "", "sys:exit", "math:pi"]
)
def test_what_has_no_code_is_for_others_to_refuse(factory):
    assert list(code(factory)) == [factory.partition(":")[0].partition(".")[0]]


def test_the_built_in_loops_have_code():
    nothing = code("no_such_module:make")["no_such_module"]
    assert nothing not in code("loop_bench.baseline:make_loop", "loop_bench.seqgan:make_loop").values()


def test_files_are_what_is_in_them(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("words")
    two.write_text("words")
    both = folder.of_files([one, two])
    assert both == folder.of_files(iter([two, one]))
    assert len({both, folder.of_files([one]), folder.of_files([two]), folder.of_files([])}) == 4
    one.write_text("other words")
    assert folder.of_files([one, two]) != both


@pytest.mark.parametrize("name", ["none.csv", "none/none.csv", "a folder", "a name with \udcff"])
def test_a_file_that_is_missing_is_for_others_to_refuse(tmp_path, name):
    (tmp_path / "a folder").mkdir()
    assert folder.of_files([tmp_path / name]) != folder.of_files([])
    assert folder.of_files([Path()])


def test_loops_are_made_of_their_code_and_their_scripts(tmp_path):
    (tmp_path / "a.csv").write_text("one")
    loops = [("toys:plain", {"script": str(tmp_path / "a.csv")}), ("toys:plain", {"size": 3})]
    first = folder.fingerprint(loops)
    assert list(first["code of the loops"]) == ["toys"]
    (tmp_path / "a.csv").write_text("two")
    second = folder.fingerprint(loops)
    assert second["script"] != first["script"]
    assert second["code of the loops"] == first["code of the loops"]


HERE = {"cpu": "of some kind", "versions": {"tensorflow": "2.21.0"}, "gpus": [], "commit": None, "dirty": False}


def test_a_folder_without_a_result_is_as_new(tmp_path):
    folder.same_conditions(tmp_path, HERE)  # and then the loop's author had something to mend
    folder.same_conditions(tmp_path, {**HERE, "code of the loops": "mended"})
    (tmp_path / "trial.json").touch()
    with pytest.raises(UsageError, match="made with another code of the loops"):
        folder.same_conditions(tmp_path, HERE)


def test_a_commit_alone_makes_no_difference(tmp_path):
    folder.same_conditions(tmp_path, HERE)
    (tmp_path / "trial.json").touch()
    folder.same_conditions(tmp_path, {**HERE, "commit": "abc", "dirty": True})
    folder.same_conditions(tmp_path, {"cpu": HERE["cpu"], "versions": HERE["versions"], "gpus": []})
    folder.same_conditions(tmp_path, dict(reversed(HERE.items())))


def test_conditions_are_the_same_as_their_file(tmp_path):
    values = {"gpus": ("one", "two"), "loads": {1: 2}}
    folder.same_conditions(tmp_path, values)
    (tmp_path / "trial.json").touch()
    folder.same_conditions(tmp_path, values)


@pytest.mark.parametrize("content", ["", '{"cpu": ', "[1]", "3", "\N{REPLACEMENT CHARACTER}"])
def test_a_damaged_note_of_the_conditions_is_one_line(tmp_path, content):
    (tmp_path / "environment.json").write_text(content)
    (tmp_path / "trial.json").touch()
    with pytest.raises(InvalidRecordError, match=r"environment\.json: does not hold the conditions of the trials"):
        folder.same_conditions(tmp_path, HERE)


def test_a_folder_is_locked_for_as_long_as_it_is_entered(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "WAITED", 0.0)
    with folder.locked(tmp_path / "new") as locked:
        assert locked.result("a") == tmp_path / "new" / "a.json"
        with pytest.raises(UsageError, match="is in use by another run"), folder.locked(tmp_path / "new"):
            pass
    with folder.locked(tmp_path / "new"):
        pass
