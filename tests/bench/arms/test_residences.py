import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from homes import without_tensorflow
from repositories import commit, git, is_clean

from loop_bench.arms.launch import own_paths
from loop_bench.arms.residences import Residences
from loop_bench.errors import UsageError
from loop_bench.home import Home
from loop_bench.settings import TIMED

ARM = "lethal:Arm"
FACTORIES = {"before": "train:make_loop", "after": "train:make_loop"}

TRAIN = """
RATE = {rate}

def make_loop(spec):
    pass
"""


@pytest.fixture
def light(tmp_path):
    """Variables of processes that find something else for TensorFlow: it takes seconds to import."""
    return without_tensorflow(tmp_path / "light")


@pytest.fixture
def project(project, monkeypatch):
    """A repository whose loop has a rate of 1, with a folder `old`; the current folder."""
    (project / "train.py").write_text(TRAIN.format(rate=1))
    (project / "old").mkdir()
    (project / "old" / "note").touch()
    (project / ".gitignore").write_text("__pycache__\n*.npy\n")
    commit(project)
    monkeypatch.chdir(project)
    return project


def living(light, before=None, after=None, factories=None, **changes):
    homes = {
        arm: Home(**{"environment": light, **(home or {})}) for arm, home in (("before", before), ("after", after))
    }
    return Residences(homes, {**FACTORIES, **(factories or {})}, **changes)


def processes():
    """Those of arms, and those that they are forked from, that have not ended; not those of tests/forked.py."""
    return [each for each in psutil.Process().children(recursive=True) if "loop_bench.arms.needs" in each.cmdline()]


def test_each_arm_imports_its_own_code(project, temporary, light, monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    first = git(project, "rev-parse", "HEAD")
    (project / "train.py").write_text(TRAIN.format(rate=2))
    (project / "data.npy").touch()
    (project / "kept.npy").touch()
    with living(light, {"revision": "HEAD"}, links=["kept.npy"]) as residences:
        residences.begin([ARM])
        said = {name: residences.process(name).make(ARM).imports("train") for name in TIMED}
        assert [said[name][0] for name in TIMED] == [1, 1, 2]
        checkout = Path(said["before"][1])
        assert said["after"][1:3] == [str(project), str(project / "train.py")]
        assert said["null"][1:3] == said["before"][1:3] == [str(checkout), str(checkout / "train.py")]
        assert temporary in checkout.parents
        assert (checkout / "kept.npy").is_symlink()
        (seed,) = {said[name][3] for name in TIMED}  # one and the same order of sets
        assert seed is not None
        assert len({residences.process(name).pid for name in TIMED}) == 3
        before, after = (residences.residence(arm) for arm in ("before", "after"))
        assert (before.revision, before.commit, before.dirty) == ("HEAD", first, False)
        assert (after.revision, after.commit, after.dirty) == (None, first, True)
        assert before.python == ".".join(map(str, sys.version_info[:3]))
        assert before.versions["tensorflow"] == "2.0"
        (note,) = before.notes
        assert "not in HEAD, because git does not track it: data.npy" in note
        assert residences.notes == [f"before: {note}"]
        assert after.notes == ()
    assert processes() == []
    assert is_clean(project, temporary)


def test_both_arms_at_a_revision_of_their_own(project, light):
    (project / "train.py").write_text(TRAIN.format(rate=2))
    commit(project)
    (project / "train.py").write_text("broken")
    with living(light, {"revision": "HEAD~1"}, {"revision": "HEAD"}) as residences:
        residences.begin([ARM])
        assert [residences.process(name).make(ARM).imports("train")[0] for name in TIMED] == [1, 1, 2]


def test_what_an_arm_is_given_it_alone_has(project, light):
    (project / "old" / "train.py").write_text(TRAIN.format(rate=3))
    env = {**light, "KIND": "quick"}
    with Residences(
        {"before": Home(environment=env, folder="old"), "after": Home(environment=light)}, FACTORIES
    ) as lived:
        lived.begin([ARM])
        said = {name: lived.process(name).make(ARM).imports("train") for name in TIMED}
        assert [said[name][4] for name in TIMED] == ["quick", "quick", None]
        assert said["before"][:2] == [3, str(project / "old")]
        found = lived.residence("before")
        assert (found.folder, found.environment, found.interpreter) == ("old", env, None)
        assert lived.launch("before").folder == project / "old"
        assert lived.launch("before").paths == (light["PYTHONPATH"], *own_paths())


def test_packages_of_an_arm_that_lie_in_the_working_tree_are_its_own(project, light):
    """As those of `pip install --target`: what the process that forks imports must not be those of the other arm."""
    (project / "deps").mkdir()
    (project / "deps" / "lethal_dependency.py").write_text("")
    path = os.pathsep.join(["deps", light["PYTHONPATH"]])
    with living(light, {"revision": "HEAD"}, {"environment": {**light, "PYTHONPATH": path}}) as residences:
        residences.begin([ARM])
        assert len({*residences._zygotes.values()}) == 2
        forks = psutil.Process(residences.process("after").pid).parent()
        assert forks.environ()["PYTHONPATH"].split(os.pathsep)[0] == str(project / "deps")


def test_nothing_that_is_installed_here_is_on_the_path_there(project):
    with Residences({"before": Home(), "after": Home()}, FACTORIES) as lived:
        assert lived.launch("after").paths == tuple(own_paths())
        assert lived.launch("after").environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_an_interpreter_of_an_arm_is_that_of_its_processes(project, light):
    python = project / "python"
    python.write_text(f'#!/bin/sh\nKIND=scripted exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with living(light, {"python": "./python"}) as residences:
        residences.begin([ARM])
        said = {name: residences.process(name).make(ARM).imports("train")[4] for name in TIMED}
        assert said == {"before": "scripted", "null": "scripted", "after": None}
        assert residences.residence("before").interpreter == "./python"


def test_packages_of_the_working_tree_are_looked_for_in_the_checkout(project, light, monkeypatch):
    (project / "src").mkdir()
    (project / "src" / "package.py").write_text(TRAIN.format(rate=1))
    commit(project)
    (project / "src" / "package.py").write_text(TRAIN.format(rate=2))
    monkeypatch.syspath_prepend(project / "src")
    both = {"before": "package:make_loop", "after": "package:make_loop"}
    with living(light, {"revision": "HEAD"}, factories=both) as residences:
        residences.begin([ARM])
        assert [residences.process(name).make(ARM).imports("package")[0] for name in TIMED] == [1, 1, 2]


def test_from_a_folder_below_the_root_it_is_that_folder_of_the_checkout(project, light, monkeypatch):
    (project / "old" / "train.py").write_text(TRAIN.format(rate=5))
    commit(project)
    (project / "old" / "train.py").write_text(TRAIN.format(rate=6))
    monkeypatch.chdir(project / "old")
    with living(light, {"revision": "HEAD"}) as residences:
        residences.begin([ARM])
        assert [residences.process(name).make(ARM).imports("train")[0] for name in TIMED] == [5, 5, 6]
        assert residences.launch("before").folder.name == "old"


def test_each_group_gets_new_processes(project, light):
    with living(light) as residences:
        residences.begin([ARM])
        first = [residences.process(name).pid for name in TIMED]
        (parent,) = parents(residences)
        assert len(processes()) == 4
        residences.begin([ARM])
        assert parents(residences) == {parent}
        assert len(processes()) == 4
        assert not {*first} & {residences.process(name).pid for name in TIMED}
        with residences.another("before") as one_more:
            assert one_more.make(ARM).imports("train")[0] == 1
            assert len(processes()) == 5
        assert len(processes()) == 4


def parents(residences):
    return {psutil.Process(residences.process(name).pid).ppid() for name in TIMED}


def test_revisions_are_forked_from_one_process_which_has_nothing_of_either(project, light, monkeypatch):
    monkeypatch.syspath_prepend(project)
    with living(light, {"revision": "HEAD"}) as residences:
        residences.begin([ARM])
        (parent,) = parents(residences)
        path = psutil.Process(parent).environ()["PYTHONPATH"].split(os.pathsep)
        assert str(project) not in path
        assert path[0] == light["PYTHONPATH"]
        assert len(path) == len(residences.launch("after").paths) - 1


def test_arms_of_two_environments_get_new_zygotes_for_each_group(project, light):
    """What one process has by chance, all that are forked from it have: it would pass for what the variable does."""
    with living(light, {"environment": {**light, "KIND": "quick"}}) as residences:
        residences.begin([ARM])
        first = parents(residences)
        residences.begin([ARM])
        assert len(first) == len(parents(residences)) == 2
        assert not first & parents(residences)


def test_idle_is_a_share_of_each(project, light):
    with living(light) as residences:
        residences.begin([ARM])
        residences.forget_idle()
        assert residences.idle() == {}
        arms = {name: residences.process(name).make(ARM) for name in TIMED}
        for each in (*arms.values(), *arms.values()):
            each.imports("train")
        assert {*residences.idle()} == {*TIMED}
        residences.process("null").idle, residences.process("null").idle_processor = 2.0, 1.0
        assert residences.idle()["null"] == 0.5


def refused(residences):
    """What is said where arms cannot live so; nothing is left of the attempt."""
    with pytest.raises(UsageError) as caught, residences:
        residences.begin([ARM])
    assert "\n" not in str(caught.value)
    assert processes() == []
    return str(caught.value)


def test_a_factory_that_the_revision_does_not_have(project, temporary, light):
    (project / "new.py").write_text(TRAIN.format(rate=1))
    said = refused(living(light, {"revision": "HEAD"}, factories={"before": "new:make_loop", "after": "new:make_loop"}))
    assert said.startswith(
        "before: factory 'new:make_loop': importing new failed (ModuleNotFoundError: No module named"
    )
    assert said.endswith("; if it has another name at HEAD: --before module:factory")
    assert is_clean(project, temporary)


def test_a_factory_that_is_nowhere_is_not_looked_for_at_the_revision(project, temporary, light, monkeypatch):
    for name in ("trian:make_loop", "train"):
        said = refused(living(light, {"revision": "HEAD"}, factories={"before": name, "after": name}))
        assert said.startswith(f"after: factory {name!r}: ")
        assert "HEAD" not in said


def test_a_loop_of_ours_that_the_revision_does_not_have(project, temporary, light):
    ours = "loop_bench.baseline:make_loop"
    said = refused(living(light, {"revision": "HEAD"}, factories={"before": ours, "after": "train:make_loop"}))
    assert said == (
        f"before: {ours} is part of loop-bench, and not in HEAD; name the loop to compare with --after MODULE:FACTORY"
    )


def test_a_factory_that_the_working_tree_does_not_have(project, temporary, light):
    said = refused(living(light, {"revision": "HEAD"}, factories={"after": "train:other"}))
    assert said == "after: factory 'train:other': train has no other"
    assert is_clean(project, temporary)


def test_a_module_from_elsewhere_is_not_taken_for_that_of_the_revision(project, temporary, light, monkeypatch):
    elsewhere = temporary.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "installed.py").write_text(TRAIN.format(rate=1))
    monkeypatch.syspath_prepend(elsewhere)
    said = refused(living(light, {"revision": "HEAD"}, factories={"before": "installed:make_loop"}))
    assert said.startswith(
        f"before: installed:make_loop is imported from {elsewhere / 'installed.py'}, and not from HEAD"
    )
    assert "PYTHONPATH" in said
    assert is_clean(project, temporary)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({"folder": "none"}, {}, "--before-folder 'none': there is no such folder"),
        ({"folder": "none", "revision": "HEAD"}, {}, "--before-folder 'none': there is no such folder at HEAD"),
        ({}, {"folder": "train.py"}, "--after-folder 'train.py': there is no such folder"),
        ({"revision": "nowhere"}, {}, "revision 'nowhere': is not in the repository"),
        ({"revision": "HEAD"}, {"revision": "nowhere"}, "revision 'nowhere': is not in the repository"),
        ({}, {"python": "nowhere/python"}, "--after-python 'nowhere/python': no such interpreter"),
    ],
)
def test_a_home_that_does_not_exist_is_refused(project, temporary, light, before, after, says):
    assert refused(living(light, before, after)).startswith(says)
    assert is_clean(project, temporary)


def test_a_current_folder_that_the_revision_does_not_have(project, temporary, light, monkeypatch):
    (project / "later").mkdir()
    monkeypatch.chdir(project / "later")
    assert (
        refused(living(light, {"revision": "HEAD"})) == "before, current folder later: there is no such folder at HEAD"
    )
    assert is_clean(project, temporary)


HANGING = """
import os, time
from pathlib import Path
Path(os.environ["MARKS"], str(os.getpid())).touch()
time.sleep(100)
"""


def test_ctrl_c_while_they_begin_leaves_nothing(project, temporary, light):
    (project / "train.py").write_text(HANGING)
    commit(project)
    marks = temporary.parent / "marks"
    marks.mkdir()

    def interrupt():
        until = time.monotonic() + 60
        while len([*marks.iterdir()]) < len(TIMED) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt), living({**light, "MARKS": str(marks)}, {"revision": "HEAD"}) as residences:
        try:
            residences.begin([ARM])
        finally:
            assert processes() == []
    assert time.monotonic() - began < 60
    assert is_clean(project, temporary)


def test_of_those_that_begin_one_that_fails_ends_the_others(project, light, monkeypatch):
    """Also one whose process is started only then."""
    from loop_bench.arms import residences as module

    genuine, failed = module.ArmProcess.__enter__, threading.Event()

    def enter(process):
        if process.name == "before":
            failed.set()
            raise UsageError("before: cannot be started")
        failed.wait(10)
        time.sleep(0.2)
        return genuine(process)

    monkeypatch.setattr(module.ArmProcess, "__enter__", enter)
    monkeypatch.setattr(module, "_GRACE", 0.0)  # or all of them would have begun before the first is ended
    (project / "train.py").write_text("import time; time.sleep(100)")
    began = time.monotonic()
    with living(light) as residences:
        with pytest.raises(UsageError, match="cannot be started"):
            residences.begin([ARM])
        assert processes() == []
    assert time.monotonic() - began < 30
