import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loop_bench.arms import launch as launching
from loop_bench.arms.launch import PACKAGE, Launch, interpreter, launch, own_paths
from loop_bench.errors import UsageError

SEES = """
import json, os, sys
import loop_bench.errors
print(json.dumps({"name": __name__, "arguments": sys.argv[1:], "path": sys.path, "folder": os.getcwd(),
                  "package": loop_bench.__file__, "variables": dict(os.environ)}))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sees.py").write_text(SEES)
    return tmp_path


def seen(started, *arguments):
    """What a module `sees` of the user's finds in a process that is started so."""
    done = subprocess.run(
        started.command("sees", *arguments),
        cwd=started.folder,
        env=dict(started.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_module_runs_as_a_program_with_our_package_and_nothing_else_of_ours(folder, monkeypatch):
    monkeypatch.setenv("ONLY_HERE", "1")
    installed = [entry for entry in sys.path if "/lib/python" in entry]
    monkeypatch.setattr(sys, "path", ["", *installed])
    monkeypatch.chdir(folder)
    found = seen(launch(folder, variables={"ONLY_THERE": "2"}), "one", "two words")
    assert (found["name"], found["arguments"], found["folder"]) == ("__main__", ["one", "two words"], str(folder))
    assert found["package"] == f"{PACKAGE}/__init__.py"
    assert (found["variables"]["ONLY_HERE"], found["variables"]["ONLY_THERE"]) == ("1", "2")
    assert found["path"][0] == str(folder)
    assert "" not in found["path"]
    ours = {str(Path(PACKAGE).parent), str(Path(PACKAGE).parent / "src")}  # an installation in place has put it there
    assert not ours & {*found["variables"]["PYTHONPATH"].split(os.pathsep)}


def test_an_environment_without_us_finds_us(folder):
    """Neither its packages nor its path lead to ours: `-S` leaves them out."""
    python = folder / "bare"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    found = seen(Launch(str(python), folder, {"PYTHONPATH": str(folder)}))
    assert found["package"] == f"{PACKAGE}/__init__.py"
    assert not [entry for entry in found["path"] if "site-packages" in entry or "loop" in entry]


@pytest.mark.parametrize("safe", ["", "1"])
def test_the_first_folder_of_the_user_is_kept(folder, safe):
    """With PYTHONSAFEPATH, Python puts no folder of its own before it."""
    found = seen(Launch(sys.executable, folder, {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": safe}))
    assert found["path"][0] == str(folder)


def booted(version):
    """What the boot text says to a Python of some version."""
    text = re.sub(r"^import sys$", f"import sys; sys.version_info = {version}", launching._BOOT, flags=re.MULTILINE)
    assert text != launching._BOOT
    return subprocess.run([sys.executable, "-c", text, PACKAGE, "loop_bench.errors"], capture_output=True, text=True)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 9, 21)])
def test_a_python_that_is_too_old_is_refused_before_this_package_is_imported(version):
    done = booted(version)
    assert done.returncode == 1
    assert done.stderr == f"error: is Python {version[0]}.{version[1]}, but needs 3.10 or newer\n"


def test_the_oldest_python_that_will_do():
    done = booted((3, 10, 0))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_an_old_python_meets_first_it_can_read():
    """Up to the line that refuses it: no syntax of later versions, whose error would be all that is said."""
    text, _, _ = launching._BOOT.partition("import importlib")
    assert "sys.exit(" in text
    assert not re.search(r"\bf\"|:=|print ", text)


def test_the_interpreters_own_variables_are_not_for_another_one(folder, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = launch(folder).environment
    assert "PYTHONHOME" not in found
    assert found["PYTHONPATH"] == os.pathsep.join(own_paths())


def test_the_users_paths_for_an_arm_come_first(folder):
    found = launch(folder, variables={"PYTHONPATH": f"{folder}/a{os.pathsep}{os.pathsep}b", "PYTHONHOME": "/home"})
    assert found.paths == (f"{folder}/a", f"{folder}/b", *own_paths())
    assert found.environment["PYTHONPATH"] == os.pathsep.join(found.paths)
    assert found.environment["PYTHONHOME"] == "/home"


def test_it_is_this_interpreter_unless_another_one_is_asked_for(folder):
    assert (launch(folder).python, launch(folder, "/usr/bin/python3").python) == (sys.executable, "/usr/bin/python3")


def test_the_users_folders_are_those_that_nothing_is_installed_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "venv" / "lib" / "python3.11"
    for name in ("site-packages/pkg", "dist-packages"):
        (inside / name).mkdir(parents=True)
    (tmp_path / "src").mkdir()
    (tmp_path / "archive.zip").touch()
    entries = [
        "", "src", str(tmp_path / "src"), str(inside / "site-packages"), str(inside / "site-packages" / "pkg"),
        str(inside / "dist-packages"), str(tmp_path / "archive.zip"), str(tmp_path / "gone"),
        str(Path(os.__file__).parent), str(Path(sys.executable).parent),
        *(each for each in sys.path if each.endswith("lib-dynload")),
    ]  # fmt: skip
    assert own_paths(entries) == [str(tmp_path), str(tmp_path / "src")]


def test_the_path_of_this_process_has_the_tests_and_no_packages():
    found = own_paths()
    assert str(Path(__file__).parents[2]) in found
    assert not [entry for entry in found if "site-packages" in entry]


def test_folders_in_a_repository_are_those_of_its_checkout(tmp_path, monkeypatch):
    there, here = tmp_path / "project", tmp_path / "checkout"
    for path in (there / "src", tmp_path / "project-old", tmp_path / "link-to"):
        path.mkdir(parents=True)
    (tmp_path / "link").symlink_to(there / "src")
    monkeypatch.setattr(
        sys, "path", [str(there / "src"), str(there), str(tmp_path / "project-old"), str(tmp_path / "link")]
    )
    found = launch(here, moved=(there, here)).paths
    assert found == (str(here / "src"), str(here), str(tmp_path / "project-old"), str(here / "src"))


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A folder with a virtual environment `old`, whose interpreter is a link, and one that is no interpreter."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old" / "bin").mkdir(parents=True)
    (tmp_path / "old" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "not-executable").write_text("")
    return tmp_path


@pytest.mark.parametrize("name", ["old", "./old", "old/bin/python", "{}/old", "{}/old/bin/python", "~/old"])
def test_an_interpreter_by_its_path_or_its_environment(environment, monkeypatch, name):
    monkeypatch.setenv("HOME", str(environment))
    assert interpreter("--x", name.format(environment)) == str(environment / "old" / "bin" / "python")  # not resolved


def test_an_interpreter_by_its_name(environment, monkeypatch):
    monkeypatch.setenv("PATH", str(environment / "old" / "bin"))
    assert interpreter("--x", "python") == str(environment / "old" / "bin" / "python")


@pytest.mark.parametrize("name", ["none", "old/none", "not-executable", "old/bin", "./python", ""])
def test_an_interpreter_that_is_not_there_is_one_line(environment, monkeypatch, name):
    monkeypatch.setenv("PATH", str(environment / "old" / "bin"))
    with pytest.raises(UsageError) as caught:
        interpreter("--before-python", name)
    says = "no such interpreter; give its path, such as .venv-old/bin/python, or a command on PATH"
    assert str(caught.value) == f"--before-python {name!r}: {says}"
