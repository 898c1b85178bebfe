import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from loop_bench import source
from loop_bench.source import adopt, is_cell, is_users, place, shorter


@pytest.fixture
def adopted(monkeypatch):
    """Nothing that a test adopts is the user's afterwards."""
    monkeypatch.setattr(source, "_adopted", set())
    is_users.cache_clear()
    yield
    is_users.cache_clear()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/home/me/.local/lib/python3.11/site-packages/x.py", False),
        ("/usr/lib/python3/dist-packages/x.py", False),
        (f"{sysconfig.get_path('purelib')}/someones/loops.py", False),
        ("/home/me/project/train.py", True),
        ("/home/me/site-packages.py", True),
    ],
)
def test_packages_are_known_by_the_folders_of_any_environment(file, expected):
    assert is_users(file) == expected


def test_the_users_is_what_is_neither_ours_nor_installed_nor_the_standard_librarys():
    from loop_bench.examples import keras_fit

    assert is_users(__file__)
    assert is_users(keras_fit.__file__)  # stands for a user's
    assert is_users("<stdin>")
    assert not is_users(source.__file__)
    assert not is_users(os.__file__)
    assert not is_users(np.__file__)
    assert not is_users(pytest.__file__)  # installed, though in no list of names
    assert not is_users("<frozen importlib._bootstrap>")


def test_this_package_is_the_same_to_a_reader_installed_or_not(monkeypatch):
    packages = Path(sysconfig.get_path("purelib"))
    ours, library = packages / "ours" / "hostsync.py", packages / "other" / "x.py"
    monkeypatch.setattr(source, "_OURS", f"{packages}/ours/")
    assert source.is_ours(str(ours))
    assert not source.is_installed(str(ours))  # no library that reads for a line of the user's
    assert not source.is_standard(str(ours))  # although Python keeps packages below its standard library
    assert not is_users(str(ours))
    assert source.is_installed(str(library))


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("module", ["rich", "rich.progress"])
def test_a_package_that_the_program_is_in_is_the_users_wherever_it_is_installed(module):
    import rich.console

    assert not is_users(rich.console.__file__)
    adopt(importlib.util.find_spec(module))
    assert is_users(rich.console.__file__)
    assert not is_users(np.__file__)


@pytest.mark.usefixtures("adopted")
def test_a_module_without_a_package_is_adopted_alone():
    import typing_extensions

    adopt(typing_extensions.__spec__)
    assert is_users(typing_extensions.__file__)
    assert not is_users(np.__file__)


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("module", ["unittest", "pytest.__main__"])
def test_what_runs_programs_is_never_adopted(module):
    adopt(importlib.util.find_spec(module))
    assert not is_users(importlib.util.find_spec(module).origin)


@pytest.mark.usefixtures("adopted")
def test_our_own_code_is_never_adopted():
    for module in ("loop_bench.loop", "loop_bench.examples.keras_fit"):
        adopt(importlib.util.find_spec(module))
    adopt(None)
    assert not is_users(source.__file__)
    assert is_users(importlib.util.find_spec("loop_bench.examples.keras_fit").origin)


def test_names_do_not_depend_on_where_things_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shorter(str(tmp_path / "a" / "train.py")) == "a/train.py"
    assert shorter(str(tmp_path.parent / "train.py")) == str(tmp_path.parent / "train.py")
    assert shorter(np.__file__) == "numpy/__init__.py"
    assert shorter(os.__file__) == "python/os.py"
    assert shorter("<stdin>") == "<stdin>"
    assert place(str(tmp_path / "train.py"), 7) == "train.py:7"
    assert not is_cell("cellar.py")


def test_in_a_repository_they_are_those_of_its_files_wherever_it_lies(tmp_path, monkeypatch):
    """So they are the same of a working tree and of a checkout in a temporary folder."""
    for name in ("working", "checkout"):
        (tmp_path / name / "scripts").mkdir(parents=True)
        (tmp_path / name / ".git").touch()  # as a worktree has it
        monkeypatch.chdir(tmp_path / name / "scripts")
        assert place(str(tmp_path / name / "package" / "train.py"), 7) == "../package/train.py:7"
    assert shorter(str(tmp_path / "working" / "train.py")) == str(tmp_path / "working" / "train.py")


CELLS = """
from IPython.core.interactiveshell import InteractiveShell
from loop_bench.source import is_users, place, shorter
shell = InteractiveShell.instance()
shell.run_cell("1", store_history=True)
shell.run_cell("def of_a_cell():\\n    pass", store_history=True)
file = shell.user_ns["of_a_cell"].__code__.co_filename
print([is_users(file), shorter(file), place(file, 2), shorter("<stdin>")])
"""


def test_a_notebooks_cell_has_its_number(tmp_path):
    pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, "-c", CELLS], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(source.__file__).parents[1]), "IPYTHONDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[True, 'cell 2', 'cell 2, line 2', '<stdin>']"
